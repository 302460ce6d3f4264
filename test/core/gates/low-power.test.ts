import { noStageEvidence } from '../../../src/core/evidence/stage/stage-evidence';
import { withWindow } from '../../../src/core/evidence/stage/stage-window';
import { outcomeText } from '../../../src/core/gates/verdict-text';
import { planSchema } from '../../../src/core/plan/plan-schema';
import { seededRandom } from '../../../src/core/rehearsal/rehearsal';
import {
  aCell,
  afterWindows,
  aStage,
  EPOCH,
  evidenceOf,
  judged,
  metricOf,
} from '../../support/migrations/gate-evidence';
import { drawLatencies } from '../../support/statistics-draws';

const small = planSchema.parse({ route: 'chat', profile: 'small' }).stages[1];
if (small === undefined) throw new Error('expected a canary');

/** Windows of some days of little traffic. */
function days(requests: number, said: { slower?: number; failures?: number } = {}) {
  const { slower = 1, failures = 0 } = said;
  return evidenceOf([
    aCell('legacy', { requests, latencies: drawLatencies(requests, 1_000, 0.6, seededRandom(1)) }),
    aCell('candidate', {
      requests,
      failures,
      latencies: drawLatencies(requests, 1_000 * slower, 0.6, seededRandom(2)),
    }),
  ]);
}

function stageAfter(...windows: ReturnType<typeof days>[]) {
  const kind = { burnIn: false, shareApplied: true, quantile: 0.5 } as const;
  return windows.reduce((stage, window) => withWindow(stage, window, kind), noStageEvidence(EPOCH));
}

describe('a pass on little traffic', () => {
  it('says so, and states the smallest regression that it could have seen', () => {
    const verdict = judged(small, stageAfter(days(600)));
    expect(verdict.outcome).toBe('pass');
    expect(outcomeText(verdict)).toBe('pass, low power');
    expect(verdict.approvals).toEqual([`a pass on little traffic: ${verdict.lowPower?.sentence}`]);
    const { errors, latency } = verdict.lowPower?.smallestRegression ?? {};
    expect(errors).toBeGreaterThan(0.005);
    expect(errors).toBeLessThan(0.1);
    expect(latency).toBeGreaterThan(0.5);
    expect(latency).toBeLessThan(2);
    expect(verdict.sentence).toMatch(
      /^canary at 50% passes, low power: on so few requests the smallest regression that it could have seen is errors up by [\d.]+ points or p50 up by \d+%; candidate errors /,
    );
  });

  it('could have seen less, the more requests there are', () => {
    const few = judged(small, stageAfter(days(600))).lowPower?.smallestRegression;
    const many = judged(small, stageAfter(days(4_000))).lowPower?.smallestRegression;
    expect(many?.errors).toBeLessThan(few?.errors ?? 0);
    expect(many?.latency).toBeLessThan(few?.latency ?? 0);
  });

  it('would indeed have been harm with that regression', () => {
    const { errors = null } = judged(small, stageAfter(days(600))).lowPower?.smallestRegression ?? {};
    const failures = Math.ceil(600 * (errors ?? 0) * 1.05);
    expect(judged(small, stageAfter(days(600, { failures }))).harm).toBe('errors');
    expect(judged(small, stageAfter(days(600, { failures: Math.floor(failures / 2) }))).harm).toBeNull();
  });

  it('is no matter of the standard profile, nor of what has not passed', () => {
    expect(judged(aStage('rolling'), afterWindows([days(20_000)])).lowPower).toBeUndefined();
    expect(judged(small, stageAfter(days(60))).lowPower).toBeUndefined();
  });
});

describe('the median', () => {
  it('is judged by name, passes alike arms, and fails twice the latency', () => {
    const alike = judged(small, stageAfter(days(600)));
    expect(metricOf(alike, 'p50 of plain answers')).toMatchObject({ outcome: 'pass', harm: false });
    expect(metricOf(alike, 'p50 of plain answers').legacy).toBeGreaterThan(900);
    expect(metricOf(alike, 'p50 of plain answers').legacy).toBeLessThan(1_100);
    expect(judged(small, stageAfter(days(600, { slower: 2.5 }))).harm).toBe('p50 of plain answers');
  });

  it('is seen in evidence whose body was lumped together', () => {
    const evidence = stageAfter(days(1_500), days(1_500), days(1_500));
    expect(evidence.measures[0]?.edge).not.toBeNull();
    const metric = metricOf(judged(small, evidence), 'p50 of plain answers');
    expect(metric).toMatchObject({ outcome: 'pass' });
    expect(metric.legacy).toBeGreaterThan(900);
    expect(metric.candidate).toBeGreaterThan(900);
  });

  it('bounds the stage without a control arm by the median of the one before', () => {
    const { baseline } = judged(small, stageAfter(days(600)));
    const complete = planSchema.parse({ route: 'chat', profile: 'small', holdback: 0 }).stages[2];
    if (complete === undefined) throw new Error('expected a complete stage');
    const alone = (slower: number) =>
      judged(
        complete,
        stageAfter(evidenceOf(days(600, { slower }).cells.filter(({ side }) => side === 'candidate'))),
        { baseline },
      );
    expect(baseline?.latencies?.[0]?.p50Ms).toBeGreaterThan(900);
    expect(metricOf(alone(1), 'p50 of plain answers').outcome).toBe('pass');
    expect(alone(2.5).harm).toBe('p50 of plain answers');
  });
});

describe('a legacy below the floor', () => {
  const failing = afterWindows([
    evidenceOf([
      aCell('legacy', { requests: 4_000, failures: 400 }),
      aCell('candidate', { requests: 4_000, failures: 390 }),
    ]),
  ]);

  it('is marked, and an operator has to accept it before a pass counts', () => {
    const verdict = judged(aStage('rolling'), failing);
    expect(verdict).toMatchObject({ baselineUnhealthy: true, harm: null });
    expect(verdict.approvals).toEqual([
      'baseline unhealthy: legacy succeeds in 90%, below the floor of 97%; an operator has to accept that',
    ]);
  });

  it('is no measure of the candidate: arms are still compared', () => {
    const verdict = judged(aStage('rolling'), failing);
    expect(metricOf(verdict, 'floor')).toMatchObject({ outcome: 'not applicable', harm: false });
    expect(metricOf(verdict, 'errors').outcome).not.toBe('not evaluated');
    const worse = afterWindows([
      evidenceOf([
        aCell('legacy', { requests: 4_000, failures: 400 }),
        aCell('candidate', { requests: 4_000, failures: 1_200 }),
      ]),
    ]);
    expect(judged(aStage('rolling'), worse).harm).toBe('errors');
  });

  it('is not marked where legacy is well', () => {
    const well = afterWindows([evidenceOf([aCell('legacy', { requests: 4_000, failures: 4 })])]);
    const verdict = judged(aStage('rolling'), well);
    expect([verdict.baselineUnhealthy, verdict.approvals]).toEqual([undefined, undefined]);
  });
});
