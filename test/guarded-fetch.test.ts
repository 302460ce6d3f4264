import { once } from 'node:events';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { fetchOpenAiUsage } from '../src/assess/usage/formats/openai-fetch';
import { guardedFetch } from '../src/guarded-fetch';

let server: Server;
let url: string;
let to = '';

beforeAll(async () => {
  server = createServer((request, response) => {
    if (request.url === '/fine') response.end('fine');
    else response.writeHead(302, { location: to }).end();
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
});
afterAll(() => {
  server.closeAllConnections();
  server.close();
});

const FORBIDDEN = { cause: { name: 'ForbiddenAddress', code: 'FORBIDDEN_ADDRESS' } };

it('fetches from the address that an operator gave, a private one as well', async () => {
  expect(await (await guardedFetch(`${url}/fine`)).text()).toBe('fine');
  expect(await (await guardedFetch(`${url.replace('127.0.0.1', 'localhost')}/fine`)).text()).toBe('fine');
});

it.each(['http://169.254.169.254/latest/', 'http://[::ffff:168.63.129.16]/', 'http://[2002:a9fe:a9fe::1]/'])(
  'neither fetches from %s nor follows a redirect to it',
  async (address) => {
    to = address;
    await expect(guardedFetch(address)).rejects.toMatchObject(FORBIDDEN);
    await expect(guardedFetch(url)).rejects.toMatchObject(FORBIDDEN);
  },
);

it('is what fetches usage of an organization', async () => {
  to = 'http://169.254.169.254/';
  const ask = { what: 'costs', fromMs: 0, toMs: 1, key: 'k', address: url } as const;
  await expect(fetchOpenAiUsage(ask)).rejects.toMatchObject(FORBIDDEN);
});
