import type { ParityReport } from '../../src/core/assessment/parity-report';
import { chatConfiguration, parityWorld, wellAnswered } from '../support/parity-fixture';
import { scriptedPair } from '../support/providers/scripted-pair';
import type { ScriptedAnswer, ScriptedRequest } from '../support/providers/scripted-provider';

const pair = scriptedPair(wellAnswered);

const asked = (field: string) => ({ role: 'user', content: 'explain 1', [field]: 'of the application' });
const golden = Array.from({ length: 3 }, (_, index) =>
  JSON.stringify({
    ...{ id: `told-${index}`, stratum: 'text' },
    messages: [
      asked('metadata'),
      { role: 'assistant', content: 'It is old.', reasoning_content: 'Hm.' },
      { role: 'user', content: `explain ${index}` },
    ],
  }),
).join('\n');

/** Refuses what has a field in it, as a provider that checks its messages. */
const refusing =
  (field: string) =>
  (request: ScriptedRequest): ScriptedAnswer =>
    JSON.stringify(request.body).includes(`"${field}"`)
      ? { status: 400, error: `unknown field ${field}` }
      : wellAnswered(request);

async function compared(parameters: object = {}): Promise<ParityReport> {
  const world = parityWorld(
    chatConfiguration(pair().legacy.url, pair().candidate.url, parameters),
    `${golden}\n`,
  );
  try {
    return await world.run({ concurrency: 1 });
  } finally {
    world.remove();
  }
}

it('names the rule that makes a refused conversation pass, tried once', async () => {
  pair().candidate.script = refusing('reasoning_content');
  const { notes, calls } = await compared();
  expect(notes[0]).toBe(
    'the candidate refuses conversations with what another provider added, and accepts them without "reasoning_content" (parameters: {history: {drop: [reasoning_content]}})',
  );
  expect(calls).toBe(3 * 3 + 1);
  expect(pair().candidate.bodies).toHaveLength(3 + 1);
});

it('names it for legacy too, and says nothing where the rule is there', async () => {
  pair().legacy.script = refusing('reasoning_content');
  expect((await compared()).notes[0]).toContain('(legacyParameters: {history: {drop: [reasoning_content]}})');
  pair().legacy.script = wellAnswered;
  pair().candidate.script = refusing('reasoning_content');
  const { notes } = await compared({ history: { drop: ['reasoning_content'] } });
  expect(notes.join()).not.toContain('history');
});

it.each([
  ['that is refused all the same', 'model'],
  ['that is refused for what a user has in it', 'metadata'],
])('names none for a conversation %s', async (_what, field) => {
  pair().candidate.script = refusing(field);
  expect((await compared()).notes.join()).not.toContain('history');
});
