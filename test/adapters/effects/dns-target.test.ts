import { Resolver } from 'node:dns/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import { EffectTargets } from '../../../src/adapters/effect-targets';
import type { Json } from '../../../src/core/effects/effect';
import { configurationWith, effectContext, NEVER } from '../../support/effect-trial';
import {
  DNS_KEYS,
  type DnsServer,
  startDnsServer,
  startLyingServer,
  startTcpServer,
} from '../../support/servers/dns-server';

const SECRETS: Readonly<Record<string, string>> = {
  'env:WRITER': DNS_KEYS.writer.secret,
  'env:READER': DNS_KEYS.reader.secret,
};

let server: DnsServer;

beforeAll(async () => {
  server = await startDnsServer();
}, 600_000);

afterAll(() => server.stop());

function targets(fields: object = {}, nowMs: () => number = Date.now): EffectTargets {
  const zone = {
    ...{
      type: 'dns',
      server: server.address,
      zone: 'example.com',
      allowPrivate: true,
      ttl: '30s',
      timeout: '5s',
    },
    tsig: { name: DNS_KEYS.writer.name, secret: 'env:WRITER' },
    ...fields,
  };
  return new EffectTargets(configurationWith({ zone }), {
    resolveSecret: (reference) => SECRETS[reference] ?? '',
    nowMs,
    sleep: (durationMs, signal) => sleep(durationMs, undefined, { signal }),
  });
}

const effect = (
  name: string,
  type: string,
  values: readonly string[],
  fields: Record<string, Json> = {},
) => ({
  name: 'zone',
  set: { name: `${name}.example.com`, type, values, ...fields },
});

/** Another implementation's view of the server: Node's resolver. */
function resolver(): Resolver {
  const one = new Resolver();
  one.setServers([server.address]);
  return one;
}

