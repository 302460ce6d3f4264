import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import fc from 'fast-check';
import { WebSocket, WebSocketServer } from 'ws';
import { ProviderKeys } from '../../../src/gateway/upstream/provider-keys';
import { gatewayTrial } from '../../support/gateways/gateway-trial';
import { MODEL, type TestGateway } from '../../support/gateways/running-gateway';
import { type FaultProvider, plain, well } from '../../support/providers/fault-provider';

const OLD = 'sk-old-provider-key';
const TEAM = 'sk-own-key-of-a-team/+';
const PASSWORD = 'the password of basic';
const BASIC = `Basic ${Buffer.from(`user:${PASSWORD}`).toString('base64')}`;
const SECRETS = { 'env:OLD': OLD, 'env:TEAM': TEAM, 'env:BASIC': BASIC };
const LEAKS = [OLD, TEAM, encodeURIComponent(TEAM), BASIC, BASIC.slice(6), PASSWORD];
const CHAT = { model: MODEL, messages: [{ role: 'user', content: 'Hello?' }] };
/** A key as a provider might quote it, in each of its forms. */
const QUOTED = JSON.stringify({ keys: LEAKS, of: 'this provider' });

const trial = gatewayTrial();
const { legacy, candidate } = trial;
let gateway: TestGateway;

beforeAll(async () => {
  gateway = await trial.start({
    legacy: { auth: { bearer: 'env:OLD' } },
    candidate: { auth: { header: 'authorization', key: 'env:BASIC' } },
    secrets: SECRETS,
    settings: { breaker: { consecutiveFailures: 1_000, minimumRequests: 1_000 } },
    configuration: {
      callers: [
        { team: 'search', keySha256: sha256('sk-search') },
        { team: 'chat', keySha256: sha256('sk-chat'), keys: { old: 'env:TEAM', new: 'env:TEAM' } },
      ],
    },
  });
});

beforeEach(async () => {
  legacy.fault = well;
  candidate.fault = well;
  await gateway.route(0);
});

function sha256(text: string): string {
  return createHash('sha256').update(text).digest('hex');
}

async function ask(
  path: string,
  init: RequestInit = {},
): Promise<{ status: number; text: string; body: string }> {
  const answer = await fetch(`${gateway.dataUrl}${path}`, {
    ...init,
    headers: { authorization: 'Bearer sk-search', 'content-type': 'application/json' },
  });
  const body = await answer.text();
  const length = answer.headers.get('content-length');
  if (length !== null) expect(Number(length)).toBe(Buffer.byteLength(body));
  return { status: answer.status, body, text: body + JSON.stringify([...answer.headers]) };
}
const chat = (more: object = {}) =>
  ask('/v1/chat/completions', { method: 'POST', body: JSON.stringify({ ...CHAT, ...more }) });

function expectNoKey(text: string, leaks: readonly string[] = [OLD, TEAM, encodeURIComponent(TEAM)]): void {
  expect(leaks.filter((leak) => text.includes(leak))).toEqual([]);
  expect(text).toContain('*'.repeat(8));
}

/** A gateway whose legacy is this server, for WebSockets. */
function startRealtime(server: { address(): unknown }): Promise<TestGateway> {
  const { port } = server.address() as AddressInfo;
  return trial.start({
    legacyUrl: `http://127.0.0.1:${port}/v1`,
    legacy: { auth: { bearer: 'env:OLD' } },
    secrets: SECRETS,
  });
}

