import type { ArchivedCheckpoints, Checkpoint } from '../migration/checkpoint';
import type { Outcome } from '../migration/migration-state';
import { canonicalJson, digestOf, sha256Hex } from './digest';
import { ENTRY_KINDS, type RecordEntry, type RecordedStart } from './record-entry';
import { type ExportSubject, FORMAT, hashedLine, readHeader, readLink, VERSION } from './record-line';
import type { Seal } from './record-seal';
import { checkSeals, type NumberedEntry, type SealCoverage } from './seal-check';

/**
 * `head` is the hash of the last line: kept elsewhere, it proves that a file is the one that was exported. `count`
 * is the number of entries, checkpoints among them. `sealed` says which commands and verdicts the checkpoints
 * themselves cover: null in format 1 and where an older release wrote them.
 */
export type ChainVerdict =
  | (ExportSubject & {
      readonly ok: true;
      readonly count: number;
      readonly checkpoints: number;
      /** Checkpoints before them that this record does not hold: Temporal no longer kept their runs. */
      readonly archived: number;
      readonly head: string;
      readonly version: number;
      readonly entries: Readonly<Record<(typeof ENTRY_KINDS)[number], number>>;
      readonly sealed: SealCoverage | null;
    })
  | { readonly ok: false; readonly line: number; readonly problem: string };

/**
 * A migration's record as JSON Lines with a SHA-256 chain. The first line is the header; its `count` says how many follow,
 * so that a cut-off end shows. Each line is canonical JSON (sorted keys, no spaces, one line feed) and its `hash`
 * covers everything else on it, the hash of the line before included.
 */
export function exportRecord(subject: ExportSubject, entries: readonly RecordEntry[]): string {
  const { migrationId, route, exportedAt } = subject;
  const header = {
    format: FORMAT,
    version: VERSION,
    migrationId,
    route,
    exportedAt,
    count: entries.length,
  };
  const lines = [hashedLine(header)];
  let previous = digestOf(header);
  for (const entry of entries) {
    const link = { ...entry, previous };
    lines.push(hashedLine(link));
    previous = digestOf(link);
  }
  return `${lines.join('\n')}\n`;
}

/**
 * One hash over a migration and its first checkpoints, and so over what they seal: the plan, commands and verdicts.
 * Whoever was given it (notifications carry it) can later prove that an export begins with the same ones. SHA-256
 * over the hash before and the next checkpoint; the first ones may be archived.
 */
export function recordHash(
  migrationId: string,
  checkpoints: readonly Checkpoint[],
  archived?: Pick<ArchivedCheckpoints, 'head'>,
): string {
  return checkpoints.reduce((previous, checkpoint) => {
    const known = LINKS.get(checkpoint);
    if (known?.previous === previous) return known.hash;
    const hash = sha256Hex(`${previous}\n${canonicalJson(checkpoint)}`);
    LINKS.set(checkpoint, { previous, hash });
    return hash;
  }, archived?.head ?? sha256Hex(migrationId));
}

/** Links that were computed before: a record only grows, and is hashed at every notification. */
const LINKS = new WeakMap<Checkpoint, { readonly previous: string; readonly hash: string }>();

/** What of an export a record hash covers; `seal` is null where it covers checkpoints alone. */
export interface RecordCoverage {
  readonly checkpoints: number;
  readonly seal: Seal | null;
}

/** Whether a text is meant to be an export, whole or not. */
export function isExport(text: string): boolean {
  return (text.split('\n', 1)[0] ?? '').includes(`"format":"${FORMAT}"`);
}

/** The entries of an export that was verified. */
export function entriesOf(text: string): readonly RecordEntry[] {
  const links = text.trimEnd().split('\n').slice(1);
  return links.map((line) => JSON.parse(line) as RecordEntry);
}

/** What of a verified export a record hash covers, or null when it is of another record. */
export function coveredBy(text: string, migrationId: string, hash: string): RecordCoverage | null {
  const entries = entriesOf(text);
  const checkpoints = entries.flatMap((entry) => ('checkpoint' in entry ? [entry.checkpoint] : []));
  const archived = entries.flatMap((entry) => ('start' in entry ? [entry.start] : []))[0]?.archived;
  const first = archived?.count ?? 0;
  const count = countCovered({ migrationId, checkpoints, archived }, hash);
  if (count !== null) return { checkpoints: first + count, seal: checkpoints[count - 1]?.seal ?? null };
  // A worker of an older release sent it, before one of this release wrote the seals.
  const bare = countCovered({ migrationId, checkpoints: checkpoints.map(withoutSeal), archived }, hash);
  return bare === null ? null : { checkpoints: first + bare, seal: null };
}

/** What an export holds of a migration's checkpoints. */
interface HeldCheckpoints {
  readonly migrationId: string;
  readonly checkpoints: readonly Checkpoint[];
  readonly archived: RecordedStart['archived'];
}

function countCovered({ migrationId, checkpoints, archived }: HeldCheckpoints, hash: string): number | null {
  for (let count = 0; count <= checkpoints.length; count += 1) {
    if (recordHash(migrationId, checkpoints.slice(0, count), archived) === hash) return count;
  }
  return null;
}

/** A checkpoint as a release wrote it that knew no seals. */
export function withoutSeal<C extends Checkpoint>({
  seal: _,
  ...checkpoint
}: C): Omit<C, 'seal'> & Checkpoint {
  return checkpoint as unknown as Omit<C, 'seal'> & Checkpoint;
}

