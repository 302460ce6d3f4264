import type { Checkpoint } from '../migration/checkpoint';
import { digestOf } from './digest';
import type { RecordEntry } from './record-entry';
import {
  SEALED_KINDS,
  type Seal,
  type SealedEntries,
  type SealedKind,
  sealedStart,
  sealOf,
  windowFact,
  withEntry,
} from './record-seal';

/** What the seals of a record's checkpoints cover; null where none of them has one. */
export interface SealCoverage {
  /** The last checkpoint that seals what came before it. */
  readonly checkpoint: number;
  readonly commands: number;
  readonly verdicts: number;
  /** Covered by the seal, but taken in by runs that Temporal no longer kept: this record does not hold them. */
  readonly missing: number;
}

/** An entry of a record with the number of its line. */
export interface NumberedEntry {
  readonly line: number;
  readonly entry: RecordEntry;
}

type Breach = { readonly line: number; readonly problem: string };

/**
 * Compares the seals of checkpoints with the commands and verdicts of the record: a forger who can hash every line
 * anew still cannot remove, change or reorder one, as long as one checkpoint (or a notification's record hash)
 * stands. Gives what is covered, or the first line that is not as it was taken in.
 */
export function checkSeals(entries: readonly NumberedEntry[]): SealCoverage | null | Breach {
  const sealing = entries.flatMap(({ line, entry }) =>
    'checkpoint' in entry && entry.checkpoint.seal !== undefined
      ? [{ line, checkpoint: entry.checkpoint, seal: entry.checkpoint.seal }]
      : [],
  );
  const last = sealing.at(-1);
  if (last === undefined) return null;
  const start = entries.find(({ entry }) => 'start' in entry)?.entry;
  if (start === undefined || !('start' in start)) {
    return {
      line: last.line,
      problem: 'it seals how the migration was started, which the record does not say',
    };
  }
  const { start: given, carried } = start.start;
  const base = carried ?? sealedStart(given);
  if (base.start !== digestOf(given))
    return { line: 2, problem: 'its plan is not the one that was carried on' };
  const found = foldsOf(base, entries);
  let before: Pick<Seal, SealedKind> = NONE;
  for (const { line, checkpoint, seal } of sealing) {
    const breach = breachOf(checkpoint, { line, seal, before, base, found });
    if (breach !== null) return breach;
    before = seal;
  }
  const { signals, updates, cancels, windows } = last.seal;
  const missing = SEALED_KINDS.reduce((sum, kind) => sum + base[kind].count, 0);
  const commands = signals + updates + cancels;
  return { checkpoint: last.checkpoint.seq, commands, verdicts: windows, missing };
}

const NONE = { signals: 0, updates: 0, cancels: 0, windows: 0 };

/** The entries of each kind with the fold after each of them. */
type FoldsByKind = Readonly<
  Record<SealedKind, readonly { readonly line: number; readonly fold: SealedEntries }[]>
>;

function foldsOf(base: SealedEntries, entries: readonly NumberedEntry[]): FoldsByKind {
  const found: Record<SealedKind, { line: number; fold: SealedEntries }[]> = {
    ...{ signals: [], updates: [], cancels: [], windows: [] },
  };
  for (const { line, entry } of entries) {
    const sealed = factOf(entry);
    if (sealed === null) continue;
    const list = found[sealed.kind];
    list.push({ line, fold: withEntry(list.at(-1)?.fold ?? base, sealed.kind, sealed.fact) });
  }
  return found;
}

const KIND_OF_VIA = { signal: 'signals', update: 'updates', cancel: 'cancels' } as const;

function factOf(entry: RecordEntry): { readonly kind: SealedKind; readonly fact: object } | null {
  if ('command' in entry) {
    const { via, name, payload } = entry.command;
    const kind = KIND_OF_VIA[via];
    // The record holds as much of a payload as was sealed: cutting it again would make another of a long one.
    return { kind, fact: kind === 'cancels' ? {} : { name, payload } };
  }
  if ('verdict' in entry && entry.verdict.late !== true) {
    return { kind: 'windows', fact: windowFact(entry.verdict) };
  }
  return null;
}

function breachOf(
  { seq }: Checkpoint,
  given: {
    readonly line: number;
    readonly seal: Seal;
    readonly before: Pick<Seal, SealedKind>;
    readonly base: SealedEntries;
    readonly found: FoldsByKind;
  },
): Breach | null {
  const { line, seal, before, base, found } = given;
  // Written by a run that Temporal no longer keeps: what it seals is in nobody's hands.
  if (SEALED_KINDS.some((kind) => seal[kind] < base[kind].count)) return null;
  let sealed = base;
  const suspects: number[] = [];
  for (const kind of SEALED_KINDS) {
    const missing = base[kind].count;
    const taken = found[kind].slice(0, seal[kind] - missing);
    if (missing + taken.length !== seal[kind]) {
      const problem = `checkpoint ${seq} seals ${seal[kind]} ${kind}, the record holds ${missing + taken.length}: one was removed`;
      return { line, problem };
    }
    const fold = taken.at(-1)?.fold[kind];
    if (fold !== undefined) sealed = { ...sealed, [kind]: fold };
    suspects.push(...taken.slice(Math.max(0, before[kind] - missing)).map((each) => each.line));
  }
  if (sealOf(sealed).hash === seal.hash) return null;
  const first = Math.min(line, ...suspects);
  const problem =
    first === line
      ? `checkpoint ${seq} does not seal what comes before it: it or the start was changed`
      : `checkpoint ${seq} seals other commands and verdicts: one from here to line ${line} was changed, removed or moved`;
  return { line: first, problem };
}
