import { inOneSegment, noStageEvidence } from '../../../src/core/evidence/stage/stage-evidence';
import { withWindow } from '../../../src/core/evidence/stage/stage-window';
import { judgeStage } from '../../../src/core/gates/judge-stage';
import { latencyShape, rehearse, seededRandom } from '../../../src/core/rehearsal/rehearsal';
import { type Histogram, mergeHistograms } from '../../../src/core/statistics/histogram';
import {
  aCell,
  afterWindows,
  aStage,
  EPOCH,
  evidenceOf,
  judged,
  metricOf,
  PROBES,
} from '../../support/migrations/gate-evidence';
import { drawEvents, drawLatencies, mostFalseDecisions } from '../../support/statistics-draws';

const random = () => seededRandom(7);

/** Log-normal latencies around a median, in milliseconds. */
function latencies(count: number, median: number, seed = 1): Histogram {
  return drawLatencies(count, median, 0.4, seededRandom(seed));
}

function rates(legacy: readonly [number, number], candidate: readonly [number, number]) {
  return evidenceOf([
    aCell('legacy', { requests: legacy[0], failures: legacy[1] }),
    aCell('candidate', { requests: candidate[0], failures: candidate[1] }),
  ]);
}

/** Both shapes in both arms, with enough of everything to pass rolling. */
function plenty(said: { candidateMedian?: number; failures?: number } = {}) {
  const { candidateMedian = 100, failures = 8 } = said;
  return evidenceOf(
    (['plain', 'stream'] as const).flatMap((shape) => [
      aCell('legacy', { requests: 4_000, failures: 8, shape, latencies: latencies(4_000, 100, 1) }),
      aCell('candidate', {
        requests: 4_000,
        failures,
        shape,
        latencies: latencies(4_000, candidateMedian, 2),
      }),
    ]),
  );
}

/** 1,800 plain answers of legacy and 200 of the candidate, and as many streams, in some models alike. */
function slowModels(
  models: number,
  said: { candidateMedian: number; shapes?: readonly ('plain' | 'stream')[]; windows?: number },
) {
  const { candidateMedian, shapes = ['plain', 'stream'], windows = 1 } = said;
  const window = evidenceOf(shapes.flatMap((shape) => shapeCells(shape, models, candidateMedian)));
  return afterWindows(Array.from({ length: windows }, () => window));
}

function shapeCells(shape: 'plain' | 'stream', models: number, candidateMedian: number) {
  return Array.from({ length: models }, (_, model) =>
    (['legacy', 'candidate'] as const).map((arm) => {
      const requests = (arm === 'legacy' ? 1_800 : 200) / models;
      const median = arm === 'legacy' ? 100 : candidateMedian;
      const seed = 2 * model + (arm === 'legacy' ? 1 : 2) + (shape === 'plain' ? 0 : 100);
      return aCell(arm, {
        requests,
        shape,
        model: `model-${model}`,
        latencies: latencies(requests, median, seed),
      });
    }),
  ).flat();
}

it('never passes on the way to its own share, and still finds harm there', () => {
  const ramping = { ...aStage('rolling'), rampingTo: 0.6 };
  expect(judged(aStage('rolling'), afterWindows([plenty()])).outcome).toBe('pass');
  expect(judged(ramping, afterWindows([plenty()]))).toMatchObject({
    outcome: 'inconclusive',
    sentence: 'rolling is ramping: 50% on the way to 60%, watched for harm, not judged for a promotion',
  });
  expect(judged(ramping, afterWindows([plenty({ failures: 400 })]))).toMatchObject({
    outcome: 'fail',
    harm: 'errors',
  });
});

