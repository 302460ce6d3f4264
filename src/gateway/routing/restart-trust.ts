import { MINUTE_MS } from '../../core/text/duration';
import type { StoredState } from './record-file';

/**
 * How far the state directory can be believed at a start. `stopped`: the process before stopped in order a short while
 * ago and left nothing unwritten. `recent`: it was alive a short while ago, but what it did last may be missing. `old`:
 * nobody wrote here for long (a long outage), it is a copy of another directory, or it cannot be written.
 */
export type Restart = 'stopped' | 'recent' | 'old';

/** Beyond this a directory may be a copy of one that has lived on elsewhere. */
export const BELIEVED_MS = 10 * MINUTE_MS;

/** Seconds without a word from a worker after which a record in doubt is served after all, where the restart is recent. */
export const QUIET_S = 60;

/** Whether a restart could have missed that its pinned record was withdrawn. */
export function isInDoubt(restart: Restart | undefined, { record }: StoredState): boolean {
  return restart !== undefined && restart !== 'stopped' && record?.pinned === true;
}
