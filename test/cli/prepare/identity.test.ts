import { readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type DemoProvider, startProvider } from '../../../src/demo/provider';
import { runCli } from '../../support/cli';
import { folderWith } from '../../support/migrations/migration-fixture';
import { type ScriptedProvider, startScriptedProvider } from '../../support/providers/scripted-provider';

const SOLD = { bytesPerToken: 4, seed: 1 };
const FAST = { latencyMs: 0, tokenMs: 0, model: SOLD };

let original: DemoProvider;
let relay: DemoProvider;
let odd: ScriptedProvider;
let folder: string;

beforeAll(async () => {
  original = await startProvider({ name: 'original', models: ['large'], behaviour: FAST });
  relay = await startProvider({ name: 'relay', models: ['vendor/large'], behaviour: FAST });
  odd = await startScriptedProvider(() => ({ status: 400, error: "'temperature' is not supported" }));
  folder = folderWith({
    'cutover.yaml': JSON.stringify({
      providers: {
        original: { baseUrl: original.url },
        relay: { baseUrl: relay.url },
        odd: { baseUrl: odd.url },
      },
      routes: { chat: { legacy: 'original', candidate: 'relay', models: { large: 'vendor/large' } } },
    }),
  });
  const enrolled = await identity(
    'enrol',
    '--provider',
    'original',
    '--model',
    'large',
    '--samples',
    '30',
    '--concurrency',
    '16',
  );
  expect(enrolled).toMatchObject({
    code: 0,
    stdout: expect.stringMatching(
      /^identity.json: large of original, 144 answers to compare with, sha256:[0-9a-f]{12}\n$/,
    ),
  });
});

afterAll(async () => {
  rmSync(folder, { recursive: true, force: true });
  await Promise.all([original.stop(), relay.stop(), odd.stop()]);
});

const identity = (...args: string[]) => runCli(['identity', ...args], { cwd: folder });
const audit = (...args: string[]) =>
  identity('audit', '--route', 'chat', '--reference', 'identity.json', ...args);

it('finds the same model at a relay, by requests that do not say what they are for', async () => {
  // Answers are drawn: at this alpha a false alarm takes a million runs.
  const { code, stdout } = await audit('--alpha', '0.000001');
  expect(stdout).toMatch(
    /^same: identity: 60 answers like those of the reference, e-value .*; a model that differs in fewer than about \d+% of its answers may go unseen$/m,
  );
  expect(code).toBe(0);
  expect(relay.requests.length).toBeGreaterThan(0);
  for (const { headers } of relay.requests.filter(({ method }) => method === 'POST')) {
    expect(Object.keys(headers).filter((name) => name.startsWith('x-cutover'))).toEqual([]);
  }
});

it('flags another tokenizer within five questions, and another model by its answers', async () => {
  relay.behaviour.model = { ...SOLD, bytesPerToken: 3.5 };
  const recounted = JSON.parse((await audit('--json')).stdout);
  expect(recounted).toMatchObject({
    outcome: 'differs',
    differences: [
      expect.stringMatching(
        /^another tokenizer than the reference: fixed text \d has \d+ tokens, \d+ expected/,
      ),
    ],
  });
  expect(recounted.asked).toBeLessThanOrEqual(5);
  relay.behaviour.model = { ...SOLD, seed: 2 };
  const { code, stdout } = await audit('--probes', '400');
  expect(stdout.match(/^(?:same|differs|not seen): .*$/gm)).toHaveLength(1);
  expect(stdout).toMatch(
    /^differs: identity: \d+ answers are distributed differently from those of the reference, e-value .* of 100 needed$/m,
  );
  expect(code).toBe(5);
  relay.behaviour.model = SOLD;
});

it('says in one line what a provider does not give', async () => {
  const enrol = await identity('enrol', '--provider', 'odd', '--model', 'm', '--out', 'odd.json');
  expect(enrol.stderr).toMatch(
    /odd cannot be enrolled: temperature 1 is refused \(status_4xx \(status 400\)\), so the distribution of answers cannot be compared\n$/,
  );
  odd.script = () => ({ message: { role: 'assistant', content: 'Blue' }, uncounted: true });
  const uncounted = await identity(
    'audit',
    '--provider',
    'odd',
    '--model',
    'm',
    '--reference',
    'identity.json',
  );
  expect(uncounted.stdout).toContain(
    'not evaluated: identity: not known, answers report no usage.prompt_tokens, so token counts cannot be compared',
  );
  expect([enrol.code, uncounted.code]).toEqual([5, 5]);
});

it('refuses a reference that is cut short and a question without an addressee', async () => {
  writeFileSync(join(folder, 'cut.json'), readFileSync(join(folder, 'identity.json'), 'utf8').slice(0, 200));
  const cut = await identity('audit', '--route', 'chat', '--reference', 'cut.json');
  expect(cut).toMatchObject({ code: 2, stderr: expect.stringContaining('it may be cut short') });
  const nobody = await identity('audit', '--reference', 'identity.json', '--provider', 'relay');
  expect(nobody).toMatchObject({
    code: 2,
    stderr: expect.stringContaining('expected --route, or --provider with --model'),
  });
});
