import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { MockActivityEnvironment } from '@temporalio/testing';
import { createCheckIdentity } from '../../src/activities/identity/check-identity';
import { startIdentityWatch } from '../../src/activities/identity/watch-identity';
import { createIdentity } from '../../src/adapters/identity-files';
import type { WatchStageInput } from '../../src/contract';
import type { IdentityFindings } from '../../src/core/assessment/identity-findings';
import { judgeServedModel } from '../../src/core/gates/judge-served-model';
import type { IdentityKnowledge } from '../../src/core/identity/identity-audit';
import { FIXED_TEXTS } from '../../src/core/identity/identity-questions';
import { referenceDigest, referenceFile } from '../../src/core/identity/identity-reference-schema';
import { seededRandom } from '../../src/core/rehearsal/rehearsal';
import { type DemoProvider, startProvider } from '../../src/demo/provider';
import type { Ports } from '../../src/ports';
import { chatConfiguration } from '../support/parity-fixture';
import { referenceOf, simulatedModel } from '../support/providers/sold-model';

const DECLARED = `sha256:${'d'.repeat(64)}`;
/** What the provider of the demo would have been enrolled with, as far as its tokens go. */
const random = seededRandom(1);
const MODEL = {
  ...simulatedModel(random),
  tokens: FIXED_TEXTS.map((text) => Math.ceil(Buffer.byteLength(text) / 4)),
};

let candidate: DemoProvider;
let folder: string;

beforeAll(async () => {
  const behaviour = { latencyMs: 0, tokenMs: 0, model: { bytesPerToken: 4, seed: 1 } };
  candidate = await startProvider({ name: 'candidate', models: ['large'], behaviour });
  folder = mkdtempSync(join(tmpdir(), 'cutover-identity-'));
  const { digest: _, ...content } = { ...referenceOf(MODEL, random), declared: DECLARED };
  writeFileSync(join(folder, 'sold.json'), referenceFile({ ...content, digest: referenceDigest(content) }));
  writeFileSync(join(folder, 'cut.json'), '{"identityReference":1,');
});

afterAll(async () => {
  rmSync(folder, { recursive: true, force: true });
  await candidate.stop();
});

function check(reference: string, said: object = {}): Promise<IdentityFindings> {
  const configuration = chatConfiguration(candidate.url, candidate.url);
  const identity = createIdentity({ configuration, resolveSecret: () => '' }, folder);
  const run = createCheckIdentity({ identity } as unknown as Ports);
  const plan = { reference, alpha: 0.01, perHour: 20, ...said };
  const input = { route: 'chat', identity: plan, timeoutMs: 5_000 };
  return new MockActivityEnvironment().run(run, input) as Promise<IdentityFindings>;
}

it('asks a person to accept what differs, and holds later changes against what was seen', async () => {
  const { findings, standing } = await check('sold.json');
  const kinds = findings.map(({ kind }) => kind);
  // The same tokens and other words: this provider has favourites of its own.
  expect(kinds).toEqual(['approval', 'warning']);
  expect(findings[0]?.text).toMatch(
    /^identity: 27 answers are distributed differently from those of the reference/,
  );
  expect(standing).toMatchObject<Partial<IdentityKnowledge>>({
    ...{
      turns: 27,
      answered: 27,
      learning: false,
      events: [],
      models: ['large'],
      fingerprints: ['(none)'],
    },
    tokens: MODEL.tokens.map((count) => count + 7),
  });
});

it.each([
  [
    'cut.json',
    {},
    /^identity: not known, .*cut\.json is not valid: expected a reference .* it may be cut short$/,
  ],
  [
    'gone.json',
    {},
    /gone\.json is not valid: cannot be read: there is no such file; `cutover identity enrol` writes one$/,
  ],
  [
    'sold.json',
    { declared: `sha256:${'e'.repeat(64)}` },
    /identity\.declared: expected a reference of the declared sha256:e{64}, got one of sha256:d{64}$/,
  ],
])('holds the stage by one sentence where %s cannot be used %j', async (reference, said, text) => {
  const { findings, standing } = await check(reference, said);
  expect(findings).toEqual([{ kind: 'doubt', text: expect.stringMatching(text) }]);
  expect(standing).toBeNull();
});

it('holds the stage where nothing is answered', async () => {
  candidate.behaviour.failureRatio = 1;
  const { findings } = await check('sold.json');
  expect(findings).toEqual([
    { kind: 'doubt', text: 'identity: not known, it does not answer: status_5xx (status 500)' },
  ]);
  candidate.behaviour.failureRatio = 0;
});

/** The first sleeps of a watch that begins with this standing, and what it knows after them. */
async function watched(reference: string, start: IdentityKnowledge) {
  const configuration = chatConfiguration(candidate.url, candidate.url);
  const identity = createIdentity({ configuration, resolveSecret: () => '' }, folder);
  const slept: number[] = [];
  const clock = {
    sleep: (ms: number) => {
      slept.push(ms);
      return slept.length < 3 ? Promise.resolve() : new Promise<void>(() => undefined);
    },
  };
  const plan = { reference, alpha: 0.01, perHour: 20 };
  const input = { route: 'chat', servedModel: { plan, standing: start }, probePlan: { timeoutMs: 5_000 } };
  const watch = startIdentityWatch(
    { identity, clock } as unknown as Ports,
    input as unknown as WatchStageInput,
    new AbortController().signal,
    start,
  );
  while (slept.length < 3) await new Promise((resolve) => setTimeout(resolve, 5));
  watch.stop();
  return { slept, standing: watch.current() as IdentityKnowledge };
}

it('goes on in the rhythm of the window before, and compares with no other file than that', async () => {
  const { standing: assessed } = await check('sold.json');
  const start = { ...(assessed as IdentityKnowledge), askedAtMs: Date.now() - 60_000 };
  const { slept, standing } = await watched('sold.json', start);
  expect(Math.round((slept[0] ?? 0) / 10_000)).toBe(12);
  expect(standing.turns).toBe(start.turns + 2);
  const { digest: _, ...content } = referenceOf(simulatedModel(random), random);
  writeFileSync(join(folder, 'sold.json'), referenceFile({ ...content, digest: referenceDigest(content) }));
  const exchanged = await watched('sold.json', start);
  expect(exchanged.standing.turns).toBe(start.turns);
  expect(judgeServedModel({ standing: exchanged.standing, alpha: 0.01 })).toMatchObject({
    outcome: 'not evaluated',
    sentence: expect.stringMatching(
      /^identity: not known, the reference is another one than before: expected sha256:/,
    ),
  });
});
