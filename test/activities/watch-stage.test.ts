import { MockActivityEnvironment } from '@temporalio/testing';
import { createWatchStage } from '../../src/activities/watch-stage';
import type { WatchStageInput } from '../../src/contract';
import type { EvidenceReading } from '../../src/core/evidence/evidence';
import { noStageEvidence } from '../../src/core/evidence/stage/stage-evidence';
import { NO_PROBES } from '../../src/core/gates/verdict';
import type { WindowResult } from '../../src/core/migration/events';
import type { Drift } from '../../src/core/migration/migration-state';
import type { StagePlan } from '../../src/core/plan/plan';
import { planSchema } from '../../src/core/plan/plan-schema';
import type { GatewayStatus } from '../../src/core/routing/routing';
import { histogramOf } from '../../src/core/statistics/histogram';
import type { Ports } from '../../src/ports';
import { record } from '../support/gateways/gateway-fixture';
import { aCell, aStage, EPOCH, evidenceOf } from '../support/migrations/gate-evidence';

const RECORD = record({ epoch: EPOCH });
const HALF_HOUR_MS = 30 * 60_000;

/** One gateway that answers with these readings, the last one for ever, and time that passes by itself. */
function watched(
  readings: readonly Partial<EvidenceReading>[],
  said: {
    readonly statuses?: readonly (Partial<GatewayStatus> | 'silent')[];
    readonly knownSilent?: readonly string[];
    readonly knownDrifts?: readonly Drift[];
    readonly stage?: Partial<StagePlan>;
    readonly identity?: NonNullable<WatchStageInput['identity']>;
    /** What the list of models states, time after time. */
    readonly stated?: readonly (string | 'no list')[];
  } = {},
): Promise<WindowResult> {
  let [nowMs, reads, asked, listed] = [0, 0, 0, 0];
  const { statuses = [{}], knownDrifts = [] } = said;
  const status = {
    gateway: 'gw-1',
    incarnation: 'inc-1',
    asOfMs: 0,
    record: RECORD,
    highestEpoch: EPOCH,
    leaseRemainingMs: 45_000,
    kill: null,
    settled: 'legacy',
  } as unknown as GatewayStatus;
  const roster = [{ name: 'gw-1', admin: 'http://127.0.0.1:1' }];
  const ports = {
    gateways: {
      discover: async () => roster,
      status: async () => {
        const now = statuses[Math.min(asked, statuses.length - 1)];
        asked += 1;
        if (now === 'silent') return { kind: 'unreachable', reason: 'connect timeout' };
        return { kind: 'ok', value: { ...status, ...now } };
      },
      renew: async () => ({ kind: 'ok', value: status }),
      evidence: async () => {
        const reading = readings[Math.min(reads, readings.length - 1)];
        reads += 1;
        const value = {
          incarnation: 'inc-1',
          cursor: `inc-1:${EPOCH}:${reads}`,
          evidence: evidenceOf([]),
          ...reading,
        };
        return { kind: 'ok', value };
      },
    },
    providers: {
      models: () => [{ legacy: 'old', candidate: 'tuned' }],
      probe: async (_route: string, _side: string, kind: string) => {
        const passed = { kind, ok: true, latencyMs: 5, firstTokenMs: null, error: null, models: null };
        if (kind !== 'models') return passed;
        const { stated = [''] } = said;
        const now = stated[Math.min(listed, stated.length - 1)] as string;
        listed += 1;
        if (now === 'no list') return { ...passed, ok: false, error: 'status_5xx (status 503)' };
        return { ...passed, models: ['tuned'], digests: { tuned: [now] } };
      },
    },
    leaseGrants: { mayGrantLeases: async () => ({ granted: true, reason: '' }) },
    clock: {
      now: () => nowMs,
      // Probing waits on the same clock and would race ahead with it.
      sleep: async (durationMs: number, signal: AbortSignal) => {
        await new Promise((resolve) => setImmediate(resolve));
        if (!signal.aborted) nowMs += durationMs;
      },
    },
    telemetry: { stage: () => ({ round: () => undefined, end: () => undefined }) },
  } as unknown as Ports;
  const input: WatchStageInput = {
    route: 'main',
    record: RECORD,
    roster,
    stage: { ...aStage('canary'), ...said.stage },
    windowMs: HALF_HOUR_MS,
    renewalMs: 5_000,
    handover: false,
    progress: {
      evidence: noStageEvidence(EPOCH),
      cursors: {},
      observedMs: HALF_HOUR_MS,
      windows: 1,
      burnInRequests: 50,
    },
    probePlan: { intervalMs: 5_000, timeoutMs: 1_000, embeddings: false },
    probes: { legacy: NO_PROBES, candidate: NO_PROBES },
    baseline: null,
    knownDrift: null,
    knownDrifts,
    ...(said.identity === undefined ? {} : { identity: said.identity }),
    ...(said.knownSilent === undefined ? {} : { knownSilent: said.knownSilent }),
  };
  return new MockActivityEnvironment().run(createWatchStage(ports), input) as Promise<WindowResult>;
}