describe("a provider's key does not reach callers", () => {
  const quoting = (status: number, more = ''): FaultProvider['fault'] => {
    return ({ response }) => {
      const body = JSON.stringify({ ...JSON.parse(QUOTED), choices: [{ message: { content: 'x' } }], more });
      response.writeHead(status, {
        'content-type': 'application/json',
        'x-debug': `you sent ${OLD}`,
        'x-team': TEAM,
        'content-length': Buffer.byteLength(body),
      });
      response.end(body);
    };
  };

  it.each([200, 201, 400, 401, 404, 429, 500])(
    'in heads and bodies of status %s, of any class',
    async (status) => {
      legacy.fault = quoting(status);
      for (const answer of [
        await chat(),
        await ask('/v1/files/file-1'),
        await ask('/v1/files', { method: 'POST', body: '{}' }),
        await ask('/v1/other'),
        await ask('/v1/embeddings', { method: 'POST', body: '{"model":"m","input":"x"}' }),
      ]) {
        expect(answer.status).toBe(status);
        expectNoKey(answer.text);
        expect(answer.body).toContain('this provider');
      }
    },
  );

  it('in an answer of the candidate, where its key holds a user and a password', async () => {
    await gateway.route(1);
    candidate.fault = quoting(200);
    expectNoKey((await chat()).text, [BASIC, BASIC.slice(6), PASSWORD, TEAM]);
  });

  it.each([200, 500])('in a body over 1 MiB of status %s', async (status) => {
    legacy.fault = quoting(status, 'x'.repeat(1_100_000));
    for (const answer of [await chat(), await ask('/v1/files/file-1')]) expectNoKey(answer.text);
  });

  it('in the head of an answer without body', async () => {
    legacy.fault = ({ response }) => response.writeHead(204, { 'x-debug': OLD }).end();
    expectNoKey((await ask('/v1/files/file-1')).text);
    legacy.fault = ({ response }) => response.writeHead(200, { 'x-debug': OLD }).end();
    expectNoKey((await ask('/v1/files/file-1', { method: 'HEAD' })).text);
  });

  it('in the names that its errors are logged by', async () => {
    await gateway.route(1);
    candidate.fault = plain('{}', `text/html; key=${TEAM}`);
    await chat();
    expect(JSON.stringify(gateway.log)).toContain('text/html; key=');
    expect(LEAKS.filter((leak) => JSON.stringify(gateway.log).includes(leak))).toEqual([]);
  });

  const event = (content: string) => `data: ${JSON.stringify({ choices: [{ delta: { content } }] })}\n\n`;
  const END = 'data: {"choices":[{"delta":{},"finish_reason":"stop"}]}\n\ndata: [DONE]\n\n';

  it.each(Array.from({ length: OLD.length + 1 }, (_, at) => at))(
    'in a stream that brings %s bytes of it in one piece and the rest in another',
    async (at) => {
      const [before = '', after = ''] = event(`you sent ${OLD}!`).split(OLD);
      legacy.fault = ({ response }) => {
        response.writeHead(200, { 'content-type': 'text/event-stream' });
        response.write(event('Hi') + before + OLD.slice(0, at));
        setTimeout(() => response.end(OLD.slice(at) + after + END), 15);
      };
      const { body } = await chat({ stream: true });
      expectNoKey(body);
      expect(body).toBe(event('Hi') + event(`you sent ${'*'.repeat(OLD.length)}!`) + END);
    },
  );

  it('in a stream of another class, and what only begins like it arrives whole', async () => {
    legacy.fault = ({ response }) => {
      response.writeHead(200, { 'content-type': 'application/octet-stream' });
      response.write(`${OLD} and sk-old`);
      setTimeout(() => response.end('-pro'), 15);
    };
    expect((await ask('/v1/files/file-1/content')).body).toBe(`${'*'.repeat(OLD.length)} and sk-old-pro`);
  });

  it('in the head of a tunnel, nor in what declines one', async () => {
    let declines = true;
    const server = createServer((_request, response) => response.end());
    server.on('upgrade', (request, socket) => {
      if (declines) {
        socket.write(`HTTP/1.1 401 ${OLD}\r\nx-debug: ${OLD}\r\nset-cookie: a=1\r\nx-cutover-epoch: 9\r\n`);
        socket.write(`transfer-encoding: chunked\r\n\r\n9\r\n${OLD.slice(0, 9)}\r\n`);
        setTimeout(() => socket.end(`${(OLD.length - 9).toString(16)}\r\n${OLD.slice(9)}\r\n0\r\n\r\n`), 15);
        return;
      }
      const accept = createHash('sha1')
        .update(`${request.headers['sec-websocket-key']}258EAFA5-E914-47DA-95CA-C5AB0DC85B11`)
        .digest('base64');
      socket.write(
        `HTTP/1.1 101 ${OLD}\r\nconnection: Upgrade\r\nupgrade: websocket\r\nsec-websocket-accept: ${accept}\r\nx-debug: ${OLD}\r\nset-cookie: a=1\r\nx-cutover-epoch: 9\r\n\r\n`,
      );
    });
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    const realtime = await startRealtime(server);
    const open = () => new WebSocket(`${realtime.dataUrl.replace('http', 'ws')}/v1/realtime`);
    const declined = open().on('error', () => {});
    const [, refusal] = await once(declined, 'unexpected-response');
    let body = '';
    for await (const piece of refusal) body += piece;
    expectNoKey(body + JSON.stringify([refusal.statusMessage, refusal.rawHeaders]));
    expect(refusal.statusCode).toBe(401);
    expect(body).toBe('*'.repeat(OLD.length));
    declines = false;
    const joined = open();
    const [upgrade] = await once(joined, 'upgrade');
    expectNoKey(JSON.stringify([upgrade.statusMessage, upgrade.rawHeaders]));
    for (const { rawHeaders } of [refusal, upgrade]) {
      expect(rawHeaders.join()).not.toMatch(/set-cookie|x-cutover/);
    }
    joined.terminate();
    server.closeAllConnections();
    server.close();
  });
});

