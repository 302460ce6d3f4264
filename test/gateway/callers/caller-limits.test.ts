import { createHash } from 'node:crypto';
import { mkdtempSync } from 'node:fs';
import { createServer } from 'node:http';
import { type AddressInfo, connect } from 'node:net';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import OpenAI from 'openai';
import { Agent, request } from 'undici';
import { CallerLimits } from '../../../src/gateway/callers/caller-limits';
import { temporaryDirectory } from '../../support/gateways/gateway-fixture';
import { gatewayTrial } from '../../support/gateways/gateway-trial';
import { ProcessGateway } from '../../support/gateways/process-gateway';
import { ADMIN_TOKEN, MODEL } from '../../support/gateways/running-gateway';
import { type Fault, well } from '../../support/providers/fault-provider';

const root = temporaryDirectory();
const closing: (() => Promise<unknown>)[] = [];

afterEach(async () => {
  for (const close of closing.splice(0)) await close();
});

const trial = gatewayTrial();
const { legacy, candidate } = trial;

const sha256 = (text: string) => createHash('sha256').update(text).digest('hex');
const callersWith = (limits: object) => [
  { team: 'search', keySha256: sha256('key-of-search'), limits },
  { team: 'mail', keySha256: sha256('key-of-mail') },
];

const start = (limits: object) => trial.start({ configuration: { callers: callersWith(limits) } });

function agent(): Agent {
  const made = new Agent({ connections: 1 });
  closing.push(() => made.destroy());
  return made;
}

async function ask(url: string, key = 'key-of-search', dispatcher = agent()) {
  const { statusCode, headers, body } = await request(`${url}/v1/chat/completions`, {
    ...{ method: 'POST', dispatcher },
    headers: { 'content-type': 'application/json', authorization: `Bearer ${key}` },
    body: JSON.stringify({ model: MODEL, messages: [{ role: 'user', content: 'Hello?' }] }),
  });
  return { status: statusCode, headers, body: JSON.parse((await body.text()) || 'null') };
}

async function refusals(url: string, limit: string): Promise<number> {
  const { body } = await request(`${url}/metrics`, { headers: { authorization: `Bearer ${ADMIN_TOKEN}` } });
  const line = new RegExp(`^cutover_caller_refusals_total\\{team="search",limit="${limit}"\\} (\\d+)$`, 'm');
  return Number(line.exec(await body.text())?.[1]);
}

