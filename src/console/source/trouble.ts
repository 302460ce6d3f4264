import type { Trouble } from '../view/trouble';

/** By the name of what the client throws. */
const KINDS: Readonly<Record<string, Trouble['what']>> = {
  TemporalUnreachable: 'temporal',
  NoWorker: 'worker',
  EncodedPayloads: 'codec',
  CodecFailed: 'codec',
};

/** Why nothing new could be had; `sinceMs` is when that began. */
export function troubleOf(error: unknown, sinceMs: number): Trouble {
  const { name, message } = error instanceof Error ? error : new Error(String(error));
  return { what: KINDS[name] ?? 'other', message, sinceMs };
}
