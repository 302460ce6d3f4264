import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { WebSocketServer } from 'ws';
import { temporaryDirectory } from '../../support/gateways/gateway-fixture';
import {
  type GatewayProgram,
  type GatewayProgramOptions,
  startGatewayProgram,
} from '../../support/gateways/gateway-program';
import { type RawClient, rawClient } from '../../support/gateways/raw-client';
import { MODEL } from '../../support/gateways/running-gateway';
import { type FaultProvider, startFaultProvider, well } from '../../support/providers/fault-provider';

const root = temporaryDirectory();
let realtime: WebSocketServer;
let candidate: FaultProvider;
let program: GatewayProgram;

const realtimeUrl = () => `http://127.0.0.1:${(realtime.address() as { port: number }).port}/v1`;

beforeAll(async () => {
  realtime = new WebSocketServer({ port: 0, host: '127.0.0.1' });
  realtime.on('connection', (socket) => socket.on('error', () => undefined));
  await new Promise((resolve) => realtime.once('listening', resolve));
  candidate = await startFaultProvider(well);
});

afterAll(async () => {
  for (const socket of realtime.clients) socket.terminate();
  await new Promise((resolve) => realtime.close(resolve));
  await candidate.stop();
});

afterEach(() => program.remove());

async function start(options: Partial<GatewayProgramOptions> = {}): Promise<GatewayProgram> {
  program = await startGatewayProgram({ legacyUrl: realtimeUrl(), candidateUrl: candidate.url, ...options });
  return program;
}

const upgrade = (path = '/v1/realtime?model=x', method = 'GET') =>
  `${method} ${path} HTTP/1.1\r\nhost: a\r\nconnection: Upgrade\r\nupgrade: websocket\r\n` +
  'sec-websocket-version: 13\r\nsec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n';

async function openTunnel(): Promise<RawClient> {
  const client = await rawClient(program.dataPort, true);
  client.socket.write(upgrade());
  await client.until('101 Switching Protocols');
  return client;
}

async function until(what: string, holds: () => boolean | Promise<boolean>): Promise<void> {
  for (let turn = 0; turn < 400; turn += 1) {
    if (await holds()) return;
    await sleep(50);
  }
  throw new Error(`expected ${what}`);
}

async function isAlive(): Promise<boolean> {
  const answers = await Promise.all(
    [program.dataPort, program.adminPort].map((port) => fetch(`http://127.0.0.1:${port}/healthz`)),
  );
  return answers.every(({ status }) => status === 200);
}

describe('a gateway lives on after a reset', () => {
  it.each([
    ['behind CONNECT', 'CONNECT elsewhere:443 HTTP/1.1\r\nhost: elsewhere\r\n\r\n'],
    ['behind an upgrade that is refused', upgrade('/elsewhere')],
    ['behind an upgrade on its way to a provider', upgrade()],
    ['behind bytes that are not HTTP', '\x16\x03\x01\x02\x00\x01\x00'],
    ['behind half of a head', 'POST /v1/chat/completions HTTP/1.1\r\nhost: a\r\n'],
  ])('%s, on both listeners', async (_name, bytes) => {
    await start();
    for (const port of [program.dataPort, program.adminPort]) {
      for (let turn = 0; turn < 10; turn += 1) {
        const { socket } = await rawClient(port);
        // Written and reset at once: the answer meets a connection that is gone.
        socket.write(bytes, () => socket.resetAndDestroy());
        await new Promise((resolve) => socket.once('close', resolve));
      }
    }
    await sleep(100);
    expect(program.process.output()).not.toContain('ECONNRESET');
    expect(await isAlive()).toBe(true);
    expect(await program.metric('cutover_defects_total')).toBe(0);
  });

  it('of either end of a tunnel', async () => {
    await start();
    for (let turn = 0; turn < 5; turn += 1) {
      const client = await openTunnel();
      client.socket.write('x'.repeat(100_000), () => client.socket.resetAndDestroy());
      await client.over;
    }
    const held = await openTunnel();
    for (const { _socket: socket } of realtime.clients as unknown as { _socket: RawClient['socket'] }[]) {
      socket.resetAndDestroy();
    }
    await held.over;
    expect(await isAlive()).toBe(true);
    await until('no tunnel to be left', async () => (await program.metric('cutover_tunnels_open')) === 0);
  });
});

