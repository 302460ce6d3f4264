import type {
  Checkpoint,
  ClosingCheckpoint,
  IntendedCheckpoint,
  RecordedCheckpoint,
} from '../migration/checkpoint';
import { isJsonObject } from '../text/json-object';
import { canonicalJson, digestOf } from './digest';
import { ENTRY_KINDS, type RecordEntry } from './record-entry';
import { SEALED_KINDS } from './record-seal';

/** What an export is about; `exportedAt` is ISO 8601. */
export interface ExportSubject {
  readonly migrationId: string;
  readonly route: string;
  readonly exportedAt: string;
}

/** The name of the format of an export, and its version. */
export const FORMAT = 'cutover-record';
export const VERSION = 2;
/** Without seals in its checkpoints: what a record hash covers is them alone. */
const OLDER_VERSION = 1;

const HEADER_FIELDS = {
  format: 'string',
  version: 'number',
  migrationId: 'string',
  route: 'string',
} as const;

/** The first line of an export, or what is wrong with it. */
export function readHeader(line: string):
  | {
      readonly subject: ExportSubject;
      readonly count: number;
      readonly hash: string;
      readonly version: number;
    }
  | string {
  const fields = { ...HEADER_FIELDS, exportedAt: 'string', count: 'number', hash: 'string' } as const;
  const header = readObject(line, () => fields);
  if (typeof header === 'string') return `expected the header of an export: ${header}`;
  const { hash, ...content } = header;
  const { format, version, migrationId, route, exportedAt, count } = content;
  if (format !== FORMAT || (version !== VERSION && version !== OLDER_VERSION)) {
    return `expected the format ${FORMAT} ${OLDER_VERSION} or ${VERSION}, got ${String(format)} ${String(version)}`;
  }
  if (line !== hashedLine(content) || hash !== digestOf(content)) return EDITED;
  const subject = { migrationId, route, exportedAt } as ExportSubject;
  return { subject, count: count as number, hash: hash as string, version };
}

const EDITED = 'its content does not match its hash: it was edited';

/** Any other line: its entry, or what is wrong with it. */
export function readLink(
  line: string,
  previous: string,
  version: number,
): { readonly entry: RecordEntry; readonly hash: string } | string {
  const kindOf = (value: object) => ENTRY_KINDS.find((kind) => Object.hasOwn(value, kind)) ?? 'checkpoint';
  const link = readObject(line, (value) => ({
    [kindOf(value)]: 'object',
    previous: 'string',
    hash: 'string',
  }));
  if (typeof link === 'string') return link;
  const { hash, ...content } = link;
  const kind = kindOf(content);
  if (!isEntry(kind, content[kind], version)) return `expected a ${kind}, got something else`;
  if (line !== hashedLine(content) || hash !== digestOf(content)) return EDITED;
  if (content['previous'] !== previous) {
    return 'it does not follow the line before it: a line was removed, inserted or moved here';
  }
  return { entry: { [kind]: content[kind] } as unknown as RecordEntry, hash: hash as string };
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
  if (!isJsonObject(value)) return 'expected a JSON object';
  const fields = fieldsOf(value);
  for (const [field, type] of Object.entries(fields)) {
    if (!Object.hasOwn(value, field) || typeof value[field] !== type) return `expected a ${type} as ${field}`;
  }
  const unknown = Object.keys(value).find((field) => !Object.hasOwn(fields, field));
  return unknown === undefined ? value : `expected no field "${unknown.slice(0, 60)}"`;
}

type FieldType = 'text' | 'text or null' | 'number' | 'texts' | 'texts or absent';
type Shape = Readonly<Record<string, FieldType>>;
/** Every field that the type has, so that none is written that cannot be read. */
type ShapeOf<Entry> = { readonly [Field in Exclude<keyof Entry, 'seal'>]-?: FieldType };

