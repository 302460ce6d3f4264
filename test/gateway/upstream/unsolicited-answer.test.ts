import { setTimeout as sleep } from 'node:timers/promises';
import { MODEL, startTestGateway, type TestGateway } from '../../support/gateways/running-gateway';
import { type Fault, type FaultProvider, startFaultProvider } from '../../support/providers/fault-provider';

const answerTo = (text: string) =>
  JSON.stringify({
    id: 'c1',
    object: 'chat.completion',
    choices: [{ index: 0, message: { role: 'assistant', content: text }, finish_reason: 'stop' }],
  });
const UNASKED_BODY = answerTo('meant for nobody');
const UNASKED = `HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: ${UNASKED_BODY.length}\r\n\r\n${UNASKED_BODY}`;

let provider: FaultProvider;
let other: FaultProvider;
let gateway: TestGateway;

/** Answers with the user that was asked for, and then once more without having been asked. */
const answeringTwice =
  (when: 'with the answer' | 'when idle'): Fault =>
  ({ response, socket }) => {
    const { user } = JSON.parse(provider.bodies.at(-1) ?? '') as { user: string };
    const body = answerTo(user);
    const head = `HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: ${body.length}\r\n\r\n`;
    if (when === 'with the answer') socket.write(head + body + UNASKED);
    else socket.write(head + body, () => setTimeout(() => socket.write(UNASKED), 5));
    response.on('close', () => undefined);
  };

beforeAll(async () => {
  provider = await startFaultProvider(answeringTwice('when idle'));
  other = await startFaultProvider(answeringTwice('when idle'));
  gateway = await startTestGateway({ legacyUrl: provider.url, candidateUrl: other.url });
});

afterAll(async () => {
  await gateway.stop();
  await provider.stop();
  await other.stop();
});

it.each(['with the answer', 'when idle'] as const)(
  'an answer that nobody asked for, sent %s, reaches no caller',
  async (when) => {
    provider.fault = answeringTwice(when);
    for (let user = 0; user < 10; user += 1) {
      const { choices } = await gateway.client().chat.completions.create({
        ...{ model: MODEL, user: `user-${user}` },
        messages: [{ role: 'user', content: 'Who am I?' }],
      });
      expect(choices[0]?.message.content).toBe(`user-${user}`);
      await sleep(20);
    }
  },
);
