import { createHash } from 'node:crypto';
import { assign } from '../../../src/core/routing/assignment';
import { gatewayTrial } from '../../support/gateways/gateway-trial';
import { type RawClient, rawClient } from '../../support/gateways/raw-client';
import { ADMIN_TOKEN, MODEL, ROUTE, type TestGateway } from '../../support/gateways/running-gateway';
import { HELLO, ROLE, well } from '../../support/providers/fault-provider';

let gateway: TestGateway;
const urls: string[] = [];
const clients: RawClient[] = [];

const recording =
  (next: typeof well): typeof well =>
  (exchange) => {
    urls.push(exchange.response.req.url ?? '');
    next(exchange);
  };

const trial = gatewayTrial(recording(well));
const { legacy } = trial;

beforeAll(async () => {
  gateway = await trial.start();
});

afterAll(async () => {
  for (const { socket } of clients) socket.destroy();
});

beforeEach(() => {
  urls.length = 0;
});

async function send(bytes: string | Buffer): Promise<RawClient> {
  const client = await rawClient(Number(new URL(gateway.dataUrl).port));
  clients.push(client);
  client.socket.write(bytes);
  return client;
}

const BODY = JSON.stringify({ model: MODEL, messages: [] });
const LENGTH = `content-length: ${BODY.length}\r\n`;
const post = (headers: string, body = BODY, version = '1.1') =>
  `POST /v1/chat/completions HTTP/${version}\r\nhost: a\r\n${headers}\r\n${body}`;
const CHUNKS = `${BODY.length.toString(16)}\r\n${BODY}\r\n0\r\n\r\n`;

describe('what two servers could read differently is refused', () => {
  it.each([
    ['a coding besides chunked', post('transfer-encoding: gzip, chunked\r\n', CHUNKS), 'bad_'],
    ['chunked twice', post('transfer-encoding: chunked, chunked\r\n', CHUNKS), 'bad_'],
    ['chunked in two headers', post('transfer-encoding: chunked\r\n'.repeat(2), CHUNKS), 'bad_'],
    [
      'two keys',
      post(`authorization: Bearer a\r\nauthorization: Bearer b\r\n${LENGTH}`),
      'bad_authorization',
    ],
    ['a coding with HTTP/1.0', post('transfer-encoding: chunked\r\n', CHUNKS, '1.0'), 'bad_'],
  ])('%s', async (_what, bytes, code) => {
    const client = await send(bytes);
    expect(await client.until(code)).toMatch(/^HTTP\/1\.1 400 /);
    await client.over;
    expect(urls).toEqual([]);
  });

  it('while chunked alone is not', async () => {
    const client = await send(post('Transfer-Encoding: Chunked\r\n', CHUNKS));
    expect(await client.until('"usage"')).toMatch(/^HTTP\/1\.1 200 /);
  });
});

describe('a caller of HTTP/1.0', () => {
  const stream = JSON.stringify({ model: MODEL, stream: true, messages: [] });
  const ask = () => send(post(`content-length: ${stream.length}\r\n`, stream, '1.0'));

  it('gets a whole stream with a clean end', async () => {
    const client = await ask();
    expect(await client.over).toBe('end');
    expect(client.received()).toContain('[DONE]');
  });

  it('sees that a stream was cut', async () => {
    legacy.fault = recording(({ response, socket }) => {
      response.writeHead(200, { 'content-type': 'text/event-stream' });
      response.write(ROLE + HELLO);
      setTimeout(() => socket.resetAndDestroy(), 50);
    });
    const client = await ask();
    expect(await client.over).toBe('reset');
    expect(client.received()).toContain('stream_cut');
  });

  it('sees that a plain answer was cut', async () => {
    legacy.fault = recording(({ response, socket }) => {
      response.writeHead(200, { 'content-type': 'application/octet-stream' });
      response.write('x'.repeat(100_000));
      setTimeout(() => socket.resetAndDestroy(), 50);
    });
    const client = await send('GET /v1/files/file-a/content HTTP/1.0\r\nhost: a\r\n\r\n');
    expect(await client.over).toBe('reset');
  });
});

it('skips a 100 Continue that nobody asked for', async () => {
  legacy.fault = ({ socket, response }) => {
    socket.write('HTTP/1.1 100 Continue\r\n\r\n');
    setTimeout(() => {
      socket.write('HTTP/1.1 100 Continue\r\nx: y\r\n\r\nHTTP/1.1 102 Processing\r\n\r\n');
      well({ response, socket, stream: false, body: BODY });
    }, 20);
  };
  const client = await send(post(LENGTH));
  expect(await client.until('"usage"')).toMatch(/^HTTP\/1\.1 200 /);
  expect(client.received().match(/HTTP\/1\.1/g)).toHaveLength(1);
});

it("passes on an escaped slash in a model's name", async () => {
  const client = await send('GET /v1/models/meta-llama%2FLlama-3 HTTP/1.1\r\nhost: a\r\n\r\n');
  await client.until('HTTP/1.1 200');
  expect(urls).toEqual(['/v1/models/meta-llama%2FLlama-3']);
});

it('hashes a sticky header as its bytes, so that anyone can recompute the assignment', async () => {
  await gateway.route(0.5, { stickyKey: 'header:x-user' });
  const names = ['Jürgen', '東京', 'ana', 'Zoë', 'naïve', 'Ω', '🙂', 'é'];
  for (const name of names) {
    const head = `POST /v1/chat/completions HTTP/1.1\r\nhost: a\r\nx-user: ${name}\r\n${LENGTH}\r\n`;
    const client = await send(Buffer.from(head + BODY, 'utf8'));
    const answer = await client.until('"usage"');
    const digest = createHash('sha256')
      .update(Buffer.concat([Buffer.from('salt\n'), Buffer.from(name, 'utf8')]))
      .digest('hex');
    const isCandidate = Number.parseInt(digest.slice(0, 8), 16) / 2 ** 32 < 0.5;
    expect(answer).toContain(`x-cutover-provider: ${isCandidate ? 'new' : 'old'}`);
    expect(assign('salt', name, 0.5)).toBe(isCandidate ? 'candidate' : 'legacy');
  }
  await gateway.route(0);
});

it('refuses an epoch that has no successor', async () => {
  const admin = `${gateway.adminUrl}/admin/v1/routes/${ROUTE}`;
  const headers = { authorization: `Bearer ${ADMIN_TOKEN}`, 'content-type': 'application/json' };
  const status = (await (await fetch(admin, { headers })).json()) as {
    readonly incarnation: string;
    readonly highestEpoch: number;
    readonly asOfMs: number;
    readonly record: object;
  };
  const push = async (epoch: number) => {
    const { incarnation, highestEpoch, asOfMs } = status;
    const record = { ...status.record, epoch, share: 0 };
    const expected = { incarnation, epoch: highestEpoch };
    const body = JSON.stringify({ expected, asOfMs, record, inFlight: 'drain' });
    const answer = await fetch(admin, { method: 'PUT', headers, body });
    return { status: answer.status, text: await answer.text() };
  };
  const refused = await push(2 ** 52 + 1);
  expect(refused.status).toBe(400);
  expect(refused.text).toContain('epoch');
  expect((await push(2 ** 52)).status).toBe(200);
});