const BASE = { seq: 'number', atMs: 'number', kind: 'text', stage: 'text' } as const satisfies Shape;
const CLOSING: ShapeOf<ClosingCheckpoint> = {
  ...BASE,
  closes: 'number',
  share: 'number',
  epoch: 'number',
  gateways: 'texts',
  lapsed: 'texts',
  missing: 'texts',
  undurable: 'texts or absent',
  reason: 'text',
};
const SAID = { by: 'text', reason: 'text', commandId: 'text or null' } as const satisfies Shape;
const INTENDED: ShapeOf<IntendedCheckpoint> = {
  ...BASE,
  ...SAID,
  cause: 'text',
  share: 'number',
  epoch: 'number',
};
const RECORDED: ShapeOf<RecordedCheckpoint> = { ...BASE, ...SAID, what: 'text' };
const SHAPES: Readonly<Record<Checkpoint['kind'], Shape>> = {
  intended: INTENDED,
  'took effect': CLOSING,
  superseded: CLOSING,
  failed: CLOSING,
  recorded: RECORDED,
};
const SEAL: Shape = {
  ...(Object.fromEntries(SEALED_KINDS.map((kind) => [kind, 'number'])) as Shape),
  hash: 'text',
};
const VIAS: readonly unknown[] = ['signal', 'update', 'cancel'];

/** Whether what stands there can be read as an entry of its kind; in format 1 only checkpoints were looked at. */
function isEntry(kind: (typeof ENTRY_KINDS)[number], value: unknown, version: number): boolean {
  if (kind === 'checkpoint') return isCheckpoint(value, version);
  if (version === OLDER_VERSION) return true;
  if (!isJsonObject(value) || typeof value['atMs'] !== 'number') return false;
  if (kind === 'start') {
    return isJsonObject(value['start']) && isCarried(value['carried']) && isArchived(value['archived']);
  }
  if (kind === 'command') return typeof value['name'] === 'string' && VIAS.includes(value['via']);
  return kind === 'end' || isJsonObject(value['verdict']);
}

function isCarried(value: unknown): boolean {
  if (value === undefined) return true;
  const isFold = (fold: unknown) => isJsonObject(fold) && hasShape(fold, { count: 'number', hash: 'text' });
  return (
    isJsonObject(value) &&
    typeof value['start'] === 'string' &&
    SEALED_KINDS.every((kind) => isFold(value[kind])) &&
    Object.keys(value).length === SEALED_KINDS.length + 1
  );
}

function isArchived(value: unknown): boolean {
  if (value === undefined) return true;
  return (
    isJsonObject(value) && hasShape(value, { count: 'number', head: 'text' }) && Number(value['count']) > 0
  );
}

function isCheckpoint(value: unknown, version: number): value is Checkpoint {
  if (!isJsonObject(value) || typeof value['kind'] !== 'string' || !Object.hasOwn(SHAPES, value['kind']))
    return false;
  const { seal, ...rest } = value;
  const sealed = Object.hasOwn(value, 'seal');
  if (sealed && (version === OLDER_VERSION || !isJsonObject(seal) || !hasShape(seal, SEAL))) return false;
  return hasShape(rest, SHAPES[value['kind'] as Checkpoint['kind']]);
}

function hasShape(value: Readonly<Record<string, unknown>>, shape: Shape): boolean {
  return (
    Object.keys(value).every((field) => Object.hasOwn(shape, field)) &&
    Object.entries(shape).every(([field, type]) =>
      Object.hasOwn(value, field) ? fits(value[field], type) : type === 'texts or absent',
    )
  );
}

function fits(value: unknown, type: FieldType): boolean {
  if (type === 'number') return typeof value === 'number';
  if (type === 'texts' || type === 'texts or absent') {
    return Array.isArray(value) && value.every((item) => typeof item === 'string');
  }
  return typeof value === 'string' || (type === 'text or null' && value === null);
}

/** A line of an export: its canonical JSON with the hash of everything else on it. */
export function hashedLine(content: object): string {
  return canonicalJson({ ...content, hash: digestOf(content) });
}
