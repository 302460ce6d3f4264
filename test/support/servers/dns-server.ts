import { type ChildProcess, spawn } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { connect, createServer, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { freePorts } from '../../../src/temporal-server/free-port';
import { installedProgram } from './debian-program';
import { untilPortAnswers } from './port-wait';

/** Keys that the server knows: one may update, the other may only ask. */
export const DNS_KEYS = {
  writer: {
    name: 'writer.example.com',
    secret: Buffer.from('writer-key-of-32-bytes-and-more!').toString('base64'),
  },
  reader: { name: 'reader', secret: Buffer.from('reader-key-of-32-bytes-and-more!').toString('base64') },
} as const;

const ZONE = `$ORIGIN example.com.
$TTL 300
@        SOA ns1 hostmaster 1 3600 600 86400 120
@        NS ns1
ns1      A 127.0.0.1
api      300 A 192.0.2.1
api      300 A 192.0.2.2
alias    90 CNAME old.example.net.
text     TXT "v=1; first" "second \\"piece\\""
*.wild   A 192.0.2.9
`;

export interface DnsServer {
  readonly address: string;
  readonly port: number;
  stop(): Promise<void>;
}

/** An authoritative Knot DNS of a test's own on loopback, with the zone example.com. */
export async function startDnsServer(): Promise<DnsServer> {
  const program = await installedProgram({ program: 'knotd', package: 'knot', path: 'usr/sbin/knotd' });
  const folder = mkdtempSync(join(tmpdir(), 'cutover-dns-'));
  for (const name of ['run', 'db']) mkdirSync(join(folder, name));
  const [port = 0] = await freePorts('127.0.0.1', 1);
  writeFileSync(join(folder, 'example.com.zone'), ZONE);
  writeFileSync(join(folder, 'knot.conf'), configurationOf(folder, port));
  const server = spawn(program, ['-c', join(folder, 'knot.conf')], { stdio: ['ignore', 'pipe', 'pipe'] });
  let output = '';
  for (const stream of [server.stdout, server.stderr]) stream.on('data', (chunk) => (output += chunk));
  const stop = async (): Promise<void> => {
    await stopped(server);
    rmSync(folder, { recursive: true, force: true });
  };
  try {
    await untilPortAnswers(port, server);
  } catch (cause) {
    await stop();
    throw new Error(`expected Knot DNS to start, it said:\n${output}`, { cause });
  }
  return { address: `127.0.0.1:${port}`, port, stop };
}

function configurationOf(folder: string, port: number): string {
  const keys = Object.values(DNS_KEYS).flatMap(({ name, secret }) => [
    `  - id: ${name}`,
    '    algorithm: hmac-sha256',
    `    secret: ${secret}`,
  ]);
  return [
    'server:',
    `    rundir: ${folder}/run`,
    `    listen: 127.0.0.1@${port}`,
    '    udp-workers: 1',
    '    tcp-workers: 1',
    '    background-workers: 1',
    'log:',
    '  - target: stderr',
    '    any: info',
    'database:',
    `    storage: ${folder}/db`,
    'key:',
    ...keys,
    'acl:',
    '  - id: update',
    `    key: ${DNS_KEYS.writer.name}`,
    '    action: update',
    'zone:',
    '  - domain: example.com',
    `    storage: ${folder}`,
    '    file: example.com.zone',
    '    acl: update',
    '    zonefile-sync: -1',
    '',
  ].join('\n');
}

async function stopped(server: ChildProcess): Promise<void> {
  if (server.exitCode !== null || server.signalCode !== null) return;
  const exited = new Promise((resolve) => server.once('exit', resolve));
  server.kill('SIGTERM');
  await exited;
}

/** A server on loopback that does with each connection what it is told. */
export async function startTcpServer(
  serve: (socket: Socket) => void,
): Promise<{ readonly address: string; stop(): Promise<void> }> {
  const sockets = new Set<Socket>();
  const server = createServer((socket) => {
    sockets.add(socket);
    socket.on('error', () => {});
    serve(socket);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as { port: number };
  return {
    address: `127.0.0.1:${port}`,
    stop: () =>
      new Promise((resolve) => {
        for (const socket of sockets) socket.destroy();
        server.close(() => resolve());
      }),
  };
}

const OPCODE_MASK = 0x78;

/** Sends updates to one server and everything else to another: what answers is not what was told. */
export function startLyingServer(updates: DnsServer, queries: DnsServer) {
  return startTcpServer((socket) => {
    socket.once('data', (message: Buffer) => {
      const isUpdate = (message.readUInt8(4) & OPCODE_MASK) === 0x28;
      const peer = connect({ host: '127.0.0.1', port: (isUpdate ? updates : queries).port });
      peer.on('error', () => socket.destroy());
      peer.write(message);
      peer.pipe(socket);
      socket.on('close', () => peer.destroy());
    });
  });
}
