import { WorkerMetrics } from '../../src/adapters/worker-metrics';
import { metricVerdict } from '../../src/core/gates/gate-metric';
import type { GateVerdict } from '../../src/core/gates/verdict';
import { NO_PROBES } from '../../src/core/gates/verdict';
import type { ApplyResult } from '../../src/core/migration/events';
import type { ObservedRound, ObservedStage } from '../../src/ports';

let nowMs: number;
let metrics: WorkerMetrics;

beforeEach(() => {
  nowMs = 1_000;
  metrics = new WorkerMetrics(
    null,
    () => nowMs,
    () => 1_800_000_000_000 + nowMs,
  );
});

const CANARY: ObservedStage = {
  route: 'chat',
  stage: 'canary',
  shareAsked: 0.1,
  soakRequiredMs: 86_400_000,
  gateways: ['gw-1', 'gw-2'],
};

function round(overrides: Partial<ObservedRound> = {}, verdict: Partial<GateVerdict> = {}): ObservedRound {
  return {
    verdict: {
      stage: 'canary',
      epoch: 3,
      outcome: 'inconclusive',
      harm: null,
      pause: null,
      sentence: '',
      burnIn: false,
      metrics: [],
      observedShare: 0.09,
      requests: { legacy: 900, candidate: 90 },
      baseline: null,
      ...verdict,
    },
    probes: { legacy: NO_PROBES, candidate: { ...NO_PROBES, failedInARow: 2 } },
    soakMs: 60_000,
    drift: null,
    lapsed: [],
    silent: [],
    ...overrides,
  };
}

const confirmed: ApplyResult = {
  epoch: 4,
  confirmed: ['gw-1', 'gw-2'],
  lapsed: [],
  missing: [],
  drift: null,
  notes: [],
};

async function lines(name: string): Promise<string[]> {
  return (await metrics.metrics()).split('\n').filter((line) => line.startsWith(`${name}{`));
}

