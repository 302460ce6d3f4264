import type { OutcomeCounts } from '../../../src/core/evidence/outcome-counts';
import type { StageEvidence } from '../../../src/core/evidence/stage/stage-evidence';
import { withAccepted } from '../../../src/core/evidence/stage/stage-evidence';
import { withOutcomes } from '../../../src/core/evidence/stage/stage-outcomes';
import { alphaAtEntry } from '../../../src/core/gates/alpha-spending';
import { judgeOutcomes } from '../../../src/core/gates/judge-outcomes';
import { stageRates } from '../../../src/core/gates/stage-rates';
import { isOutcomeReports } from '../../../src/core/gates/verdict';
import type { StagePlan } from '../../../src/core/plan/plan';
import { planSchema } from '../../../src/core/plan/plan-schema';
import type { Random } from '../../../src/core/rehearsal/rehearsal';
import { seededRandom } from '../../../src/core/rehearsal/rehearsal';
import { OutcomeTally } from '../../../src/gateway/outcomes/outcome-tally';
import { aCell, afterWindows, evidenceOf, judged, metricOf } from '../../support/migrations/gate-evidence';
import { mostFalseDecisions } from '../../support/statistics-draws';

type Said = Record<string, unknown>;

/** Canary of the default plan with outcomes to judge. */
function canary(outcomes: readonly Said[] = [{ name: 'solved' }], alpha: Said = {}): StagePlan {
  const { stages } = planSchema.parse({ route: 'chat', outcomes, alpha });
  return stages[1] as StagePlan;
}

const REQUESTS = evidenceOf([
  aCell('legacy', { requests: 90_000, failures: 90 }),
  aCell('candidate', { requests: 10_000, failures: 10 }),
]);

/** Outcomes of both arms, spread evenly over buckets: how many, and of how many the value is 1. */
function outcomes(
  legacy: readonly [number, number],
  candidate: readonly [number, number],
  name = 'solved',
): OutcomeCounts {
  const arm = ([count, trues]: readonly [number, number]) => ({
    booleans: [count, trues] as const,
    numbers: [],
    buckets: Array.from(
      { length: 50 },
      (_, bucket) => [bucket, count / 50, Math.round((20 * trues) / 50)] as const,
    ),
  });
  return { name, legacy: arm(legacy), candidate: arm(candidate) };
}

function reported(counts: readonly OutcomeCounts[], names = ['solved']): StageEvidence {
  return { ...afterWindows([REQUESTS]), outcomes: withOutcomes(undefined, counts, names) };
}

