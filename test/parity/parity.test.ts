import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { MeasureName, ParityProgress, ParityReport } from '../../src/core/assessment/parity-report';
import { seededRandom } from '../../src/core/rehearsal/rehearsal';
import {
  chatConfiguration,
  type GoldenKind,
  goldenLines,
  parityWorld,
  wellAnswered,
} from '../support/parity-fixture';
import { scriptedPair } from '../support/providers/scripted-pair';
import {
  calls,
  type ScriptedAnswer,
  type ScriptedRequest,
  says,
  startScriptedProvider,
} from '../support/providers/scripted-provider';

const EACH = 12;
const PROMPTS = 4 * EACH;

const pair = scriptedPair(wellAnswered);
let world: ReturnType<typeof parityWorld>;
let run = 0;

beforeAll(async () => {
  world = parityWorld(chatConfiguration(pair().legacy.url, pair().candidate.url), goldenLines(EACH));
});

beforeEach(() => {
  run += 1;
});

afterAll(async () => {
  world.remove();
});

const compared = (said = {}): Promise<ParityReport> => world.run(said, { answers: `answers-${run}` });

const failures = ({ measures, strata }: ParityReport) =>
  [...measures, ...strata.flatMap((stratum) => stratum.measures)]
    .filter(({ outcome }) => outcome === 'fail')
    .map(({ measure }) => measure);

it('passes a candidate that answers as legacy does, and finds nothing', async () => {
  const report = await compared();
  expect(report).toMatchObject({
    outcome: 'pass',
    prompts: { given: PROMPTS, compared: PROMPTS, skipped: 0 },
    calls: 3 * PROMPTS,
    differing: [],
  });
  expect(report.sentence).toContain('100% against 100% of legacy itself');
  expect(report.measures.map(({ loss }) => Math.abs(loss))).toEqual(report.measures.map(() => 0));
  expect(report.tokens?.input).toEqual({ ratio: 1, least: 1, most: 1 });
  expect(report.measures.find(({ f1 }) => f1 !== undefined)?.f1).toMatchObject({ self: 1, candidate: 1 });
  expect({ legacy: pair().legacy.bodies.length, candidate: pair().candidate.bodies.length }).toEqual({
    legacy: 2 * PROMPTS,
    candidate: PROMPTS,
  });
});

it('asks with temperature 0 and one seed, and names the model as each side does', async () => {
  await compared();
  const bodies = [...pair().legacy.bodies, ...pair().candidate.bodies].map((body) => JSON.parse(body));
  for (const body of bodies.filter(({ messages }) => messages !== undefined)) {
    expect(body).toMatchObject({ temperature: 0, seed: 1 });
  }
  expect(new Set(bodies.map(({ model }) => model))).toEqual(new Set(['gpt-4o', 'large']));
});

/** Answers another way where a request is of a kind. */
function instead(
  isOfKind: (request: ScriptedRequest) => boolean,
  other: (request: ScriptedRequest) => ScriptedAnswer,
): (request: ScriptedRequest) => ScriptedAnswer {
  return (request) => (isOfKind(request) ? other(request) : wellAnswered(request));
}

const forTools = ({ body }: ScriptedRequest) => body['tools'] !== undefined;
const forJson = ({ body }: ScriptedRequest) => body['response_format'] !== undefined;
const forText = ({ said }: ScriptedRequest) => said.startsWith('explain');
const forVectors = ({ body }: ScriptedRequest) => body['input'] !== undefined;

function kindOf(measure: MeasureName): GoldenKind {
  if (measure.startsWith('tool')) return 'tools';
  if (measure.startsWith('json') || measure === 'answered') return 'json';
  return measure === 'embedding' ? 'embeddings' : 'text';
}

