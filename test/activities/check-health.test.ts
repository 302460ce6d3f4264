import { MockActivityEnvironment } from '@temporalio/testing';
import { createCheckHealth } from '../../src/activities/check-health';
import type { CheckHealthInput, HealthCheck } from '../../src/contract';
import type { Ports } from '../../src/ports';

const answering = { providers: { probe: async () => ({ ok: true, latencyMs: 5 }) } } as unknown as Ports;

/** Mondays from 9 to 10, UTC. */
const rollout = {
  ...{ timeZone: 'UTC', freezes: [] },
  hours: [{ days: ['mon'] as const, from: '09:00', to: '10:00' }],
};

const check = (nowMs: number): Promise<HealthCheck> => {
  const input: CheckHealthInput = { route: 'chat', timeoutMs: 100, embeddings: false, rollout, nowMs };
  return new MockActivityEnvironment().run(createCheckHealth(answering), input) as Promise<HealthCheck>;
};

it("reads rollout hours by the workflow's time, whatever the clock of the worker says", async () => {
  const mondayAtNine = Date.UTC(2026, 0, 5, 9);
  expect(await check(mondayAtNine)).toMatchObject({ healthy: true });
  expect(await check(mondayAtNine - 60_000)).toMatchObject({
    healthy: false,
    notBefore: { atMs: mondayAtNine },
  });
});