const failing = (failures: number, streak: number): Partial<EvidenceReading> => ({
  evidence: evidenceOf([aCell('legacy', { requests: 40 }), aCell('candidate', { requests: 4, failures })]),
  candidateFailureStreak: streak,
});

it('ends a window of low traffic at the third failure in a row, so that the migration pauses now', async () => {
  const window = await watched([failing(0, 0), failing(2, 2), failing(3, 3)]);
  expect(window.ended).toBe('window over');
  expect(window.observedMs).toBeLessThan(HALF_HOUR_MS);
  expect(window.verdict).toMatchObject({ harm: null, pause: expect.stringContaining('the last 3 requests') });
});

it('goes on where a success came between, and with gateways that do not count', async () => {
  const { candidateFailureStreak: _, ...silent } = failing(3, 3);
  for (const readings of [[failing(3, 0)], [silent]]) {
    const window = await watched(readings);
    expect(window.verdict.pause).toBeNull();
    expect(window.ended).toBe('window over');
    expect(window.observedMs).toBeGreaterThan(HALF_HOUR_MS / 2);
  }
});

it('keeps what applications said of answers, of the names that the plan judges', async () => {
  const arm = (count: number, trues: number) => ({
    ...{ booleans: [count, trues] as const, numbers: [] },
    buckets: [[0, count, 20 * trues]] as const,
  });
  const said = (name: string) => ({ name, legacy: arm(30, 21), candidate: arm(4, 3) });
  const evidence = {
    ...evidenceOf([aCell('legacy', { requests: 40 }), aCell('candidate', { requests: 4 })]),
    outcomes: [said('noise'), said('solved')],
  };
  const gate = { name: 'solved', better: 'higher', harm: 0.03, promotion: 0.05, minimum: 9 } as const;
  const judged = await watched([{ evidence }], { stage: { outcomes: [gate] } });
  expect(judged.evidence.outcomes).toMatchObject([
    { name: 'solved', reported: { legacy: 30, candidate: 4 } },
  ]);
  expect(judged.verdict.metrics).toContainEqual(
    expect.objectContaining({ metric: 'outcome solved', n: { legacy: 30, candidate: 4 } }),
  );
  const older = await watched([{ evidence }]);
  expect(older.evidence.outcomes).toBeUndefined();
});

it('keeps what answers cost where the plan judges it, and only of windows whose arms compare', async () => {
  const arm = (count: number) => ({
    values: histogramOf(new Array(count).fill(120)),
    unknown: 1,
    buckets: [],
  });
  const evidence = {
    ...evidenceOf([aCell('legacy', { requests: 40 }), aCell('candidate', { requests: 4 })]),
    spending: [{ measure: 'cost', legacy: arm(30), candidate: arm(4) } as const],
  };
  const gates = aStage('canary', { gates: { cost: {} } }).gates;
  const seen = await watched([{ evidence }], { stage: { gates } });
  expect(seen.evidence.spending).toMatchObject([
    { measure: 'cost', known: { legacy: 30, candidate: 4 }, unknown: { legacy: 1, candidate: 1 } },
  ]);
  expect(seen.verdict.metrics).toContainEqual(
    expect.objectContaining({ metric: 'p95 cost per request', n: { legacy: 30, candidate: 4 } }),
  );
  expect((await watched([{ evidence }])).evidence.spending).toBeUndefined();
});