it.each<[MeasureName, string, (request: ScriptedRequest) => ScriptedAnswer]>([
  ['tool trigger', 'calls no tool', instead(forTools, () => says('I would look that up if I could see it.'))],
  ['tool trigger', 'calls another tool', instead(forTools, ({ said }) => calls('search', { key: said }))],
  [
    'tool arguments',
    'calls with other arguments',
    instead(forTools, () => calls('lookup', { key: 'other' })),
  ],
  [
    'tool schema',
    'breaks the schema of a tool',
    instead(forTools, () => calls('lookup', { key: 1, limit: 'x' })),
  ],
  ['tool schema', 'calls with broken JSON', instead(forTools, () => calls('lookup', '{"key":'))],
  ['json', 'wraps JSON in a fence', instead(forJson, () => says('```json\n{"name":"n","count":1}\n```'))],
  ['json schema', 'leaves a field out', instead(forJson, () => says('{"name":"n1"}'))],
  ['json fields', 'gets the fields wrong', instead(forJson, () => says('{"name":"wrong","count":-1}'))],
  ['refusal', 'refuses', instead(forText, () => says("I'm sorry, but I can't help with that."))],
  ['truncation', 'is cut short', instead(forText, () => says('It is said of', 'length'))],
  [
    'language',
    'answers in another language',
    instead(forText, () =>
      says('Man sagt, dass es mit Sorgfalt gebaut wurde und dass die Leute, die es sehen, froh sind.'),
    ),
  ],
  [
    'similarity',
    'says something else',
    instead(forText, ({ number }) => says(`${'zyx wvu tsr qpo '.repeat(9)}${number}`)),
  ],
  ['length', 'says far less', instead(forText, () => says('It was built with care.'))],
  ['answered', 'refuses requests', instead(forJson, () => ({ status: 400, error: 'response_format' }))],
  ['embedding', 'embeds otherwise', instead(forVectors, () => ({ vectors: [[-1, 2, 5, 9]] }))],
  ['embedding', 'embeds in another dimension', instead(forVectors, () => ({ vectors: [[1, 0]] }))],
])('finds in %s that the candidate %s', async (measure, _, script) => {
  pair().candidate.script = script;
  const alone = parityWorld(
    chatConfiguration(pair().legacy.url, pair().candidate.url),
    goldenLines(EACH, [kindOf(measure)]),
  );
  const report = await alone.run();
  alone.remove();
  expect(report.outcome).toBe('fail');
  expect(failures(report)).toContain(measure);
  expect(report.differing.length).toBeGreaterThan(0);
});

it('knows legacy’s own noise, and holds it against nobody', async () => {
  const random = seededRandom(3);
  const noisy = instead(
    (request) => forText(request) && random() < 0.3,
    () => says("I'm sorry, but I can't help with that."),
  );
  pair().legacy.script = noisy;
  pair().candidate.script = noisy;
  const report = await compared();
  expect(failures(report)).toEqual([]);
  expect(report.measures.find(({ measure }) => measure === 'refusal')?.self).toBeLessThan(1);
});

it('leaves out what legacy itself does not answer, and passes nothing on too little', async () => {
  pair().legacy.script = instead(forText, () => ({ status: 400 }));
  const report = await compared();
  expect(report).toMatchObject({ outcome: 'inconclusive', prompts: { compared: 3 * EACH, skipped: EACH } });
  expect(report.sentence).toContain(`legacy itself left ${EACH} of ${PROMPTS} prompts unanswered`);
});

it('asks for more prompts than there are', async () => {
  const report = await compared({ minimumPrompts: PROMPTS + 1 });
  expect(report).toMatchObject({
    outcome: 'inconclusive',
    sentence: `${PROMPTS} prompts compared, at least ${PROMPTS + 1} needed`,
  });
});

it('drops or renames our own parameters that a provider refuses, and nothing of the prompt', async () => {
  pair().candidate.script = (request) => {
    for (const name of ['seed', 'temperature']) {
      if (name in request.body) return { status: 400, error: `Unsupported parameter: ${name}` };
    }
    return 'max_tokens' in request.body
      ? { status: 400, error: "'max_tokens' is not supported: use 'max_completion_tokens'" }
      : wellAnswered(request);
  };
  expect(await compared()).toMatchObject({ outcome: 'pass' });
  const answered = pair()
    .candidate.bodies.map((body) => JSON.parse(body))
    .filter((body) => 'max_completion_tokens' in body);
  expect(answered.at(-1)).toMatchObject({
    max_completion_tokens: expect.any(Number),
    messages: expect.any(Array),
  });
});

