import { createHash } from 'node:crypto';
import type { Checkpoint } from '../../../src/core/migration/checkpoint';
import { exportRecord, verifyExport } from '../../../src/core/record/record-chain';
import { inOrder } from '../../../src/core/record/record-entry';
import { givenMigration } from '../../support/migrations/migration-world';

const SUBJECT = { migrationId: 'm-1', route: 'chat', exportedAt: '2026-01-05T09:00:00.000Z' };

function checkpoints(): readonly Checkpoint[] {
  const world = givenMigration()
    .reaches('rolling')
    .says('rollback', { to: 'previous', by: 'bén "B"', commandId: 'c-1' });
  world
    .applies({ confirmed: ['gw-a'] })
    .says('emergencyRollback', { reason: 'line\nbreak \u2028 and \ud83d\ude00' });
  return world.applies().checkpoints;
}

const sealed = (list: readonly Checkpoint[]) =>
  exportRecord(
    SUBJECT,
    list.map((checkpoint) => ({ checkpoint })),
  );
const TEXT = sealed(checkpoints());
const LINES = TEXT.trimEnd().split('\n');
const joined = (lines: readonly string[]) => `${lines.join('\n')}\n`;

/** Seals checkpoints as they are, right or wrong: what a forger who can hash would do. */
const forged = (list: readonly unknown[]) => sealed(list as readonly Checkpoint[]);

it('verifies what it exported, and says how many and where the chain ends', () => {
  expect(verifyExport(TEXT)).toEqual({
    ok: true,
    ...SUBJECT,
    version: 2,
    archived: 0,
    count: checkpoints().length,
    checkpoints: checkpoints().length,
    entries: { start: 0, command: 0, verdict: 0, checkpoint: checkpoints().length, end: 0 },
    sealed: null,
    head: JSON.parse(LINES.at(-1) as string).hash,
  });
});

it('exports nothing but a header for a migration without checkpoints', () => {
  const text = forged([]);
  expect(verifyExport(text)).toMatchObject({ ok: true, count: 0, head: JSON.parse(text).hash });
});

it('can be checked by anyone with SHA-256: the hash covers the rest of its line', () => {
  for (const line of LINES) {
    const { hash } = JSON.parse(line);
    const rest = line.replace(`"hash":"${hash}",`, '').replace(`,"hash":"${hash}"`, '');
    expect(createHash('sha256').update(rest).digest('hex')).toBe(hash);
  }
});

it('verifies a record that names gateways which confirmed in memory only, as a full disk makes it', () => {
  const list = givenMigration()
    .reaches('rolling')
    .says('rollback', { commandId: 'c-1' })
    .applies({ undurable: ['gw-b'] }).checkpoints;
  expect(list.filter((entry) => 'undurable' in entry)).toHaveLength(1);
  expect(verifyExport(sealed(list))).toMatchObject({ ok: true, checkpoints: list.length });
  const other = list.map((entry) => ('undurable' in entry ? { ...entry, undurable: 'gw-b' } : entry));
  expect(verifyExport(forged(other))).toMatchObject({
    ok: false,
    problem: expect.stringContaining('expected'),
  });
});

it('gives the same bytes whatever the order of fields', () => {
  const reversed = checkpoints().map((entry) => Object.fromEntries(Object.entries(entry).reverse()));
  expect(forged(reversed)).toBe(TEXT);
});

it.each(LINES.map((_, index) => index + 1))('names line %i when any one byte of it is changed', (number) => {
  const line = LINES[number - 1] as string;
  const others = ['0', 'x', '"', ' ', '}', '\\', ','];
  for (let at = 0; at < line.length; at += 1) {
    const other = others[at % others.length] === line[at] ? '1' : (others[at % others.length] as string);
    const lines = LINES.with(number - 1, line.slice(0, at) + other + line.slice(at + 1));
    const verdict = verifyExport(joined(lines));
    if (verdict.ok || verdict.line !== number) {
      throw new Error(`expected line ${number} broken at ${at} by ${other}, got ${JSON.stringify(verdict)}`);
    }
  }
});

it.each(LINES.map((_, index) => index + 1))('notices that line %i was removed, doubled or cut', (number) => {
  const last = number === LINES.length;
  expect(verifyExport(joined(LINES.toSpliced(number - 1, 1)))).toMatchObject({ ok: false, line: number });
  expect(verifyExport(joined(LINES.toSpliced(number - 1, 0, LINES[number - 1] as string)))).toMatchObject({
    ok: false,
    line: number + 1,
  });
  const cut = (LINES[number - 1] as string).slice(0, -1);
  expect(verifyExport(joined(LINES.with(number - 1, cut)))).toMatchObject({ ok: false, line: number });
  expect(verifyExport(joined(LINES.slice(0, number)))).toMatchObject(
    last ? { ok: true } : { ok: false, line: number + 1 },
  );
});

it.each(LINES.slice(2).map((_, index) => index + 2))(
  'notices that lines %i and the next changed places',
  (number) => {
    const [here, next] = [LINES[number - 1] as string, LINES[number] as string];
    const verdict = verifyExport(joined(LINES.toSpliced(number - 1, 2, next, here)));
    expect(verdict).toMatchObject({
      ok: false,
      line: number,
      problem: 'it does not follow the line before it: a line was removed, inserted or moved here',
    });
  },
);

