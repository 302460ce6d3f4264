import type { Dialect } from '../../core/configuration/dialect';
import { OPENAI_STATEFUL_ROOTS, rootOf } from './traffic-class';

/** What OpenAI's API alone has below /v1; models and files belong to both. */
const OPENAI_ROOTS = new Set([
  ...['chat', 'completions', 'responses', 'moderations', 'audio', 'images', 'embeddings'],
  ...OPENAI_STATEFUL_ROOTS,
]);

/** Whose API a path below /v1 belongs to; null where it is of both, or of neither. */
export function dialectOfPath(path: string): Dialect | null {
  const root = rootOf(path);
  if (root === 'messages') return 'anthropic';
  return OPENAI_ROOTS.has(root) ? 'openai' : null;
}
