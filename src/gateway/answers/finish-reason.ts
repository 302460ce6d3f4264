import type { AnswerEnd } from '../../core/evidence/evidence';

/** Reasons that say no more than that a model was done; an answer without content needs another one to be credible. */
const ORDINARY = new Set(['stop', 'eos', 'eos_token', 'end_turn', 'stop_sequence']);
/** Reasons that are errors: OpenRouter's, DeepSeek's, and what inference servers say of requests they dropped. */
const FAILED = new Set(['error', 'insufficient_system_resource', 'abort']);

/** How a choice ended. */
export type FinishReason = 'ordinary' | 'other' | 'failed';

/**
 * Reads a finish reason; null for one that says that the answer goes on, which several servers write as `""` or
 * `"null"` in every chunk (SGLang, Ollama, LocalAI, KoboldCpp).
 */
export function readFinishReason(value: unknown): FinishReason | null {
  if (typeof value !== 'string' || value === '' || value === 'null') return null;
  const reason = value.toLowerCase();
  if (FAILED.has(reason)) return 'failed';
  return ORDINARY.has(reason) ? 'ordinary' : 'other';
}

/** Reasons as servers write them that are not OpenAI's own. */
const ENDS: Readonly<Record<string, AnswerEnd>> = {
  length: 'length',
  max_tokens: 'length',
  max_output_tokens: 'length',
  model_length: 'length',
  model_context_window_exceeded: 'length',
  refusal: 'refusal',
  content_filter: 'content_filter',
  safety: 'content_filter',
  tool_calls: 'tool_calls',
  tool_use: 'tool_calls',
  function_call: 'tool_calls',
};

/** What a finish reason says of the answer's end; `nothing` for one that says that the answer goes on. */
export function readEnd(value: unknown): AnswerEnd {
  const reason = readFinishReason(value);
  if (reason === null) return 'nothing';
  if (reason === 'ordinary') return 'stop';
  const name = (value as string).toLowerCase();
  return Object.hasOwn(ENDS, name) ? (ENDS[name] as AnswerEnd) : 'other';
}
