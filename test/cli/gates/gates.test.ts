import { readFileSync, writeFileSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { JUDGING_RULES } from '../../../src/core/gates/verdict';
import { runCli } from '../../support/cli';
import { folderWith } from '../../support/migrations/migration-fixture';
import { exportOf, sealedText } from '../../support/migrations/recorded-export';
import { historyOf, historyPath, judgedToday, withPayloads } from '../../support/migrations/recorded-history';

/** A canary of an hour in three windows: quick to rehearse. */
const HOUR_PLAN = `route: chat
stages:
  - name: assess
  - { name: canary, soak: 1h, window: 20m, minimumKeys: 0, deadline: { hold: 2h, rollback: null } }
  - name: complete
`;

const exported = exportOf('harm-2');
let folder: string;

beforeAll(() => {
  folder = folderWith({
    'plan.yaml': 'route: completed\n',
    'hour.yaml': HOUR_PLAN,
    'traffic.yaml': 'requestsPerDay: 50000\nfailureRate: 0.01\ntotalMs: { p50Ms: 100, p95Ms: 200 }\n',
    'gamma.json': '{"totalMs":{"gamma":1.02,"buckets":[[1,1]]}}',
    'completed.json': JSON.stringify(judgedToday(historyOf('completed-2'))),
    'harm.json': JSON.stringify(judgedToday(historyOf('harm-2'))),
    'nothing.json': '{"events":[]}',
    'harm.jsonl': sealedText(exported, exported.entries),
    'changed.jsonl': sealedText(exported, exported.entries).replace('"by":"', '"by":"not '),
    'text.json': 'nothing',
  });
});
afterAll(() => rm(folder, { recursive: true }));

const run = (...args: string[]) => runCli(args, { cwd: folder });

describe('gates explain', () => {
  it('computes every stored verdict again, and shows one with every number', async () => {
    const all = await run('gates', 'explain', '--history', 'completed.json');
    expect(all).toMatchObject({ code: 0, stderr: '' });
    expect(all.stdout).toMatch(/^\d+ +\S+ \S+ +canary \d +30% +pass +agrees +canary at 30% passes/m);
    const one = await run('gates', 'explain', 'harm', '--history', 'harm.json', '--window', '2');
    expect(one.stdout).toMatch(/^errors +\S.* guardrail and goal +\d+ \/ \d+ +0% +\d+% +\+[\d.]+ pt +\S/m);
    const { agrees, windows } = JSON.parse(
      (await run('gates', 'explain', '--history', 'harm.json', '--json')).stdout,
    );
    expect(agrees).toBe(true);
    expect(windows.at(-1)).toMatchObject({ differences: [], verdict: { harm: expect.any(String) } });
  });

  it('says that a verdict of an older release was judged by other rules, and does not call it wrong', async () => {
    const { code, stderr, stdout } = await run('gates', 'explain', '--history', historyPath('completed'));
    expect(code).toBe(0);
    expect(stderr).toMatch(
      new RegExp(
        `^\\d+ of \\d+ verdicts were judged by the rules 1; this release judges by the rules ${JUDGING_RULES}`,
        'm',
      ),
    );
    expect(stdout).toMatch(/pass \(rules 1\)/);
  });

  it('ends with 5 and names the place where a stored verdict does not follow from its evidence', async () => {
    const forged = withPayloads(judgedToday(historyOf('completed-2')), (text) =>
      text.includes('"ended":') ? text.replace('"outcome":"pass"', '"outcome":"fail"') : text,
    );
    writeFileSync(join(folder, 'forged.json'), JSON.stringify(forged));
    const { code, stderr } = await run('gates', 'explain', '--history', 'forged.json');
    expect(stderr).toMatch(/^window \d+, .*outcome: stored "fail", its evidence gives "pass"$/m);
    expect(code).toBe(5);
  });

  it.each([
    [['--history', 'nothing.json'], 'nothing.json: expected a Temporal history as JSON'],
    [['--history', 'text.json'], 'text.json: expected a history as JSON'],
    [['--history', 'absent.json'], 'cannot read absent.json: there is no such file'],
    [['other', '--history', historyPath('harm-2')], 'expected the history of "other"'],
    [['--history', historyPath('harm-2'), '--window', '99'], 'expected one of its windows, got 99'],
  ])('refuses %j in one sentence', async (args, sentence) => {
    const { code, stdout, stderr } = await run('gates', 'explain', ...args);
    expect(stderr).toContain(sentence);
    expect(stderr.trim().split('\n')).toHaveLength(1);
    expect({ code, stdout }).toEqual({ code: 2, stdout: '' });
  });
});

describe('gates simulate', () => {
  it('prints what became of each scenario, the same for the same seed whatever the threads', async () => {
    const simulate = (...args: string[]) =>
      run(
        ...[
          'gates',
          'simulate',
          'hour.yaml',
          '--traffic',
          'traffic.yaml',
          '--runs',
          '12',
          '--stage',
          'canary',
        ],
        ...['--scenario', 'a/a', '--scenario', 'errors x5', '--json', ...args],
      );
    const [one, two] = await Promise.all([
      simulate('--threads', '1'),
      simulate('--threads', '2', '--svg', 'gates.svg'),
    ]);
    expect({ code: one.code, stdout: two.stdout }).toEqual({ code: 0, stdout: one.stdout });
    const { scenarios, traffic } = JSON.parse(one.stdout);
    expect(traffic).toMatchObject({ source: 'traffic.yaml', requestsPerDay: 50_000, failureRate: 0.01 });
    expect(scenarios).toMatchObject([
      { scenario: 'a/a', stage: 'canary', runs: 12, falseRollback: 0, hurtBeforeRollback: null },
      { scenario: 'errors x5', falsePromotion: 0 },
    ]);
    expect(scenarios[1].rolledBack).toBeGreaterThan(0);
    const svg = readFileSync(join(folder, 'gates.svg'), 'utf8');
    expect(svg).toMatch(/^<svg xmlns="http:\/\/www.w3.org\/2000\/svg"/);
    expect(svg).toContain('errors x5');
    expect(svg).not.toMatch(/href|<script|<image/);
  });

  it.each([
    [['hour.yaml', '--scenario', 'worse'], 'expected a scenario ("a/a", '],
    [
      ['hour.yaml', '--stage', 'assess'],
      'expected a stage of the plan with candidate traffic ("canary", "complete")',
    ],
    [['hour.yaml', '--runs', '0'], 'expected a whole number above 0'],
    [['hour.yaml', '--traffic', 'gamma.json'], 'expected a histogram of gamma 1.0100'],
    [['absent.yaml'], 'there is no such file'],
  ])('refuses %j in one sentence', async (args, sentence) => {
    const { code, stdout, stderr } = await run('gates', 'simulate', ...args);
    expect(stderr).toContain(sentence);
    expect({ code, stdout }).toEqual({ code: 2, stdout: '' });
  });
});

it('replays another plan on recorded evidence, and ends with 5 where it would have decided differently', async () => {
  const { code, stdout, stderr } = await run('replay', 'plan.yaml', '--history', historyPath('completed-2'));
  expect(stdout).toMatch(
    /^canary +canary at 30%, epoch 2 +\d+ +promoted after window \d+ .* +undecided after window/m,
  );
  expect(stderr).toBe('it would have decided differently in canary, rolling, complete\n');
  expect(code).toBe(5);
});

it('writes a report from a history without Temporal or a worker', async () => {
  const { code, stderr } = await run(
    ...['report', 'harm', '--history', historyPath('harm-2'), '--html', 'harm.html', '--markdown', 'harm.md'],
  );
  expect({ code, stderr }).toEqual({
    code: 0,
    stderr: expect.stringMatching(/^wrote harm.html: harm-\S+, rolled back\nwrote harm.md: /),
  });
  expect(readFileSync(join(folder, 'harm.html'), 'utf8')).toMatch(/^<!doctype html>/);
  const { stdout } = await run('report', '--history', historyPath('harm-2'));
  expect(stdout).toMatch(/^# Migration of harm: rolled back\n/);
  expect(
    (await run('report', '--history', historyPath('harm-2'), '--html', 'no/such/folder.html')).code,
  ).toBe(2);
});

it('writes a report from an exported record, without Temporal and past its retention', async () => {
  const { code, stderr } = await run('report', '--record', 'harm.jsonl', '--html', 'record.html');
  expect({ code, stderr }).toEqual({
    code: 0,
    stderr: expect.stringMatching(/^wrote record.html: harm-\S+, rolled back\n$/),
  });
  const { stdout } = await run('report', 'harm', '--record', 'harm.jsonl');
  expect(stdout).toMatch(/^# Migration of harm: rolled back\n/);
  expect(JSON.parse((await run('report', '--record', 'harm.jsonl', '--json')).stdout)).toMatchObject({
    ...{ route: 'harm', outcome: 'rolled back', source: 'an exported record', problem: null },
  });
});

it.each([
  [['--record', 'changed.jsonl'], 5, 'changed.jsonl, line 2: its content does not match its hash'],
  [['--record', 'harm.json'], 2, 'harm.json: expected a record that `cutover export --out` wrote'],
  [['--history', 'harm.jsonl'], 2, 'which only `cutover report --record` reads'],
  [['--record', 'harm.jsonl', '--history', 'harm.json'], 2, 'expected one of --record and --history'],
  [['chat', '--record', 'harm.jsonl'], 2, 'expected the record of "chat", harm.jsonl is of "harm"'],
  [['--record', 'absent.jsonl'], 2, 'cannot read absent.jsonl: there is no such file'],
])('makes no report of %j, and says why', async (args, exitCode, problem) => {
  const { code, stdout, stderr } = await run('report', ...args);
  expect({ code, stdout }).toEqual({ code: exitCode, stdout: '' });
  expect(stderr).toContain(problem);
});
