import { gatewayTrial } from '../../support/gateways/gateway-trial';
import { MAPPED_MODEL, MODEL, type TestGateway } from '../../support/gateways/running-gateway';
import { status, well } from '../../support/providers/fault-provider';

const trial = gatewayTrial();
const { legacy, candidate } = trial;
let gateway: TestGateway;

beforeAll(async () => {
  gateway = await trial.start();
});

async function send(body: string): Promise<Response> {
  const answer = await fetch(`${gateway.dataUrl}/v1/chat/completions`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body,
  });
  await answer.arrayBuffer();
  return answer;
}

/** What parsing and printing would change. */
const ODD = `"n": 9007199254740993,"big":9223372036854775807,"f":1.0,"g":1e400,"s":"\\u00e9\\/\\ud83d\\ude00",
  "metadata":{"model":"deep","model":"deeper"},"10":1,"9":2,"x":1,"x":2`;

it('reaches the candidate with the bytes that came, but for the name of its model', async () => {
  await gateway.route(1);
  const answer = await send(`{${ODD},"mod\\u0065l":"${MODEL}"}`);
  expect(answer.headers.get('x-cutover-provider')).toBe('new');
  expect(candidate.bodies.at(-1)).toBe(`{${ODD},"mod\\u0065l":"${MAPPED_MODEL}"}`);
});

it('reaches legacy with the bytes that came, also as a stream that the candidate failed', async () => {
  candidate.fault = status(503);
  const body = `{"model":"${MODEL}","stream":true,"stream_options":{"a":1.0},${ODD}}`;
  await send(body);
  expect(legacy.bodies.at(-1)).toBe(body.replace('1.0}', '1.0,"include_usage":true}'));
  await send(body.replace('"stream":true', '"stream":false'));
  expect(legacy.bodies.at(-1)).toBe(body.replace('"stream":true', '"stream":false'));
});

it('reaches both providers whole when it is too long to be copied', async () => {
  candidate.fault = status(503);
  const body = `{"messages":["${'é'.repeat(1_000_000)}"],"model":"${MODEL}"}`;
  const answer = await send(body);
  expect(answer.status).toBe(200);
  expect(candidate.bodies.at(-1) === body.replace(MODEL, MAPPED_MODEL)).toBe(true);
  expect(legacy.bodies.at(-1) === body).toBe(true);
});

it('is answered as well when a provider refuses a long one before it has all of it', async () => {
  candidate.fault = status(401);
  const answer = await send(JSON.stringify({ model: MODEL, messages: ['x'.repeat(2_000_000)] }));
  expect(answer.status).toBe(200);
  expect(answer.headers.get('x-cutover-failover')).toBe('status_auth');
});

it('nested thousands deep is legacy’s alone, and ends nothing when legacy refuses the usage option', async () => {
  const errors: unknown[] = [];
  const heard = (error: unknown) => errors.push(error);
  process.on('uncaughtException', heard);
  legacy.fault = ({ response }) => {
    response.writeHead(400, { 'content-type': 'application/json' });
    response.end('{"error":{"message":"unknown field stream_options"}}');
  };
  await gateway.route(0, { shadow: 1 });
  const deep = `${'['.repeat(20_000)}${']'.repeat(20_000)}`;
  const body = `{"model":"${MODEL}","stream":true,"messages":${deep},"stream_options":{"a":1}}`;
  const asked = candidate.bodies.length;
  expect((await send(body)).status).toBe(400);
  expect(legacy.bodies.at(-1)).toBe(body);
  legacy.fault = well;
  expect((await send(body)).status).toBe(200);
  expect(legacy.bodies.at(-1)).toBe(body);
  process.off('uncaughtException', heard);
  expect(errors).toEqual([]);
  expect(candidate.bodies.length).toBe(asked);
});
