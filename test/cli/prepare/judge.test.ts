import { rmSync } from 'node:fs';
import { runCli } from '../../support/cli';
import { folderWith } from '../../support/migrations/migration-fixture';
import {
  type ScriptedAnswer,
  type ScriptedProvider,
  says,
  startScriptedProvider,
} from '../../support/providers/scripted-provider';

const PAIRS = 60;

let judge: ScriptedProvider;
let gateway: ScriptedProvider;
let folder: string;

/** Pairs whose better answer says so. */
function pairLines(better: (index: number) => 'legacy' | 'candidate' | 'neither'): string {
  return Array.from({ length: PAIRS }, (_, index) => {
    const text = (provider: string) => `${better(index) === provider ? 'GOOD' : 'fine'} answer ${index}`;
    const requests = { legacy: `token-l${index}`, candidate: `token-c${index}` };
    return JSON.stringify({
      prompt: `question ${index}`,
      legacy: text('legacy'),
      candidate: text('candidate'),
      requests,
    });
  }).join('\n');
}

/** A judge that finds the good answer wherever it stands. */
function fair(said: string): ScriptedAnswer {
  const { A, B } = JSON.parse(said) as { A: string; B: string };
  return says(`{"better":"${A.startsWith('GOOD') ? 'A' : B.startsWith('GOOD') ? 'B' : 'tie'}"}`);
}

beforeAll(async () => {
  judge = await startScriptedProvider(({ said }) => fair(said));
  gateway = await startScriptedProvider(() => says('unused'));
  folder = folderWith({
    'cutover.yaml': JSON.stringify({
      providers: {
        judge: { baseUrl: judge.url, prices: { wise: { inputPerMillion: 10, outputPerMillion: 10 } } },
        legacy: { baseUrl: gateway.url },
      },
      routes: { chat: { legacy: 'legacy', candidate: 'judge', models: { a: 'b' } } },
    }),
    'worse.jsonl': pairLines((index) =>
      index % 12 === 0 ? 'candidate' : index % 4 === 1 ? 'neither' : 'legacy',
    ),
    'even.jsonl': pairLines((index) => (index % 2 === 0 ? 'candidate' : 'legacy')),
    'long.jsonl': JSON.stringify({ prompt: '好'.repeat(3_000), legacy: 'GOOD', candidate: 'fine' }),
    'bad.jsonl': '{"prompt":"hi","legacy":"yes"}\nnot json\n',
  });
});

beforeEach(() => {
  judge.script = ({ said }) => fair(said);
});

afterAll(async () => {
  rmSync(folder, { recursive: true, force: true });
  await Promise.all([judge.stop(), gateway.stop()]);
});

const run = (pairs: string, ...args: string[]) =>
  runCli(['judge', '--provider', 'judge', '--model', 'wise', '--pairs', pairs, '--max-cost', '5', ...args], {
    cwd: folder,
  });

it('says that a candidate is worse which loses more than it wins, and reports it where it is asked to', async () => {
  const { code, stdout } = await run('worse.jsonl', '--post', gateway.url);
  expect(stdout).toMatch(/^worse: of 60 pairs the candidate won 5, lost 40, 15 ties$/m);
  expect(stdout).toContain('120 outcomes reported');
  expect(stdout).toMatch(/^120 calls, 0\.\d+ USD$/m);
  expect(code).toBe(5);
  const [posted = []] = gateway.bodies.map(
    (body) => JSON.parse(body) as { request: string; value: number }[],
  );
  const valueFor = (token: string) => posted.find(({ request }) => request === token)?.value;
  expect(['token-c0', 'token-l0', 'token-c1', 'token-c2', 'token-l2'].map(valueFor)).toEqual([
    1, 0, 0.5, 0, 1,
  ]);
});

it('takes prose for no vote, says nothing where most of it is prose, and prints no text', async () => {
  judge.script = () => says('Both answers have their merits, but A is better.');
  const { code, stdout, stderr } = await run('even.jsonl');
  expect(stdout).toMatch(/^not evaluated: no pair was judged: 60 judgements unreadable$/m);
  expect(`${stdout}${stderr}`).not.toMatch(/question|answer \d|merits/);
  expect(code).toBe(5);
});

it('takes what a question may cost at most for what it did cost where nobody says: a token per byte', async () => {
  const message = { role: 'assistant', content: '{"better":"tie"}' };
  judge.script = () => ({ message, uncounted: true });
  const { stdout } = await run('long.jsonl');
  // 9,000 bytes and the rest of the question, and 1,000 tokens of an answer, twice.
  expect(Number(/^2 calls, (0\.\d+) USD$/m.exec(stdout)?.[1])).toBeGreaterThan(0.2);
});

it('counts questions that were never answered as paid, and stops at the cap', async () => {
  judge.script = () => 'silence';
  const { code, stdout } = await run('even.jsonl', '--max-cost', '0.05', '--timeout', '1');
  expect(stdout).toContain('59 pairs were left out: --max-cost would not have paid for them');
  expect(stdout).toMatch(/^2 calls, 0\.0[2-4]\d\d USD$/m);
  expect(code).toBe(5);
});

it('says in one error each what cannot be judged', async () => {
  const bad = await run('bad.jsonl');
  expect(bad).toMatchObject({
    code: 2,
    stderr: expect.stringMatching(/line 1: candidate: .*\n.*line 2: expected a JSON object/),
  });
  const unpriced = await run('even.jsonl', '--model', 'dear');
  expect(unpriced).toMatchObject({
    code: 2,
    stderr: expect.stringContaining('providers.judge.prices: expected a price of "dear"'),
  });
});
