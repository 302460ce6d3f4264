import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import type { ServerResponse } from 'node:http';
import { connect, type Socket } from 'node:net';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { parseAllDocuments } from 'yaml';
import { GatewayAdmin } from '../../../src/adapters/gateway-admin';
import { type GatewayProgram, startGatewayProgram } from '../../support/gateways/gateway-program';
import { ADMIN_TOKEN, MAPPED_MODEL, MODEL } from '../../support/gateways/running-gateway';
import { pushAsWorker } from '../../support/gateways/worker-push';
import { COMPLETION, complete, DrainingProvider } from '../../support/providers/draining-provider';

const admin = new GatewayAdmin({ token: ADMIN_TOKEN, discover: async () => [] });
const MEGABYTE = 1_000_000;

const legacy = new DrainingProvider();
const candidate = new DrainingProvider();
let urls: { readonly old: string; readonly new: string };
let gateway: GatewayProgram;
let health: { asked: number; answered: number; slowestMs: number; stop: () => Promise<void> };
const sockets: Socket[] = [];

/** What deploy/kubernetes lets a gateway have, in bytes. */
function memoryLimit(): number {
  const text = readFileSync(join(__dirname, '../../../deploy/kubernetes/gateways.yaml'), 'utf8');
  for (const document of parseAllDocuments(text)) {
    const limit: unknown = document.getIn([
      ...['spec', 'template', 'spec', 'containers', 0, 'resources', 'limits', 'memory'],
    ]);
    const [, amount, unit] = /^(\d+)(Mi|Gi)$/.exec(String(limit)) ?? [];
    if (amount !== undefined) return Number(amount) * (unit === 'Gi' ? 2 ** 30 : 2 ** 20);
  }
  throw new Error('expected a memory limit in deploy/kubernetes/gateways.yaml');
}

/** The most that the gateway has had in memory since its start, in bytes. */
function peakBytes(): number {
  const kilobytes = /VmHWM:\s+(\d+) kB/.exec(
    readFileSync(`/proc/${gateway.process.pid}/status`, 'utf8'),
  )?.[1];
  if (kilobytes === undefined) throw new Error('expected VmHWM in /proc/PID/status');
  return Number(kilobytes) * 1_024;
}

const key = (team: string) => `sk-of-${team}`;
const keySha256 = (team: string) => createHash('sha256').update(key(team)).digest('hex');

beforeAll(async () => {
  urls = { old: await legacy.start(), new: await candidate.start() };
});

beforeEach(async () => {
  legacy.answer = complete;
  candidate.answer = complete;
  legacy.bodyLengths.length = 0;
  candidate.bodyLengths.length = 0;
  const timeouts = { streamIdle: '3s' };
  gateway = await startGatewayProgram({
    legacyUrl: urls.old,
    candidateUrl: urls.new,
    nodeArgs: ['--max-old-space-size=256'],
    configuration: {
      providers: { old: { baseUrl: urls.old, timeouts }, new: { baseUrl: urls.new, timeouts } },
      callers: ['greedy', 'modest'].map((team) => ({ team, keySha256: keySha256(team) })),
    },
  });
  await route(1);
  health = watchHealth();
});

afterEach(async () => {
  for (const socket of sockets.splice(0)) socket.destroy();
  await health.stop();
  await gateway.remove();
});

afterAll(async () => {
  await admin.close();
  await legacy.stop();
  await candidate.stop();
});

/** The next epoch with this share, confirmed. */
async function route(share: number): Promise<void> {
  const entry = { name: 'gateway', admin: `http://127.0.0.1:${gateway.adminPort}` };
  await pushAsWorker(admin, entry, { share, leaseMs: 600_000 });
}

/** Asks for the gateway's health all the time. */
function watchHealth(): typeof health {
  let stopped = false;
  const watch = { asked: 0, answered: 0, slowestMs: 0, stop: async () => {} };
  const watching = (async () => {
    while (!stopped) {
      const startedMs = performance.now();
      watch.asked += 1;
      const answer = await fetch(`http://127.0.0.1:${gateway.dataPort}/healthz`).catch(() => null);
      if (answer?.status === 200) watch.answered += 1;
      watch.slowestMs = Math.max(watch.slowestMs, performance.now() - startedMs);
      await sleep(100);
    }
  })();
  watch.stop = async () => {
    stopped = true;
    await watching;
  };
  return watch;
}

/** What docs/production.md says that a gateway needs, in bytes. */
const NEEDED_BYTES = 200 * 2 ** 20 + 1.5 * 268_435_456;

