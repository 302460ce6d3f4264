import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { gatewayTrial } from '../../support/gateways/gateway-trial';
import { type RawClient, rawClient } from '../../support/gateways/raw-client';
import { MODEL, type TestGateway } from '../../support/gateways/running-gateway';
import { status, well } from '../../support/providers/fault-provider';
import { installedProgram } from '../../support/servers/debian-program';

const run = promisify(execFile);

const trial = gatewayTrial(well, status(500));
const { legacy, candidate } = trial;
let gateway: TestGateway;
const clients: RawClient[] = [];

beforeAll(async () => {
  gateway = await trial.start();
});

afterAll(async () => {
  for (const { socket } of clients) socket.destroy();
});

async function connected(): Promise<RawClient> {
  const client = await rawClient(Number(new URL(gateway.dataUrl).port));
  clients.push(client);
  return client;
}

const OFFER = 'connection: Upgrade, HTTP2-Settings\r\nupgrade: h2c\r\nhttp2-settings: AAMAAABkAAQCAAAA\r\n';
const bodyOf = (user: string) => JSON.stringify({ model: MODEL, user, messages: [] });
const post = (user: string, headers = OFFER) =>
  `POST /v1/chat/completions HTTP/1.1\r\nhost: a\r\n${headers}content-length: ${bodyOf(user).length}\r\n\r\n${bodyOf(user)}`;
const chunked = (user: string) =>
  `POST /v1/chat/completions HTTP/1.1\r\nhost: a\r\n${OFFER}transfer-encoding: chunked\r\n\r\n` +
  `${bodyOf(user).length.toString(16)}\r\n${bodyOf(user)}\r\n0\r\n\r\n`;

const usersOf = (bodies: readonly string[]) => bodies.map((body) => JSON.parse(body).user);

async function answers(client: RawClient, count: number): Promise<string[]> {
  for (;;) {
    const found = client.received().match(/HTTP\/1\.1 \d{3}/g) ?? [];
    const complete = client.received().split('"usage"').length - 1;
    if (found.length >= count && complete >= count) return found;
    const before = client.received().length;
    await Promise.race([
      new Promise((resolve) => client.socket.once('data', resolve)),
      client.over.then((how) => {
        throw new Error(`expected ${count} answers, got ${how} after ${client.received()}`);
      }),
    ]);
    if (client.received().length === before) await new Promise((resolve) => setImmediate(resolve));
  }
}