describe('a caller above its limits', () => {
  it('gets 429 as OpenAI gives it, which is no evidence and reaches nobody', async () => {
    const { dataUrl, adminUrl, route, cells } = await start({
      requestsPerMinute: 3,
      tokensPerMinute: 10_000,
    });
    await route(1);
    for (let asked = 0; asked < 3; asked += 1) expect((await ask(dataUrl)).status).toBe(200);
    const { status, headers, body } = await ask(dataUrl);
    expect(status).toBe(429);
    expect(body.error).toMatchObject({ type: 'requests', code: 'rate_limit_exceeded', param: null });
    expect(body.error.message).toMatch(
      /^Rate limit reached for search on requests per min \(RPM\): Limit 3, Used 3, Requested 1\. Please try again in \d+(\.\d+)?s\.$/,
    );
    expect(Number(headers['retry-after'])).toBeGreaterThan(10);
    expect(Number(headers['retry-after'])).toBeLessThanOrEqual(20);
    expect(Number(headers['retry-after-ms'])).toBeLessThanOrEqual(20_000);
    expect(headers).toMatchObject({
      'x-ratelimit-limit-requests': '3',
      'x-ratelimit-remaining-requests': '0',
      'x-ratelimit-limit-tokens': '10000',
    });
    expect(headers['x-ratelimit-reset-requests']).toMatch(/^(\d+m)?\d+(\.\d+)?s$/);
    expect(candidate.bodies).toHaveLength(3);
    expect(legacy.bodies).toHaveLength(0);
    expect(cells().reduce((sum, cell) => sum + cell.attempts, 0)).toBe(3);
    expect(await refusals(adminUrl, 'requests')).toBe(1);
    expect((await ask(dataUrl, 'key-of-mail')).status).toBe(200);
  });

  it('is understood by the openai client', async () => {
    const { dataUrl } = await start({ requestsPerMinute: 1 });
    const client = new OpenAI({ baseURL: `${dataUrl}/v1`, apiKey: 'key-of-search', maxRetries: 0 });
    const create = () =>
      client.chat.completions.create({ model: MODEL, messages: [{ role: 'user', content: 'Hello?' }] });
    await create();
    await expect(create()).rejects.toMatchObject({
      constructor: OpenAI.RateLimitError,
      status: 429,
      code: 'rate_limit_exceeded',
    });
  });

  it('is charged the tokens that providers count', async () => {
    const { dataUrl, adminUrl } = await start({ tokensPerMinute: 10 });
    // Each answer counts 4 tokens; before it, its body counts for 1.
    for (let asked = 0; asked < 3; asked += 1) expect((await ask(dataUrl)).status).toBe(200);
    const { status, headers, body } = await ask(dataUrl);
    expect([status, body.error.type]).toEqual([429, 'tokens']);
    expect(headers).toMatchObject({ 'x-ratelimit-limit-tokens': '10', 'x-ratelimit-remaining-tokens': '0' });
    expect(headers['x-ratelimit-limit-requests']).toBeUndefined();
    expect(await refusals(adminUrl, 'tokens')).toBe(1);
  });

  it('has no more requests at once, and a place again when one ends or its caller leaves', async () => {
    const waiting: (() => void)[] = [];
    const slow: Fault = (exchange) => void waiting.push(() => well(exchange));
    legacy.fault = slow;
    const { dataUrl, adminUrl } = await start({ concurrent: 2 });
    const first = ask(dataUrl);
    const leaving = agent();
    const second = ask(dataUrl, 'key-of-search', leaving).catch(() => null);
    while (waiting.length < 2) await sleep(2);
    const refused = await ask(dataUrl);
    expect([refused.status, refused.headers['retry-after']]).toEqual([429, '1']);
    expect(refused.body.error.message).toContain('concurrent requests: Limit 2, Used 2, Requested 1');
    expect(await refusals(adminUrl, 'concurrent')).toBe(1);
    await leaving.destroy();
    await second;
    legacy.fault = well;
    while ((await ask(dataUrl)).status !== 200) await sleep(2);
    waiting[0]?.();
    expect((await first).status).toBe(200);
    const both = await Promise.all([ask(dataUrl), ask(dataUrl)]);
    expect(both.map(({ status }) => status)).toEqual([200, 200]);
  });

  it('has WebSockets counted among its requests', async () => {
    const upgrades = createServer();
    upgrades.on('upgrade', (_request, socket) => {
      socket.on('error', () => {});
      socket.write('HTTP/1.1 101 Switching Protocols\r\nupgrade: websocket\r\nconnection: Upgrade\r\n\r\n');
    });
    await new Promise<void>((resolve) => upgrades.listen(0, '127.0.0.1', resolve));
    closing.push(async () => void upgrades.close());
    const { port } = upgrades.address() as AddressInfo;
    const gateway = await trial.start({
      legacyUrl: `http://127.0.0.1:${port}/v1`,
      configuration: { callers: callersWith({ concurrent: 1 }) },
    });
    const { hostname, port: dataPort } = new URL(gateway.dataUrl);
    const open = async () => {
      const socket = connect(Number(dataPort), hostname);
      socket.on('error', () => {});
      socket.write(
        'GET /v1/realtime HTTP/1.1\r\nhost: x\r\nauthorization: Bearer key-of-search\r\nconnection: Upgrade\r\nupgrade: websocket\r\nsec-websocket-key: x3JJHMbDL1EzLkh9GBhXDw==\r\nsec-websocket-version: 13\r\n\r\n',
      );
      const [chunk] = (await new Promise((resolve) => socket.once('data', (...args) => resolve(args)))) as [
        Buffer,
      ];
      closing.push(async () => void socket.destroy());
      return { socket, status: chunk.toString().slice(9, 12) };
    };
    const first = await open();
    expect(first.status).toBe('101');
    expect((await open()).status).toBe('429');
    first.socket.destroy();
    while ((await open()).status !== '101') await sleep(5);
  });
});

