import { MockActivityEnvironment } from '@temporalio/testing';
import { createAnalyseUsage } from '../../src/activities/analyse-usage';
import type { UsageFindings } from '../../src/core/assessment/usage-digest';
import { planSchema } from '../../src/core/plan/plan-schema';
import type { Ports, UsagePort, UsageProgress } from '../../src/ports';

type Observed = Parameters<UsagePort['analyse']>[1];

const PLAN = planSchema.parse({ route: 'chat', assess: { usage: ['usage.csv'] } }).assess;
const NOTHING: UsageFindings = { digest: null, findings: [] };
const HALFWAY: UsageProgress = {
  phase: 'reading b.csv',
  done: 0.4,
  filesRead: 1,
  files: 2,
  rows: 1_000,
  folder: '/tmp/cutover-assess-abc',
};

function analyse(environment: MockActivityEnvironment, port: (observed: Observed) => Promise<UsageFindings>) {
  if (PLAN === undefined) throw new Error('expected a plan that reads usage');
  const ports = { usage: { analyse: (_: unknown, observed: Observed) => port(observed) } };
  const activity = createAnalyseUsage(ports as unknown as Ports);
  return environment.run(activity, { route: 'chat', plan: PLAN });
}

it('shows its progress in heartbeats', async () => {
  const environment = new MockActivityEnvironment();
  const beats: unknown[] = [];
  environment.on('heartbeat', (beat) => beats.push(beat));
  const found = await analyse(environment, async ({ progress }) => {
    progress(HALFWAY);
    return NOTHING;
  });
  expect(found).toEqual(NOTHING);
  expect(beats).toContainEqual(HALFWAY);
});

it('tells a later attempt how far the one before came', async () => {
  const environment = new MockActivityEnvironment({ attempt: 2, heartbeatDetails: HALFWAY });
  const seen: unknown[] = [];
  await analyse(environment, async ({ earlier }) => {
    seen.push(earlier);
    return NOTHING;
  });
  expect(seen).toEqual([HALFWAY]);
});

it('stops when it is cancelled', async () => {
  const environment = new MockActivityEnvironment();
  const running = analyse(
    environment,
    ({ signal }) => new Promise((_, reject) => signal.addEventListener('abort', () => reject(signal.reason))),
  );
  environment.cancel('CANCELLED');
  await expect(running).rejects.toThrow('CANCELLED');
});
