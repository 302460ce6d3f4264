import type { Checkpoint } from './checkpoint';
import type { MigrationStart } from './migration-state';
import type { GateVerdict } from './verdict';

/**
 * One line of an exported record: each has exactly one field, which names what it is. `atMs` is milliseconds since
 * 1970, as Temporal recorded it.
 */
export type RecordEntry =
  | { readonly start: RecordedStart }
  | { readonly command: RecordedCommand }
  | { readonly verdict: RecordedWindow }
  | { readonly checkpoint: Checkpoint }
  | { readonly end: RecordedEnd };

/** How the migration was started, with its plan and salt: anyone can recompute the assignment. */
export interface RecordedStart {
  readonly atMs: number;
  /** The process that Temporal saw, such as `1234@host`. */
  readonly identity: string;
  readonly start: MigrationStart;
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
export interface RecordedWindow {
  readonly atMs: number;
  readonly epoch: number;
  readonly ended: string;
  readonly observedMs: number;
  readonly verdict: GateVerdict;
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

/** Milliseconds since 1970 at which an entry was recorded. */
function atMsOf(entry: RecordEntry): number {
  if ('checkpoint' in entry) return entry.checkpoint.atMs;
  if ('start' in entry) return entry.start.atMs;
  if ('command' in entry) return entry.command.atMs;
  if ('verdict' in entry) return entry.verdict.atMs;
  return entry.end.atMs;
}

/** Entries in the order of their time: a command before what it led to, checkpoints never out of their sequence. */
export function inOrder(entries: readonly RecordEntry[]): readonly RecordEntry[] {
  const rank = (entry: RecordEntry) => ENTRY_KINDS.findIndex((kind) => kind in entry);
  return [...entries].sort((a, b) => atMsOf(a) - atMsOf(b) || rank(a) - rank(b));
}