/** It lives, answered every time that its health was asked for, and has never had more than it may. */
async function expectUnharmed(): Promise<void> {
  await health.stop();
  expect(health.answered).toBe(health.asked);
  expect(peakBytes()).toBeLessThan(NEEDED_BYTES);
  expect(NEEDED_BYTES).toBeLessThan(memoryLimit());
  const figures = `${Math.round(peakBytes() / 2 ** 20)} MiB at most, health in ${Math.round(health.slowestMs)} ms`;
  process.stderr.write(`${expect.getState().currentTestName}: ${figures}\n`);
}

interface Asking {
  readonly socket: Socket;
  /** What has come so far; nothing while it does not read. */
  text(): string;
  readonly bytes: () => number;
  readonly closed: Promise<void>;
}

/** Sends a request in one connection; with `reads` false it reads nothing of the answer. */
function ask(pieces: readonly Buffer[], { team = 'greedy', reads = true, announced = 0 } = {}): Asking {
  const length = announced === 0 ? pieces.reduce((sum, piece) => sum + piece.length, 0) : announced;
  const head = [
    'POST /v1/chat/completions HTTP/1.1',
    'host: gateway',
    `authorization: Bearer ${key(team)}`,
    'content-type: application/json',
    `content-length: ${length}`,
    ...['connection: close', '', ''],
  ].join('\r\n');
  let text = '';
  let bytes = 0;
  const socket = connect(gateway.dataPort, '127.0.0.1');
  sockets.push(socket);
  if (!reads) socket.pause();
  else
    socket.on('data', (piece: Buffer) => {
      bytes += piece.length;
      if (text.length < 2_000) text += piece.toString('latin1');
    });
  socket.on('error', () => {});
  const closed = new Promise<void>((resolve) => socket.once('close', () => resolve()));
  socket.write(head);
  for (const piece of pieces) socket.write(piece);
  return { socket, text: () => text, bytes: () => bytes, closed };
}

/** Requests that providers have; without room for them some go to legacy. */
const asked = () => candidate.bodyLengths.length + legacy.bodyLengths.length;
const statusOf = (asking: Asking) => asking.text().split(' ')[1];
const chat = (more: object = {}) =>
  Buffer.from(JSON.stringify({ model: MODEL, messages: [{ role: 'user', content: 'Hello?' }], ...more }));

async function until(
  what: string,
  holds: () => boolean | Promise<boolean>,
  withinMs = 40_000,
): Promise<void> {
  const endMs = performance.now() + withinMs;
  while (!(await holds())) {
    if (performance.now() > endMs) throw new Error(`expected that ${what}`);
    await sleep(50);
  }
}

it('survives a body of 33 MB that is nothing but empty arrays', async () => {
  const front = Buffer.from(`{"model":"${MODEL}","messages":[`);
  const filler = Buffer.alloc(33 * MEGABYTE, '[],');
  const asking = ask([front, filler, Buffer.from('[]]}')]);
  await asking.closed;
  expect(statusOf(asking)).toBe('200');
  expect(candidate.bodyLengths.at(-1)).toBe(
    front.length + filler.length + 4 + MAPPED_MODEL.length - MODEL.length,
  );
  await expectUnharmed();
});

it('survives an answer of 30 MB that is nothing but empty arrays', async () => {
  const filler = Buffer.alloc(30 * MEGABYTE, '[],');
  candidate.answer = (response) => {
    response.writeHead(200, { 'content-type': 'application/json' });
    response.write('{"choices":[{"message":{"content":"a"}}],"x":[');
    response.write(filler);
    response.end('[]]}');
  };
  const asking = ask([chat()]);
  await asking.closed;
  expect(statusOf(asking)).toBe('200');
  expect(asking.bytes()).toBeGreaterThan(30 * MEGABYTE);
  await expectUnharmed();
});

it('survives eight pictures of 31 MB at once, whose candidate fails', async () => {
  candidate.answer = (response) => {
    response.writeHead(503, { 'content-type': 'application/json' });
    response.end('{"error":{"message":"busy"}}');
  };
  const front = `{"model":"${MODEL}","stream":true,"messages":[{"role":"user","content":[{"type":"image_url","image_url":{"url":"`;
  const picture = Buffer.alloc(31 * MEGABYTE, 'iVBORw0KGgo');
  const pieces = [Buffer.from(front), picture, Buffer.from('"}}]}]}')];
  const all = Array.from({ length: 8 }, () => ask(pieces));
  await Promise.all(all.map(({ closed }) => closed));
  for (const asking of all) expect(['200', '502', '503']).toContain(statusOf(asking));
  expect(all.filter((asking) => statusOf(asking) === '200').length).toBeGreaterThan(4);
  await expectUnharmed();
  expect(await gateway.metric('cutover_buffered_bytes')).toBe(0);
});