describe('in an open WebSocket', () => {
  const FRAMES = ['hello', `you sent ${OLD}.`, 'ends with sk-old', JSON.stringify({ key: OLD, more: 's' })];

  it.each([1, 7, 1_000])('its key does not reach callers, in pieces of %s bytes', async (size) => {
    const server = new WebSocketServer({ port: 0, host: '127.0.0.1', perMessageDeflate: true });
    server.on('connection', (peer, request) => {
      const tcp = request.socket;
      tcp.setNoDelay(true);
      const write = tcp.write.bind(tcp);
      // As a network may deliver it.
      tcp.write = ((data: Buffer | string, ...rest: never[]) => {
        const bytes = Buffer.from(data as string);
        for (let at = 0; at < bytes.length; at += size) write(bytes.subarray(at, at + size));
        (rest.find((argument) => typeof argument === 'function') as (() => void) | undefined)?.();
        return true;
      }) as typeof tcp.write;
      peer.on('message', () => {
        for (const frame of FRAMES) peer.send(frame);
      });
    });
    await once(server, 'listening');
    const realtime = await startRealtime(server);
    const socket = new WebSocket(`${realtime.dataUrl.replace('http', 'ws')}/v1/realtime`);
    const messages: string[] = [];
    const all = new Promise<void>((resolve) => {
      socket.on('message', (data) => {
        messages.push(String(data));
        if (messages.length === FRAMES.length) resolve();
      });
    });
    await once(socket, 'open');
    expect(socket.extensions).toBe('');
    socket.send('go');
    await all;
    expect(messages).toEqual(FRAMES.map((frame) => frame.replace(OLD, '*'.repeat(OLD.length))));
    socket.close();
    await once(socket, 'close');
    server.close();
  });
});

describe('a search for keys', () => {
  const keys = new ProviderKeys([OLD, TEAM, 'short']);
  const inPieces = (text: string, cuts: readonly number[]) => {
    const bytes = Buffer.from(text);
    const redactor = keys.redactor();
    const ends = [...cuts.map((cut) => cut % (bytes.length + 1)).sort((a, b) => a - b), bytes.length];
    let start = 0;
    const pieces = ends.map((end) => {
      const piece = redactor?.push(bytes.subarray(start, end)) ?? Buffer.alloc(0);
      start = end;
      return piece;
    });
    return Buffer.concat([...pieces, redactor?.end() ?? Buffer.alloc(0)]).toString();
  };

  it('finds the same however a body is cut, and keeps every other byte and the length', () => {
    const part = fc.oneof(
      fc.constantFrom(OLD, TEAM, OLD.slice(0, 7), TEAM.slice(0, 20), 's', 'sk-', ' ', 'short'),
      fc.string({ maxLength: 10 }),
    );
    fc.assert(
      fc.property(fc.array(part), fc.array(fc.nat(400), { maxLength: 12 }), (parts, cuts) => {
        const text = parts.join('');
        const hidden = [OLD, TEAM].reduce(
          (rest, key) => rest.replaceAll(key, '*'.repeat(Buffer.byteLength(key))),
          text,
        );
        expect(inPieces(text, cuts)).toBe(hidden);
      }),
    );
  });

  it('keeps back only what a key begins with', () => {
    const redactor = keys.redactor();
    const text = 'a text that ends with s';
    expect(redactor?.push(Buffer.from(text)).toString()).toBe(text.slice(0, -1));
    expect(redactor?.push(Buffer.from('k-x')).toString()).toBe('sk-x');
    const bytes = Buffer.from('data: {"a":"sk-old"}\n\n');
    expect(redactor?.push(bytes)).toBe(bytes);
  });

  it('is not made for a provider without a key that could be one', () => {
    expect(new ProviderKeys([]).redactor()).toBeNull();
    expect(new ProviderKeys(['none', '']).redactor()).toBeNull();
  });
});
