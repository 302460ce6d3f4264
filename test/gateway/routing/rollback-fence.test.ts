import { setTimeout as sleep } from 'node:timers/promises';
import { request } from 'undici';
import { GatewayAdmin } from '../../../src/adapters/gateway-admin';
import type { RosterEntry } from '../../../src/core/migration/migration-state';
import type { PushRequest, RoutingRecord } from '../../../src/core/routing/routing';
import { gatewayTrial } from '../../support/gateways/gateway-trial';
import { ADMIN_TOKEN, MODEL, ROUTE, type TestGateway } from '../../support/gateways/running-gateway';
import { pushAsWorker } from '../../support/gateways/worker-push';

const trial = gatewayTrial();
const { candidate } = trial;
let gateway: TestGateway;
let entry: RosterEntry;
const admin = new GatewayAdmin({ token: ADMIN_TOKEN, discover: async () => [entry] });

beforeEach(async () => {
  gateway = await trial.start({ candidate: { maxConnections: 2 } });
  entry = { name: gateway.name, admin: gateway.adminUrl };
});

afterAll(() => admin.close());

/** One call of a caller; its status and who served it. */
async function ask(user: string, stream = false): Promise<{ status: number; provider: unknown }> {
  const answer = await request(`${gateway.dataUrl}/v1/chat/completions`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ model: MODEL, user, stream, messages: [{ role: 'user', content: 'Hello?' }] }),
  });
  await answer.body.text();
  return { status: answer.statusCode, provider: answer.headers['x-cutover-provider'] };
}

const push = (overrides: Partial<RoutingRecord>, inFlight?: PushRequest['inFlight']) =>
  pushAsWorker(admin, entry, overrides, inFlight);

async function drained(): Promise<void> {
  for (;;) {
    const status = await admin.status(entry, ROUTE);
    if (status.kind === 'ok' && status.value.inFlightOlder === 0) return;
    await sleep(5);
  }
}

it('shows the candidate nothing new after a lowering was confirmed and what was in flight has ended', async () => {
  let running = true;
  let asked = 0;
  const statuses = new Set<number>();
  const callers = Array.from({ length: 12 }, async (_, caller) => {
    while (running) {
      asked += 1;
      statuses.add((await ask(`user-${asked % 40}`, caller % 2 === 0)).status);
    }
  });
  for (let round = 0; round < 8; round += 1) {
    await push({ share: 0.5 });
    const before = candidate.bodies.length;
    while (candidate.bodies.length < before + 5) await sleep(2);
    const lowered = await push({ share: 0 }, round % 2 === 0 ? 'drain' : 'cut');
    expect(lowered).toMatchObject({ confirmed: true, status: { unsentOlder: 0, effectiveShare: 0 } });
    await drained();
    const fence = candidate.bodies.length;
    const goneOn = asked + 40;
    while (asked < goneOn) await sleep(2);
    expect(candidate.bodies).toHaveLength(fence);
  }
  running = false;
  await Promise.all(callers);
  expect([...statuses]).toEqual([200]);
});

it('takes what waits for a candidate connection to legacy at once, and confirms', async () => {
  candidate.fault = () => undefined;
  await push({ share: 1 });
  const sent = [ask('a'), ask('b')];
  while (candidate.bodies.length < 2) await sleep(2);
  const waiting = Array.from({ length: 10 }, (_, index) => ask(`waits-${index}`));
  while (gateway.routes.get(ROUTE)?.providers.candidate.inFlight !== 12) await sleep(2);
  const lowered = await push({ share: 0 });
  expect(lowered).toMatchObject({ confirmed: true, status: { unsentOlder: 0, inFlightOlder: 2 } });
  const rescued = await Promise.all(waiting);
  expect(rescued.every(({ status, provider }) => status === 200 && provider === 'old')).toBe(true);
  expect(candidate.bodies).toHaveLength(2);
  await push({ share: 0 }, 'cut');
  const cut = await Promise.all(sent);
  expect(cut.every(({ status, provider }) => status === 200 && provider === 'old')).toBe(true);
});

it('counts a request whose routing changed under it in no arm', async () => {
  candidate.fault = () => undefined;
  await push({ share: 1 });
  const epoch = gateway.routes.get(ROUTE)?.state.epoch;
  const asked = ask('a');
  while (candidate.bodies.length < 1) await sleep(2);
  await push({ share: 0 }, 'cut');
  expect((await asked).status).toBe(200);
  expect(gateway.cells(epoch)).toEqual([]);
});

it('stops at the kill switch, with the callers answered by legacy', async () => {
  candidate.fault = () => undefined;
  await push({ share: 1, pinned: true });
  const asked = ask('a');
  while (candidate.bodies.length < 1) await sleep(2);
  const killed = await admin.kill(entry, ROUTE, { by: 'ada', reason: 'hangs' });
  expect(killed).toMatchObject({ kind: 'ok', value: { effectiveShare: 0 } });
  expect(await asked).toEqual({ status: 200, provider: 'old' });
  expect(await ask('b')).toEqual({ status: 200, provider: 'old' });
  expect(candidate.bodies).toHaveLength(1);
});
