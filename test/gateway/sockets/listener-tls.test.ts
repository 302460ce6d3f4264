import { copyFileSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { connect } from 'node:tls';
import { Agent, request } from 'undici';
import { adminClientTls } from '../../../src/adapters/admin-client-tls';
import { GatewayAdmin } from '../../../src/adapters/gateway-admin';
import { resolveSecret } from '../../../src/config';
import { ConsoleFeeds } from '../../../src/console/server/console-feeds';
import { startConsole } from '../../../src/console/server/console-server';
import { openListenerTls } from '../../../src/gateway/sockets/listener-tls';
import { startMetricsListener } from '../../../src/metrics-listener';
import { temporaryDirectory } from '../../support/gateways/gateway-fixture';
import { gatewayTrial } from '../../support/gateways/gateway-trial';
import { ProcessGateway } from '../../support/gateways/process-gateway';
import { ADMIN_TOKEN, MODEL, ROUTE } from '../../support/gateways/running-gateway';
import { HELLO, ROLE, STOP } from '../../support/providers/fault-provider';
import { Authority, type Certificate } from '../../support/servers/certificates';

const root = temporaryDirectory();
const authority = new Authority(root, 'ours');
const other = new Authority(root, 'theirs');
const server = authority.issue('DNS:localhost,DNS:gateways.test,IP:127.0.0.1');
const client = authority.issue('DNS:worker');
const stranger = other.issue('DNS:worker');

const closing: (() => Promise<unknown>)[] = [];

afterEach(async () => {
  for (const close of closing.splice(0)) await close();
});

const trial = gatewayTrial();
const { legacy, candidate } = trial;

const file = (path: string) => `file:${path}`;
const references = ({ certificate, key }: Certificate) => ({
  certificate: file(certificate),
  key: file(key),
});
const secrets = (reference: string) =>
  reference.startsWith('file:') ? resolveSecret(reference) : ADMIN_TOKEN;

const start = (tls: object) =>
  trial.start({
    configuration: { tls, adminHosts: ['gateways.test'] },
    options: { resolveSecret: secrets },
  });

function agent(tls: object = {}): Agent {
  const made = new Agent({ connect: { ca: authority.pem, ...tls } });
  closing.push(() => made.destroy());
  return made;
}

const shown = ({ certificate, key }: Certificate) => ({
  cert: readFileSync(certificate, 'utf8'),
  key: readFileSync(key, 'utf8'),
});

/** The status of a call to the data listener, or why there is none. */
async function ask(url: string, dispatcher: Agent): Promise<string> {
  try {
    const { statusCode, body } = await request(`${url}/v1/chat/completions`, {
      ...{ method: 'POST', dispatcher, headers: { 'content-type': 'application/json' } },
      body: JSON.stringify({ model: MODEL, messages: [{ role: 'user', content: 'Hello?' }] }),
    });
    await body.text();
    return String(statusCode);
  } catch (error) {
    return (error as NodeJS.ErrnoException).code ?? String(error);
  }
}

function admin(adminUrl: string, adminClient: object, discoveryHost?: string) {
  const tls = adminClientTls({ tls: { adminClient } }, resolveSecret);
  const made = new GatewayAdmin({
    ...{ token: ADMIN_TOKEN, discover: async () => [] },
    ...(tls === undefined ? {} : { tls }),
    ...(discoveryHost === undefined ? {} : { discoveryHost }),
  });
  closing.push(() => made.close());
  return () => made.status({ name: 'g1', admin: adminUrl }, ROUTE);
}

/** The subject of the certificate that a fresh connection is shown. */
function subject(url: string): Promise<string> {
  const { port } = new URL(url);
  return new Promise((resolve, reject) => {
    const socket = connect({ host: '127.0.0.1', port: Number(port), ca: authority.pem }, () => {
      resolve(String(socket.getPeerCertificate().subject.CN));
      socket.destroy();
    });
    socket.on('error', reject);
  });
}

describe('a listener with a certificate', () => {
  it('serves callers over TLS and nobody in the clear', async () => {
    const { dataUrl } = await start({ data: references(server) });
    expect(dataUrl).toMatch(/^https:/);
    expect(await ask(dataUrl, agent())).toBe('200');
    expect(await ask(dataUrl, agent({ ca: other.pem }))).toMatch(/UNABLE_TO_VERIFY|SELF_SIGNED/);
    expect(await ask(dataUrl.replace('https:', 'http:'), agent())).not.toBe('200');
  });

  it('takes TLS 1.2 and nothing older', async () => {
    const { dataUrl } = await start({ data: references(server) });
    expect(await ask(dataUrl, agent({ maxVersion: 'TLSv1.2' }))).toBe('200');
    const ciphers = 'DEFAULT@SECLEVEL=0';
    const old = { minVersion: 'TLSv1', maxVersion: 'TLSv1.1', ciphers };
    expect(await ask(dataUrl, agent(old))).toMatch(/PROTOCOL_VERSION|EPROTO|ECONNRESET|UND_ERR_SOCKET/);
  });

  it('lets only certificates of the client CA reach the admin listener', async () => {
    const { adminUrl } = await start({ admin: { ...references(server), clientCa: file(authority.path) } });
    const ca = file(authority.path);
    expect(await admin(adminUrl, { ca, ...references(client) })()).toMatchObject({ kind: 'ok' });
    expect(await admin(adminUrl, { ca })()).toMatchObject({ kind: 'unreachable' });
    expect(await admin(adminUrl, { ca, ...references(stranger) })()).toMatchObject({ kind: 'unreachable' });
    // The token and the Host are asked for all the same.
    const dispatcher = agent(shown(client));
    const unnamed = await request(`${adminUrl}/admin/v1/routes`, { dispatcher });
    expect(unnamed.statusCode).toBe(401);
    const headers = { host: 'evil.test', authorization: `Bearer ${ADMIN_TOKEN}` };
    const rebound = await request(`${adminUrl}/admin/v1/routes`, {
      dispatcher: agent({ ...shown(client), servername: 'localhost', checkServerIdentity: () => undefined }),
      headers,
    });
    expect(rebound.statusCode).toBe(403);
  });

  it('is checked by the name of the discovery where gateways are addressed by IP', async () => {
    const named = authority.issue('DNS:gateways.test');
    const { adminUrl } = await start({ admin: references(named) });
    const ca = file(authority.path);
    expect(await admin(adminUrl, { ca }, 'gateways.test')()).toMatchObject({ kind: 'ok' });
    expect(await admin(adminUrl, { ca })()).toMatchObject({ kind: 'unreachable' });
  });

  it('takes a renewed certificate for new connections and leaves streams alone', async () => {
    const paths = { certificate: join(root, 'live.pem'), key: join(root, 'live.key') };
    copyFileSync(server.certificate, paths.certificate);
    copyFileSync(server.key, paths.key);
    let finish = () => {};
    legacy.fault = ({ response }) => {
      response.writeHead(200, { 'content-type': 'text/event-stream' });
      response.write(ROLE + HELLO);
      finish = () => response.end(`${HELLO}${STOP}data: [DONE]\n\n`);
    };
    const { dataUrl } = await start({ data: references(paths) });
    const before = await subject(dataUrl);
    const stream = await request(`${dataUrl}/v1/chat/completions`, {
      ...{ method: 'POST', dispatcher: agent(), headers: { 'content-type': 'application/json' } },
      body: JSON.stringify({ model: MODEL, stream: true, messages: [{ role: 'user', content: 'Hello?' }] }),
    });
    const renewed = authority.issue('DNS:localhost,IP:127.0.0.1');
    copyFileSync(renewed.certificate, paths.certificate);
    copyFileSync(renewed.key, paths.key);
    let after = before;
    while (after === before) {
      await sleep(50);
      after = await subject(dataUrl);
    }
    expect(after).not.toBe(before);
    finish();
    expect(await stream.body.text()).toContain('[DONE]');
  });

  it('keeps its certificate when the files are replaced by something else, and says so', async () => {
    const paths = { certificate: join(root, 'kept.pem'), key: join(root, 'kept.key') };
    copyFileSync(server.certificate, paths.certificate);
    copyFileSync(server.key, paths.key);
    const { dataUrl, log } = await start({ data: references(paths) });
    const before = await subject(dataUrl);
    writeFileSync(paths.certificate, 'not a certificate');
    while (!log.some(({ msg }) => String(msg).includes('the last good one stays in use'))) await sleep(50);
    const said = log.filter(({ msg }) =>
      String(msg).includes('tls.data.certificate: expected a certificate in PEM'),
    );
    expect(said).toHaveLength(1);
    expect(await subject(dataUrl)).toBe(before);
  });

  it('shows the metrics of a worker over TLS', async () => {
    const parts = { resolveSecret, warn: () => {} };
    const listener = await startMetricsListener({
      ...{ address: { host: '127.0.0.1', port: 0 }, tokens: { admin: 'a', reader: 'r' }, hosts: [] },
      ...{ contentType: 'text/plain', metrics: async () => 'up 1\n', problem: () => null },
      loginFailed: () => {},
      tls: openListenerTls('tls.metrics', references(server), parts),
    });
    closing.push(() => listener.stop());
    const headers = { authorization: 'Bearer r' };
    const { statusCode, body } = await request(listener.url, { dispatcher: agent(), headers });
    expect([statusCode, await body.text(), new URL(listener.url).protocol]).toEqual([
      200,
      'up 1\n',
      'https:',
    ]);
  });

  it('serves the page of the console, whose session then never leaves TLS', async () => {
    const client = () => Promise.reject(new Error('no Temporal here'));
    const console = await startConsole({
      ...{
        client,
        files: new Map(),
        token: 'the-token',
        by: () => 'ada',
        hosts: [],
        host: '127.0.0.1',
        port: 0,
      },
      feeds: new ConsoleFeeds({ client, gateways: null, providersOf: () => null, intervalMs: 1_000 }),
      loginFailed: () => {},
      tls: openListenerTls('tls.console', references(server), { resolveSecret, warn: () => {} }),
    });
    closing.push(() => console.stop());
    expect(console.url).toMatch(/^https:/);
    const { origin } = new URL(console.url);
    const answer = await request(`${origin}/api/session`, {
      ...{ method: 'POST', dispatcher: agent() },
      headers: { origin, 'content-type': 'application/json' },
      body: JSON.stringify({ token: 'the-token' }),
    });
    await answer.body.text();
    expect([answer.statusCode, String(answer.headers['set-cookie'])]).toEqual([
      expect.any(Number),
      expect.stringMatching(/HttpOnly; SameSite=Strict; Secure$/),
    ]);
  });

  it('serves callers of several processes', async () => {
    const processes = await ProcessGateway.start({
      ...{ directory: join(root, 'processes'), legacyUrl: legacy.url, candidateUrl: candidate.url },
      ...{ processes: 2, configuration: { tls: { data: references(server) } } },
    });
    closing.push(() => processes.stop());
    const url = processes.dataUrl.replace('http:', 'https:');
    expect(await Promise.all([ask(url, agent()), ask(url, agent()), ask(url, agent())])).toEqual([
      '200',
      '200',
      '200',
    ]);
  });
});

it('shows a renewed client certificate without a restart', async () => {
  const paths = { certificate: join(root, 'client.pem'), key: join(root, 'client.key') };
  copyFileSync(stranger.certificate, paths.certificate);
  copyFileSync(stranger.key, paths.key);
  const { adminUrl } = await start({ admin: { ...references(server), clientCa: file(authority.path) } });
  const status = admin(adminUrl, { ca: file(authority.path), ...references(paths) });
  expect(await status()).toMatchObject({ kind: 'unreachable' });
  copyFileSync(client.certificate, paths.certificate);
  copyFileSync(client.key, paths.key);
  while ((await status()).kind !== 'ok') await sleep(50);
});

describe('a start refuses', () => {
  const broken = join(root, 'broken.pem');
  writeFileSync(broken, 'nothing');

  it.each([
    [
      'a file that is not there',
      { ...references(server), certificate: file(join(root, 'absent.pem')) },
      /tls\.admin\.certificate: expected a secret at file:.*absent\.pem, but the file cannot be read: there is no such file/,
    ],
    [
      'a certificate that is none',
      { ...references(server), certificate: file(broken) },
      /tls\.admin\.certificate: expected a certificate in PEM at file:.*broken\.pem/,
    ],
    [
      'a key that is none',
      { ...references(server), key: file(broken) },
      /tls\.admin\.key: expected a private key in PEM at file:.*broken\.pem/,
    ],
    [
      'the key of another certificate',
      { ...references(server), key: file(client.key) },
      /tls\.admin\.key: expected the key of the certificate at .*, got another one at /,
    ],
    [
      'a client CA that is none',
      { ...references(server), clientCa: file(broken) },
      /tls\.admin\.clientCa: expected certificates in PEM at file:.*broken\.pem/,
    ],
  ])('%s, and names the setting', async (_what, tls, message) => {
    await expect(start({ admin: tls })).rejects.toThrow(message);
  });

  it('a certificate of the client without its key', async () => {
    const { certificate } = references(client);
    await expect(start({ adminClient: { certificate } })).rejects.toThrow(
      'expected certificate and key, or neither',
    );
  });
});
