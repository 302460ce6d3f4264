import type { Dialect } from '../../core/configuration/dialect';

/** What OpenAI's API alone has below /v1; models and files belong to both. */
const OPENAI_ROOTS = new Set([
  'chat',
  'completions',
  'responses',
  'moderations',
  'audio',
  'images',
  'embeddings',
  'uploads',
  'batches',
  'fine_tuning',
  'fine-tunes',
  'vector_stores',
  'assistants',
  'threads',
  'conversations',
  'containers',
  'evals',
  'videos',
  'realtime',
]);

/** Whose API a path below /v1 belongs to; null where it is of both, or of neither. */
export function dialectOfPath(path: string): Dialect | null {
  const root = path.split('/', 2)[1] ?? '';
  if (root === 'messages') return 'anthropic';
  return OPENAI_ROOTS.has(root) ? 'openai' : null;
}