describe('an outcome that the plan judges', () => {
  it.each([
    ['as good as legacy', [9_000, 6_300], [1_000, 700], 'inconclusive', false],
    ['as good, on enough outcomes', [90_000, 63_000], [10_000, 7_000], 'pass', false],
    ['better', [9_000, 6_300], [1_000, 800], 'pass', false],
    ['ten points worse', [9_000, 6_300], [1_500, 900], 'fail', true],
    ['ten points worse, too few to say', [900, 630], [100, 60], 'inconclusive', false],
    ['two points worse, within its margins', [90_000, 63_000], [10_000, 6_800], 'pass', false],
    ['four points worse, between its margins', [900, 630], [100, 66], 'inconclusive', false],
  ] as const)('%s: legacy %p, candidate %p gives %s', (_, legacy, candidate, outcome, harm) => {
    const verdict = judged(canary(), reported([outcomes(legacy, candidate)]));
    expect(metricOf(verdict, 'outcome solved')).toMatchObject({ outcome, harm });
    expect(verdict.harm).toBe(harm ? 'outcome solved' : null);
  });

  it('says what was compared, and names itself where it rolls back', () => {
    const verdict = judged(canary(), reported([outcomes([9_000, 6_300], [1_500, 900])]));
    expect(verdict.outcome).toBe('fail');
    expect(verdict.sentence).toMatch(
      /^solved of the candidate 60% against 70%: worse by 10 points, allowed 3 points, e-value .* of 200 needed/,
    );
    expect(metricOf(verdict, 'outcome solved')).toMatchObject({
      ...{ unit: 'rate', legacy: 0.7, candidate: 0.6, estimate: 0.1, threshold: 200 },
      n: { legacy: 9_000, candidate: 1_500 },
    });
  });

  it('turns round where less is better', () => {
    const stage = canary([{ name: 'complaints', better: 'lower' }]);
    const verdict = (candidate: readonly [number, number]) =>
      judged(stage, reported([outcomes([9_000, 900], candidate, 'complaints')], ['complaints']));
    expect(verdict([1_500, 300]).harm).toBe('outcome complaints');
    expect(verdict([1_500, 75]).harm).toBeNull();
  });

  it('judges numbers by their mean', () => {
    const arm = (step: number, count: number) => ({
      booleans: [0, 0] as const,
      numbers: [
        [step - 2, count / 2],
        [step + 2, count / 2],
      ] as const,
      buckets: Array.from({ length: 50 }, (_, bucket) => [bucket, count / 50, (step * count) / 50] as const),
    });
    const counts = { name: 'solved', legacy: arm(14, 9_000), candidate: arm(12, 1_000) };
    const metric = metricOf(judged(canary(), reported([counts])), 'outcome solved');
    expect(metric).toMatchObject({ harm: true, legacy: 0.7, candidate: 0.6 });
  });

  it('holds the stage until as many of the candidate were reported as the plan asks for', () => {
    const counts = [outcomes([90_000, 63_000], [10_000, 7_000])];
    const few = metricOf(
      judged(canary([{ name: 'solved', minimum: 20_000 }]), reported(counts)),
      'outcome solved',
    );
    expect(few.outcome).toBe('inconclusive');
    expect(few.sentence).toContain('10000 of 20000 outcomes of the candidate');
  });

  it('is watched for harm alone where the plan asks for no promotion margin', () => {
    const stage = canary([{ name: 'solved', promotion: null }]);
    const outcome = (candidate: readonly [number, number]) =>
      metricOf(judged(stage, reported([outcomes([9_000, 6_300], candidate)])), 'outcome solved').outcome;
    expect(outcome([1_000, 690])).toBe('pass');
    expect(outcome([1_500, 900])).toBe('fail');
  });

  it('holds the stage, not evaluated, while nobody reports it, and says how to', () => {
    const verdict = judged(canary(), reported([]));
    expect(metricOf(verdict, 'outcome solved')).toMatchObject({ outcome: 'not evaluated', harm: false });
    expect(verdict.outcome).toBe('not evaluated');
    expect(verdict.sentence).toContain(
      'solved: no application has reported one yet (POST /v1/outcomes with the name "solved")',
    );
    const oneSided = judged(canary(), reported([outcomes([900, 630], [0, 0])]));
    expect(metricOf(oneSided, 'outcome solved').sentence).toContain('none of the candidate was reported yet');
  });

  it('finds harm that starts late', () => {
    const windows = [
      ...Array.from({ length: 30 }, () => outcomes([2_700, 1_890], [300, 210])),
      ...Array.from({ length: 6 }, () => outcomes([2_700, 1_890], [300, 165])),
    ];
    const held = windows.reduce<ReturnType<typeof withOutcomes> | undefined>(
      (before, counts) => withOutcomes(before, [counts], ['solved']),
      undefined,
    );
    const evidence = { ...afterWindows([REQUESTS]), outcomes: held ?? [] };
    expect(judged(canary(), evidence).harm).toBe('outcome solved');
    expect(JSON.stringify(held).length).toBeLessThan(2_500);
  });

  it('is shown only where there is no control arm', () => {
    const { stages } = planSchema.parse({ route: 'chat', holdback: 0, outcomes: [{ name: 'solved' }] });
    const complete = stages[3] as StagePlan;
    const metric = metricOf(judged(complete, reported([outcomes([0, 0], [900, 100])])), 'outcome solved');
    expect(metric).toMatchObject({ outcome: 'not applicable', role: 'report', harm: false });
  });

  it('is not there in plans that judge none, whatever is reported', () => {
    const { stages } = planSchema.parse({ route: 'chat' });
    const verdict = judged(stages[1] as StagePlan, reported([outcomes([9_000, 6_300], [1_500, 900])]));
    expect(verdict.metrics.some(({ metric }) => metric.includes('solved'))).toBe(false);
  });
});

