import { createHash } from 'node:crypto';
import type { Checkpoint } from '../../src/core/migration/checkpoint';
import { canonicalJson } from '../../src/core/record/digest';
import { withPreempted } from '../../src/core/record/preempted-windows';
import { coveredBy, recordHash, verifyExport, withoutSeal } from '../../src/core/record/record-chain';
import type { RecordEntry, RecordedStart, WindowEntry } from '../../src/core/record/record-entry';
import { messageFact, sealedStart, withEntry } from '../../src/core/record/record-seal';
import { exportOf, sealedText } from '../support/migrations/recorded-export';

const NAMES = ['operator', 'governed', 'completed', 'harm', 'cancelled'];
const OPERATOR = exportOf('operator');
const TEXT = sealedText(OPERATOR, OPERATOR.entries);
const checkpointsOf = (entries: readonly RecordEntry[]): Checkpoint[] =>
  entries.flatMap((entry) => ('checkpoint' in entry ? [entry.checkpoint] : []));
/** What a notification after the last checkpoint carried. */
const HASH = recordHash(OPERATOR.migrationId, checkpointsOf(OPERATOR.entries));
const LAST_SEAL = checkpointsOf(OPERATOR.entries).at(-1)?.seal;

/** Whether a forger who hashes every line anew gets entries past `cutover verify --record HASH`. */
function passes(entries: readonly RecordEntry[]): boolean {
  const text = sealedText(OPERATOR, entries);
  return verifyExport(text).ok && coveredBy(text, OPERATOR.migrationId, HASH) !== null;
}

describe('the seals of a record', () => {
  it.each(NAMES)('agree with the commands and windows that Temporal kept: %s', (name) => {
    const { entries, ...subject } = exportOf(name);
    const verdict = verifyExport(sealedText(subject, entries));
    const count = (kind: string) => entries.filter((entry) => kind in entry).length;
    expect(verdict).toMatchObject({
      ok: true,
      sealed: { checkpoint: count('checkpoint'), commands: count('command'), missing: 0 },
    });
  });

  it('say what a record hash covers, of a notification in the middle too', () => {
    const all = checkpointsOf(OPERATOR.entries);
    for (const checkpoint of all) {
      const hash = recordHash(OPERATOR.migrationId, all.slice(0, checkpoint.seq));
      expect(coveredBy(TEXT, OPERATOR.migrationId, hash)).toEqual({
        checkpoints: checkpoint.seq,
        seal: checkpoint.seal,
      });
    }
    expect(LAST_SEAL).toMatchObject({ signals: 4, updates: 4, cancels: 0 });
  });

  it('still find what an older release hashed, and say that it covers checkpoints alone', () => {
    const bare = checkpointsOf(OPERATOR.entries).slice(0, 5).map(withoutSeal);
    const hash = recordHash(OPERATOR.migrationId, bare);
    expect(coveredBy(TEXT, OPERATOR.migrationId, hash)).toEqual({ checkpoints: 5, seal: null });
  });

  it('name the window that was flipped, or the first entry after which one was moved', () => {
    const at = OPERATOR.entries.findIndex((entry) => 'verdict' in entry);
    const entry = OPERATOR.entries[at] as RecordEntry & { verdict: { verdict: object } };
    const verdict = { ...entry.verdict.verdict, outcome: 'pass', harm: null, sentence: 'all is well' };
    const flipped = { verdict: { ...entry.verdict, verdict } } as RecordEntry;
    expect(verifyExport(sealedText(OPERATOR, OPERATOR.entries.with(at, flipped)))).toMatchObject({
      ok: false,
      line: at + 2,
      problem: expect.stringContaining('seals other commands and verdicts'),
    });
  });

  it('hold for a record whose first runs Temporal no longer keeps, and count what is missing', () => {
    const early = (entry: RecordEntry) => 'command' in entry && entry.command.via === 'update';
    const [start, ...rest] = OPERATOR.entries as [RecordEntry & { start: RecordedStart }, ...RecordEntry[]];
    const carried = rest.reduce(
      (sealed, entry) =>
        'command' in entry && early(entry)
          ? withEntry(sealed, 'updates', messageFact(entry.command.name, entry.command.payload))
          : sealed,
      sealedStart(start.start.start),
    );
    const shorter = [{ start: { ...start.start, carried } }, ...rest.filter((entry) => !early(entry))];
    expect(verifyExport(sealedText(OPERATOR, shorter))).toMatchObject({
      ok: true,
      sealed: { commands: 8, missing: 4 },
    });
    const other = { ...carried, updates: { ...carried.updates, count: 3 } };
    const forged = shorter.with(0, { start: { ...start.start, carried: other } });
    expect(verifyExport(sealedText(OPERATOR, forged))).toMatchObject({ ok: false });
  });

  describe('say which window a command pre-empted', () => {
    const at = OPERATOR.entries.findIndex((entry) => 'verdict' in entry);
    const taken = OPERATOR.entries[at] as RecordEntry & { verdict: WindowEntry };
    const command = OPERATOR.entries.find((entry) => 'command' in entry) as { command: { atMs: number } };
    const preempted = (atMs: number): RecordEntry => ({
      verdict: { ...taken.verdict, atMs, ended: 'pre-empted', observedMs: 1 },
    });
    const verdictOf = (entries: readonly RecordEntry[]) => verifyExport(sealedText(OPERATOR, entries));

    it('which its history does not tell from one that was taken in', () => {
      const entries = OPERATOR.entries.toSpliced(at, 0, preempted(command.command.atMs));
      expect(verdictOf(entries)).toMatchObject({ ok: false });
      const marked = withPreempted(entries);
      expect(verdictOf(marked)).toMatchObject({ ok: true });
      expect(marked[at]).toMatchObject({ verdict: { ended: 'pre-empted', late: true } });
      expect(marked.toSpliced(at, 1)).toEqual(OPERATOR.entries);
    });

    it('and leave one alone that ended far from every command', () => {
      const entries = OPERATOR.entries.toSpliced(at, 0, preempted(command.command.atMs - 60_000));
      expect(withPreempted(entries)).toBe(entries);
    });

    it('and change nothing of a record that agrees with them', () => {
      expect(withPreempted(OPERATOR.entries)).toBe(OPERATOR.entries);
    });
  });

  it('leave a record of an older release alone', () => {
    const { entries, ...subject } = exportOf('continued-last-run');
    expect(entries[0]).toHaveProperty('start');
    expect(verifyExport(sealedText(subject, entries))).toMatchObject({ ok: true, sealed: null });
  });
});

