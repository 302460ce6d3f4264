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

it('raises nothing to a candidate whose server states another model than the declared one', async () => {
  const declared = `sha256:${'a'.repeat(64)}`;
  const stating = (digest: string) =>
    ({
      providers: {
        models: () => [{ legacy: 'old', candidate: 'tuned' }],
        probe: async (_route: string, _side: string, kind: string) => ({
          ...{ kind, ok: true, latencyMs: 5, error: null },
          digests: kind === 'models' ? { tuned: [digest] } : null,
        }),
      },
    }) as unknown as Ports;
  const ask = (digest: string) =>
    new MockActivityEnvironment().run(createCheckHealth(stating(digest)), {
      ...{ route: 'chat', timeoutMs: 100, embeddings: false, identity: { declared } },
    } satisfies CheckHealthInput) as Promise<HealthCheck>;
  expect(await ask(declared)).toEqual({
    healthy: true,
    sentence:
      "4 probes passed, the slowest in 5 ms; the candidate's server states the declared sha256:aaaaaaaaaaaa…",
  });
  expect(await ask(`sha256:${'b'.repeat(64)}`)).toMatchObject({
    healthy: false,
    sentence: expect.stringContaining('the candidate is not the declared model'),
  });
});

describe('before a raise', () => {
  const cell = (arm: string, attempts: number, failures: object = {}, kind = 'live') => ({
    ...{ side: arm, kind, attempts, failures },
    // 100 tokens in and 20 out per request.
    ...{ tokensIn: 100 * attempts, tokensCached: 0, tokensOut: 20 * attempts },
  });
  const gateway = (name: string) => ({ name, admin: `http://${name}:8081` });
  const world = (limit: number | null, cells: readonly object[], tokens: number | null = null) =>
    ({
      providers: {
        probe: async (_route: string, provider: string) => ({
          ...{ ok: true, latencyMs: 5 },
          // Legacy's limits are no matter here.
          rateLimits: {
            requestsPerMinute: provider === 'candidate' ? limit : 1,
            tokensPerMinute: provider === 'candidate' ? tokens : 1,
          },
        }),
      },
      gateways: {
        peek: async ({ name }: { name: string }) =>
          name === 'gone' ? new Promise(() => {}) : { kind: 'ok', value: { evidence: { cells } } },
      },
    }) as unknown as Ports;
  const ask = (ports: Ports, raise: Partial<NonNullable<CheckHealthInput['raise']>> = {}) =>
    new MockActivityEnvironment().run(createCheckHealth(ports), {
      ...{ route: 'chat', timeoutMs: 100, embeddings: false },
      raise: {
        roster: [gateway('a'), gateway('b'), gateway('gone')],
        ...{ epoch: 3, forMs: 600_000, fromShare: 0.1, toShare: 0.5, ...raise },
      },
    } satisfies CheckHealthInput) as Promise<HealthCheck>;

  // Two gateways, 10 minutes: 1,000 requests per minute.
  const CELLS = [cell('legacy', 4_500), cell('candidate', 500), cell('candidate', 9_999, {}, 'failover')];

  it('holds with the numbers where the candidate allows too little for the next share', async () => {
    expect(await ask(world(10_000, CELLS))).toMatchObject({ healthy: true });
    expect(await ask(world(null, CELLS))).toMatchObject({ healthy: true });
    expect(await ask(world(600, CELLS))).toEqual({
      healthy: false,
      sentence:
        'too little room at the candidate: it allows 600 requests per minute, and 50% of 1,000 are 500, above 80% of that',
    });
  });

  it('holds where the candidate allows too few tokens', async () => {
    expect(await ask(world(10_000, CELLS, 75_000))).toMatchObject({ healthy: true });
    expect((await ask(world(10_000, CELLS, 74_000))).sentence).toContain(
      '74,000 tokens per minute, and 50% of 120,000 are 60,000',
    );
  });

  it('holds where the candidate has throttled its requests', async () => {
    const throttled = [cell('legacy', 4_500), cell('candidate', 500, { status_429: 20 })];
    expect((await ask(world(10_000, throttled))).sentence).toContain('429 to 40 of 1000 requests at 10%');
  });
});
