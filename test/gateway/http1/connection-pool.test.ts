import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { createServer, type Server, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { PassThrough, Readable } from 'node:stream';
import { setTimeout as sleep } from 'node:timers/promises';
import { createServer as createTlsServer } from 'node:tls';
import { ConnectionPool } from '../../../src/gateway/http1/connection-pool';
import type { Exchange, ExchangeHandler, UpstreamRequest } from '../../../src/gateway/http1/exchange';
import { closeServer, listenOn } from '../../support/gateways/raw-server';

/** A provider that answers by hand: `received` is everything that came on a connection so far. */
let react: (socket: Socket, received: string) => void;
let sockets: Socket[];
let received: string[];
let server: Server;
let pool: ConnectionPool;
let port: number;

beforeEach(async () => {
  sockets = [];
  received = [];
  react = answerEach(ok('hello'));
  server = createServer((socket) => serve(socket));
  port = await listenOn(server);
  pool = open();
});

afterEach(async () => {
  await pool.destroy();
  for (const socket of sockets) socket.destroy();
  await closeServer(server);
});

function serve(socket: Socket): void {
  const index = sockets.push(socket) - 1;
  received.push('');
  socket.on('error', () => {});
  socket.on('data', (bytes: Buffer) => {
    received[index] += bytes.toString('latin1');
    react(socket, received[index] as string);
  });
}

function open(options: { connections?: number; connectMs?: number; origin?: string } = {}): ConnectionPool {
  return new ConnectionPool({
    origin: new URL(options.origin ?? `http://127.0.0.1:${port}`),
    connections: options.connections ?? 8,
    connectMs: options.connectMs ?? 2_000,
  });
}

const ok = (body: string, lines = '') =>
  `HTTP/1.1 200 OK\r\n${lines}content-length: ${body.length}\r\n\r\n${body}`;

/** Answers when a whole request is there, without a body or with one that ends as those of these tests do. */
function answerEach(answer: string) {
  return (socket: Socket, text: string) => {
    if (
      text.endsWith('content-length: 0\r\n\r\n') ||
      text.endsWith('body') ||
      /GET .*\r\n\r\n$/s.test(text)
    ) {
      socket.write(answer);
    }
  };
}

interface Result {
  status: number;
  body: string;
  error: (Error & { code?: string }) | null;
}

/** Sends a request; `moments` are further calls at its moments. */
function ask(
  request: Partial<UpstreamRequest> = {},
  moments: Partial<ExchangeHandler> = {},
  from = pool,
): Promise<Result> {
  return new Promise((resolve) => {
    const result: Result = { status: 0, body: '', error: null };
    from.dispatch(
      { method: 'POST', path: '/v1/x', headers: [], body: 'body', ...request },
      {
        onConnect: (exchange) => moments.onConnect?.(exchange),
        onHeaders: (status, headers) => {
          result.status = status;
          moments.onHeaders?.(status, headers);
        },
        onData: (bytes) => {
          result.body += bytes.toString('latin1');
          return moments.onData?.(bytes) ?? true;
        },
        onComplete: () => {
          moments.onComplete?.();
          resolve(result);
        },
        onError: (error) => resolve({ ...result, error }),
      },
    );
  });
}

describe('a request', () => {
  it('is written with its length, its headers and the host of the provider', async () => {
    await ask({ headers: ['x-a', 'b', 'content-length', '99'] });
    expect(received[0]).toBe(
      `POST /v1/x HTTP/1.1\r\nhost: 127.0.0.1:${port}\r\nconnection: keep-alive\r\nx-a: b\r\ncontent-length: 4\r\n\r\nbody`,
    );
  });

  it('carries every byte of its body, whichever way it comes', async () => {
    const text = `${'é€𝄞\0'.repeat(10)}body`;
    const large = `${'x'.repeat(200_000)}body`;
    for (const body of [text, Buffer.from(text), large, Buffer.from(large)]) {
      await ask({ body });
      const bytes = Buffer.from(body);
      const sent = Buffer.from(received[0] as string, 'latin1');
      expect(sent.subarray(-bytes.length).equals(bytes)).toBe(true);
      expect(sent.subarray(0, -bytes.length).toString('latin1')).toContain(
        `content-length: ${bytes.length}\r\n\r\n`,
      );
      received[0] = '';
    }
  });

  it('says a length of 0 where a body could be, and none where it could not', async () => {
    await ask({ body: null });
    expect(received[0]).toContain('content-length: 0\r\n');
    received[0] = '';
    await ask({ body: null, method: 'GET' });
    expect(received[0]).not.toContain('content-length');
  });

  it.each([
    ['a line end in a header', { headers: ['x-a', 'b\r\nx-c: d'] }],
    ['NUL in a header', { headers: ['x-a', 'b\0'] }],
    ['a blank in a name', { headers: ['x a', 'b'] }],
    ['a line end in its path', { path: '/a\r\nx: y' }],
    ['a blank in its path', { path: '/a b' }],
    ['a method of two words', { method: 'GET /x' }],
    ['a coding of its own', { headers: ['Transfer-Encoding', 'chunked'] }],
    ['a connection header of its own', { headers: ['Connection', 'x'] }],
    ['a host with a line end', { headers: ['host', 'a\r\nb: c'] }],
  ])('is refused before a byte is sent with %s', async (_name, request) => {
    const { error } = await ask(request);
    expect(error?.name).toBe('InvalidRequest');
    expect(received.join('')).toBe('');
  });

  it('streams its body with the length that was given, and chunked without one', async () => {
    react = (socket, text) => void (text.endsWith('-two') && socket.write(ok('a')));
    await ask({
      body: Readable.from([Buffer.from('one'), Buffer.from('-two')]),
      headers: ['content-length', '7'],
    });
    expect(received[0]).toContain('content-length: 7\r\n\r\none-two');
    received[0] = '';
    react = (socket, text) => void (text.endsWith('0\r\n\r\n') && socket.write(ok('a')));
    await ask({ body: Readable.from([Buffer.from('one'), Buffer.from('-two')]) });
    expect(received[0]).toContain('transfer-encoding: chunked\r\n\r\n3\r\none\r\n4\r\n-two\r\n0\r\n\r\n');
    expect(sockets).toHaveLength(1);
  });

  it.each([
    ['longer than it says', ['one', 'two'], '4'],
    ['shorter than it says', ['one'], '4'],
  ])('whose streamed body is %s is cut, and its connection with it', async (_name, pieces, length) => {
    react = () => {};
    const { error } = await ask({
      body: Readable.from(pieces.map((piece) => Buffer.from(piece))),
      headers: ['content-length', length],
    });
    expect(error?.name).toBe('InvalidRequest');
    await once(sockets[0] as Socket, 'close');
    expect(received[0]).not.toContain('two');
  });

  it('whose streamed body breaks off fails with the reason', async () => {
    react = () => {};
    const body = new PassThrough();
    const asked = ask({ body, headers: ['content-length', '100'] });
    body.write('one');
    await sleep(20);
    body.destroy(new Error('the caller left'));
    expect((await asked).error?.message).toBe('the caller left');
  });

  it('waits for a provider that takes a streamed body slowly', async () => {
    react = () => {};
    let made = 0;
    const body = new Readable({
      read() {
        made += 1;
        this.push(made > 400 ? null : Buffer.alloc(65_536, 97));
      },
    });
    const asked = ask({ body });
    await once(server, 'connection');
    (sockets[0] as Socket).pause();
    await sleep(100);
    expect(made).toBeLessThan(400);
    react = (socket, text) => void (text.endsWith('0\r\n\r\n') && socket.write(ok('a')));
    (sockets[0] as Socket).resume();
    expect((await asked).status).toBe(200);
  });
});

describe('a connection', () => {
  it('is used again, one request at a time', async () => {
    for (let index = 0; index < 5; index += 1) expect((await ask()).body).toBe('hello');
    expect(sockets).toHaveLength(1);
    await Promise.all([ask(), ask(), ask()]);
    expect(sockets).toHaveLength(3);
  });

  it('is not opened beyond the cap: requests wait in their order', async () => {
    await pool.destroy();
    pool = open({ connections: 2 });
    const order: number[] = [];
    await Promise.all(
      [0, 1, 2, 3, 4].map(async (index) => {
        await ask();
        order.push(index);
      }),
    );
    expect(sockets).toHaveLength(2);
    expect(order).toEqual([0, 1, 2, 3, 4]);
  });

  it.each([
    ['the provider closes it with the answer', ok('hello', 'connection: close\r\n')],
    ['the answer is of HTTP/1.0', ok('hello').replace('1.1', '1.0')],
    ['the provider keeps it for a second only', ok('hello', 'keep-alive: timeout=1\r\n')],
    ['more came than was asked for', `${ok('hello')}HTTP/1.1 200 OK\r\n`],
  ])('is not used again when %s', async (_name, answer) => {
    react = answerEach(answer);
    expect((await ask()).body).toBe('hello');
    expect((await ask()).body).toBe('hello');
    expect(sockets).toHaveLength(2);
  });

  it('is not used again when the provider closed it or sent something meanwhile', async () => {
    await ask();
    (sockets[0] as Socket).end();
    await sleep(30);
    await ask();
    (sockets[1] as Socket).write(ok('unasked'));
    await sleep(30);
    expect((await ask()).body).toBe('hello');
    expect(sockets).toHaveLength(3);
  });

  it('is not used again when the answer came before the whole body was sent', async () => {
    react = (socket, text) => void (text.includes('one') && socket.write(ok('early')));
    const body = new PassThrough();
    const asked = ask({ body });
    body.write('one');
    expect(await asked).toMatchObject({ status: 200, body: 'early' });
    react = answerEach(ok('hello'));
    expect((await ask()).body).toBe('hello');
    expect(sockets).toHaveLength(2);
    expect(body.destroyed).toBe(true);
  });

  it('that is reset fails its request once, and sends it nowhere else', async () => {
    await ask();
    react = (socket) => socket.resetAndDestroy();
    const { error } = await ask();
    expect(error?.code).toBe('ECONNRESET');
    expect(sockets).toHaveLength(1);
  });

  it('that ends before the answer is complete fails its request', async () => {
    react = (socket) => socket.end('HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nhell');
    expect(await ask()).toMatchObject({ status: 200, body: 'hell', error: { code: 'CONNECTION_CLOSED' } });
  });

  it('ends an answer without a length', async () => {
    react = (socket) => socket.end('HTTP/1.1 200 OK\r\n\r\nhello');
    expect(await ask()).toMatchObject({ status: 200, body: 'hello', error: null });
  });

  it('that never opens fails in time', async () => {
    react = () => {};
    // A server that takes the connection and never says a word of TLS.
    const silent = open({ origin: `https://127.0.0.1:${port}`, connectMs: 50 });
    expect((await ask({}, {}, silent)).error?.code).toBe('CONNECT_TIMEOUT');
    await silent.destroy();
  });

  it('that is refused fails each request that waited for it, and the next one tries again', async () => {
    await closeServer(server);
    const results = await Promise.all([ask(), ask(), ask()]);
    expect(results.map(({ error }) => error?.code)).toEqual(Array(3).fill('ECONNREFUSED'));
    server.listen(port, '127.0.0.1');
    await once(server, 'listening');
    expect((await ask()).status).toBe(200);
  });
});

describe('a handler', () => {
  it('that aborts before the bytes are sent leaves the connection to the next request', async () => {
    await ask();
    void ask({}, { onConnect: (exchange) => exchange.abort() });
    expect((await ask()).body).toBe('hello');
    expect(sockets).toHaveLength(1);
    expect(received[0]?.match(/POST/g)).toHaveLength(2);
  });

  it('that aborts later has its connection closed and hears nothing more', async () => {
    react = (socket) => socket.write('HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nhell');
    let exchange: Exchange | null = null;
    let ended = false;
    void ask(
      {},
      {
        onConnect: (one) => {
          exchange = one;
        },
        onData: () => {
          exchange?.abort();
          return true;
        },
      },
    ).then(() => {
      ended = true;
    });
    await once(server, 'connection');
    await once(sockets[0] as Socket, 'close');
    expect(ended).toBe(false);
  });

  it('cannot stop or resume the request that came after its own', async () => {
    let first: Exchange | null = null;
    await ask(
      {},
      {
        onConnect: (one) => {
          first = one;
        },
      },
    );
    react = (socket) => setTimeout(() => socket.write(ok('second')), 30);
    const second = ask();
    (first as Exchange | null)?.abort();
    (first as Exchange | null)?.resume();
    expect((await second).body).toBe('second');
    expect(sockets).toHaveLength(1);
  });

  it('that pauses is sent no more until it resumes', async () => {
    react = (socket) => {
      socket.write('HTTP/1.1 200 OK\r\ncontent-length: 20000000\r\n\r\n');
      socket.write(Buffer.alloc(20_000_000));
    };
    let exchange: Exchange | null = null;
    let size = 0;
    let paused = true;
    const asked = ask(
      {},
      {
        onConnect: (one) => {
          exchange = one;
        },
        onData: (bytes) => {
          size += bytes.length;
          return !paused;
        },
      },
    );
    await sleep(150);
    const before = size;
    expect(before).toBeLessThan(1_000_000);
    await sleep(100);
    expect(size).toBe(before);
    paused = false;
    (exchange as Exchange | null)?.resume();
    await asked;
    expect(size).toBe(20_000_000);
  });

  it('that paused with the last piece does not stop the next answer', async () => {
    await ask({}, { onData: () => false });
    expect((await ask()).body).toBe('hello');
    expect(sockets).toHaveLength(1);
  });

  it('that throws ends its own request and nothing else', async () => {
    for (const moment of ['onConnect', 'onHeaders', 'onData', 'onComplete'] as const) {
      const fails = {
        [moment]: () => {
          throw new Error(`defect in ${moment}`);
        },
      };
      expect((await ask({}, fails)).error?.message).toBe(`defect in ${moment}`);
    }
    expect((await ask()).body).toBe('hello');
  });
});

it('fails what runs and what waits when it is destroyed, and whatever comes after', async () => {
  react = () => {};
  await pool.destroy();
  pool = open({ connections: 1 });
  const asked = [ask(), ask()];
  await once(server, 'connection');
  await pool.destroy();
  for (const each of [...asked, ask()]) expect((await each).error?.code).toBe('CONNECTION_CLOSED');
});

describe('over TLS', () => {
  let folder: string;
  let secure: Server;
  let securePort: number;
  let met: { alpn: unknown; servername: unknown; reused: boolean }[];

  beforeEach(async () => {
    folder = mkdtempSync(join(tmpdir(), 'cutover-tls-'));
    const [key, certificate] = [join(folder, 'key.pem'), join(folder, 'certificate.pem')];
    const subject = ['-subj', '/CN=localhost', '-addext', 'subjectAltName=DNS:localhost'];
    const made = ['-x509', '-newkey', 'rsa:2048', '-nodes', '-days', '2', ...subject];
    execFileSync('openssl', ['req', ...made, '-keyout', key, '-out', certificate], { stdio: 'ignore' });
    met = [];
    react = answerEach(ok('hello', 'connection: close\r\n'));
    secure = createTlsServer(
      { key: readFileSync(key), cert: readFileSync(certificate), ALPNProtocols: ['h2', 'http/1.1'] },
      (socket) => {
        const { servername } = socket as unknown as { servername: string };
        met.push({ alpn: socket.alpnProtocol, servername, reused: socket.isSessionReused() });
        serve(socket);
      },
    );
    securePort = await listenOn(secure);
  });

  afterEach(async () => {
    rmSync(folder, { recursive: true });
    await closeServer(secure);
  });

  it('offers HTTP/1.1 alone and takes its session up again', async () => {
    const asking = `
      const { ConnectionPool } = require('./dist/src/gateway/http1/connection-pool.js');
      const origin = new URL('https://localhost:${securePort}');
      const pool = new ConnectionPool({ origin, connections: 1, connectMs: 5000 });
      const ask = () => new Promise((resolve, reject) => pool.dispatch(
        { method: 'GET', path: '/', headers: [], body: null },
        { onConnect() {}, onHeaders() {}, onData: () => true, onComplete: resolve, onError: reject },
      ));
      ask().then(ask).then(() => pool.destroy());`;
    const env = { ...process.env, NODE_EXTRA_CA_CERTS: join(folder, 'certificate.pem') };
    const child = spawn(process.execPath, ['-e', asking], { env, stdio: 'inherit' });
    expect(await once(child, 'exit')).toEqual([0, null]);
    const first = { alpn: 'http/1.1', servername: 'localhost', reused: false };
    expect(met).toEqual([first, { ...first, reused: true }]);
  });

  it('sends nothing to a server whose certificate it does not trust', async () => {
    const stranger = open({ origin: `https://localhost:${securePort}` });
    const { error } = await ask({}, {}, stranger);
    expect(error?.code).toBe('DEPTH_ZERO_SELF_SIGNED_CERT');
    expect(received.join('')).toBe('');
    await stranger.destroy();
  });
});
