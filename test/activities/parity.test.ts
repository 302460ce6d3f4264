import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { MockActivityEnvironment } from '@temporalio/testing';
import { createCheckParity } from '../../src/activities/parity';
import { systemClock } from '../../src/adapters/system-clock';
import type { CheckParityInput, ParityResult } from '../../src/contract';
import type { ParityProgress } from '../../src/core/assessment/parity-report';
import type { ParityPlan } from '../../src/core/plan/plan';
import { planSchema } from '../../src/core/plan/plan-schema';
import type { Ports } from '../../src/ports';
import { chatConfiguration, goldenLines, parityWorld, wellAnswered } from '../support/parity-fixture';
import { scriptedPair } from '../support/providers/scripted-pair';
import { says } from '../support/providers/scripted-provider';

const EACH = 10;
const PROMPTS = 4 * EACH;

const pair = scriptedPair(wellAnswered);
let world: ReturnType<typeof parityWorld>;

beforeAll(async () => {
  world = parityWorld(chatConfiguration(pair().legacy.url, pair().candidate.url), goldenLines(EACH));
});

afterAll(async () => {
  world.remove();
});

const plan = (said: object = {}): ParityPlan => {
  const { parity } = planSchema.parse({ route: 'chat', parity: { golden: 'golden.jsonl', ...said } });
  if (parity === undefined) throw new Error('expected a plan for parity');
  return parity;
};

function activity(answers: string, environment = new MockActivityEnvironment()) {
  const check = createCheckParity({
    parity: world.portFor(answers),
    clock: systemClock,
  } as unknown as Ports);
  return (parity: ParityPlan): Promise<ParityResult> =>
    environment.run(check, { route: 'chat', parity } satisfies CheckParityInput) as Promise<ParityResult>;
}

it('returns no finding that holds for a candidate that answers as legacy does, and little to history', async () => {
  const { findings, report } = await activity('pass')(plan());
  expect(findings.filter(({ kind }) => kind !== 'warning')).toEqual([]);
  expect(report).toMatchObject({ outcome: 'pass', prompts: { compared: PROMPTS } });
  expect(JSON.stringify({ findings, report }).length).toBeLessThan(8_000);
});

it('asks a person where the candidate differs', async () => {
  pair().candidate.script = (request) =>
    request.body['response_format'] === undefined ? wellAnswered(request) : says('{"name":');
  const { findings, report } = await activity('fail')(plan());
  expect(findings).toEqual([
    expect.objectContaining({ kind: 'approval', item: 'parity', text: expect.stringContaining('parity: ') }),
  ]);
  expect(JSON.stringify({ findings, report }).length).toBeLessThan(8_000);
});

it('asks anew when it is looked at again after it was judged, and not after it was stopped', async () => {
  const sent = () => pair().legacy.bodies.length + pair().candidate.bodies.length;
  const before = sent();
  const stopped = await activity('again')(plan({ maxCostUsd: 0.1, concurrency: 1 }));
  expect(stopped.findings).toEqual([expect.objectContaining({ kind: 'doubt' })]);
  const paid = sent() - before;
  await activity('again')(plan({ maxCostUsd: 0.1, concurrency: 1 }));
  // The answers of the first look count against the cap of the second: a held stage spends it once.
  expect(sent() - before).toBe(paid);
  await activity('again')(plan());
  expect(sent() - before).toBe(3 * PROMPTS);
  await activity('again')(plan());
  expect(sent() - before).toBe(6 * PROMPTS);
});

it('holds while a price is missing that the cap needs, or the prompts cannot be read', async () => {
  const unread = await activity('unread')(plan({ golden: 'absent.jsonl' }));
  expect(unread).toMatchObject({ findings: [{ kind: 'doubt' }], report: null });
  expect(unread.findings[0]?.text).toMatch(
    /^parity could not be checked: .*absent.jsonl.*there is no such file/,
  );
  writeFileSync(join(world.directory, 'broken.jsonl'), '{"id":"one","compare":["vibes"]}\n');
  const broken = await activity('broken')(plan({ golden: 'broken.jsonl' }));
  expect(broken.findings[0]?.text).toContain('line 1: ');
});

it('goes on after a crash with what the heartbeat and the file hold', async () => {
  const beats: ParityProgress[] = [];
  const first = new MockActivityEnvironment();
  first.on('heartbeat', (details: ParityProgress | null) => {
    if (details !== null) beats.push(details);
  });
  let answered = 0;
  pair().candidate.script = (request) => {
    answered += 1;
    if (answered === 8) first.cancel();
    return wellAnswered(request);
  };
  await expect(activity('crash', first)(plan({ concurrency: 1 }))).rejects.toThrow();
  const before = { legacy: pair().legacy.bodies.length, candidate: pair().candidate.bodies.length };
  const last = beats.at(-1);
  const second = new MockActivityEnvironment(last === undefined ? {} : { heartbeatDetails: last });
  expect((await activity('crash', second)(plan())).report).toMatchObject({
    outcome: 'pass',
    calls: 3 * PROMPTS,
  });
  const sent =
    pair().legacy.bodies.length - before.legacy + pair().candidate.bodies.length - before.candidate;
  // Seven prompts whole, and of the eighth what was under way when the activity was cancelled.
  expect(sent).toBeLessThanOrEqual(3 * (PROMPTS - 7));
  expect(sent).toBeGreaterThanOrEqual(3 * (PROMPTS - 8));
});