describe("a worker's metrics", () => {
  it('show stage, shares, verdict, soak and probes of what it watches', async () => {
    const stage = metrics.stage(CANARY);
    expect(await lines('cutover_migration_verdict')).toEqual([]);
    stage.round(round());
    expect(await lines('cutover_migration_stage')).toEqual([
      'cutover_migration_stage{route="chat",stage="canary"} 1',
    ]);
    expect(await lines('cutover_migration_share_asked')).toEqual([
      'cutover_migration_share_asked{route="chat"} 0.1',
    ]);
    expect(await lines('cutover_migration_share_observed')).toEqual([
      'cutover_migration_share_observed{route="chat"} 0.09',
    ]);
    expect(await lines('cutover_migration_verdict')).toEqual([
      'cutover_migration_verdict{route="chat",outcome="inconclusive"} 1',
    ]);
    expect(await lines('cutover_migration_soak_seconds')).toEqual([
      'cutover_migration_soak_seconds{route="chat"} 60',
    ]);
    expect(await lines('cutover_migration_requests')).toContain(
      'cutover_migration_requests{route="chat",side="candidate"} 90',
    );
    expect(await lines('cutover_migration_probe_failures_in_a_row')).toContain(
      'cutover_migration_probe_failures_in_a_row{route="chat",side="candidate"} 2',
    );
  });

  it('say how many answers broke their contract, in which way, and how many were not checked', async () => {
    const answers = metricVerdict({
      ...{
        metric: 'answers',
        outcome: 'inconclusive',
        sentence: '',
        unit: 'rate',
        role: 'guardrail and goal',
      },
      ...{ n: { legacy: 900, candidate: 75 }, legacy: 0.01, candidate: 0.04 },
      breaches: [{ class: 'tool_schema', legacy: 9, candidate: 3 }],
      unchecked: { legacy: 0, candidate: 25 },
    });
    metrics.stage(CANARY).round(round({}, { metrics: [answers] }));
    expect(await lines('cutover_migration_broken_answers_ratio')).toEqual([
      'cutover_migration_broken_answers_ratio{route="chat",side="legacy"} 0.01',
      'cutover_migration_broken_answers_ratio{route="chat",side="candidate"} 0.04',
    ]);
    expect(await lines('cutover_migration_broken_answers')).toEqual([
      'cutover_migration_broken_answers{route="chat",side="legacy",class="tool_schema"} 9',
      'cutover_migration_broken_answers{route="chat",side="candidate",class="tool_schema"} 3',
    ]);
    expect(await lines('cutover_migration_unchecked_answers_ratio')).toEqual([
      'cutover_migration_unchecked_answers_ratio{route="chat",side="legacy"} 0',
      'cutover_migration_unchecked_answers_ratio{route="chat",side="candidate"} 0.25',
    ]);
  });

  it.each([
    ['pass', 3, 0],
    ['pass', 140, 1],
    ['fail', 1, 1],
  ] as const)('say whether another model answers: %s with e-value %d', async (outcome, eValue, differs) => {
    const identity = metricVerdict({
      ...{ metric: 'served model', outcome, sentence: '', unit: 'probes', role: 'guardrail and goal' },
      ...{ eValue, threshold: 100 },
    });
    metrics.stage(CANARY).round(round({}, { metrics: [identity] }));
    expect(await lines('cutover_migration_identity_differs')).toEqual([
      `cutover_migration_identity_differs{route="chat"} ${differs}`,
    ]);
    expect(await lines('cutover_migration_identity_evidence')).toEqual([
      `cutover_migration_identity_evidence{route="chat"} ${eValue}`,
    ]);
  });

  it('leave nothing of an earlier verdict or stage behind', async () => {
    metrics.stage(CANARY).round(round());
    const rolling = metrics.stage({ ...CANARY, stage: 'rolling', shareAsked: 0.5 });
    rolling.round(round({ drift: 'newer epoch' }, { outcome: 'pass', harm: 'errors', observedShare: null }));
    expect(await lines('cutover_migration_verdict')).toEqual([
      'cutover_migration_verdict{route="chat",outcome="pass"} 1',
    ]);
    expect(await lines('cutover_migration_stage')).toHaveLength(1);
    expect(await lines('cutover_migration_share_observed')).toEqual([]);
    expect(await lines('cutover_migration_harm')).toEqual(['cutover_migration_harm{route="chat"} 1']);
    expect(await lines('cutover_migration_drift')).toEqual([
      'cutover_migration_drift{route="chat",kind="newer epoch"} 1',
    ]);
  });

  it('tell how old the evidence of each gateway is, across windows', async () => {
    const first = metrics.stage(CANARY);
    nowMs += 5_000;
    first.round(round({ silent: ['gw-2'] }));
    nowMs += 10_000;
    expect(await lines('cutover_migration_evidence_age_seconds')).toEqual([
      'cutover_migration_evidence_age_seconds{route="chat",gateway="gw-1"} 10',
      'cutover_migration_evidence_age_seconds{route="chat",gateway="gw-2"} 15',
    ]);
    first.end('inconclusive');
    metrics.stage(CANARY);
    nowMs += 1_000;
    expect((await lines('cutover_migration_evidence_age_seconds'))[1]).toMatch(/"gw-2"} 16$/);
  });

  it('forget a stage that goes on elsewhere, and keep one that is between two windows', async () => {
    const stage = metrics.stage(CANARY);
    stage.round(round());
    stage.end('pass');
    nowMs += 59_000;
    expect(await lines('cutover_migration_stage')).toHaveLength(1);
    nowMs += 2_000;
    expect(await lines('cutover_migration_stage')).toEqual([]);
    expect(await lines('cutover_migration_verdicts_total')).toEqual([
      'cutover_migration_verdicts_total{route="chat",outcome="pass"} 1',
    ]);
  });

  it('keep a stage whose watch hangs', async () => {
    metrics.stage(CANARY).round(round());
    nowMs += 3_600_000;
    expect((await lines('cutover_migration_evidence_age_seconds'))[0]).toMatch(/ 3600$/);
  });

  it('count lapses by gateway', async () => {
    const stage = metrics.stage(CANARY);
    stage.round(round({ lapsed: ['gw-1'] }));
    stage.round(round({ lapsed: ['gw-1', 'gw-2'] }));
    expect(await lines('cutover_migration_lapses_total')).toEqual([
      'cutover_migration_lapses_total{route="chat",gateway="gw-1"} 2',
      'cutover_migration_lapses_total{route="chat",gateway="gw-2"} 1',
    ]);
  });

  it('time a rollback from asking for it to the last confirmation, over push and verification', async () => {
    const change = {
      route: 'chat',
      epoch: 4,
      direction: 'lower',
      scheduledAtMs: 1_800_000_000_000 + nowMs,
    } as const;
    const push = metrics.change(change);
    push.pushed(['gw-1', 'gw-2']);
    push.pushed(['gw-2']);
    expect(await lines('cutover_routing_missing_gateways')).toEqual([
      'cutover_routing_missing_gateways{route="chat",direction="lower"} 1',
    ]);
    nowMs += 6_000;
    push.end({ ...confirmed, missing: ['gw-2'] });
    const verification = metrics.change({ ...change, scheduledAtMs: change.scheduledAtMs + 6_000 });
    nowMs += 1_000;
    verification.pushed([]);
    verification.end(confirmed);
    expect(await lines('cutover_routing_missing_gateways')).toEqual([]);
    expect(await lines('cutover_routing_change_seconds_sum')).toEqual([
      'cutover_routing_change_seconds_sum{route="chat",direction="lower"} 7',
    ]);
  });

  it('time nothing that was cancelled or met drift, and forget it', async () => {
    const change = { route: 'chat', epoch: 4, direction: 'raise', scheduledAtMs: 0 } as const;
    metrics.change(change).end(null);
    metrics
      .change(change)
      .end({ ...confirmed, drift: { gateway: 'gw-1', kind: 'newer epoch', detail: '', kill: null } });
    expect(await lines('cutover_routing_change_seconds_sum')).toEqual([]);
    nowMs += 61_000;
    expect(await lines('cutover_routing_missing_gateways')).toEqual([]);
  });

  it('show an effect from its first attempt until one succeeds or it is called off', async () => {
    const dns = { route: 'chat', effect: 'dns', key: 'm-1:4:dns' };
    metrics.effect(dns).end('failed');
    const second = metrics.effect(dns);
    metrics.effect({ ...dns, key: 'm-1:6:dns' }).end('cancelled');
    expect(await lines('cutover_effects_pending')).toEqual([
      'cutover_effects_pending{route="chat",effect="dns"} 1',
    ]);
    second.end('done');
    expect(await lines('cutover_effects_pending')).toEqual([]);
    expect(await lines('cutover_effect_attempts_total')).toEqual([
      'cutover_effect_attempts_total{route="chat",effect="dns",outcome="failed"} 1',
      'cutover_effect_attempts_total{route="chat",effect="dns",outcome="cancelled"} 1',
      'cutover_effect_attempts_total{route="chat",effect="dns",outcome="done"} 1',
    ]);
    metrics.effect(dns).end('failed');
    nowMs += 601_000;
    expect(await lines('cutover_effects_pending')).toEqual([]);
  });
});
