import type { RequestFacts } from './request-facts';

/**
 * How a request may be moved. `randomised`: split by share. `whole`: never split. `stateful`: bound to the
 * provider that made what it names. `other`: legacy, unchanged.
 */
export type TrafficClass = 'randomised' | 'whole' | 'stateful' | 'other';

/** What answers of an endpoint look like, which decides how they are read on the side. */
export type Endpoint =
  | 'chat'
  | 'completions'
  | 'responses'
  | 'messages'
  | 'token_count'
  | 'moderations'
  | 'speech'
  | 'transcript'
  | 'images'
  | 'json'
  | 'opaque';

export interface RequestClass {
  readonly class: TrafficClass;
  readonly endpoint: Endpoint;
}

const OTHER: RequestClass = { class: 'other', endpoint: 'opaque' };
const STATEFUL: RequestClass = { class: 'stateful', endpoint: 'opaque' };

const POSTED: Readonly<Record<string, RequestClass>> = {
  '/chat/completions': { class: 'randomised', endpoint: 'chat' },
  '/completions': { class: 'randomised', endpoint: 'completions' },
  '/responses': { class: 'randomised', endpoint: 'responses' },
  '/messages': { class: 'randomised', endpoint: 'messages' },
  '/messages/count_tokens': { class: 'randomised', endpoint: 'token_count' },
  '/moderations': { class: 'randomised', endpoint: 'moderations' },
  '/audio/speech': { class: 'randomised', endpoint: 'speech' },
  '/audio/transcriptions': { class: 'randomised', endpoint: 'transcript' },
  '/audio/translations': { class: 'randomised', endpoint: 'transcript' },
  '/images/generations': { class: 'randomised', endpoint: 'images' },
  '/images/edits': { class: 'randomised', endpoint: 'images' },
  '/images/variations': { class: 'randomised', endpoint: 'images' },
  '/embeddings': { class: 'whole', endpoint: 'opaque' },
};

/** What OpenAI's API alone keeps below /v1, by the first part of its paths, besides responses. */
export const OPENAI_STATEFUL_ROOTS = [
  ...['uploads', 'batches', 'fine_tuning', 'fine-tunes', 'vector_stores', 'assistants', 'threads'],
  ...['conversations', 'containers', 'evals', 'videos', 'realtime'],
];

// Batches of messages and stored responses: those that are split stand above.
const STATEFUL_ROOTS = new Set(['files', 'responses', 'messages', ...OPENAI_STATEFUL_ROOTS]);

/** Whether a request is bound to the provider that made what its path or its body names. */
export function isStateful({ class: byPath, endpoint }: RequestClass, facts: RequestFacts | null): boolean {
  return byPath === 'stateful' || (facts !== null && endpoint !== 'opaque' && facts.isBoundToState);
}

/** The first part of a path. */
export function rootOf(path: string): string {
  const end = path.indexOf('/', 1);
  return end < 0 ? path.slice(1) : path.slice(1, end);
}

/** The class of a request by its method and its path below /v1 (without query). */
export function classify(method: string, path: string): RequestClass {
  if (method === 'POST' && Object.hasOwn(POSTED, path)) return POSTED[path] as RequestClass;
  if (STATEFUL_ROOTS.has(rootOf(path))) return STATEFUL;
  if (path === '/chat/completions' || path.startsWith('/chat/completions/')) return STATEFUL;
  return OTHER;
}