describe('the chance of a false rollback', () => {
  const plan = { rollback: 0.05, promotion: 0.05, weights: canary().alpha.weights } as Parameters<
    typeof alphaAtEntry
  >[0];

  it('is what it was in a plan that judges no outcomes', () => {
    expect(alphaAtEntry(plan, 1, 1)).toEqual({
      ...{ rollback: 0.025, weights: plan.weights },
      promotion: expect.closeTo(0.045, 12),
    });
  });

  it('gives outcomes a fifth of it, in equal parts, and leaves the rest to the other guardrails', () => {
    const { rollback, outcomes: own } = alphaAtEntry({ ...plan, outcomes: 0.2 }, 1, 1);
    expect(rollback).toBeCloseTo(0.02, 12);
    expect(own).toBeCloseTo(0.005, 12);
    const two = canary([{ name: 'solved' }, { name: 'copied' }]);
    const metric = metricOf(
      judged(two, reported([outcomes([900, 630], [100, 60])], ['solved', 'copied'])),
      'outcome solved',
    );
    expect(two.alpha.outcomes).toBeCloseTo(0.005, 12);
    expect(metric.sentence).toBeDefined();
    expect(
      metricOf(
        judged(two, reported([outcomes([9_000, 6_300], [1_500, 900])], ['solved', 'copied'])),
        'outcome solved',
      ).threshold,
    ).toBe(400);
  });
});

describe('how often each arm reports', () => {
  it('passes where both report alike', () => {
    const metric = metricOf(
      judged(canary(), reported([outcomes([9_000, 6_300], [1_000, 700])])),
      'reports of solved',
    );
    expect(metric.outcome).toBe('pass');
  });

  it('pauses where one reports less, though those who do are as content', () => {
    const verdict = judged(canary(), reported([outcomes([9_000, 6_300], [600, 420])]));
    expect(metricOf(verdict, 'reports of solved').outcome).toBe('fail');
    expect(verdict.harm).toBeNull();
    expect(verdict.pause).toMatch(
      /^6.25% of the outcomes "solved" are the candidate's, which had 1\d(\.\d+)?% of the requests, p below 0.001: one side reports less often/,
    );
  });

  it('counts anew once an operator has accepted it', () => {
    const uneven = reported([outcomes([9_000, 6_300], [600, 420])]);
    const accepted = withAccepted(uneven, 'outcome reports');
    expect(judged(canary(), accepted).pause).toBeNull();
    // The outcomes themselves stay.
    expect(metricOf(judged(canary(), accepted), 'outcome solved').n).toEqual({
      legacy: 9_000,
      candidate: 600,
    });
    const again = withOutcomes(accepted.outcomes, [outcomes([9_000, 6_300], [600, 420])], ['solved']);
    expect(judged(canary(), { ...accepted, outcomes: again }).pause).not.toBeNull();
  });
});

/** Traffic whose outcomes come late: what is good within half a day, what is bad within a day. */
interface LateTraffic {
  readonly share: number;
  readonly windows: number;
  /** Requests of one window that are reported on. */
  readonly reports: number;
  readonly rate: Readonly<Record<'legacy' | 'candidate', number>>;
  /** Keys that are always of one opinion; null: every request by itself. */
  readonly keys: number | null;
  /** At how many gateways each outcome is reported, and so counted; one when absent. */
  readonly gateways?: number;
}

const DAY = 48;
/** Judged after every so many windows, which is all that these runs have time for. */
const LOOKS = 3;

/** The candidate's outcomes at which harm was shown, and whether the stage was paused. */
function watch(stage: StagePlan, traffic: LateTraffic, random: Random, deflates = true) {
  const tallies = Array.from({ length: traffic.windows + DAY }, () => new OutcomeTally());
  const opinions = Array.from({ length: traffic.keys ?? 0 }, () => random());
  const arms = opinions.map(
    () => (random() < traffic.share ? 'candidate' : 'legacy') as 'candidate' | 'legacy',
  );
  const requests = afterWindows([
    evidenceOf([
      aCell('legacy', { requests: Math.round(1e6 * (1 - traffic.share)) }),
      aCell('candidate', { requests: 1e6 * traffic.share }),
    ]),
  ]);
  const rates = stageRates(requests);
  let held: ReturnType<typeof withOutcomes> | undefined;
  let moved = 0;
  const found = { harm: null as number | null, paused: false };
  for (let window = 0; window < traffic.windows; window += 1) {
    for (let report = 0; report < traffic.reports; report += 1) {
      const key = traffic.keys === null ? null : Math.floor(random() * traffic.keys);
      const drawn = random() < traffic.share ? 'candidate' : 'legacy';
      const arm = key === null ? drawn : (arms[key] ?? drawn);
      const value = (key === null ? random() : (opinions[key] ?? 0)) < traffic.rate[arm];
      const at = window + Math.floor(random() * (value ? DAY / 2 : DAY));
      const own = Math.floor(random() * 64);
      for (let gateway = 0; gateway < (traffic.gateways ?? 1); gateway += 1) {
        const drawnAgain = gateway === 0 || deflates ? own : Math.floor(random() * 64);
        const bucket = key === null || !deflates ? drawnAgain : key % 64;
        tallies[at]?.add({ epoch: 1, side: arm, bucket, name: 'solved', value, request: null });
      }
    }
    const counts = tallies[window]?.since(new OutcomeTally()) ?? [];
    moved += counts[0]?.candidate.booleans[0] ?? 0;
    held = withOutcomes(held, counts, ['solved']);
    if (window % LOOKS !== LOOKS - 1) continue;
    const evidence = { ...requests, outcomes: held };
    const metrics = judgeOutcomes({ stage, rates, evidence, baseline: null, foresees: false });
    found.paused ||= metrics.some((metric) => isOutcomeReports(metric) && metric.outcome === 'fail');
    if (metrics.some(({ harm }) => harm)) return { ...found, harm: moved };
  }
  return found;
}

