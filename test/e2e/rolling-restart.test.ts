import { mkdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { MigrationHarness } from '../support/migrations/migration-harness';
import { quickPlan, staying } from '../support/migrations/quick-plan';

jest.setTimeout(240_000);

const ROUTES = ['canary', 'complete', 'handover', 'between', 'gone', 'disk', 'settled'];
const NAMES = ['gw-1', 'gw-2'];

let harness: MigrationHarness;

beforeAll(async () => {
  harness = await MigrationHarness.start({ routes: ROUTES, discovery: true });
  await harness.startWorker();
});
afterAll(() => harness?.stop());

const IN_CANARY = { canary: { ...staying(), share: 0.9 }, rolling: { share: 0.95 } };

function shares(route: string): Promise<number[]> {
  return Promise.all(NAMES.map(async (name) => (await harness.gatewayStatus(name, route)).effectiveShare));
}

/** Who answers 20 requests through each gateway. */
async function answering(route: string): Promise<Set<string | null>> {
  const asked = harness.gateways.flatMap(({ name }) => harness.askMany(name, route, 20));
  return new Set((await Promise.all(asked)).map(({ provider }) => provider));
}

/** Leaves a stage without waiting for evidence. */
async function leave(route: string, stage: string): Promise<void> {
  const { inEffect } = await harness.until(
    route,
    (status) => status.phase === 'observing' && status.stage === stage,
  );
  await harness.client.command(route, 'promote', {
    ...{ stage, override: true, by: 'ana', reason: 'a test', checkpoint: inEffect },
  });
}

async function beginAtComplete(route: string): Promise<void> {
  await harness.beginInCanary(quickPlan(route, { ...IN_CANARY, complete: staying() }));
  for (const stage of ['canary', 'rolling']) await leave(route, stage);
  await harness.until(
    route,
    ({ phase, stage, share }) => phase === 'observing' && stage === 'complete' && share === 1,
  );
}

async function beginInHandover(route: string): Promise<void> {
  await beginAtComplete(route);
  await leave(route, 'complete');
  await harness.until(route, ({ phase }) => phase === 'handover');
}

async function recorded(route: string): Promise<string[]> {
  const all = await harness.checkpoints(route);
  return all.flatMap((entry) => (entry.kind === 'recorded' ? [`${entry.what}: ${entry.reason}`] : []));
}

async function expectVerifiedRollback(route: string): Promise<void> {
  const rollback = await harness.command(route, 'rollback');
  expect(rollback).toMatchObject({
    ...{ accepted: true, verified: true, share: 0, gateways: NAMES, lapsed: [], missing: [] },
  });
  expect(await shares(route)).toEqual([0, 0]);
  expect(await answering(route)).toEqual(new Set(['old-llm']));
}

it('in canary is no lapse, and the rollback after it is verified', async () => {
  await harness.beginInCanary(quickPlan('canary', IN_CANARY));
  await harness.roll('canary');
  await harness.eventually('both gateways to serve again', async () =>
    (await shares('canary')).every((share) => share === 0.9),
  );
  await harness.eventually(
    'both restarts to be recorded',
    async () => (await recorded('canary')).filter((what) => what.startsWith('restarted')).length === 2,
  );
  const status = await harness.client.status('canary');
  expect(status).toMatchObject({ paused: null, drift: null, roster: NAMES });
  expect((await recorded('canary')).filter((what) => /^(lapse|roster)/.test(what))).toEqual([]);
  const { stdout } = await harness.cutover('status', 'canary');
  for (const { name, admin } of harness.gateways) {
    expect(stdout).toContain(`${name} (${new URL(admin).host})`);
    expect(stdout).toContain(`${name} at ${new URL(admin).host} serves 90%`);
  }
  await expectVerifiedRollback('canary');
});

it('at complete moves no traffic, and the rollback after it is verified', async () => {
  await beginAtComplete('complete');
  await harness.roll('complete');
  expect(await shares('complete')).toEqual([1, 1]);
  expect(await answering('complete')).toEqual(new Set(['new-llm']));
  await expectVerifiedRollback('complete');
});

it('in handover leaves nobody behind to wait for, and the rollback after it is verified', async () => {
  await beginInHandover('handover');
  await harness.roll('handover');
  expect((await harness.client.status('handover')).phase).toBe('handover');
  await expectVerifiedRollback('handover');
});

it('does not hold up a rollback that is sent between two pods: the new one is found and asked', async () => {
  await beginAtComplete('between');
  await harness.removeGateway('gw-2');
  const { commandId } = await harness.client.command('between', 'rollback', { by: 'ana', reason: 'a test' });
  await harness.until('between', ({ pending }) => pending?.missing.join() === 'gw-2');
  await harness.returnGateway('gw-2');
  const rollback = await harness.client.follow('between', commandId);
  expect(rollback).toMatchObject({ verified: true, share: 0, gateways: NAMES, missing: [] });
  expect(await answering('between')).toEqual(new Set(['old-llm']));
});

it('ends a rollback for a gateway that is gone for good once somebody attests it, and says what is not promised', async () => {
  await beginAtComplete('gone');
  const forget = (name: string, ...more: string[]) =>
    harness.cutover('forget', name, 'gone', '--by', 'ana', ...more);
  await harness.removeGateway('gw-2', 'SIGKILL');
  const { commandId } = await harness.client.command('gone', 'rollback', { by: 'ana', reason: 'a test' });
  await harness.until('gone', ({ pending }) => pending?.missing.join() === 'gw-2');
  for (const [refused, said, code] of [
    [forget('gw-1', '--reason', 'a test'), 'gw-1 answers at', 3],
    [forget('gw-9', '--reason', 'a test'), 'expected one of the gateways gw-1, gw-2, got "gw-9"', 3],
    [forget('gw-2'), 'expected --reason', 2],
  ] as const) {
    expect(await refused).toMatchObject({ code, stderr: expect.stringContaining(said) });
  }
  expect(await forget('gw-2', '--reason', 'its node is gone')).toMatchObject({ code: 0 });
  const rollback = await harness.client.follow('gone', commandId);
  expect(rollback).toMatchObject({ verified: true, share: 0, gateways: ['gw-1'], missing: [] });
  const told = await recorded('gone');
  expect(told.find((what) => what.startsWith('forgotten'))).toContain('gw-2: its node is gone (it may hold');
  expect(told.at(-1)).toContain('except at what was forgotten: gw-2');

  // It comes back all the same, from a crash, with a pinned record: nobody has withdrawn it there.
  await harness.returnGateway('gw-2');
  expect(await answering('gone')).toEqual(new Set(['old-llm']));
});

it('does not forget a rollback that a full disk refused: the restarted gateway waits, and it is verified by every disk', async () => {
  await beginAtComplete('disk');
  const { stateDirectory } = harness.gateway('gw-2');
  // Whatever the next record is written to is in the way.
  const obstacle = join(stateDirectory, 'disk.record.tmp');
  mkdirSync(obstacle);
  const { commandId } = await harness.client.command('disk', 'rollback', { by: 'ana', reason: 'a test' });
  const waiting = await harness.until('disk', ({ doing }) => doing.includes('its disk refuses'));
  expect(waiting).toMatchObject({ phase: 'rolling back', pending: { missing: ['gw-2'] } });
  expect(await answering('disk')).toEqual(new Set(['old-llm']));

  await harness.removeGateway('gw-2', 'SIGKILL');
  const before = harness.candidate.requests.length;
  await harness.returnGateway('gw-2');
  const answers = await Promise.all(harness.askMany('gw-2', 'disk', 50));
  expect(new Set(answers.map(({ provider }) => provider))).toEqual(new Set(['old-llm']));
  expect(
    harness.candidate.requests
      .slice(before)
      .filter(({ headers }) => headers['x-cutover-probe'] === undefined),
  ).toEqual([]);
  expect((await harness.client.status('disk')).phase).toBe('rolling back');

  rmSync(obstacle, { recursive: true });
  expect(await harness.client.follow('disk', commandId)).toMatchObject({ verified: true, gateways: NAMES });
});

it('completes a handover in which every gateway comes back settled, at a new address', async () => {
  await beginInHandover('settled');
  await harness.roll('settled', 'candidate');
  const { outcome } = await harness.until('settled', ({ phase }) => phase === 'closed');
  expect(outcome).toBe('completed');
  expect(await answering('settled')).toEqual(new Set(['new-llm']));
});