it.each([
  ['no text', '', 1, 'expected the header'],
  ['a blank line', `\n${TEXT}`, 1, 'expected the header'],
  ['something else', 'hello\n', 1, 'expected the header'],
  [
    'another format',
    joined([JSON.stringify({ ...JSON.parse(LINES[0] as string), version: 3 })]),
    1,
    'got cutover-record 3',
  ],
  ['no line break at the end', TEXT.trimEnd(), LINES.length, 'the end is cut off'],
  ['line breaks of Windows', TEXT.replaceAll('\n', '\r\n'), 1, 'edited'],
  ['a line with a second key of one name', TEXT.replace('"seq":1', '"seq":9,"seq":1'), 2, 'edited'],
  [
    'a line with a field more',
    TEXT.replace('"previous"', '"extra":1,"previous"'),
    2,
    'expected no field "extra"',
  ],
  ['a checkpoint of another kind', TEXT.replace('"intended"', '"constructor"'), 2, 'expected a checkpoint'],
  ['nesting without end', joined([LINES[0] as string, '['.repeat(200_000)]), 2, 'expected a line of JSON'],
])('refuses %s', (_name, text, line, problem) => {
  const verdict = verifyExport(text);
  expect(verdict).toMatchObject({ ok: false, line });
  expect(verdict.ok ? '' : verdict.problem).toContain(problem);
});

describe('beside checkpoints', () => {
  const command = {
    atMs: 1,
    name: 'pause',
    via: 'signal',
    identity: '1@host',
    payload: { checkpoint: {}, start: { end: [] } },
    accepted: false,
    message: 'it is "closed"',
    checkpoint: null,
  } as const;
  const end = { atMs: 9, status: 'TERMINATED', outcome: null, reason: '' };
  const first = { checkpoint: checkpoints()[0] as Checkpoint };
  const mixed = exportRecord(SUBJECT, [{ command }, first, { end }]);

  it('the record holds what was asked and how it ended, under the same chain', () => {
    expect(verifyExport(mixed)).toMatchObject({ ok: true, count: 3, checkpoints: 1 });
    const edited = mixed.replace('"accepted":false', '"accepted":true');
    expect(verifyExport(edited)).toMatchObject({
      ok: false,
      line: 2,
      problem: expect.stringContaining('edited'),
    });
    const lines = mixed.trimEnd().split('\n');
    expect(verifyExport(joined(lines.toSpliced(1, 1)))).toMatchObject({ ok: false, line: 2 });
  });

  it('refuses a line of a kind that there is not, and one of two kinds', () => {
    const unknown = mixed.replace('"command":{', '"whim":{');
    expect(verifyExport(unknown)).toMatchObject({ ok: false, line: 2 });
    const both = exportRecord(SUBJECT, [{ command, end } as never]);
    expect(verifyExport(both)).toMatchObject({ ok: false, line: 2 });
  });

  it('puts what it holds in the order of time, a command before the checkpoint that it led to', () => {
    const checkpoint = { ...(checkpoints()[0] as Checkpoint), atMs: 5 };
    const late = { command: { ...command, atMs: 5 } };
    expect(inOrder([{ end }, { checkpoint }, { command }, late])).toEqual([
      { command },
      late,
      { checkpoint },
      { end },
    ]);
  });

  it('keeps commands in the order in which they were taken in, whatever their clocks say', () => {
    const [second, first] = [{ command }, { command: { ...command, atMs: 7 } }];
    const checkpoint = { ...(checkpoints()[0] as Checkpoint), atMs: 5 };
    expect(inOrder([first, second, { checkpoint }])).toEqual([{ checkpoint }, first, second]);
  });

  it('never throws, however deeply a line is nested', () => {
    const deep = `{"command":${'['.repeat(100_000)}${']'.repeat(100_000)},"hash":"","previous":""}`;
    expect(verifyExport(joined([LINES[0] as string, deep]))).toMatchObject({ ok: false });
  });
});

describe('a forger who can hash still cannot', () => {
  const list = checkpoints();
  const closing = list.findIndex(({ kind }) => kind === 'took effect');
  const renumbered = (entries: readonly Checkpoint[]) =>
    entries.map((entry, index) => ({ ...entry, seq: index + 1 }));

  it('leave a gap', () => {
    const { seq } = list[3] as Checkpoint;
    expect(verifyExport(forged(list.toSpliced(3, 1)))).toEqual({
      ok: false,
      line: 5,
      problem: `expected checkpoint 4, got ${seq + 1}`,
    });
  });

  it('close a checkpoint twice', () => {
    const entry = list[closing] as Checkpoint & { closes: number };
    const verdict = verifyExport(forged(renumbered(list.toSpliced(closing + 1, 0, entry))));
    expect(verdict).toMatchObject({
      ok: false,
      line: closing + 3,
      problem: `checkpoint ${entry.closes} is closed twice, by ${entry.seq} and ${entry.seq + 1}`,
    });
  });

  it('close what was never intended', () => {
    const bad = list.with(closing, { ...(list[closing] as Checkpoint), closes: 99 } as Checkpoint);
    expect(verifyExport(forged(bad))).toMatchObject({ ok: false, line: closing + 2 });
  });

  it('intend while another intention is open', () => {
    const verdict = verifyExport(forged(renumbered(list.toSpliced(closing, 1))));
    expect(verdict.ok ? '' : verdict.problem).toContain('is still open');
  });

  it('use an epoch again', () => {
    const second = list.findLastIndex(({ kind }) => kind === 'intended');
    const bad = list.with(second, { ...(list[second] as Checkpoint), epoch: 1 } as Checkpoint);
    expect(verifyExport(forged(bad))).toMatchObject({ ok: false, line: second + 2 });
  });
});
