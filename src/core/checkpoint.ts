import { type Seal, type SealedEntries, sealOf } from './record-seal';

/**
 * The appended record of a migration. A change of routing is written ahead as `intended` and closed by exactly
 * one of `took effect`, `superseded`, `failed`; everything else that was decided is `recorded`.
 * Sequence numbers start at 1 and have no gaps.
 */
export type Checkpoint = IntendedCheckpoint | ClosingCheckpoint | RecordedCheckpoint;

/** Why the routing is changed. */
export type RoutingCause =
  | 'baseline'
  | 'advance'
  | 'rollback'
  | 'emergency'
  | 'reapply'
  | 'restore'
  | 'new salt';

interface CheckpointBase {
  readonly seq: number;
  /** Workflow time, milliseconds since 1970. */
  readonly atMs: number;
  /** What the migration had taken in until then. Absent in records of older releases. */
  readonly seal?: Seal;
}

export interface IntendedCheckpoint extends CheckpointBase {
  readonly kind: 'intended';
  readonly cause: RoutingCause;
  readonly stage: string;
  readonly share: number;
  readonly epoch: number;
  readonly by: string;
  readonly reason: string;
  /** The command that asked for it, so that its sender can follow it. */
  readonly commandId: string | null;
}

export interface ClosingCheckpoint extends CheckpointBase {
  readonly kind: 'took effect' | 'superseded' | 'failed';
  readonly closes: number;
  readonly stage: string;
  readonly share: number;
  /** The epoch that took effect; above the intended one where share 0 had to try again. */
  readonly epoch: number;
  /** Gateways that confirmed. */
  readonly gateways: readonly string[];
  /** Gateways that count as confirmed because their lease has run out. */
  readonly lapsed: readonly string[];
  /** Gateways that did not confirm; the watch goes on pushing to them. */
  readonly missing: readonly string[];
  readonly reason: string;
}

/** What can be recorded beside changes of routing. */
export type RecordedWhat =
  | 'forgotten share'
  | 'roster'
  | 'assessed'
  | 'health check failed'
  | 'promoted'
  | 'override'
  | 'paused'
  | 'resumed'
  | 'held'
  | 'reevaluate'
  | 'drift'
  | 'drift cleared'
  | 'lapse'
  | 'harm'
  | 'deadline'
  | 'handover'
  | 'approval asked'
  | 'approved'
  | 'approval withdrawn'
  | 'approval expired'
  | 'waiting'
  | 'confirmation asked'
  | 'confirmed'
  | 'not confirmed'
  | 'effect intended'
  | 'effect took effect'
  | 'effect restored'
  | 'effect pending'
  | 'effect escalated'
  | 'effect given up'
  | 'notified'
  | 'completed'
  | 'rolled back'
  | 'rejected';

export interface RecordedCheckpoint extends CheckpointBase {
  readonly kind: 'recorded';
  readonly what: RecordedWhat;
  readonly stage: string;
  readonly by: string;
  readonly reason: string;
  readonly commandId: string | null;
}

/** A checkpoint before its sequence number is given. */
export type NewCheckpoint =
  | Omit<IntendedCheckpoint, 'seq'>
  | Omit<ClosingCheckpoint, 'seq'>
  | Omit<RecordedCheckpoint, 'seq'>;

/** The list with one more entry, which seals what was taken in so far; the sequence stays gapless. */
export function append({ checkpoints, sealed }: Appendable, entry: NewCheckpoint): readonly Checkpoint[] {
  const seal = sealed === undefined ? {} : { seal: sealOf(sealed) };
  return [...checkpoints, { ...entry, seq: checkpoints.length + 1, ...seal } as Checkpoint];
}

interface Appendable {
  readonly checkpoints: readonly Checkpoint[];
  readonly sealed?: SealedEntries;
}

/** The intended entry that has not been closed, or null; there is at most one. */
export function openIntent(checkpoints: readonly Checkpoint[]): IntendedCheckpoint | null {
  const last = checkpoints.findLast((entry) => entry.kind === 'intended');
  if (last === undefined) return null;
  return closingOf(checkpoints, last.seq) === null ? last : null;
}

/** The entry that closes an intended one, or null while it is open. */
function closingOf(checkpoints: readonly Checkpoint[], intended: number): ClosingCheckpoint | null {
  const closing = checkpoints.find(
    (entry): entry is ClosingCheckpoint => 'closes' in entry && entry.closes === intended,
  );
  return closing ?? null;
}

/** The closing entry of the routing change that `seq` names by either of its two entries, or null. */
export function effectOf(checkpoints: readonly Checkpoint[], seq: number): ClosingCheckpoint | null {
  const entry = checkpoints[seq - 1];
  if (entry === undefined || entry.kind === 'recorded') return null;
  const closing = entry.kind === 'intended' ? closingOf(checkpoints, entry.seq) : entry;
  return closing?.kind === 'took effect' ? closing : null;
}