describe('errors of two arms', () => {
  it.each([
    ['equal and rare', [3_600, 7], [400, 1], 'pass', false],
    ['none in either arm', [3_600, 0], [400, 0], 'pass', false],
    ['none, but few requests', [900, 0], [100, 0], 'inconclusive', false],
    ['twice as many, within two points', [36_000, 360], [4_000, 60], 'pass', false],
    ['twice as many surely, within one point', [40_000, 200], [40_000, 400], 'inconclusive', false],
    ['three points more, too few to call harm', [1_800, 18], [200, 6], 'inconclusive', false],
    ['five times as many', [9_000, 90], [1_000, 50], 'fail', true],
    ['harm at six requests', [54, 0], [6, 6], 'fail', true],
    ['one failure of ten', [90, 0], [10, 1], 'inconclusive', false],
  ] as const)('%s: legacy %p, candidate %p gives %s', (_, legacy, candidate, outcome, harm) => {
    const verdict = judged(aStage('canary'), afterWindows([rates(legacy, candidate)]));
    expect(metricOf(verdict, 'errors')).toMatchObject({ outcome, harm });
    expect(verdict.harm).toBe(harm ? 'errors' : null);
  });

  it('sees errors in the streams of one model of five, and says in which', () => {
    const models = (worse: number) =>
      evidenceOf(
        [0, 1, 2, 3, 4].flatMap((model) =>
          (['plain', 'stream'] as const).flatMap((shape) => {
            const [name, failures] = [`m${model}`, model === 3 && shape === 'stream' ? worse : 1];
            return [
              aCell('legacy', { requests: 900, failures: 9, shape, model: name }),
              aCell('candidate', { requests: 100, failures, shape, model: name }),
            ];
          }),
        ),
      );
    const errors = metricOf(judged(aStage('canary'), afterWindows([models(12)])), 'errors');
    expect(errors.harm).toBe(true);
    expect(errors.sentence).toContain('in streams of m3 12% against 1%');
    expect(metricOf(judged(aStage('canary'), afterWindows([models(1)])), 'errors').harm).toBe(false);
  });

  it('counts what the candidate never got in no ratio, and pauses where that is much', () => {
    const closed = (shed: number) => {
      const cell = aCell('candidate', { requests: 400 + shed, failures: 4 });
      const legacy = aCell('legacy', { requests: 3_600 + 9 * shed, failures: 36 });
      const counted = evidenceOf([
        { ...legacy, failures: { status_5xx: 36, shed: 9 * shed } },
        { ...cell, failures: { status_5xx: 4, shed } },
      ]);
      return afterWindows([counted, counted]);
    };
    const much = judged(aStage('canary'), closed(400));
    expect(much).toMatchObject({ harm: null, requests: { candidate: 800 } });
    expect(much.pause).toMatch(/^50% of the candidate's requests could not be sent to it/);
    expect(metricOf(much, 'sample ratio').outcome).toBe('pass');
    expect(judged(aStage('canary'), closed(10))).toMatchObject({ harm: null, pause: null });
  });

  it('rolls back where callers leave the candidate more often', () => {
    const left = (candidate: number, counted = true) => {
      const arm = (name: 'legacy' | 'candidate', requests: number, gone: number) => {
        const cell = { ...aCell(name, { requests: requests + gone }), aborted: gone, successes: requests };
        const { refused: _refused, ...uncounted } = cell;
        return counted ? cell : uncounted;
      };
      return afterWindows([evidenceOf([arm('legacy', 9_000, 90), arm('candidate', 1_000, candidate)])]);
    };
    expect(judged(aStage('canary'), left(80))).toMatchObject({ harm: 'callers who left' });
    expect(judged(aStage('canary'), left(10)).harm).toBe(null);
    expect(judged(aStage('canary'), left(80, false)).harm).toBe(null);
  });

  it('says what was measured, the margin, the e-value, and how many more requests decide', () => {
    const errors = metricOf(judged(aStage('canary'), afterWindows([rates([900, 9], [100, 1])])), 'errors');
    expect(errors.sentence).toMatch(
      /^candidate errors 1% against 1%: \+0 points, margin 2 points, e-value [\d.]+ of 22 needed; about [\d,]+ more requests expected to decide$/,
    );
    expect(errors).toMatchObject({ unit: 'rate', role: 'guardrail and goal', threshold: 22.22, estimate: 0 });
    expect(errors.moreRequests).toBeGreaterThan(1_000);
    expect(errors.interval?.[0]).toBeLessThan(0);
    expect(errors.interval?.[1]).toBeGreaterThan(0.02);
  });

  it('spends two fifths of the stage alpha on errors, and less in later stages', () => {
    const at = (name: 'canary' | 'rolling', candidate: [number, number]) =>
      metricOf(judged(aStage(name), afterWindows([rates([900, 0], candidate)])), 'errors').threshold;
    expect(at('canary', [100, 40])).toBe(100);
    expect(at('rolling', [900, 300])).toBe(200);
  });
});

describe('latency', () => {
  it('passes rolling when both arms are alike, and fails it at twice the latency', () => {
    const stage = aStage('rolling');
    const alike = judged(stage, afterWindows([plenty()]));
    expect(alike.outcome).toBe('pass');
    expect(metricOf(alike, 'p95 of plain answers')).toMatchObject({
      outcome: 'pass',
      harm: false,
      unit: 'ms',
    });
    const slow = judged(stage, afterWindows([plenty({ candidateMedian: 200 })]));
    expect(slow).toMatchObject({ outcome: 'fail', harm: 'p95 of plain answers' });
    expect(slow.sentence).toMatch(
      /^candidate p95 of plain answers \d+ ms against \d+ ms: \d+% worse, allowed 50%, e-value .* needed \(1.95% of alpha 1.25%\)$/,
    );
  });

  it.each([1, 5])('sees all answers twice as slow about as soon with %p models as with one', (models) => {
    const verdict = judged(aStage('canary'), slowModels(models, { candidateMedian: 200 }));
    const all = metricOf(verdict, 'p95 of all answers');
    expect(all).toMatchObject({ harm: true, n: { legacy: 3_600, candidate: 400 } });
    expect(all.sentence).toMatch(
      /^candidate p95 of plain answers \d+ ms against \d+ ms \(\d+% worse\), to first token \d+ ms .*together e-value .* of 220 needed \(18% of alpha 2.5%\)$/,
    );
    if (models === 5) expect(verdict.harm).toBe('p95 of all answers');
    expect(judged(aStage('canary'), slowModels(models, { candidateMedian: 100 })).harm).toBeNull();
  });

  it('lists of models that are only watched the one nearest to harm, and every one that is harm', () => {
    const strata = (candidateMedian: number) =>
      judged(aStage('canary'), slowModels(5, { candidateMedian, windows: 4 }))
        .metrics.map(({ metric }) => metric)
        .filter((metric) => metric.includes(', model-'));
    expect(strata(100)).toHaveLength(1);
    expect(strata(900).filter((metric) => metric.startsWith('p95'))).toHaveLength(10);
  });

  it('finds no harm in all answers where plain ones alone exist, or the candidate has none of a shape', () => {
    const streamless = slowModels(1, { candidateMedian: 100, shapes: ['plain'] });
    expect(metricOf(judged(aStage('canary'), streamless), 'p95 of all answers').harm).toBe(false);
    const onlyPlainAtCandidate = afterWindows([
      evidenceOf([
        ...shapeCells('plain', 1, 200),
        ...shapeCells('stream', 1, 100).filter(({ side }) => side === 'legacy'),
      ]),
    ]);
    const verdict = metricOf(judged(aStage('canary'), onlyPlainAtCandidate), 'p95 of all answers');
    expect(verdict.eValue).toBeGreaterThan(0.04);
    const silent = afterWindows([evidenceOf(shapeCells('plain', 1, 100).slice(0, 1))]);
    expect(
      judged(aStage('canary'), silent).metrics.filter(({ metric }) => metric === 'p95 of all answers'),
    ).toEqual([]);
  });

  it('sees a far tail that p95 does not', () => {
    const body = drawLatencies(3_840, 100, 0.4, seededRandom(5));
    const tailed = mergeHistograms([body, drawLatencies(160, 60_000, 0.1, seededRandom(6))]);
    const cells = [
      aCell('legacy', { requests: 4_000, latencies: latencies(4_000, 100, 1) }),
      aCell('candidate', { requests: 4_000, latencies: tailed }),
    ];
    const verdict = judged(aStage('rolling'), afterWindows([evidenceOf(cells)]));
    expect(metricOf(verdict, 'p95 of plain answers').harm).toBe(false);
    expect(verdict.harm).toBe('p99 of plain answers');
  });

  it('is inconclusive at the margin and only watched where the plan has no margin', () => {
    const evidence = afterWindows([plenty({ candidateMedian: 120 })]);
    const rolling = metricOf(judged(aStage('rolling'), evidence), 'p95 of plain answers');
    expect(rolling).toMatchObject({ outcome: 'inconclusive', harm: false });
    expect(metricOf(judged(aStage('canary'), evidence), 'p95 of plain answers').outcome).toBe(
      'not applicable',
    );
  });

  it('judges gaps between tokens as often as there are streams, not as often as there are gaps', () => {
    const cells = (['legacy', 'candidate'] as const).map((arm) =>
      aCell(arm, {
        requests: 40,
        shape: 'stream',
        latencies: latencies(40, 100),
        gaps: latencies(8_000, arm === 'legacy' ? 20 : 60),
      }),
    );
    const gaps = metricOf(judged(aStage('rolling'), afterWindows([evidenceOf(cells)])), 'p95 between tokens');
    expect(gaps.n).toEqual({ legacy: 40, candidate: 40 });
    expect(gaps.harm).toBe(false);
  });

  it('pools small models by shape, names them, and keeps a slow large one apart', () => {
    const models = ['big', ...Array.from({ length: 20 }, (_, index) => `small-${index}`)];
    const cells = models.flatMap((model) =>
      (['legacy', 'candidate'] as const).map((arm) => {
        const requests = model === 'big' ? 3_000 : 40;
        const slow = model === 'big' && arm === 'candidate';
        return aCell(arm, { requests, model, latencies: latencies(requests, slow ? 300 : 100) });
      }),
    );
    const evidence = afterWindows([evidenceOf(cells)]);
    expect(new Set(evidence.measures.map(({ model }) => model)).size).toBeLessThanOrEqual(12);
    const verdict = judged(aStage('rolling'), evidence);
    expect(verdict.harm).toBe('p95 of plain answers, big');
    const pooled = metricOf(verdict, 'p95 of plain answers, other');
    expect(pooled).toMatchObject({ harm: false, n: { legacy: 800, candidate: 800 } });
    expect(pooled.sentence).toContain('pooled: small-');
  });
});

describe('missing data', () => {
  const stage = aStage('rolling');

  it('never passes without legacy, without the candidate, or without anything', () => {
    const legacy = aCell('legacy', { requests: 9_000, latencies: latencies(9_000, 100) });
    const candidate = aCell('candidate', { requests: 9_000, latencies: latencies(9_000, 100) });
    for (const cells of [[legacy], [candidate], []]) {
      const verdict = judged(stage, afterWindows([evidenceOf(cells)]));
      expect(verdict.outcome).not.toBe('pass');
      expect(metricOf(verdict, 'errors').outcome).toBe('not evaluated');
      expect(verdict.harm).toBeNull();
    }
  });

  it('does not pass while a gateway is silent', () => {
    const verdict = judged(stage, afterWindows([plenty()]), { silent: ['gw-b'] });
    expect(verdict).toMatchObject({ outcome: 'not evaluated', harm: null });
    expect(verdict.sentence).toContain('no evidence from gw-b');
  });

  it('pauses when half of the candidate’s requests are missing', () => {
    const { cells } = plenty();
    const half = cells.map((cell) =>
      cell.side === 'candidate'
        ? { ...cell, attempts: cell.attempts / 2, successes: cell.attempts / 2 }
        : cell,
    );
    const verdict = judged(
      stage,
      afterWindows([evidenceOf(half.map((cell) => ({ ...cell, failures: {} })))]),
    );
    expect(verdict.outcome).toBe('fail');
    expect(verdict.harm).toBeNull();
    expect(verdict.pause).toMatch(/^sample ratio mismatch: 33.33% .* asked 50%, p below 0.001/);
  });

  it('does not pass when one shape of answers is missing from the candidate', () => {
    const cells = plenty().cells.filter(({ side, shape }) => side === 'legacy' || shape === 'plain');
    expect(judged(stage, afterWindows([evidenceOf(cells)])).outcome).not.toBe('pass');
  });

  it('does not pass without probes', () => {
    const none = { probes: 0, failures: 0, passedInARow: 0, failedInARow: 0, meanMs: null };
    const verdict = judged(stage, afterWindows([plenty()]), { probes: { legacy: none, candidate: none } });
    expect(verdict.outcome).toBe('not evaluated');
  });

  it('judges nothing of another epoch', () => {
    const evidence = afterWindows([plenty()]);
    const input = { evidence, windowRequests: { legacy: 0, candidate: 0 }, probes: PROBES };
    const verdict = judgeStage(stage, EPOCH + 1, { ...input, burnIn: false, silent: [], baseline: null });
    expect(verdict).toMatchObject({ outcome: 'not evaluated', requests: { legacy: 0, candidate: 0 } });
    expect(metricOf(verdict, 'evidence').sentence).toContain('expected evidence of epoch 5, got epoch 4');
  });

  it('judges nothing of a window in which a gateway had lapsed but the floor', () => {
    const lapsed = afterWindows([rates([3_000, 0], [1_000, 900])], { burnIn: false, shareApplied: false });
    const verdict = judged(stage, lapsed);
    expect(metricOf(verdict, 'sample ratio')).toMatchObject({ outcome: 'not evaluated' });
    expect(metricOf(verdict, 'errors')).toMatchObject({ outcome: 'not evaluated' });
    expect(verdict.harm).toBe('floor');
  });
});

describe('floor', () => {
  it('rolls back below it, in burn-in too, but not for a few failures', () => {
    const stage = aStage('canary');
    const burning = (failures: number) =>
      judged(stage, afterWindows([rates([360, 0], [40, failures])], { burnIn: true, shareApplied: true }), {
        burnIn: true,
        windowRequests: { legacy: 360, candidate: 40 },
      });
    expect(burning(30)).toMatchObject({ outcome: 'fail', harm: 'floor', requests: { candidate: 40 } });
    expect(burning(2)).toMatchObject({ outcome: 'inconclusive', harm: null, burnIn: true });
  });

  it('records burn-in but judges it by floor and probes alone', () => {
    const evidence = afterWindows([rates([3_600, 0], [400, 20])], { burnIn: true, shareApplied: true });
    const verdict = judged(aStage('canary'), evidence, { burnIn: true });
    expect(verdict.metrics.map(({ metric }) => metric)).toEqual(['floor', 'probes']);
    expect(judged(aStage('canary'), evidence).requests).toEqual({ legacy: 0, candidate: 0 });
  });

  it('counts failures of one key in burn-in as what they are worth', () => {
    const stage = aStage('canary');
    const cells = [aCell('legacy', { requests: 360 }), aCell('candidate', { requests: 40, failures: 30 })];
    const each = (bucket: number) => [bucket, 3, 0] as const;
    const legacy = Array.from({ length: 120 }, (_, bucket) => each(bucket));
    const burning = (candidate: readonly (readonly [number, number, number])[]) => {
      const windows = [evidenceOf(cells, { legacy, candidate })];
      return judged(stage, afterWindows(windows, { burnIn: true, shareApplied: true }), { burnIn: true });
    };
    const others = [130, 131, 132, 133, 134].map((bucket) => [bucket, 2, 0] as const);
    expect(burning([[129, 30, 30], ...others]).harm).toBeNull();
    const spread = Array.from({ length: 40 }, (_, bucket) => [bucket, 1, bucket < 30 ? 1 : 0] as const);
    expect(burning(spread).harm).toBe('floor');
  });

  it("is not the candidate's where legacy fails as often at the same time", () => {
    const shared = afterWindows([rates([3_600, 36], [400, 4]), rates([360, 110], [40, 12])]);
    const alone = afterWindows([rates([3_600, 36], [400, 4]), rates([360, 4], [40, 12])]);
    const { alpha } = aStage('canary');
    const stage = { ...aStage('canary'), alpha: { ...alpha, rollback: 0.2 } };
    expect(metricOf(judged(stage, shared), 'floor').harm).toBe(false);
    expect(metricOf(judged(stage, alone), 'floor').harm).toBe(true);
  });

  it('judges evidence of older releases, which kept no counts of legacy, by itself', () => {
    const evidence = afterWindows([rates([360, 110], [40, 12])], { burnIn: true, shareApplied: true });
    const { floor } = evidence;
    const segments = floor.segments.map(({ from, evidence: { successes, trials } }) => ({
      from,
      evidence: { successes, trials },
    }));
    const old = { ...evidence, floor: { ...floor, segments } };
    expect(judged(aStage('canary'), old, { burnIn: true }).harm).toBe('floor');
    expect(judged(aStage('canary'), evidence, { burnIn: true }).harm).toBe(null);
  });

  it('calls a legacy below it an unhealthy baseline, which a person has to accept', () => {
    const verdict = judged(aStage('rolling'), afterWindows([rates([4_000, 400], [4_000, 400])]));
    expect(verdict).toMatchObject({ baselineUnhealthy: true, approvals: [expect.any(String)], harm: null });
    expect(metricOf(verdict, 'floor').sentence).toMatch(/^baseline unhealthy: legacy succeeds in 90%/);
  });
});

describe('at share 1', () => {
  const stage = aStage('complete');
  const baseline = judged(aStage('rolling'), afterWindows([plenty()])).baseline;
  const alone = (failures: number, median: number) =>
    afterWindows([
      evidenceOf([
        aCell('candidate', { requests: 4_000, failures, latencies: latencies(4_000, median, 3) }),
        aCell('candidate', { requests: 4_000, shape: 'stream', latencies: latencies(4_000, 100, 4) }),
      ]),
    ]);

  it('holds the candidate to what legacy was, plus margin', () => {
    expect(judged(stage, alone(8, 100), { baseline }).outcome).toBe('pass');
    expect(judged(stage, alone(400, 100), { baseline }).harm).toBe('errors');
    expect(judged(stage, alone(8, 200), { baseline }).harm).toBe('p95 of plain answers');
    expect(judged(stage, alone(8, 120), { baseline }).outcome).toBe('inconclusive');
  });

  it('rolls back by itself only while probes of legacy pass', () => {
    const failing = { ...PROBES.legacy, failedInARow: 2, passedInARow: 0 };
    const verdict = judged(stage, alone(400, 100), { baseline, probes: { ...PROBES, legacy: failing } });
    expect(verdict).toMatchObject({ outcome: 'fail', harm: null });
  });

  it('does not pass without numbers of an earlier stage', () => {
    expect(judged(stage, alone(8, 100)).outcome).toBe('not evaluated');
  });
});

describe('complete with a part held back', () => {
  const complete = aStage('complete');
  const held = { ...complete, holdback: 0.05, share: 0.95 };
  const arms = (factor: number, [legacyFails, fails]: [number, number]) =>
    evidenceOf([
      aCell('legacy', {
        requests: 1_000,
        failures: legacyFails,
        latencies: latencies(1_000, 100 * factor, 5),
      }),
      aCell('candidate', {
        requests: 19_000,
        failures: fails,
        latencies: latencies(19_000, 100 * factor, 6),
      }),
    ]);
  const { baseline } = judged(aStage('rolling'), afterWindows([plenty()]));

  it('compares both arms at the same time, so that what both go through is evidence of nothing', () => {
    const monday = afterWindows([arms(1, [5, 95]), arms(3, [30, 570])]);
    const verdict = judged(held, monday, { baseline });
    expect(verdict).toMatchObject({ harm: null });
    expect(metricOf(verdict, 'errors').sentence).toMatch(/^candidate errors 1\.75% against 1\.75%: /);
    expect(metricOf(verdict, 'sample ratio').outcome).toBe('pass');
    // The same Monday against what legacy did before is harm: nothing says that legacy would be as slow.
    const alone = evidenceOf(arms(3, [0, 570]).cells.filter(({ side }) => side === 'candidate'));
    expect(judged(complete, afterWindows([alone]), { baseline }).harm).not.toBeNull();
  });

  it('sees harm by the arm that is held back', () => {
    expect(judged(held, afterWindows([arms(1, [2, 1_000])]), { baseline }).harm).toBe('errors');
  });

  it('rolls back by itself only while probes of legacy pass', () => {
    const failing = { ...PROBES.legacy, failedInARow: 2, passedInARow: 0 };
    const probes = { ...PROBES, legacy: failing };
    expect(judged(held, afterWindows([arms(1, [2, 1_000])]), { baseline, probes }).harm).toBeNull();
  });

  it('shows after the handover what was before, and judges by floor and probes alone', () => {
    const whole = { ...held, share: 1 };
    const slow = evidenceOf(arms(3, [0, 300]).cells.filter(({ side }) => side === 'candidate'));
    const verdict = judged(whole, afterWindows([slow]), { baseline });
    expect(verdict).toMatchObject({ harm: null, outcome: 'pass' });
    expect(metricOf(verdict, 'errors')).toMatchObject({ outcome: 'not applicable', role: 'report' });
    const failing = evidenceOf(arms(1, [0, 2_000]).cells.filter(({ side }) => side === 'candidate'));
    expect(judged(whole, afterWindows([failing]), { baseline }).harm).toBe('floor');
  });
});

describe('complete without a control arm', () => {
  const stage = aStage('complete');
  const rolling = (requests: number) =>
    afterWindows([
      evidenceOf(
        (['legacy', 'candidate'] as const).map((arm) =>
          aCell(arm, { requests, failures: requests / 100, latencies: latencies(requests, 100, 7) }),
        ),
      ),
    ]);
  const comparedWith = (requests: number, [failures, median]: [number, number]) => {
    const evidence = rolling(requests);
    const { baseline } = judged(aStage('rolling'), evidence);
    if (baseline === null) throw new Error('expected a baseline');
    const own = { requests: 2_000, failures, latencies: latencies(2_000, median, 8) };
    const counted = { baseline: { ...baseline, before: inOneSegment(evidence) } };
    const candidate = afterWindows([evidenceOf([aCell('candidate', own)])]);
    return { counted: judged(stage, candidate, counted), frozen: judged(stage, candidate, { baseline }) };
  };

  it('proves the less, the less legacy had counted: numbers that are not known exactly are no bounds', () => {
    const few = comparedWith(200, [76, 100]);
    expect(few.frozen.harm).toBe('errors');
    expect(few.counted.harm).toBeNull();
    expect(comparedWith(20_000, [80, 100]).counted.harm).toBe('errors');
  });

  it('compares latencies with all that legacy gave before', () => {
    const few = comparedWith(100, [20, 170]);
    expect(few.frozen.harm).toBe('p95 of plain answers');
    expect(few.counted.harm).toBeNull();
    expect(comparedWith(20_000, [20, 170]).counted.harm).toBe('p95 of plain answers');
    expect(metricOf(comparedWith(20_000, [20, 100]).counted, 'p95 of plain answers').outcome).toBe('pass');
  });
});

describe('sticky keys', () => {
  it('counts a key that fails with every request as one failure', () => {
    const legacy = Array.from({ length: 200 }, (_, bucket) => [bucket, 18, 0] as const);
    const candidate = Array.from({ length: 200 }, (_, bucket) => [bucket, 2, 0] as const);
    const storm = [...candidate.slice(0, 199), [199, 42, 40] as const];
    const cells = rates([3_600, 0], [440, 40]).cells;
    const stage = aStage('canary');
    const one = judged(stage, afterWindows([evidenceOf(cells, { legacy, candidate: storm })]));
    expect(one.harm).toBeNull();
    expect(metricOf(one, 'errors').sentence).toContain('as failures cluster by key');
    expect(judged(stage, afterWindows([evidenceOf(cells)])).harm).toBe('errors');
  });

  it('estimates keys by the buckets they fill, and asks for none where there are none', () => {
    const stage = aStage('canary', { minimumKeys: 100 });
    const keys = (count: number) => {
      const candidate = Array.from({ length: count }, (_, bucket) => [bucket, 10, 0] as const);
      const evidence = evidenceOf(rates([9_000, 9], [1_000, 1]).cells, { legacy: candidate, candidate });
      return metricOf(judged(stage, afterWindows([evidence])), 'minimum keys');
    };
    expect(keys(40)).toMatchObject({ outcome: 'inconclusive', candidate: 43 });
    expect(keys(110)).toMatchObject({ outcome: 'pass', candidate: 144 });
    expect(keys(256).candidate).toBeGreaterThan(1_500);
    const none = metricOf(judged(stage, afterWindows([rates([9_000, 9], [1_000, 1])])), 'minimum keys');
    expect(none.outcome).toBe('not applicable');
  });
});

describe('what begins late', () => {
  const stage = aStage('rolling', { soak: '8h', window: '1h', gates: { floor: { success: 0.9 } } });
  const window = (failures: number, median: number) =>
    evidenceOf([
      aCell('legacy', { requests: 8_000, failures: 320, latencies: latencies(4_000, 100, 1) }),
      aCell('candidate', { requests: 8_000, failures, latencies: latencies(4_000, median, 2) }),
    ]);
  const endingWith = (failures: number, median: number) => {
    const before = Array.from({ length: 14 }, () => window(320, 100));
    return judged(stage, afterWindows([...before, window(failures, median), window(failures, median)]));
  };

  it('passes while the end of the soak is like the rest', () => {
    expect(endingWith(320, 100).outcome).toBe('pass');
  });

  it.each([
    ['errors', 444, 100, /towards the end 5.55% against 4%, beyond the margin/],
    ['latency', 320, 140, /towards the end \d+ ms against \d+ ms, beyond the margin/],
  ] as const)('holds %s that drown in the stage as a whole, and says so', (_, failures, median, sentence) => {
    const verdict = endingWith(failures, median);
    expect(verdict).toMatchObject({ outcome: 'inconclusive', harm: null });
    expect(verdict.sentence).toMatch(sentence);
  });
});

describe('over time', () => {
  const shapes = { totalMs: latencyShape(2_000, 8_000), firstTokenMs: latencyShape(400, 1_000) };
  const traffic = (failureRate: (window: number) => number) => ({
    share: 0.1,
    requestsPerWindow: 200,
    streamShare: 0.5,
    ...shapes,
    legacy: { failureRate: 0.01, latencyFactor: 1 },
    candidate: (window: number) => ({ failureRate: failureRate(window), latencyFactor: 1 }),
    keys: null,
  });

  function windowsUntilHarm(
    failureRate: (window: number) => number,
    seed: number,
    most: number,
  ): number | null {
    const stage = aStage('canary');
    let evidence = noStageEvidence(EPOCH);
    let window = 0;
    for (const seen of rehearse(traffic(failureRate), EPOCH, seededRandom(seed))) {
      evidence = withWindow(evidence, seen, { burnIn: false, shareApplied: true });
      window += 1;
      if (judged(stage, evidence).harm !== null) return window;
      if (window >= most) break;
    }
    return null;
  }

  it('does not roll back equal arms more often than alpha allows, looked at 200 times', () => {
    const runs = 6;
    let found = 0;
    for (let seed = 0; seed < runs; seed += 1) {
      if (windowsUntilHarm(() => 0.01, seed, 200) !== null) found += 1;
    }
    expect(found).toBeLessThan(mostFalseDecisions(runs, 0.025));
  }, 120_000);

  it('sees harm that begins after a hundred windows of parity', () => {
    const found = windowsUntilHarm((window) => (window < 100 ? 0.01 : 0.12), 3, 130);
    expect(found).toBeGreaterThan(100);
    expect(found).toBeLessThan(125);
  });

  it('gives the same process from the start however windows are cut', () => {
    const draw = random();
    const parts = Array.from({ length: 12 }, (_, index) =>
      evidenceOf([
        aCell('legacy', {
          requests: 100,
          failures: drawEvents(100, 0.02, draw),
          latencies: latencies(100, 100, index),
        }),
        aCell('candidate', {
          requests: 100,
          failures: drawEvents(100, 0.02, draw),
          latencies: latencies(100, 110, 50 + index),
        }),
      ]),
    );
    const cut = (size: number) =>
      Array.from({ length: 12 / size }, (_, index) => {
        const own = parts.slice(index * size, (index + 1) * size);
        const arm = (name: 'legacy' | 'candidate') => {
          const cells = own.flatMap((part) => part.cells.filter((cell) => cell.side === name));
          return aCell(name, {
            requests: cells.reduce((sum, cell) => sum + cell.attempts, 0),
            failures: cells.reduce((sum, cell) => sum + (cell.failures.status_5xx ?? 0), 0),
            latencies: mergeHistograms(cells.map((cell) => cell.totalMs)),
          });
        };
        return evidenceOf([arm('legacy'), arm('candidate')]);
      });
    const stage = aStage('rolling');
    const goals = [1, 2, 3, 4, 6, 12].map((size) => {
      const verdict = judged(stage, afterWindows(cut(size)));
      return ['errors', 'p95 of plain answers', 'sample ratio', 'minimum sample'].map((name) => {
        const { outcome, legacy, candidate, eValue, interval } = metricOf(verdict, name);
        return { name, outcome, legacy, candidate, eValue, interval };
      });
    });
    for (const goal of goals) expect(goal).toEqual(goals[0]);
  });
});

describe('failures in a row', () => {
  const few = afterWindows([rates([80, 0], [8, 3])]);
  const many = afterWindows([rates([8_000, 8], [800, 3])]);
  const stage = aStage('canary');

  it.each([
    ['three in a row of eight in half an hour', few, 3, 1, true],
    ['two in a row', few, 2, 1, false],
    ['three that are none of this window, as after a pause', few, 3, 0, false],
    ['three in a row of many', many, 3, 3, false],
  ] as const)('%s: pauses %p', (_, evidence, inARow, inWindow, pauses) => {
    const verdict = judged(stage, evidence, { candidateFailures: { inARow, inWindow } });
    expect(verdict.pause).toEqual(
      pauses ? expect.stringContaining('the last 3 requests to the candidate at one gateway failed') : null,
    );
    expect(verdict.metrics.some(({ metric }) => metric === 'failures in a row')).toBe(pauses);
  });

  it('pause in burn-in too, and are unknown from gateways of older releases', () => {
    const said = { burnIn: true, windowRequests: { legacy: 80, candidate: 8 } };
    const verdict = judged(stage, afterWindows([]), {
      ...said,
      candidateFailures: { inARow: 3, inWindow: 3 },
    });
    expect(verdict.pause).toContain('fewer than 60 per hour');
    expect(judged(stage, afterWindows([]), said).pause).toBeNull();
  });
});