describe('a limit', () => {
  it('fills steadily from a minute that may come at once', () => {
    const limits = new CallerLimits('search', { requestsPerMinute: 60 });
    const begun = (nowMs: number) => {
      const refusal = limits.begin(0, nowMs);
      if (refusal === null) limits.end(0, null);
      return refusal;
    };
    for (let asked = 0; asked < 60; asked += 1) expect(begun(0)).toBeNull();
    expect(begun(0)?.headers).toEqual(expect.arrayContaining(['retry-after-ms', '1000']));
    expect(begun(999)).not.toBeNull();
    expect(begun(1_000)).toBeNull();
    expect(begun(1_000)).not.toBeNull();
    expect(begun(61_000)).toBeNull();
  });

  it('replaces the estimate by what was counted, and keeps it where nothing was', () => {
    const limits = new CallerLimits('search', { tokensPerMinute: 1_000 });
    const left = () => limits.levels(0).tokens;
    const estimated = limits.estimate(200);
    expect(estimated).toBe(50);
    limits.begin(estimated, 0);
    expect(left()).toBe(950);
    limits.end(estimated, { input: 300, cached: 200, written: 0, output: 100 });
    expect(left()).toBe(600);
    limits.begin(estimated, 0);
    limits.end(estimated, null);
    expect(left()).toBe(550);
    // A picture of megabytes is not a million tokens.
    expect(limits.estimate(30_000_000)).toBe(100);
  });

  it.each([
    [{ requestsPerMinute: 0 }, 'requestsPerMinute'],
    [{ tokensPerMinute: 1.5 }, 'tokensPerMinute'],
    [{ perMinute: 5 }, 'perMinute'],
  ])('of %j is refused by the configuration', async (limits, named) => {
    await expect(start(limits)).rejects.toThrow(named);
  });
});

describe('limits of a gateway of two processes', () => {
  async function startTwo(limits: object): Promise<ProcessGateway> {
    const started = await ProcessGateway.start({
      ...{ directory: mkdtempSync(join(root, 'two-')), legacyUrl: legacy.url, candidateUrl: candidate.url },
      ...{ processes: 2, configuration: { callers: callersWith(limits) } },
    });
    closing.push(() => started.stop());
    return started;
  }

  /** Two rounds: what one process has said before the first, all have read before the end of the second. */
  async function allKnow(two: ProcessGateway): Promise<void> {
    await two.status();
    await two.status();
  }

  it('hold for the gateway as a whole, whichever process is asked', async () => {
    const two = await startTwo({ requestsPerMinute: 6 });
    const statuses: number[] = [];
    for (let asked = 0; asked < 10; asked += 1) {
      statuses.push((await ask(two.dataUrl)).status);
      await allKnow(two);
    }
    const served = statuses.filter((status) => status === 200).length;
    // One more each ten seconds, should this take so long.
    expect(served).toBeGreaterThanOrEqual(6);
    expect(served).toBeLessThanOrEqual(8);
    expect(legacy.bodies).toHaveLength(served);
    expect(await refusals(two.adminUrl, 'requests')).toBe(10 - served);
    // One that starts knows what was used before.
    process.kill(two.pids[0] as number, 'SIGKILL');
    process.kill(two.pids[1] as number, 'SIGKILL');
    while ((await two.metric('cutover_gateway_process_restarts_total')) !== 2) await sleep(20);
    await two.serving(2);
    expect((await ask(two.dataUrl)).headers['x-ratelimit-remaining-requests'] ?? '0').toBe('0');
  });

  it('give the places of a process that is killed to others', async () => {
    legacy.fault = () => undefined;
    const two = await startTwo({ concurrent: 2 });
    const held = [ask(two.dataUrl).catch(() => null), ask(two.dataUrl).catch(() => null)];
    while (legacy.bodies.length < 2) await sleep(5);
    await allKnow(two);
    expect((await ask(two.dataUrl)).status).toBe(429);
    expect((await ask(two.dataUrl)).status).toBe(429);
    process.kill(two.pids[0] as number, 'SIGKILL');
    await Promise.race(held);
    legacy.fault = well;
    await two.serving(2);
    await allKnow(two);
    expect((await ask(two.dataUrl)).status).toBe(200);
  });
});
