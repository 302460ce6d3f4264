import { gatewayTrial } from '../../support/gateways/gateway-trial';
import type { TestGateway } from '../../support/gateways/running-gateway';
import { plain } from '../../support/providers/fault-provider';

const VECTORS = plain('{"object":"list","data":[{"object":"embedding","index":0,"embedding":[0.5]}]}');
const MODEL = 'text-embedding-3-small';

const trial = gatewayTrial(VECTORS);
const { legacy } = trial;
let gateway: TestGateway;

beforeAll(async () => {
  gateway = await trial.start({ settings: { maxBufferedBytes: 1024 } });
});

async function embed(
  body: string | Buffer<ArrayBuffer>,
  headers: Record<string, string> = {},
): Promise<Response> {
  const answer = await fetch(`${gateway.dataUrl}/v1/embeddings`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', ...headers },
    body,
  });
  await answer.arrayBuffer();
  return answer;
}

const LARGE = JSON.stringify({ model: MODEL, input: 'x'.repeat(2_000) });

it('pass through to legacy without being held while all of them are there', async () => {
  const answer = await embed(LARGE);
  expect(answer.status).toBe(200);
  expect(answer.headers.get('x-cutover-provider')).toBe('old');
});

it('are refused with a time to try again when there is no room to read them and they belong to the candidate', async () => {
  await gateway.route(1, { stage: 'complete', pinned: true });
  const asked = legacy.bodies.length;
  const answer = await embed(LARGE);
  expect(answer.status).toBe(503);
  expect(answer.headers.get('retry-after')).toBe('1');
  expect((await embed(JSON.stringify({ model: MODEL, input: 'x' }))).headers.get('x-cutover-provider')).toBe(
    'new',
  );
  expect(legacy.bodies.length).toBe(asked);
});

it('are refused when only legacy could read them and they belong to the candidate', async () => {
  await gateway.route(1, { stage: 'complete', pinned: true });
  const asked = legacy.bodies.length;
  const answer = await embed(Buffer.from('1f8b08', 'hex'), { 'content-encoding': 'gzip' });
  expect(answer.status).toBe(400);
  expect(legacy.bodies.length).toBe(asked);
});