it('keeps what a cohort came to where the stage serves one, and rolls back by it', async () => {
  const { stages } = planSchema.parse({
    route: 'main',
    stages: [{ name: 'assess' }, { name: 'pilot', only: { teams: ['search'] } }, { name: 'complete' }],
  });
  const failing = { ...aCell('candidate', { requests: 200, failures: 80 }), kind: 'cohort' as const };
  const evidence = evidenceOf([aCell('legacy', { requests: 800 }), failing]);
  const window = await watched([{ evidence }, {}], { stage: stages[1] as StagePlan });
  expect(window).toMatchObject({ ended: 'harm', verdict: { harm: 'cohort success' } });
  expect(window.verdict.requests).toEqual({ legacy: 0, candidate: 200 });
  // Nothing of it is in the candidate's arm.
  expect(window.traffic?.candidate.requests).toBe(0);
});

it('gives the summary of the probes of both sides with the window', async () => {
  const { probes } = await watched([failing(3, 3)]);
  const summary = { failures: 0, meanMs: 5, p50Ms: expect.closeTo(5, 0), p95Ms: expect.closeTo(5, 0) };
  expect(probes).toMatchObject({ legacy: summary, candidate: summary });
});

it('ends at the renewal after a latch was cleared, not at the end of its window', async () => {
  const kill = { by: 'ana', reason: 'smoke', at: '2026-01-05T10:00:00.000Z' };
  const known: Drift = { gateway: 'gw-1', kind: 'kill latch', detail: 'set by ana', kill };
  const window = await watched([failing(0, 0)], {
    statuses: [{ kill }, { kill }, { withdrawn: true }],
    knownDrifts: [known],
  });
  expect(window.ended).toBe('drift changed');
  expect(window.drifts).toMatchObject([{ gateway: 'gw-1', kind: 'kill latch', kill: null }]);
  expect(window.answered).toEqual(['gw-1']);
});

describe('a gateway that falls silent', () => {
  it('ends the window once it has been silent for a lease, so that it may be forgotten', async () => {
    const window = await watched([{}], { statuses: [{}, 'silent'], knownSilent: [] });
    expect(window).toMatchObject({ ended: 'roster changed', answered: [], left: [] });
    expect(window.observedMs).toBeLessThan(HALF_HOUR_MS);
  });

  it('ends the window when it answers again, and not while it is known to be silent', async () => {
    const silent = await watched([{}], { statuses: ['silent'], knownSilent: ['gw-1'] });
    expect(silent.ended).toBe('window over');
    const back = await watched([{}], { statuses: ['silent', 'silent', {}], knownSilent: ['gw-1'] });
    expect(back).toMatchObject({ ended: 'roster changed', answered: ['gw-1'] });
  });

  it('ends no window of a run that does not say whom it knows to be silent', async () => {
    expect((await watched([{}], { statuses: [{}, 'silent'] })).ended).toBe('window over');
  });
});

describe('with a declared identity', () => {
  const [DECLARED, OTHER] = ['a', 'b'].map((digit) => `sha256:${digit.repeat(64)}`) as [string, string];
  const quiet = [{}];

  it('goes on while the server states it, or cannot be asked', async () => {
    const window = await watched(quiet, {
      identity: { declared: DECLARED, paused: false },
      stated: [DECLARED, 'no list'],
    });
    expect(window.verdict.pause).toBeNull();
    expect(window.verdict.metrics).toContainEqual(
      expect.objectContaining({
        metric: 'identity',
        outcome: 'not applicable',
        sentence: expect.stringContaining('did not list its models (status_5xx (status 503))'),
      }),
    );
    expect(window.observedMs).toBeGreaterThan(HALF_HOUR_MS / 2);
  });

  it('ends the window as soon as it states another one, so that the migration pauses now', async () => {
    const window = await watched(quiet, {
      identity: { declared: DECLARED, paused: false },
      stated: [DECLARED, OTHER],
    });
    expect(window).toMatchObject({ ended: 'window over', verdict: { outcome: 'fail', harm: null } });
    expect(window.verdict.pause).toBe(
      'the candidate is not the declared model: expected sha256:aaaaaaaaaaaa… for "tuned", its server states sha256:bbbbbbbbbbbb…',
    );
    expect(window.observedMs).toBeLessThan(HALF_HOUR_MS);
  });

  it('lets the window of a paused migration come to its end', async () => {
    const window = await watched(quiet, { identity: { declared: DECLARED, paused: true }, stated: [OTHER] });
    expect(window.verdict.pause).toContain('not the declared model');
    expect(window.observedMs).toBeGreaterThan(HALF_HOUR_MS / 2);
  });
});
