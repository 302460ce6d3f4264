import { connect, type Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { MODEL, startTestGateway, type TestGateway } from '../../support/gateways/running-gateway';
import { type FaultProvider, plain, startFaultProvider, well } from '../../support/providers/fault-provider';

let legacy: FaultProvider;
let gateway: TestGateway;
let clients: Socket[] = [];

beforeAll(async () => {
  legacy = await startFaultProvider(well);
  gateway = await startTestGateway({
    legacyUrl: legacy.url,
    candidateUrl: legacy.url,
    settings: { headersTimeout: '2s', bodyTimeout: '2s', maxBodyBytes: 4096 },
  });
});

afterAll(async () => {
  await gateway.stop();
  await legacy.stop();
});

beforeEach(() => {
  legacy.fault = well;
});

afterEach(() => {
  for (const client of clients) client.destroy();
  clients = [];
});

interface Client {
  readonly socket: Socket;
  text(): string;
  /** Everything until the pattern has come. */
  until(pattern: RegExp): Promise<string>;
  readonly closed: Promise<void>;
}

function open(): Client {
  const socket = connect(Number(new URL(gateway.dataUrl).port), '127.0.0.1');
  clients.push(socket);
  let text = '';
  socket.on('error', () => {});
  socket.on('data', (piece) => {
    text += piece.toString('latin1');
  });
  return {
    socket,
    text: () => text,
    closed: new Promise((resolve) => socket.once('close', () => resolve())),
    until: async (pattern) => {
      for (let turn = 0; turn < 500 && !pattern.test(text); turn += 1) await sleep(10);
      expect(text).toMatch(pattern);
      return text;
    },
  };
}

const ask = (user: string) =>
  JSON.stringify({ model: MODEL, user, messages: [{ role: 'user', content: 'Hello?' }] });
const post = (body: string, lines = '') =>
  `POST /v1/chat/completions HTTP/1.1\r\nhost: a\r\ncontent-type: application/json\r\n${lines}content-length: ${body.length}\r\n\r\n${body}`;

it('answers requests that are sent ahead in their order, one at a time', async () => {
  let waitMs = 60;
  let running = 0;
  let most = 0;
  legacy.fault = (exchange) => {
    const { user } = JSON.parse(legacy.bodies.at(-1) ?? '') as { user: string };
    running += 1;
    most = Math.max(most, running);
    // The later the shorter: together they would overtake one another.
    waitMs -= 20;
    setTimeout(() => {
      running -= 1;
      const choices = [{ index: 0, message: { role: 'assistant', content: user }, finish_reason: 'stop' }];
      plain(JSON.stringify({ object: 'chat.completion', choices }))(exchange);
    }, waitMs);
  };
  const client = open();
  client.socket.write(post(ask('first')) + post(ask('second')) + post(ask('third')));
  const text = await client.until(/third/);
  expect(text.match(/first|second|third/g)).toEqual(['first', 'second', 'third']);
  expect(most).toBe(1);
});

it('reads a request that comes byte by byte', async () => {
  const client = open();
  client.socket.setNoDelay(true);
  for (const byte of post(ask('slowly'))) {
    client.socket.write(byte);
    await new Promise((resolve) => setImmediate(resolve));
  }
  await client.until(/HTTP\/1\.1 200 OK.*Hello/s);
});

it('keeps a connection for the next request and says for how long', async () => {
  const client = open();
  for (let turn = 1; turn <= 3; turn += 1) {
    client.socket.write(post(ask('x')));
    await client.until(new RegExp(`(HTTP/1.1 200 OK.*){${turn}}`, 's'));
  }
  expect(client.text()).toContain('Connection: keep-alive\r\nKeep-Alive: timeout=75\r\n');
  expect(client.text()).toMatch(/\r\nDate: \w{3}, \d\d \w{3} \d{4} \d\d:\d\d:\d\d GMT\r\n/i);
});

it('asks for a body that waits for 100 Continue, and refuses other expectations', async () => {
  const client = open();
  const body = ask('x');
  client.socket.write(post(body, 'expect: 100-continue\r\n').slice(0, -body.length));
  await client.until(/^HTTP\/1\.1 100 Continue\r\n\r\n$/);
  client.socket.write(body);
  await client.until(/HTTP\/1\.1 200 OK/);
  const other = open();
  other.socket.write(post(body, 'expect: a-miracle\r\n'));
  await other.closed;
  expect(other.text()).toMatch(/^HTTP\/1\.1 417 /);
});

it('takes an offer of h2c for what it is and answers over HTTP/1.1', async () => {
  const client = open();
  client.socket.write(
    post(
      ask('x'),
      'connection: Upgrade, HTTP2-Settings\r\nupgrade: h2c\r\nhttp2-settings: AAMAAABkAAQAAP__\r\n',
    ),
  );
  await client.until(/^HTTP\/1\.1 200 OK/);
  client.socket.write('GET /healthz HTTP/1.1\r\nhost: a\r\nconnection: Upgrade\r\nupgrade: h2c\r\n\r\n');
  await client.until(/"status":"ok"/);
});

it('reads a body that it refused to its end, and then the next request', async () => {
  const client = open();
  const large = ask('x'.repeat(100_000));
  client.socket.write(post(large));
  await client.until(/^HTTP\/1\.1 413 /);
  await client.closed;
  const chunked = open();
  chunked.socket.write('POST /v1/nothing HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n');
  legacy.fault = plain('{"answered":"early"}');
  chunked.socket.write('5\r\nhello\r\n');
  await sleep(50);
  chunked.socket.write('0\r\n\r\nGET /healthz HTTP/1.1\r\nhost: a\r\n\r\n');
  await chunked.until(/early.*"status":"ok"/s);
});

it('closes behind an answer to HTTP/1.0 and to Connection: close', async () => {
  const body = ask('x');
  const old = open();
  old.socket.write(post(body).replace('HTTP/1.1', 'HTTP/1.0'));
  await old.closed;
  expect(old.text()).toMatch(/^HTTP\/1\.1 200 OK.*Connection: close\r\n.*Hello/s);
  const closing = open();
  closing.socket.write(post(body, 'Connection: Close\r\n') + post(ask('unread')));
  await closing.closed;
  expect(closing.text().match(/HTTP\/1\.1/g)).toHaveLength(1);
});

it('gives a stream to HTTP/1.0 without a coding, ended by the connection', async () => {
  const client = open();
  const body = JSON.stringify({ ...JSON.parse(ask('x')), stream: true });
  client.socket.write(post(body).replace('HTTP/1.1', 'HTTP/1.0'));
  await client.closed;
  expect(client.text()).not.toContain('Transfer-Encoding');
  expect(client.text()).toMatch(/\r\n\r\ndata: .*\[DONE\]\n\n$/s);
});

it('sends no body with an answer to HEAD, and goes on behind it', async () => {
  legacy.fault = plain('{"object":"list"}');
  const client = open();
  client.socket.write('HEAD /v1/models HTTP/1.1\r\nhost: a\r\n\r\nGET /healthz HTTP/1.1\r\nhost: a\r\n\r\n');
  const text = await client.until(/"status":"ok"/);
  expect(text).toMatch(/^HTTP\/1\.1 200 OK\r\n[^{]*\r\n\r\nHTTP\/1\.1 200 OK/);
});

it.each([
  ['leaves in the middle of its body', (client: Client) => client.socket.end(post(ask('x')).slice(0, -5))],
  [
    'resets while it is answered',
    (client: Client) =>
      client.socket.write(post(ask('x')), () => setTimeout(() => client.socket.resetAndDestroy(), 30)),
  ],
  [
    'closes while it is answered',
    (client: Client) =>
      client.socket.write(post(ask('x')), () => setTimeout(() => client.socket.destroy(), 30)),
  ],
  [
    'sends what is no chunk',
    (client: Client) =>
      client.socket.write(
        'POST /v1/chat/completions HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n',
      ),
  ],
])('ends the request of a caller who %s', async (_name, act) => {
  legacy.fault = () => undefined;
  const before = gateway.log.length;
  const client = open();
  act(client);
  await client.closed;
  for (let turn = 0; turn < 300 && gateway.log.length === before; turn += 1) await sleep(10);
  expect(gateway.log.at(-1)).toMatchObject({ outcome: 'aborted' });
});

it('closes what a caller says nothing on, and answers half of a request with 408', async () => {
  const silent = open();
  const half = open();
  half.socket.write(post(ask('x')).slice(0, 60));
  await Promise.all([silent.closed, half.closed]);
  expect(half.text()).toMatch(/^HTTP\/1\.1 408 /);
});