/** Verifies an export; names the first line that breaks the chain and how. Never throws. */
export function verifyExport(text: string): ChainVerdict {
  try {
    return verify(text);
  } catch (error) {
    // Only a line that nobody wrote in good faith is nested so deeply that the stack does not hold it.
    if (error instanceof RangeError) return { ok: false, line: 1, problem: 'a line is nested too deeply' };
    throw error;
  }
}

function verify(text: string): ChainVerdict {
  const lines = text.split('\n');
  const ending = lines.pop();
  const header = readHeader(lines[0] ?? '');
  if (typeof header === 'string') return { ok: false, line: 1, problem: header };
  const { subject, count, version } = header;
  const sequence = new Sequence();
  const entries: NumberedEntry[] = [];
  let head = header.hash;
  for (let index = 1; index < lines.length; index += 1) {
    const read = readLink(lines[index] as string, head, version);
    const problem =
      typeof read === 'string'
        ? read
        : index > count
          ? `expected ${count} entries as the header says, got more: lines were added`
          : (sequence.next(read.entry) ?? misplaced(read.entry, { subject, entries, sequence }));
    if (typeof read === 'string' || problem !== null)
      return { ok: false, line: index + 1, problem: problem ?? '' };
    entries.push({ line: index + 1, entry: read.entry });
    head = read.hash;
  }
  if (lines.length - 1 < count) {
    const problem = `expected ${count} entries as the header says, got ${lines.length - 1}: the end is cut off`;
    return { ok: false, line: lines.length + 1, problem };
  }
  if (ending !== '') {
    return {
      ok: false,
      line: lines.length + 1,
      problem: 'expected a line break at the end: the end is cut off',
    };
  }
  const sealed = checkSeals(entries);
  if (sealed !== null && 'problem' in sealed) return { ok: false, ...sealed };
  const kinds = ENTRY_KINDS.map((kind) => [kind, entries.filter(({ entry }) => kind in entry).length]);
  return {
    ...{ ok: true, ...subject, count, checkpoints: sequence.length, archived: sequence.archived },
    ...{ head, version, sealed },
    entries: Object.fromEntries(kinds) as Record<(typeof ENTRY_KINDS)[number], number>,
  };
}

/** What contradicts the rest of the record in a start or an end; null for every other entry. */
function misplaced(
  entry: RecordEntry,
  known: {
    readonly subject: ExportSubject;
    readonly entries: readonly NumberedEntry[];
    readonly sequence: Sequence;
  },
): string | null {
  const { subject, entries, sequence } = known;
  if ('start' in entry) {
    if (entries.some((each) => 'start' in each.entry)) return 'a migration starts once';
    const { migrationId } = entry.start.start;
    return migrationId === subject.migrationId
      ? null
      : `expected the start of ${subject.migrationId}, got the one of ${migrationId}`;
  }
  if (!('end' in entry)) return null;
  if (entries.some((each) => 'end' in each.entry)) return 'a migration ends once';
  const { outcome } = entry.end;
  return outcome === null || sequence.outcome === null || outcome === sequence.outcome
    ? null
    : `expected the outcome that the checkpoints give, ${sequence.outcome}, got ${outcome}`;
}

/** What is wrong with a list of checkpoints, or with its beginning after those that are archived; null: nothing. */
export function sequenceProblem(checkpoints: readonly Checkpoint[], archived = 0): string | null {
  const sequence = new Sequence(archived);
  for (const checkpoint of checkpoints) {
    const problem = sequence.next({ checkpoint });
    if (problem !== null) return problem;
  }
  return null;
}

/** Law 6, as far as a list alone shows it. */
class Sequence {
  private seen = 0;

  /** `archived`: how many checkpoints are held elsewhere; the start of a record says it anew. */
  constructor(public archived = 0) {}

  get length(): number {
    return this.seen;
  }

  private open: number | null = null;
  private epoch = 0;
  private readonly closed = new Map<number, number>();
  private readonly intended = new Set<number>();

  /** What the migration came to, as its checkpoints say; null while none does. */
  outcome: string | null = null;

  /** What is wrong with the next checkpoint; null, as for an entry of another kind, when it is in order. */
  next(entry: RecordEntry): string | null {
    if ('start' in entry) this.archived = entry.start.archived?.count ?? 0;
    if (!('checkpoint' in entry)) return null;
    const { checkpoint } = entry;
    this.seen += 1;
    const seq = this.archived + this.seen;
    if (checkpoint.seq !== seq) return `expected checkpoint ${seq}, got ${checkpoint.seq}`;
    if (checkpoint.kind === 'recorded') {
      if (OUTCOMES.includes(checkpoint.what)) this.outcome = checkpoint.what;
      return null;
    }
    if (checkpoint.kind === 'intended') {
      if (this.open !== null)
        return `checkpoint ${checkpoint.seq} is intended while ${this.open} is still open`;
      if (checkpoint.epoch <= this.epoch) {
        return `expected an epoch above ${this.epoch}, got ${checkpoint.epoch}`;
      }
      this.epoch = checkpoint.epoch;
      this.open = checkpoint.seq;
      this.intended.add(checkpoint.seq);
      return null;
    }
    const { closes } = checkpoint;
    const before = this.closed.get(closes);
    if (before !== undefined)
      return `checkpoint ${closes} is closed twice, by ${before} and ${checkpoint.seq}`;
    if (closes > this.archived && !this.intended.has(closes))
      return `checkpoint ${checkpoint.seq} closes ${closes}, which is not an intention`;
    this.closed.set(closes, checkpoint.seq);
    this.open = null;
    return null;
  }
}

const OUTCOMES: readonly string[] = ['completed', 'rolled back', 'rejected'] satisfies Outcome[];