describe('sockets are given back', () => {
  it.each([
    ['an upgrade of an unknown path', upgrade('/elsewhere')],
    ['a CONNECT', 'CONNECT elsewhere:443 HTTP/1.1\r\nhost: elsewhere\r\n\r\n'],
  ])('after %s was refused, with a body in a second packet', async (_name, bytes) => {
    await start();
    await isAlive();
    const before = program.descriptors();
    const clients = await Promise.all(Array.from({ length: 100 }, () => rawClient(program.dataPort, true)));
    for (const { socket } of clients) socket.write(bytes);
    await sleep(50);
    for (const { socket } of clients) socket.write('{"model":"a","messages":[]}'.repeat(400));
    await Promise.all(clients.map((client) => client.until('HTTP/1.1 4')));
    // Some callers go, others stay and never close their side.
    for (const { socket } of clients.slice(0, 50)) socket.destroy();
    await until('the refused to be closed', () => program.descriptors() <= before + 5);
    for (const { socket } of clients) socket.destroy();
  });

  it('when one side of a tunnel ends and the other does not', async () => {
    await start();
    const before = program.descriptors();
    const client = await openTunnel();
    client.socket.end();
    const other = await openTunnel();
    for (const { _socket: socket } of realtime.clients as unknown as { _socket: RawClient['socket'] }[]) {
      socket.pause();
    }
    other.socket.end();
    await until('no tunnel to be left', async () => (await program.metric('cutover_tunnels_open')) === 0);
    await until('both tunnels to be closed', () => program.descriptors() <= before + 2);
  });

  it('when nothing comes through a tunnel', async () => {
    await start({ gateway: { tunnels: { idle: '1s' } } });
    const before = program.descriptors();
    const busy = await openTunnel();
    const idle = await openTunnel();
    // A ping frame, masked with zeros.
    const ping = setInterval(() => busy.socket.write(Buffer.from([0x89, 0x80, 0, 0, 0, 0])), 100);
    await idle.over;
    await sleep(500);
    expect(await program.metric('cutover_tunnels_open')).toBe(1);
    clearInterval(ping);
    await busy.over;
    for (const { socket } of [busy, idle]) socket.destroy();
    await until('both tunnels to be closed', () => program.descriptors() <= before + 2);
  });
});

describe('tunnels are capped', () => {
  it('per caller with 429, and a place is free again once one ends', async () => {
    await start({ gateway: { tunnels: { maxPerCaller: 2 } } });
    const first = await openTunnel();
    const second = await openTunnel();
    const third = await rawClient(program.dataPort);
    third.socket.write(upgrade());
    expect(await third.until('gateway.tunnels.maxPerCaller')).toMatch(/^HTTP\/1\.1 429 .*retry-after: 1/s);
    expect(await program.metric('cutover_tunnels_open')).toBe(2);
    first.socket.destroy();
    await until('a place to be free', async () => (await program.metric('cutover_tunnels_open')) === 1);
    const again = await openTunnel();
    for (const { socket } of [second, again]) socket.destroy();
  });

  it('per process with 503', async () => {
    await start({ gateway: { tunnels: { max: 2 } } });
    expect(await program.metric('cutover_tunnels_limit')).toBe(2);
    const open = [await openTunnel(), await openTunnel()];
    const third = await rawClient(program.dataPort);
    third.socket.write(upgrade());
    expect(await third.until('gateway.tunnels.max')).toMatch(/^HTTP\/1\.1 503 /);
    for (const { socket } of open) socket.destroy();
  });
});

