import { harmText, type NumberedVerdict, withoutEvidence } from '../gates/harm-text';
import {
  type Checkpoint,
  type CheckpointList,
  type IntendedCheckpoint,
  routingEffectsOf,
} from './checkpoint';
import { type MigrationState, type Outcome, openApproval } from './migration-state';
import { waitsFor } from './stage-exit';

/** How a migration ended, or why it is going back: what every reader leads with. */
export interface EndCause {
  readonly what: Outcome | 'rolling back';
  /** When it was over; while it goes back, when that was decided. Milliseconds since 1970. */
  readonly atMs: number;
  /** The operator who asked for it; null where cutover decided by itself. */
  readonly by: string | null;
  /** Why, with the numbers of the windows that decided; no sentence of its own. */
  readonly cause: string;
  /** What was verified at the end; empty before it. */
  readonly verified: string;
  /** The stage that it was in. */
  readonly stage: string;
}

/** What an ending is read from: a state, or what a history recorded. */
export interface EndCauseSource extends CheckpointList {
  /** Oldest first; the last ones are enough. */
  readonly verdicts: readonly (NumberedVerdict & { readonly atMs: number })[];
}

/** The ending of a migration that is over or goes back to share 0; null for every other one. */
export function endCauseOf(source: EndCauseSource): EndCause | null {
  const { checkpoints } = source;
  const over = checkpoints.findLast(isEnd);
  if (over !== undefined && over.what !== 'rolled back') {
    const { what, atMs, reason, stage } = over;
    return { what, atMs, by: null, cause: reason, verified: '', stage };
  }
  const back = lastWayBack(checkpoints);
  const [first] = back;
  if (first === undefined) return null;
  // What was restored or moved on since is no longer going back.
  const closing = checkpoints.findLast((entry) => 'closes' in entry && entry.closes === back.at(-1)?.seq);
  if (over === undefined && closing !== undefined && closing.kind !== 'superseded') return null;
  return {
    what: over === undefined ? 'rolling back' : 'rolled back',
    atMs: over?.atMs ?? first.atMs,
    by: isOurs(first) ? null : first.by,
    cause: causeOf(source, back),
    verified: over?.reason ?? '',
    stage: stageBefore(source, first),
  };
}

/** The first line of every reader: `Rolled back 16:35: success fell to 66% (46 of 70) since ...`. */
export function headlineOf({ what, atMs, by, cause }: EndCause, timeText: (atMs: number) => string): string {
  const words = {
    completed: 'Completed',
    'rolled back': 'Rolled back',
    rejected: 'Rejected',
    'rolling back': 'Rolling back since',
  };
  return `${words[what]} ${timeText(atMs)}${by === null ? '' : ` by ${by}`}: ${cause}`;
}

/** `2026-11-29 16:35 UTC`, for texts that are the same wherever they are read. */
export function utcMinuteText(atMs: number): string {
  return `${new Date(atMs).toISOString().slice(0, 16).replace('T', ' ')} UTC`;
}

/** The ending of a state. */
export function endCauseOfState({ checkpoints, archived, verdicts }: MigrationState): EndCause | null {
  return endCauseOf({ checkpoints, archived, verdicts });
}

/** What a list says of a migration: how it ended, or why it does not advance; null while nothing is in its way. */
export function headlineOfState(state: MigrationState): string | null {
  const ending = endCauseOfState(state);
  return ending === null ? standstillOf(state) : headlineOf(ending, utcMinuteText);
}

function standstillOf(state: MigrationState): string | null {
  const { paused, retry, pending, stage, phase, roster, settled } = state;
  if (paused !== null) {
    return `Paused${paused.cause === 'operator' ? ` by ${paused.by}` : ''}${because(paused.reason)}`;
  }
  if (retry !== null) return sentenceStart(retry.reason);
  const missing = pending?.confirmations?.missing ?? [];
  if (missing.length > 0) return `Waiting for ${missing.join(', ')} to confirm`;
  if (phase === 'handover') {
    const open = roster.map(({ name }) => name).filter((name) => !settled.includes(name));
    return open.length === 0 ? null : `Handover: waiting for "settled: candidate" at ${open.join(', ')}`;
  }
  if (stage.held !== null) return `Held${because(withoutEvidence(stage.held.reason))}`;
  const approval = openApproval(state);
  if (approval !== null) return `Approval needed${because(approval.asks.map(withoutEvidence).join('; '))}`;
  const waiting = waitsFor(state);
  return waiting === null ? null : sentenceStart(waiting);
}

function because(reason: string): string {
  return reason === '' ? '' : `: ${reason}`;
}

function sentenceStart(text: string): string {
  return `${text.charAt(0).toUpperCase()}${text.slice(1)}`;
}

type EndCheckpoint = Checkpoint & { readonly kind: 'recorded'; readonly what: Outcome };

function isEnd(entry: Checkpoint): entry is EndCheckpoint {
  return (
    entry.kind === 'recorded' &&
    (entry.what === 'completed' || entry.what === 'rolled back' || entry.what === 'rejected')
  );
}

/** The changes of routing at the end of the list that lead to share 0 for good, oldest first. */
function lastWayBack(checkpoints: readonly Checkpoint[]): readonly IntendedCheckpoint[] {
  const intended = checkpoints.filter((entry) => entry.kind === 'intended');
  const isBack = ({ cause, share }: IntendedCheckpoint) =>
    (cause === 'rollback' || cause === 'emergency') && share === 0;
  return intended.slice(intended.findLastIndex((entry) => !isBack(entry)) + 1);
}

function isOurs({ by, commandId }: IntendedCheckpoint): boolean {
  return by === 'cutover' && commandId === null;
}

function causeOf(source: EndCauseSource, [first, ...later]: readonly IntendedCheckpoint[]): string {
  if (first === undefined) return '';
  const causes = [
    firstCause(source, first),
    ...later
      .filter((intent) => !isOurs(intent))
      .map(
        ({ by, reason, cause }) =>
          `then ${cause === 'emergency' ? 'an emergency rollback' : 'a rollback'} by ${by}${reason === '' ? '' : `: ${reason}`}`,
      ),
  ];
  return causes.join('; ');
}

function firstCause({ checkpoints, verdicts }: EndCauseSource, first: IntendedCheckpoint): string {
  if (!isOurs(first)) return first.reason === '' ? 'no reason was given' : first.reason;
  const before = checkpoints.findLast(
    (entry) => entry.seq < first.seq && entry.kind === 'recorded' && entry.reason === first.reason,
  );
  if (before?.kind !== 'recorded' || before.what !== 'harm') return first.reason;
  const decided = verdicts.findLastIndex(({ harm, atMs }) => harm !== null && atMs <= first.atMs);
  return decided === -1 ? first.reason : harmText(verdicts.slice(0, decided + 1));
}

/** The stage that was in effect before the way back began; before any was, the one that the first change was for. */
function stageBefore(source: EndCauseSource, { seq, stage }: IntendedCheckpoint): string {
  return routingEffectsOf(source).findLast((effect) => effect.seq < seq)?.stage ?? stage;
}