describe('outcomes that come up to a day late', () => {
  const ALPHA = 0.05;
  /** All of alpha for one outcome, so that few runs show a wrong one. */
  const stage: StagePlan = { ...canary(), alpha: { ...canary().alpha, outcomes: ALPHA } };

  it('roll an equal candidate back at most at alpha, and a candidate at the margin as well', () => {
    const runs = 50;
    let [equal, atMargin, paused] = [0, 0, 0];
    for (let run = 0; run < runs; run += 1) {
      const traffic = { share: 0.1, windows: 96, reports: 60, keys: null } as const;
      const random = seededRandom(run + 1);
      const alike = watch(stage, { ...traffic, rate: { legacy: 0.7, candidate: 0.7 } }, random);
      equal += Number(alike.harm !== null);
      paused += Number(alike.paused);
      atMargin += Number(
        watch(stage, { ...traffic, rate: { legacy: 0.7, candidate: 0.67 } }, random).harm !== null,
      );
    }
    expect(equal).toBeLessThanOrEqual(mostFalseDecisions(runs, ALPHA));
    expect(paused).toBeLessThanOrEqual(mostFalseDecisions(runs, 0.001));
    expect(atMargin).toBeLessThanOrEqual(mostFalseDecisions(runs, ALPHA));
  });

  it('roll back a candidate of 60% against 70% within 2,000 of its outcomes, by the default canary', () => {
    const found = Array.from({ length: 12 }, (_, run) => {
      const traffic = { share: 0.1, windows: 400, reports: 100, keys: null } as const;
      return (
        watch(canary(), { ...traffic, rate: { legacy: 0.7, candidate: 0.6 } }, seededRandom(run + 1)).harm ??
        9_999
      );
    });
    const mean = found.reduce((sum, count) => sum + count, 0) / found.length;
    expect(mean).toBeLessThan(2_000);
  });

  it('that are reported at four gateways each count as what they are worth, because copies share a bucket', () => {
    const runs = 40;
    const found = { deflated: 0, undeflated: 0 };
    for (let run = 0; run < runs; run += 1) {
      const traffic = {
        ...{ share: 0.5, windows: 96, reports: 60, keys: null, gateways: 4 },
        rate: { legacy: 0.7, candidate: 0.67 },
      };
      found.deflated += Number(watch(stage, traffic, seededRandom(run + 1)).harm !== null);
      found.undeflated += Number(watch(stage, traffic, seededRandom(run + 1), false).harm !== null);
    }
    expect(found.deflated).toBeLessThanOrEqual(mostFalseDecisions(runs, ALPHA));
    expect(found.undeflated).toBeGreaterThan(mostFalseDecisions(runs, ALPHA));
  });

  it('of keys that are of one opinion are deflated; as if every one were by itself they would be wrong too often', () => {
    const runs = 40;
    const found = { deflated: 0, undeflated: 0 };
    for (let run = 0; run < runs; run += 1) {
      const traffic = {
        share: 0.5,
        windows: 45,
        reports: 300,
        keys: 200,
        rate: { legacy: 0.5, candidate: 0.5 },
      };
      found.deflated += Number(watch(stage, traffic, seededRandom(run + 1)).harm !== null);
      found.undeflated += Number(watch(stage, traffic, seededRandom(run + 1), false).harm !== null);
    }
    expect(found.deflated).toBeLessThanOrEqual(mostFalseDecisions(runs, ALPHA));
    expect(found.undeflated).toBeGreaterThan(mostFalseDecisions(runs, ALPHA));
  });
});