describe('an export of the format before', () => {
  const entries = OPERATOR.entries.map((entry) =>
    'checkpoint' in entry ? { checkpoint: withoutSeal(entry.checkpoint) } : entry,
  );
  const older = olderText(entries);
  const hash = recordHash(OPERATOR.migrationId, checkpointsOf(entries));

  it('verifies, and its record hash covers checkpoints alone', () => {
    expect(verifyExport(older)).toMatchObject({ ok: true, version: 1, sealed: null });
    const all = checkpointsOf(entries).length;
    expect(coveredBy(older, OPERATOR.migrationId, hash)).toEqual({ checkpoints: all, seal: null });
  });

  it('is not a way around the seals: what they were taken from has another record hash', () => {
    expect(coveredBy(older, OPERATOR.migrationId, HASH)).toBeNull();
    expect(verifyExport(olderText(OPERATOR.entries))).toMatchObject({ ok: false });
  });
});

/** As the release before wrote it: by hand, so that a change of ours does not change what must still be read. */
function olderText(entries: readonly RecordEntry[]): string {
  const { migrationId, route } = OPERATOR;
  const header = { count: entries.length, exportedAt: 'then', format: 'cutover-record', migrationId, route };
  const contents = [{ ...header, version: 1 }, ...entries] as object[];
  let previous: string | null = null;
  const lines = contents.map((content) => {
    const link: object = previous === null ? content : { ...content, previous };
    const hash = createHash('sha256').update(canonicalJson(link)).digest('hex');
    previous = hash;
    return canonicalJson({ ...link, hash });
  });
  return `${lines.join('\n')}\n`;
}

describe('a forger who hashes every line anew is still refused', () => {
  const sealedEntries = OPERATOR.entries.flatMap((entry, at) =>
    isSealed(entry, at) ? [[kindOf(entry), at] as const] : [],
  );

  it.each(sealedEntries)('when the %s at %i is removed, doubled or moved', (_kind, at) => {
    const entry = OPERATOR.entries[at] as RecordEntry;
    expect(passes(OPERATOR.entries.toSpliced(at, 1))).toBe(false);
    const doubled = OPERATOR.entries.toSpliced(at, 0, entry);
    // Twice the last one of its kind: no seal can speak of what came after it, and the verdict counts it.
    if (passes(doubled)) expect(unsealedIn(doubled)).toBe(unsealedIn(OPERATOR.entries) + 1);
    const next = OPERATOR.entries.findIndex(
      (other, index) => index > at && kindOf(other) === kindOf(entry) && isSealed(other, index),
    );
    if (next < 0 || sameFact(entry, OPERATOR.entries[next] as RecordEntry)) return;
    expect(passes(OPERATOR.entries.with(at, OPERATOR.entries[next] as RecordEntry).with(next, entry))).toBe(
      false,
    );
  });

  it.each(sealedEntries)('when any one field of the %s at %i is changed', (_kind, at) => {
    const entry = OPERATOR.entries[at] as RecordEntry;
    let tried = 0;
    for (const path of leavesOf(entry).filter((leaf) => !isUnsealed(leaf))) {
      tried += 1;
      const forged = OPERATOR.entries.with(at, changedAt(entry, path) as RecordEntry);
      if (passes(forged)) throw new Error(`expected a change of ${path.join('.')} to be refused`);
    }
    expect(tried).toBeGreaterThan(0);
  });

  it('passes with what only the head and a signature cover, which `cutover verify` says', () => {
    const at = OPERATOR.entries.findIndex((entry) => 'command' in entry);
    const entry = OPERATOR.entries[at] as RecordEntry & { command: object };
    const forged = { command: { ...entry.command, identity: 'nobody' } } as RecordEntry;
    expect(passes(OPERATOR.entries.with(at, forged))).toBe(true);
  });

  it('when the end says another outcome than the checkpoints', () => {
    const forged = OPERATOR.entries.map((entry) =>
      'end' in entry ? { end: { ...entry.end, outcome: 'completed' } } : entry,
    );
    expect(passes(forged)).toBe(false);
  });
});

