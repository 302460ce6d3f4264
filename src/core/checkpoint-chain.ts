import type { Checkpoint } from './checkpoint';
import { canonicalJson, digestOf, sha256Hex } from './digest';
import { ENTRY_KINDS, type RecordEntry } from './record-entry';

/** What an export is about; `exportedAt` is ISO 8601. */
export interface ExportSubject {
  readonly migrationId: string;
  readonly route: string;
  readonly exportedAt: string;
}

/**
 * `head` is the hash of the last line: kept elsewhere, it proves that a file is the one that was exported. `count`
 * is the number of entries, checkpoints among them.
 */
export type ChainVerdict =
  | (ExportSubject & {
      readonly ok: true;
      readonly count: number;
      readonly checkpoints: number;
      readonly head: string;
    })
  | { readonly ok: false; readonly line: number; readonly problem: string };

const FORMAT = 'cutover-record';
const VERSION = 1;

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
  const lines = [sealed(header)];
  let previous = digestOf(header);
  for (const entry of entries) {
    const link = { ...entry, previous };
    lines.push(sealed(link));
    previous = digestOf(link);
  }
  return `${lines.join('\n')}\n`;
}

/**
 * One hash over a migration and its first checkpoints: whoever was told it (notifications carry it) can later prove
 * that an export begins with the same ones. SHA-256 over the hash before and the next checkpoint.
 */
export function recordHash(migrationId: string, checkpoints: readonly Checkpoint[]): string {
  return checkpoints.reduce((previous, checkpoint) => {
    const known = LINKS.get(checkpoint);
    if (known?.previous === previous) return known.hash;
    const hash = sha256Hex(`${previous}\n${canonicalJson(checkpoint)}`);
    LINKS.set(checkpoint, { previous, hash });
    return hash;
  }, sha256Hex(migrationId));
}

/** Links that were computed before: a record only grows, and is hashed at every notification. */
const LINKS = new WeakMap<Checkpoint, { readonly previous: string; readonly hash: string }>();

/** How many of an export's checkpoints a record hash covers, or null when it is of another record. */
export function coveredBy(text: string, migrationId: string, hash: string): number | null {
  const links = text.trimEnd().split('\n').slice(1);
  const checkpoints = links.flatMap(
    (line) => (JSON.parse(line) as { checkpoint?: Checkpoint }).checkpoint ?? [],
  );
  for (let count = 0; count <= checkpoints.length; count += 1) {
    if (recordHash(migrationId, checkpoints.slice(0, count)) === hash) return count;
  }
  return null;
}

/** Verifies an export; names the first line that breaks the chain and how. Never throws. */
export function verifyExport(text: string): ChainVerdict {
  try {
    return verify(text);
  } catch (error) {
    // Only a line that nobody wrote in good faith is nested so deeply that the stack does not hold it.
    if (error instanceof RangeError)
      return { ok: false, line: 1, problem: 'a line of it is nested too deeply' };
    throw error;
  }
}

