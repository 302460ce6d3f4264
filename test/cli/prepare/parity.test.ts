import { readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { built, runCli } from '../../support/cli';
import { folderWith } from '../../support/migrations/migration-fixture';
import { startNode } from '../../support/node-process';
import { goldenLines, wellAnswered } from '../../support/parity-fixture';
import { scriptedPair } from '../../support/providers/scripted-pair';
import { says } from '../../support/providers/scripted-provider';

const EACH = 10;
const CALLS = 3 * 4 * EACH;

const pair = scriptedPair(wellAnswered);
let folder: string;

beforeAll(async () => {
  folder = folderWith({
    'cutover.yaml': JSON.stringify({
      providers: { old: { baseUrl: pair().legacy.url }, new: { baseUrl: pair().candidate.url } },
      routes: { chat: { legacy: 'old', candidate: 'new', models: { house: 'house-2' } } },
    }),
    'golden.jsonl': goldenLines(EACH),
    'empty.jsonl': '\n',
    'broken.jsonl':
      '{"id":"one","stratum":"chat","messages":[{"role":"user","content":"hi"}],"compare":["vibes"]}\n{',
    'other-model.jsonl':
      '{"id":"one","stratum":"chat","model":"nobody","messages":[{"role":"user","content":"hi"}]}',
  });
});

afterAll(async () => {
  rmSync(folder, { recursive: true, force: true });
});

const parity = (...args: string[]) =>
  runCli(['parity', '--golden', 'golden.jsonl', ...args], { cwd: folder });
const sent = () => pair().legacy.bodies.length + pair().candidate.bodies.length;

it('prints what was compared and passes an equal candidate', async () => {
  const { code, stdout, stderr } = await parity('--route', 'chat', '--state', 'equal');
  expect(stdout).toMatch(/^MEASURE +PROMPTS +LEGACY ITSELF +CANDIDATE/);
  expect(stdout).toContain('tool trigger F1: candidate 1.000');
  expect(stdout).toMatch(/^pass: 40 prompts compared: decisions that match legacy's: 100% against 100%/m);
  expect(stderr).toContain('parity of chat: legacy old twice, candidate new once');
  expect(code).toBe(0);
});

it('ends with 5 where the candidate differs, and names the prompts in JSON', async () => {
  pair().candidate.script = (request) =>
    request.body['tools'] === undefined ? wellAnswered(request) : says('I know nothing of that.');
  const { code, stdout } = await parity('--state', 'different', '--json');
  const report = JSON.parse(stdout);
  expect(report).toMatchObject({ outcome: 'fail', prompts: { compared: 4 * EACH } });
  expect(report.differing).toContainEqual({ id: 'tool-0', what: 'finish reason, tool trigger' });
  expect(readFileSync(report.answersFile, 'utf8')).toContain('I know nothing of that.');
  expect(code).toBe(5);
});

it('prints a report that cutover assess takes token ratios from', async () => {
  const { stdout } = await parity('--state', 'counted', '--json');
  writeFileSync(join(folder, 'report.json'), stdout);
  const { tokens } = JSON.parse(stdout);
  expect(tokens).not.toBeNull();
  const log = join(__dirname, '../../../examples/usage/gateway.jsonl');
  const prices = ['--candidate-price', '1,1', '--mapping', 'gpt-4o=house-2', '--warm-up-days', '0'];
  const assessed = await runCli(['assess', log, ...prices, '--parity', 'report.json', '--json'], {
    cwd: folder,
  });
  const { projection, usage } = JSON.parse(assessed.stdout);
  const { inputTokens, outputTokens } = usage.totals;
  const perDay = (inputTokens * tokens.input.ratio + outputTokens * tokens.output.ratio) / usage.window.days;
  expect(projection.candidate.monthly.usd).toBeCloseTo((perDay * 30) / 1e6, 6);
});

it('pays for nothing twice after it was killed', async () => {
  pair().candidate.script = (request) => (request.number < 15 ? wellAnswered(request) : 'silence');
  const before = pair().candidate.bodies.length;
  const args = ['parity', '--golden', 'golden.jsonl', '--state', 'killed', '--concurrency', '3'];
  const run = await startNode([built('src', 'cli', 'main.js'), ...args], {
    cwd: folder,
    env: {},
    ready: 'parity of chat',
  });
  // Until all three calls at a time hang.
  for (let last = -1; last !== sent() || pair().candidate.bodies.length === before; ) {
    last = sent();
    await sleep(300);
  }
  await run.end('SIGKILL');
  const answered = readFileSync(join(folder, 'killed', 'chat.jsonl'), 'utf8')
    .trim()
    .split('\n').length;
  expect(answered).toBe(sent() - 3);
  pair().candidate.script = wellAnswered;
  const paid = sent();
  const { code, stdout } = await parity('--state', 'killed', '--json');
  expect({ code, outcome: JSON.parse(stdout).outcome }).toEqual({ code: 0, outcome: 'pass' });
  expect(sent() - paid).toBe(CALLS - answered);
});

it('asks for all anew when it is told to, and keeps what there was', async () => {
  await parity('--state', 'fresh');
  const again = await parity('--state', 'fresh');
  expect(sent()).toBe(CALLS);
  expect(again.code).toBe(0);
  const { stderr } = await parity('--state', 'fresh', '--fresh');
  expect(sent()).toBe(2 * CALLS);
  expect(stderr).toContain('earlier answers are in ');
});

it('needs prices only for a cap', async () => {
  const { code, stderr } = await parity('--state', 'capped', '--max-cost', '1');
  expect(stderr).toContain('providers.old.prices: expected a price of "house"');
  expect({ code, sent: sent() }).toEqual({ code: 2, sent: 0 });
});

it.each([
  [['--golden', 'absent.jsonl'], 'there is no such file'],
  [['--golden', 'empty.jsonl'], 'empty.jsonl is not valid:\n  expected at least one prompt, got none'],
  [['--golden', 'broken.jsonl'], 'line 1: compare[0]: expected one of finish, tools, json, text, embedding'],
  [['--golden', 'broken.jsonl'], 'line 2: expected a JSON object on one line'],
  [['--golden', 'other-model.jsonl'], 'expected one of the models that the route maps (house), got "nobody"'],
  [['--route', 'search'], 'expected --route with one of the routes (chat), got "search"'],
  [['--margin', 'decisions=2'], 'expected a part above 0 and below 1'],
  [['--margin', 'vibes=0.1'], 'expected one of decisions, toolArguments'],
  [['--max-cost', '-1'], 'expected a number above 0'],
  [['--config', 'absent.yaml'], 'there is no such file'],
])('answers %j with what was expected and exit code 2', async (args, message) => {
  const { code, stdout, stderr } = await parity('--state', 'bad', ...args);
  expect(stderr).toContain(message);
  expect({ code, stdout, sent: sent() }).toEqual({ code: 2, stdout: '', sent: 0 });
  expect(stderr).not.toMatch(/^\s+at /m);
});

it('says where it cannot write', async () => {
  writeFileSync(join(folder, 'a-file'), '');
  const { code, stderr } = await parity('--state', 'a-file/below');
  expect(stderr).toContain('(directory): cannot be written: a part of its path is a file, not a directory');
  expect(code).toBe(2);
});