describe('records at an authoritative server', () => {
  it('are captured, replaced, and put back as they were, with what caches may still hold', async () => {
    const one = targets();
    const api = effect('api', 'A', ['198.51.100.7', '198.51.100.8', '198.51.100.7']);
    const captured = await one.capture(api, effectContext(), NEVER);
    expect(captured).toEqual({
      types: ['A', 'CNAME'],
      sets: [{ type: 'A', ttlS: 300, values: ['192.0.2.1', '192.0.2.2'] }],
    });
    expect(await one.apply(api, 'k', effectContext(), NEVER)).toBe(
      `api.example.com is A 198.51.100.7, 198.51.100.8 (TTL 30 s) at ${server.address}; caches may answer as before for up to 300 s`,
    );
    expect((await resolver().resolve4('api.example.com', { ttl: true })).sort(byAddress)).toEqual([
      { address: '198.51.100.7', ttl: 30 },
      { address: '198.51.100.8', ttl: 30 },
    ]);
    expect(await one.apply(api, 'k', effectContext(), NEVER)).toMatch(/^api\.example\.com already was A /);
    await one.restore(api, captured, 'k:restore', effectContext(), NEVER);
    expect(await one.capture(api, effectContext(), NEVER)).toEqual(captured);
    expect((await resolver().resolve4('api.example.com', { ttl: true })).map(({ ttl }) => ttl)).toEqual([
      300, 300,
    ]);
  });

  it('that were not there are gone again, although a wildcard answers for them', async () => {
    const one = targets();
    const fresh = effect('a.wild', 'A', ['198.51.100.7']);
    const captured = await one.capture(fresh, effectContext(), NEVER);
    expect(captured).toEqual({ types: ['A', 'CNAME'], sets: [] });
    await one.apply(fresh, 'k', effectContext(), NEVER);
    expect(await resolver().resolve4('a.wild.example.com')).toEqual(['198.51.100.7']);
    await one.restore(fresh, captured, 'k:restore', effectContext(), NEVER);
    expect(await one.capture(fresh, effectContext(), NEVER)).toEqual(captured);
    expect(await resolver().resolve4('a.wild.example.com')).toEqual(['192.0.2.9']);
  });

  it('take the place of an alias, and give it back', async () => {
    const one = targets();
    const alias = effect('alias', 'AAAA', ['2001:DB8:0::7']);
    const captured = await one.capture(alias, effectContext(), NEVER);
    expect(captured).toMatchObject({ sets: [{ type: 'CNAME', ttlS: 90, values: ['old.example.net'] }] });
    await one.apply(alias, 'k', effectContext(), NEVER);
    expect(await resolver().resolve6('alias.example.com')).toEqual(['2001:db8::7']);
    await one.restore(alias, captured, 'k:restore', effectContext(), NEVER);
    expect(await resolver().resolveCname('alias.example.com')).toEqual(['old.example.net']);
  });

  it('give way to an alias, and come back', async () => {
    const one = targets();
    const alias = effect('api', 'CNAME', ['new.example.net.']);
    const captured = await one.capture(alias, effectContext(), NEVER);
    await one.apply(alias, 'k', effectContext(), NEVER);
    expect(await resolver().resolveCname('api.example.com')).toEqual(['new.example.net']);
    await one.restore(alias, captured, 'k:restore', effectContext(), NEVER);
    expect((await resolver().resolve4('api.example.com')).sort()).toEqual(['192.0.2.1', '192.0.2.2']);
  });

  it('weigh providers by the share of the stage', async () => {
    const values = ['0 {{percent}} 443 new.example.com.', '0 {{restPercent}} 443 old.example.com.'];
    const weighted = effect('_llm._tcp', 'SRV', values, { ttl: '10s' });
    const one = targets();
    await one.apply(weighted, 'k', effectContext({ share: 0.1 }), NEVER);
    await one.apply(weighted, 'k2', effectContext({ share: 0.5 }), NEVER);
    const records = await resolver().resolveSrv('_llm._tcp.example.com');
    expect(records.map(({ name, weight }) => `${name} ${weight}`).sort()).toEqual([
      'new.example.com 50',
      'old.example.com 50',
    ]);
  });

  it('keep texts to the byte, long ones and those in pieces', async () => {
    const one = targets();
    const long = 'é'.repeat(300);
    const text = effect('text', 'TXT', [long, 'owner {{by}}']);
    const captured = await one.capture(text, effectContext(), NEVER);
    await one.apply(text, 'k', effectContext({ by: '"ana"; \\ drop' }), NEVER);
    const seen = (await resolver().resolveTxt('text.example.com')).map((pieces) => pieces.join(''));
    expect(seen).toHaveLength(2);
    expect(seen).toContain('owner "ana"; \\ drop');
    await one.restore(text, captured, 'k:restore', effectContext(), NEVER);
    expect(await resolver().resolveTxt('text.example.com')).toEqual([['v=1; first', 'second "piece"']]);
  });

  it('can be asked about without changing anything', async () => {
    expect(await targets().reach('zone', NEVER)).toMatch(
      /^127\.0\.0\.1:\d+ is authoritative for example\.com, serial \d+, and knows the key$/,
    );
  });
});

const apply = (one: EffectTargets, signal = NEVER) =>
  one.apply(effect('api', 'A', ['198.51.100.9']), 'k', effectContext(), signal);