describe('an offer of another protocol is ignored', () => {
  it('request after request on one connection, body included', async () => {
    const client = await connected();
    for (let turn = 0; turn < 30; turn += 1) {
      client.socket.write(turn % 2 === 0 ? post(`user-${turn}`) : chunked(`user-${turn}`));
      expect(await answers(client, turn + 1)).toHaveLength(turn + 1);
    }
    client.socket.write(post('without', ''));
    expect(new Set(await answers(client, 31))).toEqual(new Set(['HTTP/1.1 200']));
    expect(usersOf(legacy.bodies)).toEqual([
      ...Array.from({ length: 30 }, (_, turn) => `user-${turn}`),
      'without',
    ]);
    expect(client.received()).not.toMatch(/connection: close/i);
  });

  it('where the body comes in pieces of its own', async () => {
    const client = await connected();
    const text = post('in pieces');
    for (let at = 0; at < text.length; at += 40) {
      client.socket.write(text.slice(at, at + 40));
      await new Promise((resolve) => setTimeout(resolve, 2));
    }
    await answers(client, 1);
    expect(usersOf(legacy.bodies)).toEqual(['in pieces']);
  });

  it('where further requests come in the same packet, and none is lost or answered out of turn', async () => {
    const client = await connected();
    legacy.fault = (exchange) => {
      // The first one takes longest.
      const delayMs = legacy.bodies.length === 1 ? 150 : 0;
      setTimeout(() => {
        exchange.response.setHeader('x-request-id', `${usersOf(legacy.bodies.slice(-1))[0]}`);
        well(exchange);
      }, delayMs);
    };
    const get = `GET /healthz HTTP/1.1\r\nhost: a\r\n${OFFER}\r\n`;
    client.socket.write(post('1', '') + get + post('2') + chunked('3') + post('4', ''));
    await answers(client, 4);
    legacy.fault = well;
    expect(usersOf(legacy.bodies)).toEqual(['1', '2', '3', '4']);
    expect(client.received().match(/"status":"ok"|"usage"/g)).toEqual([
      '"usage"',
      '"status":"ok"',
      ...['"usage"', '"usage"', '"usage"'],
    ]);
  });

  it.each([
    ['of TLS within HTTP', 'connection: upgrade\r\nupgrade: TLS/1.0\r\n'],
    ['of WebSocket by POST', 'connection: upgrade\r\nupgrade: websocket\r\n'],
    ['with keep-alive beside it', 'connection: keep-alive, Upgrade\r\nupgrade: h2c\r\n'],
  ])('%s', async (_what, headers) => {
    const client = await connected();
    client.socket.write(post('a', headers));
    expect(await answers(client, 1)).toEqual(['HTTP/1.1 200']);
  });

  it('and with it no check of the request', async () => {
    const offers = [
      [
        `POST /v1/chat/completions HTTP/1.1\r\nhost: a\r\nhost: b\r\n${OFFER}content-length: 2\r\n\r\n{}`,
        400,
      ],
      [`GET /v1/models HTTP/1.1\r\nhost: a\r\n${OFFER}content-length: 2\r\n\r\n{}`, 400],
      [`GET /v1/models HTTP/1.1\r\nhost: a\r\n${OFFER}${'x: y\r\n'.repeat(127)}\r\n`, 431],
      [`GET /elsewhere HTTP/1.1\r\nhost: a\r\n${OFFER}\r\n`, 404],
    ] as const;
    for (const [bytes, code] of offers) {
      const client = await connected();
      client.socket.write(bytes);
      await client.until(`HTTP/1.1 ${code} `);
    }
    expect(legacy.bodies).toEqual([]);
  });

  it('of curl --http2', async () => {
    const curl = await installedProgram({ program: 'curl', package: 'curl', path: 'usr/bin/curl' });
    const args = ['--silent', '--http2', '--max-time', '20', '--data', bodyOf('curl')];
    const ask = `${gateway.dataUrl}/v1/chat/completions`;
    const { stdout } = await run(curl, [...args, '--write-out', '%{http_code} %{http_version}\n', ask, ask]);
    expect(stdout.match(/200 1\.1/g)).toHaveLength(2);
    expect(usersOf(legacy.bodies)).toEqual(['curl', 'curl']);
  });

  it("of Java's HttpClient, while the candidate fails at a share of 50%", async () => {
    const java = await installedProgram({
      program: 'java',
      package: 'openjdk-17-jdk-headless',
      path: 'usr/bin/java',
    });
    await gateway.route(0.5);
    const source = join(__dirname, '..', '..', 'clients', 'HttpCalls.java');
    const { stdout } = await run(java, ['-Xshare:auto', source, `${gateway.dataUrl}/v1`], {
      timeout: 50_000,
    });
    await gateway.route(0);
    const calls = stdout.trim().split('\n');
    expect(calls.filter((call) => call === 'post HTTP_1_1 200 1')).toHaveLength(5);
    expect(calls).toContain('expect HTTP_1_1 200 1');
    expect(calls).toContain('stream HTTP_1_1 200 1');
    expect(calls.filter((call) => call.startsWith('get HTTP_1_1 200'))).toHaveLength(1);
    expect(calls.filter((call) => call === 'parallel HTTP_1_1 200 1')).toHaveLength(20);
    expect(candidate.bodies.length).toBeGreaterThan(0);
  });
});