it('spends no more than it may, and says what it left out', async () => {
  const report = await compared({ maxCostUsd: 0.1, concurrency: 1 });
  expect(report.outcome).toBe('inconclusive');
  expect(report.costUsd).toBeLessThanOrEqual(0.5);
  expect(report.calls).toBeGreaterThan(0);
  expect(report.sentence).toMatch(/of 48 prompts compared: stopped at 0\.\d+ of 0\.1 USD/);
});

it('pays for no answer twice when it goes on, and asks again only for what failed in passing', async () => {
  await compared({ maxCostUsd: 0.1, concurrency: 1 });
  const paid = pair().legacy.bodies.length + pair().candidate.bodies.length;
  const report = await compared();
  expect(report).toMatchObject({ outcome: 'pass', calls: 3 * PROMPTS });
  expect(pair().legacy.bodies.length + pair().candidate.bodies.length).toBe(3 * PROMPTS);
  expect(paid).toBeGreaterThan(0);
  await compared();
  expect(pair().legacy.bodies.length + pair().candidate.bodies.length).toBe(3 * PROMPTS);
});

it('goes on where another machine stopped, from what its heartbeat said', async () => {
  const heard: ParityProgress[] = [];
  await world.run(
    { maxCostUsd: 0.1, concurrency: 1 },
    { answers: `a-${run}`, report: (next) => heard.push(next) },
  );
  const last = heard.at(-1);
  if (last === undefined) throw new Error('expected a report');
  const before = pair().legacy.bodies.length + pair().candidate.bodies.length;
  const report = await world.run({}, { answers: `b-${run}`, standing: last });
  expect(report).toMatchObject({ outcome: 'pass', prompts: { compared: PROMPTS } });
  const done = heard.length;
  expect(pair().legacy.bodies.length + pair().candidate.bodies.length - before).toBe(3 * (PROMPTS - done));
  expect(JSON.stringify(last).length).toBeLessThan(8_000);
});

it('does not take the answers of another provider for those of this one', async () => {
  await compared();
  const other = await startScriptedProvider(wellAnswered);
  const moved = parityWorld(chatConfiguration(pair().legacy.url, other.url), goldenLines(EACH));
  await moved.run({}, { answers: join(world.directory, `answers-${run}`) });
  expect({ legacy: pair().legacy.bodies.length, other: other.bodies.length }).toEqual({
    legacy: 2 * PROMPTS,
    other: PROMPTS,
  });
  moved.remove();
  await other.stop();
});

it('asks legacy again when the rules for legacy have changed, and the candidate not', async () => {
  await compared();
  const rules = { set: { chat_template_kwargs: { thinking: false } } };
  const changed = parityWorld(
    chatConfiguration(pair().legacy.url, pair().candidate.url, {}, rules),
    goldenLines(EACH),
  );
  await changed.run({}, { answers: join(world.directory, `answers-${run}`) });
  expect({ legacy: pair().legacy.bodies.length, candidate: pair().candidate.bodies.length }).toEqual({
    legacy: 4 * PROMPTS,
    candidate: PROMPTS,
  });
  expect(
    pair().legacy.bodies.filter((body) => body.includes('"chat_template_kwargs":{"thinking":false}')),
  ).toHaveLength(2 * PROMPTS);
  changed.remove();
});

it('keeps answers in its file, and numbers and digests everywhere else', async () => {
  const heard: unknown[] = [];
  const report = await world.run(
    {},
    { answers: `answers-${run}`, report: (standing) => heard.push(standing) },
  );
  const file = readFileSync(join(world.directory, `answers-${run}`, 'chat.jsonl'), 'utf8');
  expect(file).toContain('built with care');
  expect(JSON.stringify([report, heard.at(-1)])).not.toContain('built with care');
  expect(report.digests.answers).toMatch(/^[0-9a-f]{64}$/);
});

it('tells a provider that is not there from one that answers badly', async () => {
  const gone = await startScriptedProvider(wellAnswered);
  await gone.stop();
  const elsewhere = parityWorld(chatConfiguration(pair().legacy.url, gone.url), goldenLines(1));
  const report = await elsewhere.run({ minimumPrompts: 1, concurrency: 1 });
  expect(report.outcome).toBe('inconclusive');
  expect(report.sentence).toContain('candidate cannot be used (connect');
  elsewhere.remove();
}, 30_000);
