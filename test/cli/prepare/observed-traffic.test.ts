import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { observeTraffic } from '../../../src/cli/prepare/observed-traffic';
import type { Configuration } from '../../../src/core/configuration/configuration-schema';
import { configurationSchema } from '../../../src/core/configuration/configuration-schema';
import {
  observation,
  TestClock,
  TestGateway,
  temporaryDirectory,
} from '../../support/gateways/gateway-fixture';

const HOUR_MS = 3_600_000;
const root = temporaryDirectory();
const clock = new TestClock();
// The process may have done other things for long before it became a gateway, as one of `cutover up` or of a service.
clock.advance(HOUR_MS);
const gateways = ['gw-1', 'gw-2'].map(
  (name) => new TestGateway({ directory: join(root, name), clock, name }),
);
let configuration: Configuration;

beforeAll(async () => {
  writeFileSync(join(root, 'token'), 'test-token\n');
  const addresses = await Promise.all(gateways.map((gateway) => gateway.listen()));
  configuration = configurationSchema.parse({
    providers: { old: { baseUrl: 'http://127.0.0.1:1/v1' }, new: { baseUrl: 'http://127.0.0.1:2/v1' } },
    routes: { main: { legacy: 'old', candidate: 'new' } },
    adminToken: `file:${join(root, 'token')}`,
    gateways: addresses.map((admin, index) => ({
      name: `gw-${index + 1}`,
      data: 'http://127.0.0.1:1',
      admin,
    })),
  });
});
afterAll(() => Promise.all(gateways.map((gateway) => gateway.close())));

/** So many requests that every gateway served with legacy, one in a hundred of them failed. */
function serve(requests: number): void {
  for (const { state, route } of gateways) {
    for (let number = 0; number < requests; number += 1) {
      state.draw(null, `id-${number}`);
      const outcome = number % 100 === 0 ? 'status_5xx' : 'success';
      route.evidence.record(observation({ epoch: 0, side: 'legacy', outcome }));
    }
  }
}

it('says that it cannot tell shortly after a start', async () => {
  clock.advance(1_000);
  expect(await observeTraffic(configuration, 'main', null)).toBe(
    "the route's traffic is not known: gw-1 has been running for only 1 s; --observe 1m counts what comes now; give --requests-per-day",
  );
});

it('sums what all gateways have counted since they started', async () => {
  clock.advance(2 * HOUR_MS);
  expect(await observeTraffic(configuration, 'main', null)).toMatch(
    /^no request was seen by 2 gateways over /,
  );
  serve(500);
  const traffic = await observeTraffic(configuration, 'main', null);
  if (typeof traffic === 'string') throw new Error(traffic);
  expect(traffic.source).toBe('observed by 2 gateways over 2 h');
  expect(traffic.requestsPerDay).toBeGreaterThan(11_900);
  expect(traffic.requestsPerDay).toBeLessThan(12_000);
  expect(traffic).toMatchObject({ failureRate: 0.01, streamShare: 0 });
});

it('counts only what comes meanwhile where it is asked to', async () => {
  expect(await observeTraffic(configuration, 'main', 1)).toMatch(/^no request was seen by 2 gateways over /);
});

it('says which gateway does not answer', async () => {
  const lost = { name: 'gw-lost', data: 'http://127.0.0.1:1', admin: 'http://127.0.0.1:1' };
  const wider = { ...configuration, gateways: [...configuration.gateways, lost] };
  expect(await observeTraffic(wider, 'main', null)).toMatch(/gw-lost does not answer \(.*ECONNREFUSED\)/);
  const keyless = { ...configuration, adminToken: 'env:NO_SUCH_TOKEN' as Configuration['adminToken'] };
  expect(await observeTraffic(keyless, 'main', null)).toMatch(
    /NO_SUCH_TOKEN is not set: .*; give --requests-per-day$/,
  );
});