describe('a server that refuses', () => {
  it.each([
    [
      'a key that may only ask',
      { tsig: { name: 'reader', secret: 'env:READER' } },
      'or the key is not allowed to do this',
    ],
    ['a key that it does not know', { tsig: { name: 'nobody', secret: 'env:READER' } }, 'BADKEY'],
    [
      'another secret',
      { tsig: { name: DNS_KEYS.writer.name, secret: 'env:READER' } },
      'BADSIG: the server has a different secret',
    ],
  ])('%s is named, and not asked again', async (_what, fields, message) => {
    await expect(apply(targets(fields))).rejects.toMatchObject({
      name: 'EffectProblem',
      retryable: false,
      message: expect.stringContaining(message),
    });
  });

  it('a zone that is not its own is named', async () => {
    const elsewhere = targets({ zone: 'example.org' });
    const other = { name: 'zone', set: { name: 'api.example.org', type: 'A', values: ['198.51.100.9'] } };
    await expect(elsewhere.capture(other, effectContext(), NEVER)).rejects.toMatchObject({
      retryable: false,
    });
  });

  it('a clock that is an hour off is named', async () => {
    await expect(apply(targets({}, () => Date.now() + 3_600_000))).rejects.toThrow(
      'BADTIME: the clocks differ',
    );
  });

  it('a value that a template made of nothing is not sent', async () => {
    const empty = effect('api', 'TXT', ['{{percent}}']);
    const wrong = { ...empty, set: { ...empty.set, type: 'A', values: ['192.0.2.{{percent}}'] } };
    const over = effectContext({ share: 0.123 });
    await expect(targets().apply(wrong, 'k', over, NEVER)).rejects.toThrow(
      'A record: expected an IPv4 address',
    );
  });
});

describe('a server that lies', () => {
  it('about an update is caught by its own answers', async () => {
    const other = await startDnsServer();
    const liar = await startLyingServer(other, server);
    await expect(apply(targets({ server: liar.address }))).rejects.toMatchObject({
      retryable: true,
      message:
        'the DNS server accepted the update, but answers A 192.0.2.1, 192.0.2.2 (TTL 300 s) for api.example.com where A 198.51.100.9 (TTL 30 s) was set',
    });
    await Promise.all([liar.stop(), other.stop()]);
  });

  it.each([
    ['without a signature', (message: Buffer) => asUnsignedAnswer(message), 'answered without a signature'],
    ['with our own message', (message: Buffer) => message, 'the signature of the answer does not match'],
    ['with noise', () => Buffer.from([0, 40, ...Buffer.alloc(40, 0xc1)]), 'is not an answer to our message'],
  ])('%s is not believed', async (_how, answer, message) => {
    const liar = await startTcpServer((socket) => {
      socket.once('data', (asked: Buffer) => socket.write(answer(asked)));
    });
    await expect(apply(targets({ server: liar.address }))).rejects.toThrow(message);
    await liar.stop();
  });
});

describe('a server that is not there', () => {
  it('is asked again later', async () => {
    const gone = await startTcpServer((socket) => socket.destroy());
    await expect(apply(targets({ server: gone.address }))).rejects.toMatchObject({
      retryable: true,
      message: expect.stringMatching(/cannot be reached|closed the connection/),
    });
    await gone.stop();
    await expect(apply(targets({ server: gone.address }))).rejects.toMatchObject({
      retryable: true,
      message: expect.stringContaining('cannot be reached (ECONNREFUSED)'),
    });
  });

  it('does not hold anybody up: neither beyond its time nor beyond a cancellation', async () => {
    const silent = await startTcpServer(() => {});
    await expect(apply(targets({ server: silent.address, timeout: '200ms' }))).rejects.toThrow(
      'did not answer within 200 ms',
    );
    const stop = new AbortController();
    const applied = apply(targets({ server: silent.address }), stop.signal);
    stop.abort(new Error('cancelled'));
    await expect(applied).rejects.toThrow('cancelled');
    await silent.stop();
  });
});

/** The question back as an answer that says NOERROR, its signature cut off. */
function asUnsignedAnswer(message: Buffer): Buffer {
  const answer = Buffer.from(message.subarray(2, 14));
  answer.writeUInt16BE(0x8400, 2);
  for (const offset of [4, 6, 8, 10]) answer.writeUInt16BE(0, offset);
  return Buffer.concat([Buffer.from([0, answer.length]), answer]);
}

function byAddress(one: { address: string }, other: { address: string }): number {
  return one.address < other.address ? -1 : 1;
}