describe('without hashing anew', () => {
  const lines = TEXT.trimEnd().split('\n');
  const joined = (all: readonly string[]) => `${all.join('\n')}\n`;

  it.each(lines.map((line, at) => [at + 1, line] as const))(
    'no field of line %i is changed, no line removed, doubled or moved unnoticed',
    (number, line) => {
      const content = JSON.parse(line) as object;
      for (const path of leavesOf(content)) {
        const verdict = verifyExport(
          joined(lines.with(number - 1, JSON.stringify(changedAt(content, path)))),
        );
        if (verdict.ok) throw new Error(`expected a change of ${path.join('.')} to be refused`);
      }
      expect(verifyExport(joined(lines.toSpliced(number - 1, 1)))).toMatchObject({ ok: false, line: number });
      expect(verifyExport(joined(lines.toSpliced(number, 0, line)))).toMatchObject({ ok: false });
      if (number === lines.length) return;
      const swapped = lines.with(number - 1, lines[number] as string).with(number, line);
      expect(verifyExport(joined(swapped))).toMatchObject({ ok: false, line: number });
    },
  );
});

/** Commands and verdicts of a record that no seal covers. */
function unsealedIn(entries: readonly RecordEntry[]): number {
  const verdict = verifyExport(sealedText(OPERATOR, entries));
  if (!verdict.ok || verdict.sealed === null) throw new Error('expected a record with seals');
  const { command, verdict: verdicts } = verdict.entries;
  return command + verdicts - verdict.sealed.commands - verdict.sealed.verdicts;
}

function kindOf(entry: RecordEntry): string {
  return Object.keys(entry)[0] as string;
}

/** Up to the last checkpoint everything is sealed, but for the end and windows that came too late. */
function isSealed(entry: RecordEntry, at: number): boolean {
  if ('end' in entry || ('verdict' in entry && entry.verdict.late === true)) return false;
  if ('start' in entry || 'checkpoint' in entry) return true;
  const before = OPERATOR.entries.slice(0, at + 1).filter((other) => kindOf(other) === kindOf(entry)).length;
  const { signals = 0, updates = 0, windows = 0 } = LAST_SEAL ?? {};
  return before <= ('verdict' in entry ? windows : signals + updates);
}

function sameFact(a: RecordEntry, b: RecordEntry): boolean {
  const via = (entry: RecordEntry) => ('command' in entry ? entry.command.via : null);
  // Signals and updates each keep their own order; between them only time tells.
  return via(a) !== via(b) || JSON.stringify(a) === JSON.stringify(b);
}

/** When, from where, and with what answer: Temporal knows it, the migration does not. */
function isUnsealed([kind, field]: readonly (string | number)[]): boolean {
  if (kind === 'start') return field === 'atMs' || field === 'identity';
  if (kind === 'verdict') return field === 'atMs';
  return (
    kind === 'command' && ['atMs', 'identity', 'accepted', 'message', 'checkpoint'].includes(String(field))
  );
}

type Path = readonly (string | number)[];

function leavesOf(value: unknown, path: Path = []): Path[] {
  if (typeof value !== 'object' || value === null) return [path];
  return Object.entries(value).flatMap(([key, field]) => leavesOf(field, [...path, key]));
}

function changedAt(value: unknown, [key, ...rest]: Path): unknown {
  if (key === undefined) return otherThan(value);
  const field = (value as Record<string, unknown>)[key];
  const changed = changedAt(field, rest);
  return Array.isArray(value) ? value.with(Number(key), changed) : { ...(value as object), [key]: changed };
}

function otherThan(value: unknown): unknown {
  if (typeof value === 'string') return `${value}x`;
  if (typeof value === 'number') return value + 1;
  if (typeof value === 'boolean') return !value;
  return 'something';
}