function verify(text: string): ChainVerdict {
  const lines = text.split('\n');
  const ending = lines.pop();
  const header = readHeader(lines[0] ?? '');
  if (typeof header === 'string') return { ok: false, line: 1, problem: header };
  const { subject, count } = header;
  const sequence = new Sequence();
  let head = header.hash;
  for (let index = 1; index < lines.length; index += 1) {
    const read = readLink(lines[index] as string, head);
    const problem =
      typeof read === 'string'
        ? read
        : index > count
          ? `expected ${count} entries as the header says, got more: lines were added`
          : sequence.next(read.checkpoint);
    if (typeof read === 'string' || problem !== null)
      return { ok: false, line: index + 1, problem: problem ?? '' };
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
  return { ok: true, ...subject, count, checkpoints: sequence.length, head };
}

/** Law 6, as far as a list alone shows it. */
class Sequence {
  private seen = 0;

  get length(): number {
    return this.seen;
  }

  private open: number | null = null;
  private epoch = 0;
  private readonly closed = new Map<number, number>();
  private readonly intended = new Set<number>();

  /** What is wrong with the next checkpoint; null, as for an entry that is none, when it is in order. */
  next(checkpoint: Checkpoint | null): string | null {
    if (checkpoint === null) return null;
    this.seen += 1;
    if (checkpoint.seq !== this.seen) return `expected checkpoint ${this.seen}, got ${checkpoint.seq}`;
    if (checkpoint.kind === 'recorded') return null;
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
    if (!this.intended.has(closes))
      return `checkpoint ${checkpoint.seq} closes ${closes}, which is no intention`;
    this.closed.set(closes, checkpoint.seq);
    this.open = null;
    return null;
  }
}

const HEADER_FIELDS = {
  format: 'string',
  version: 'number',
  migrationId: 'string',
  route: 'string',
} as const;

function readHeader(
  line: string,
): { readonly subject: ExportSubject; readonly count: number; readonly hash: string } | string {
  const fields = { ...HEADER_FIELDS, exportedAt: 'string', count: 'number', hash: 'string' } as const;
  const header = readObject(line, () => fields);
  if (typeof header === 'string') return `expected the header of an export: ${header}`;
  const { hash, ...content } = header;
  const { format, version, migrationId, route, exportedAt, count } = content;
  if (format !== FORMAT || version !== VERSION) {
    return `expected the format ${FORMAT} ${VERSION}, got ${String(format)} ${String(version)}`;
  }
  if (line !== sealed(content) || hash !== digestOf(content)) return EDITED;
  const subject = { migrationId, route, exportedAt } as ExportSubject;
  return { subject, count: count as number, hash: hash as string };
}

const EDITED = 'its content does not match its hash: it was edited';

function readLink(
  line: string,
  previous: string,
): { readonly checkpoint: Checkpoint | null; readonly hash: string } | string {
  const link = readObject(line, (value) => ({
    [ENTRY_KINDS.find((kind) => Object.hasOwn(value, kind)) ?? 'checkpoint']: 'object',
    previous: 'string',
    hash: 'string',
  }));
  if (typeof link === 'string') return link;
  const { hash, ...content } = link;
  const checkpoint = content['checkpoint'] ?? null;
  if (checkpoint !== null && !isCheckpoint(checkpoint)) return 'expected a checkpoint, got something else';
  if (line !== sealed(content) || hash !== digestOf(content)) return EDITED;
  if (content['previous'] !== previous) {
    return 'it does not follow the line before it: a line was removed, inserted or moved here';
  }
  return { checkpoint, hash: hash as string };
}

/** One line as an object with exactly these fields of these types, or what is wrong with it. */
function readObject(
  line: string,
  fieldsOf: (value: object) => Readonly<Record<string, 'string' | 'number' | 'object'>>,
): Readonly<Record<string, unknown>> | string {
  let value: unknown;
  try {
    value = JSON.parse(line);
  } catch {
    return line === '' ? 'expected a line of JSON, got an empty one' : 'expected a line of JSON';
  }
  if (!isObject(value)) return 'expected a JSON object';
  const fields = fieldsOf(value);
  for (const [field, type] of Object.entries(fields)) {
    if (!Object.hasOwn(value, field) || typeof value[field] !== type) return `expected a ${type} as ${field}`;
  }
  const unknown = Object.keys(value).find((field) => !Object.hasOwn(fields, field));
  return unknown === undefined ? value : `expected no field "${unknown.slice(0, 60)}"`;
}

type FieldType = 'text' | 'text or null' | 'number' | 'texts';

const BASE: Readonly<Record<string, FieldType>> = {
  seq: 'number',
  atMs: 'number',
  kind: 'text',
  stage: 'text',
};
const CLOSING: Readonly<Record<string, FieldType>> = {
  ...BASE,
  closes: 'number',
  share: 'number',
  epoch: 'number',
  gateways: 'texts',
  lapsed: 'texts',
  missing: 'texts',
  reason: 'text',
};
const SAID: Readonly<Record<string, FieldType>> = { by: 'text', reason: 'text', commandId: 'text or null' };
const SHAPES: Readonly<Record<Checkpoint['kind'], Readonly<Record<string, FieldType>>>> = {
  intended: { ...BASE, ...SAID, cause: 'text', share: 'number', epoch: 'number' },
  'took effect': CLOSING,
  superseded: CLOSING,
  failed: CLOSING,
  recorded: { ...BASE, ...SAID, what: 'text' },
};

function isCheckpoint(value: unknown): value is Checkpoint {
  if (!isObject(value) || typeof value['kind'] !== 'string' || !Object.hasOwn(SHAPES, value['kind']))
    return false;
  const shape = SHAPES[value['kind'] as Checkpoint['kind']];
  const fields = Object.keys(shape);
  return (
    Object.keys(value).length === fields.length &&
    fields.every((field) => Object.hasOwn(value, field) && fits(value[field], shape[field] as FieldType))
  );
}

function fits(value: unknown, type: FieldType): boolean {
  if (type === 'number') return typeof value === 'number';
  if (type === 'texts') return Array.isArray(value) && value.every((item) => typeof item === 'string');
  return typeof value === 'string' || (type === 'text or null' && value === null);
}

function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function sealed(content: object): string {
  return canonicalJson({ ...content, hash: digestOf(content) });
}
