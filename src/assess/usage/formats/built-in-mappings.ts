import { type Mapping, parseMapping } from './mapping-schema';
import azure from './mappings/azure.json';
import gateway from './mappings/gateway.json';
import helicone from './mappings/helicone.json';
import langfuse from './mappings/langfuse.json';
import litellm from './mappings/litellm.json';
import normalized from './mappings/normalized.json';
import openrouter from './mappings/openrouter.json';
import otelOtlp from './mappings/otel-otlp.json';
import otelSpans from './mappings/otel-spans.json';

/** Mappings that come with this program, in no order: detection needs each to name columns of its own. */
export const BUILT_IN_MAPPINGS: readonly Mapping[] = [
  azure,
  gateway,
  helicone,
  langfuse,
  litellm,
  openrouter,
  otelOtlp,
  otelSpans,
].map((document) => parseMapping(document, `built-in mapping ${document.format}`));

/** What OpenAI and DeepSeek exports are converted to before they are read. */
export const NORMALIZED_MAPPING: Mapping = parseMapping(normalized, 'built-in mapping normalized');