it('survives twenty streams of comments without any content and without end', async () => {
  const comments = Buffer.alloc(65_536, ': nothing yet\n\n');
  let sent = 0;
  candidate.answer = (response) => {
    response.writeHead(200, { 'content-type': 'text/event-stream' });
    const more = () => {
      while (!response.destroyed) {
        sent += comments.length;
        if (response.write(comments)) continue;
        response.once('drain', more);
        return;
      }
    };
    more();
  };
  for (let number = 0; number < 20; number += 1) ask([chat({ stream: true })], { reads: false });
  let before = -1;
  await until('all are held up', async () => {
    const isStill = asked() === 20 && sent === before;
    before = sent;
    await sleep(1_000);
    return isStill;
  });
  expect(sent).toBeGreaterThan(150 * MEGABYTE);
  await expectUnharmed();
  await until('all of them are cut', async () => (await gateway.metric('cutover_requests_active')) === 0);
  expect(await gateway.metric('cutover_buffered_bytes')).toBe(0);
});

it('survives 24 held answers of 25 MB, and gives all of them to their callers', async () => {
  const answer = Buffer.from(COMPLETION.replace('"Hello"', () => JSON.stringify('x'.repeat(25 * MEGABYTE))));
  const open: ServerResponse[] = [];
  candidate.answer = (response) => {
    response.writeHead(200, { 'content-type': 'application/json', 'content-length': answer.length });
    response.write(answer.subarray(0, -10));
    open.push(response);
  };
  legacy.answer = candidate.answer;
  const all = Array.from({ length: 24 }, () => ask([chat()]));
  await until('all have been asked', () => open.length === 24);
  await sleep(3_000);
  for (const response of open) response.end(answer.subarray(-10));
  await Promise.all(all.map(({ closed }) => closed));
  for (const asking of all) {
    expect(statusOf(asking)).toBe('200');
    expect(asking.bytes()).toBeGreaterThan(answer.length);
  }
  await expectUnharmed();
  expect(await gateway.metric('cutover_buffered_bytes')).toBe(0);
});

it.each([
  ['the candidate', 1, MODEL],
  ['legacy', 0, MODEL],
  ['legacy to what is not split', 1, 'another'],
])(
  'survives 20 answers of 20 MB of %s to callers who do not read, and closes their connections',
  async (_who, share, model) => {
    const answer = Buffer.from(
      COMPLETION.replace('"Hello"', () => JSON.stringify('x'.repeat(20 * MEGABYTE))),
    );
    await route(share);
    const provider = share === 1 && model === MODEL ? candidate : legacy;
    provider.answer = (response) => {
      response.writeHead(200, { 'content-type': 'application/json', 'content-length': answer.length });
      response.end(answer);
    };
    for (let number = 0; number < 20; number += 1) ask([chat({ model })], { reads: false });
    await until('all have been asked', () => asked() === 20);
    await until('all of them are cut', async () => (await gateway.metric('cutover_requests_active')) === 0);
    await expectUnharmed();
    await until(
      'no connection is open',
      async () => (await gateway.metric('cutover_connections_open', 'data')) <= 2,
    );
    expect(await gateway.metric('cutover_buffered_bytes')).toBe(0);
  },
);

it('keeps nothing of forty bodies of 20 MB that went over one connection to a provider', async () => {
  const body = chat({ messages: [{ role: 'user', content: 'x'.repeat(20 * MEGABYTE) }] });
  for (let number = 0; number < 40; number += 1) {
    const asking = ask([body]);
    await asking.closed;
    expect(statusOf(asking)).toBe('200');
  }
  expect(candidate.bodyLengths).toHaveLength(40);
  await expectUnharmed();
  expect(gateway.process.output()).not.toContain('MaxListenersExceededWarning');
});

it('keeps room for one team however many bodies of another one are not finished', async () => {
  const piece = Buffer.alloc(33 * MEGABYTE, 'x');
  for (let number = 0; number < 9; number += 1) ask([piece], { announced: piece.length + 1 });
  await until(
    'the bodies have come',
    async () => (await gateway.metric('cutover_buffered_bytes')) > 150 * MEGABYTE,
  );
  await sleep(1_000);
  const asking = ask([chat({ messages: [{ role: 'user', content: 'x'.repeat(20 * MEGABYTE) }] })], {
    team: 'modest',
  });
  await asking.closed;
  expect(statusOf(asking)).toBe('200');
  expect(asking.text()).toContain('x-cutover-provider: new');
  await expectUnharmed();
});
