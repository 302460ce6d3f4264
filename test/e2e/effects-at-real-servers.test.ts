import { Resolver } from 'node:dns/promises';
import { MigrationHarness } from '../support/migrations/migration-harness';
import { quickPlan, staying } from '../support/migrations/quick-plan';
import { DNS_KEYS, type DnsServer, startDnsServer } from '../support/servers/dns-server';
import { startUnleash, type UnleashServer } from '../support/servers/unleash-server';

jest.setTimeout(150_000);

let dns: DnsServer;
let unleash: UnleashServer;
let harness: MigrationHarness;

const FEATURE = 'projects/default/features';
const PLACE = `${FEATURE}/new-llm/environments/development`;

beforeAll(async () => {
  [dns, unleash] = await Promise.all([startDnsServer(), startUnleash()]);
  await unleash.admin('POST', FEATURE, { name: 'new-llm', type: 'release' });
  await unleash.admin('POST', `${PLACE}/strategies`, {
    ...{ name: 'flexibleRollout', parameters: { rollout: '3', stickiness: 'default', groupId: 'g' } },
  });
  harness = await MigrationHarness.start({
    secrets: { DNS_TSIG: DNS_KEYS.writer.secret, UNLEASH_TOKEN: unleash.token },
    effects: {
      zone: {
        ...{ type: 'dns', server: dns.address, zone: 'example.com', allowPrivate: true, ttl: '30s' },
        tsig: { name: DNS_KEYS.writer.name, secret: 'env:DNS_TSIG' },
      },
      flags: {
        ...{ type: 'unleash', url: unleash.url, token: 'env:UNLEASH_TOKEN', environment: 'development' },
        ...{ allowPrivate: true, allowHttp: true },
      },
    },
  });
  await harness.startWorker();
}, 900_000);
afterAll(async () => {
  await harness?.stop();
  await unleash?.stop();
  await dns?.stop();
});

async function addresses(): Promise<string[]> {
  const resolver = new Resolver();
  resolver.setServers([dns.address]);
  return (await resolver.resolve4('api.example.com')).sort();
}

it('brings records and flags back to what they were when a migration is rolled back', async () => {
  const before = { records: await addresses(), flag: await unleash.admin('GET', PLACE) };
  const effects = [
    { name: 'zone', set: { name: 'api.example.com', type: 'A', values: ['198.51.100.7'] } },
    { name: 'flags', set: { flag: 'new-llm' } },
  ];
  await harness.begin(quickPlan('chat', { canary: { ...staying(), effects } }));
  await harness.until('chat', ({ stage, effects: open }) => stage === 'canary' && open.length === 0);
  expect(await addresses()).toEqual(['198.51.100.7']);
  expect(JSON.stringify(await unleash.admin('GET', PLACE))).toContain('"rollout":"30"');
  await harness.command('chat', 'rollback');
  await harness.handle('chat').result();
  expect({ records: await addresses(), flag: await unleash.admin('GET', PLACE) }).toEqual(before);
});
