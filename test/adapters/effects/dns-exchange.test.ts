import { once } from 'node:events';
import { type AddressInfo, createServer, type Server } from 'node:net';
import { exchange } from '../../../src/adapters/effects/dns-exchange';
import { NEVER } from '../../support/effect-trial';

let server: Server;
let port: number;
let connections = 0;

beforeAll(async () => {
  server = createServer((socket) => {
    connections += 1;
    socket.on('error', () => {});
    socket.on('data', (bytes) => socket.end(bytes));
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  port = (server.address() as AddressInfo).port;
});
afterAll(() => server.close());

const ask = (host: string, allowPrivate: boolean) =>
  exchange({ host, port, allowPrivate }, Buffer.from('hello'), 5_000, NEVER);

it('asks a DNS server on a private address where the configuration says so', async () => {
  expect(String(await ask('127.0.0.1', true))).toBe('hello');
  expect(connections).toBe(1);
});

it.each(['127.0.0.1', 'localhost', '::ffff:127.0.0.1'])(
  'does not connect to a DNS server at %s where the configuration does not say so',
  async (host) => {
    const before = connections;
    await expect(ask(host, false)).rejects.toMatchObject({
      name: 'EffectProblem',
      retryable: false,
      message: expect.stringContaining('is loopback or private: set allowPrivate'),
    });
    expect(connections).toBe(before);
  },
);

it.each(['169.254.169.254', '168.63.129.16', 'fe80::1', '::ffff:169.254.169.254'])(
  'never connects to a DNS server at %s',
  async (host) => {
    await expect(ask(host, true)).rejects.toMatchObject({
      retryable: false,
      message: expect.stringContaining('never connected to'),
    });
  },
);
