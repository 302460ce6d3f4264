import { verifyMessage } from '../../../src/core/effects/webhook-signature';
import { effectContext, effectTargets, NEVER, ON_LOOPBACK } from '../../support/effect-trial';
import { type EffectReceiver, startEffectReceiver } from '../../support/servers/effect-receiver';

const SECRET = 'a secret of more than sixteen bytes';

let receiver: EffectReceiver;
let answers: readonly (readonly [status: number, body: string])[];

beforeEach(async () => {
  receiver = await startEffectReceiver((_request, response, count) => {
    const [status, body] = answers[Math.min(count, answers.length) - 1] ?? [200, ''];
    response.writeHead(status).end(body);
  });
});

afterEach(() => receiver.stop());

function ask(fields: object, signal = NEVER, askedMs = 0) {
  const board = {
    ...{ type: 'confirm', url: `${receiver.url}/ask`, secret: 'env:SECRET' },
    ...{ interval: '100ms', timeout: '30s', ...ON_LOOPBACK, ...fields },
  };
  return effectTargets({ board }, { 'env:SECRET': SECRET }).confirm(
    { name: 'board', key: 'k', context: effectContext(), askedMs },
    signal,
  );
}

it.each([
  ['yes', 'yes'],
  ['no', 'no'],
])('takes %s for an answer, with what is said beside it', async (said, answer) => {
  answers = [[200, JSON.stringify({ answer: said, note: 'CAB-7' })]];
  expect(await ask({})).toEqual({ answer, note: 'CAB-7' });
  const [question] = receiver.received;
  if (question === undefined) throw new Error('expected a question');
  expect(verifyMessage([SECRET], question, Date.now())).toEqual({ ok: true, id: 'k' });
  expect(JSON.parse(question.body)).toMatchObject({
    question: expect.any(String),
    stage: 'canary',
    share: 0.1,
  });
});

it('asks again, with the same key, while it is told to wait or hears an error', async () => {
  answers = [
    [500, 'starting'],
    [200, '<html>yes</html>'],
    [200, '{"answer":"wait"}'],
    [200, '{"answer":"yes"}'],
  ];
  expect(await ask({})).toEqual({ answer: 'yes', note: '' });
  expect(receiver.received.map(({ headers }) => headers['webhook-id'])).toEqual(['k', 'k', 'k', 'k']);
});

it.each([
  ['hold', 'no answer'],
  ['yes', 'yes'],
  ['no', 'no'],
])('falls back to the default %s when the time is over', async (byDefault, answer) => {
  answers = [[302, '']];
  expect(await ask({ default: byDefault, timeout: '150ms' })).toEqual({
    answer,
    note: expect.stringMatching(
      // What the last question came to depends on how much of the time was left for it.
      new RegExp(`^no answer within 0.15 s, so the default \\(${byDefault}\\) counts; `),
    ),
  });
});

it('counts the time for which it was asked before', async () => {
  answers = [[200, '{"answer":"wait"}']];
  const asked = await ask({ timeout: '1h' }, NEVER, 3_600_000);
  expect(asked).toMatchObject({ answer: 'no answer', note: expect.stringContaining('within 3600 s') });
  expect(receiver.received).toHaveLength(1);
});

it('hears what was decided meanwhile, however little of its time is left', async () => {
  answers = [[200, '{"answer":"no"}']];
  expect(await ask({ timeout: '1h', default: 'yes' }, NEVER, 3_600_000)).toMatchObject({ answer: 'no' });
});

it.each(['true', '{"answer":true}', '{"answer":"YES"}', '[]', 'yes'])(
  'takes %s for no answer',
  async (body) => {
    answers = [[200, body]];
    expect(await ask({ timeout: '100ms' })).toMatchObject({ answer: 'no answer' });
  },
);

it('stops asking when it is told to', async () => {
  answers = [[200, '{"answer":"wait"}']];
  const stop = new AbortController();
  const asked = ask({ interval: '1h', timeout: '2h' }, stop.signal);
  while (receiver.received.length === 0) await new Promise((resolve) => setTimeout(resolve, 10));
  stop.abort();
  await expect(asked).rejects.toThrow();
});
