import { sha256Hex } from '../record/digest';
import { type Seal, type SealedEntries, sealOf } from '../record/record-seal';

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
  /** The next step of a stage's ramp. */
  | 'step'
  | 'rollback'
  | 'emergency'
  | 'reapply'
  | 'restore'
  | 'new salt'
  /** Another limit on what the copies of the stage under way, or their judge, may cost. */
  | 'budget';

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
  /** Of `gateways`: which confirmed in memory only, so that a restart relies on their lease. Absent: none. */
  readonly undurable?: readonly string[];
  readonly reason: string;
}

/** What can be recorded beside changes of routing. */
export type RecordedWhat =
  | 'forgotten share'
  | 'roster'
  | 'forgotten'
  | 'assessed'
  | 'health check failed'
  | 'promoted'
  | 'override'
  | 'paused'
  | 'resumed'
  | 'held'
  | 'reevaluate'
  | 'amended'
  | 'drift'
  | 'drift cleared'
  | 'lapse'
  | 'restarted'
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

/** The first checkpoints of a long migration: its state no longer carries them, the histories of earlier runs do. */
export interface ArchivedCheckpoints {
  /** How many there are; they are numbered from 1. */
  readonly count: number;
  /** `recordHash` over them. */
  readonly head: string;
  /** Changes of routing among them that took effect, oldest first: where a rollback can still go. */
  readonly effects: readonly RoutingEffect[];
  /** How many of them replaced the salt. */
  readonly newSalts: number;
}

/** What a rollback has to know of a change of routing that took effect. */
export type RoutingEffect = Pick<ClosingCheckpoint, 'seq' | 'atMs' | 'closes' | 'stage' | 'share'>;

/** The checkpoints that a state carries, after those that were archived. */
export interface CheckpointList {
  readonly checkpoints: readonly Checkpoint[];
  readonly archived: ArchivedCheckpoints;
}

/** The archive of a migration that still carries all of its checkpoints. */
export function nothingArchived(migrationId: string): ArchivedCheckpoints {
  return { count: 0, head: sha256Hex(migrationId), effects: [], newSalts: 0 };
}

/** How many checkpoints there are, archived ones included: the number of the last one. */
export function checkpointCount({ checkpoints, archived }: CheckpointList): number {
  return archived.count + checkpoints.length;
}

/** The checkpoint of a number; undefined for one that is archived or that there is not. */
export function checkpointAt({ checkpoints, archived }: CheckpointList, seq: number): Checkpoint | undefined {
  return checkpoints[seq - 1 - archived.count];
}

/** The list with one more entry, which seals what was taken in so far; the sequence stays gapless. */
export function append(state: Appendable, entry: NewCheckpoint): readonly Checkpoint[] {
  const seal = state.sealed === undefined ? {} : { seal: sealOf(state.sealed) };
  const { reason } = entry;
  const cut = { reason: reason.length > REASON_MOST ? `${reason.slice(0, REASON_MOST)}...` : reason };
  return [...state.checkpoints, { ...entry, ...cut, seq: checkpointCount(state) + 1, ...seal } as Checkpoint];
}

/** Characters: above what a person may send, and what names a score of gateways with their errors. */
const REASON_MOST = 4_000;

interface Appendable extends CheckpointList {
  readonly sealed?: SealedEntries;
}

/** How many entries replaced the salt. */
export function newSaltsIn(checkpoints: readonly Checkpoint[]): number {
  return checkpoints.filter((entry) => entry.kind === 'intended' && entry.cause === 'new salt').length;
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

/** The routing change that `seq` names by either of its two entries, where it took effect, or null. */
export function effectOf(list: CheckpointList, seq: number): RoutingEffect | null {
  return routingEffectsOf(list).findLast((effect) => effect.seq === seq || effect.closes === seq) ?? null;
}

/** The changes of routing that took effect, oldest first. */
export function routingEffectsOf({ checkpoints, archived }: CheckpointList): readonly RoutingEffect[] {
  const effects = checkpoints.flatMap((entry) => (entry.kind === 'took effect' ? [entry] : []));
  return [...archived.effects, ...effects];
}
