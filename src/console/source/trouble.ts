import type { Trouble } from '../view/trouble';

/** Migrations are open, and no worker polls for them. */
export class StandStill extends Error {
  override readonly name = 'StandStill';
  constructor() {
    super('no worker polls Temporal, so the open migrations stand still: start one with `cutover worker`');
  }
}

/** By the name of what the client throws, or of the above. */
const KINDS: Readonly<Record<string, Trouble['what']>> = {
  StandStill: 'still',
  TemporalUnreachable: 'temporal',
  NoWorker: 'worker',
  EncodedPayloads: 'codec',
  CodecFailed: 'codec',
};

/** Why nothing new could be had now, and since when for the same cause: `before` is what was the matter at the last look. */
export function troubleOf(error: unknown, before: Trouble | null, nowMs: number): Trouble {
  const { name, message } = error instanceof Error ? error : new Error(String(error));
  const what = KINDS[name] ?? 'other';
  return { what, message, sinceMs: before?.what === what ? before.sinceMs : nowMs };
}