it('closes connections above gateway.maxConnections at once, and counts them', async () => {
  await start({ gateway: { maxConnections: 20 } });
  expect(await program.metric('cutover_connections_limit', 'data')).toBe(20);
  const clients = await Promise.all(Array.from({ length: 50 }, () => rawClient(program.dataPort)));
  await until('30 to be refused', async () => {
    return (await program.metric('cutover_connections_refused_total', 'data')) === 30;
  });
  expect(await program.metric('cutover_connections_open', 'data')).toBe(20);
  for (const { socket } of clients) socket.destroy();
  await until('room', async () => (await program.metric('cutover_connections_open', 'data')) === 0);
  expect(await isAlive()).toBe(true);
});

describe('after SIGTERM', () => {
  it('lets tunnels run for the drain, then ends them and exits', async () => {
    await start({ gateway: { drain: '2s' } });
    const tunnels = await Promise.all(Array.from({ length: 60 }, () => openTunnel()));
    const refused = await Promise.all(Array.from({ length: 20 }, () => rawClient(program.dataPort, true)));
    for (const { socket } of refused) socket.write(upgrade('/elsewhere'));
    const half = await rawClient(program.dataPort, true);
    half.socket.write('POST /v1/chat/completions HTTP/1.1\r\nhost: a\r\ncontent-length: 500\r\n\r\n{');
    const admin = await rawClient(program.adminPort, true);
    admin.socket.write('GET /healthz HTTP/1.1\r\nhost: 127.0.0.1\r\n\r\n');
    await admin.until('200 OK');
    program.process.signal('SIGTERM');
    await sleep(1_000);
    expect(await program.metric('cutover_tunnels_open')).toBe(60);
    const [first] = tunnels;
    first?.socket.write(Buffer.from([0x89, 0x80, 0, 0, 0, 0]));
    await first?.until('\x8a\x00');
    await program.process.gone;
    expect(program.process.exitCode()).toBe(0);
    expect(program.process.output()).not.toContain('did not stop in time');
    await Promise.all(tunnels.map(({ over }) => over));
    for (const { socket } of [...tunnels, ...refused, half, admin]) socket.destroy();
  });

  it('ends in the end even where something keeps the process alive', async () => {
    const preload = join(root, 'alive.js');
    writeFileSync(preload, 'setInterval(() => undefined, 1_000);');
    await start({ gateway: { drain: '1s' }, nodeArgs: ['--require', preload] });
    program.process.signal('SIGTERM');
    await program.process.gone;
    expect(program.process.exitCode()).toBe(1);
    expect(program.process.output()).toContain('did not stop in time');
  });
});

it('serves on after exceptions that no guard met, and counts them', async () => {
  const preload = join(root, 'throwing.js');
  writeFileSync(
    preload,
    "process.on('SIGUSR2', () => { Promise.reject(new Error('unhandled')); setTimeout(() => { throw new Error('uncaught'); }); });",
  );
  await start({ nodeArgs: ['--require', preload] });
  program.process.signal('SIGUSR2');
  await until('both to be counted', async () => (await program.metric('cutover_defects_total')) === 2);
  expect(await isAlive()).toBe(true);
  program.process.signal('SIGTERM');
  await program.process.gone;
  expect(program.process.exitCode()).toBe(0);
  const log = readFileSync(program.logPath, 'utf8');
  expect(log).toMatch(/unhandledRejection.*Error: unhandled\\n {4}at /);
  expect(log).toMatch(/uncaughtException.*Error: uncaught\\n {4}at /);
});

it('serves on when its log cannot be written', async () => {
  await start({ log: '/dev/full' });
  const ask = () =>
    fetch(`http://127.0.0.1:${program.dataPort}/v1/chat/completions`, {
      method: 'POST',
      body: JSON.stringify({ model: MODEL, messages: [] }),
    });
  for (let turn = 0; turn < 5; turn += 1) {
    await (await ask()).text();
    await sleep(400);
  }
  expect(await isAlive()).toBe(true);
});
