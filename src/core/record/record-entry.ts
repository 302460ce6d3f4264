import type { GateVerdict } from '../gates/verdict';
import type { ArchivedCheckpoints, Checkpoint } from '../migration/checkpoint';
import type { MigrationStart } from '../migration/migration-state';
import type { SealedEntries } from './record-seal';

/**
 * One line of an exported record: each has exactly one field, which names what it is. `atMs` is milliseconds since
 * 1970, as Temporal recorded it.
 */
export type RecordEntry =
  | { readonly start: RecordedStart }
  | { readonly command: RecordedCommand }
  | { readonly verdict: WindowEntry }
  | { readonly checkpoint: Checkpoint }
  | { readonly end: RecordedEnd };

/** How the migration was started, with its plan and salt: anyone can recompute the assignment. */
export interface RecordedStart {
  readonly atMs: number;
  /** The process that Temporal saw, such as `1234@host`. */
  readonly identity: string;
  readonly start: MigrationStart;
  /** What was taken in by runs that Temporal no longer keeps; absent where the record is whole. */
  readonly carried?: SealedEntries;
  /** How many checkpoints those runs hold that this record does not, and the hash over them; absent: none. */
  readonly archived?: Pick<ArchivedCheckpoints, 'count' | 'head'>;
}

/** A command as it arrived, whatever became of it. */
export interface RecordedCommand {
  readonly atMs: number;
  readonly name: string;
  readonly via: 'signal' | 'update' | 'cancel';
  /** The process that Temporal saw: the client, or the Temporal UI. */
  readonly identity: string;
  /** The one argument as it was sent; null when there was none or it could not be read. */
  readonly payload: unknown;
  /** False for what was refused or could not be read; null when the record does not say. */
  readonly accepted: boolean | null;
  readonly message: string;
  readonly checkpoint: number | null;
}

/** An observation window that came to its end, with what its gate said. */
export interface WindowEntry {
  readonly atMs: number;
  readonly epoch: number;
  readonly ended: string;
  readonly observedMs: number;
  readonly verdict: GateVerdict;
  /** Set for a window that ended after something had pre-empted it: the migration never took it in. */
  readonly late?: true;
}

/** The end as Temporal knows it; `outcome` is null where a migration was terminated or failed. */
export interface RecordedEnd {
  readonly atMs: number;
  /** Temporal's word, such as COMPLETED or TERMINATED. */
  readonly status: string;
  readonly outcome: string | null;
  readonly reason: string;
}

/** What a line of a record can be. */
export const ENTRY_KINDS = ['start', 'command', 'verdict', 'checkpoint', 'end'] as const;

/** Milliseconds since 1970 at which an entry was recorded; a start is first and an end last, whatever clocks say. */
function atMsOf(entry: RecordEntry): number {
  if ('checkpoint' in entry) return entry.checkpoint.atMs;
  if ('command' in entry) return entry.command.atMs;
  if ('verdict' in entry) return entry.verdict.atMs;
  return 'start' in entry ? Number.NEGATIVE_INFINITY : Number.POSITIVE_INFINITY;
}

/**
 * Entries in the order of their time: a command before what it led to. Each kind keeps the order in which it is
 * given, which is the one in which the migration took it in; clocks may say otherwise.
 */
export function inOrder(entries: readonly RecordEntry[]): readonly RecordEntry[] {
  const queues = ENTRY_KINDS.map((kind) => {
    let latestMs = Number.NEGATIVE_INFINITY;
    return entries
      .filter((entry) => kind in entry)
      .map((entry) => {
        latestMs = Math.max(latestMs, atMsOf(entry));
        return { entry, atMs: latestMs };
      });
  });
  return queues
    .flatMap((queue, rank) => queue.map((each) => ({ ...each, rank })))
    .sort((a, b) => (a.atMs === b.atMs ? a.rank - b.rank : a.atMs - b.atMs))
    .map(({ entry }) => entry);
}
