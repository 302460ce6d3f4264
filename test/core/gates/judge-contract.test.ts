import type { AnswerCounts, BucketCount } from '../../../src/core/evidence/evidence';
import { addPackedRows, packRow, unpackRow } from '../../../src/core/evidence/rate-row';
import { noStageEvidence, type StageEvidence } from '../../../src/core/evidence/stage/stage-evidence';
import { withWindow } from '../../../src/core/evidence/stage/stage-window';
import { FORMER_WEIGHTS } from '../../../src/core/gates/alpha-spending';
import { breachTexts } from '../../../src/core/gates/verdict-text';
import type { StagePlan } from '../../../src/core/plan/plan';
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
import { drawEvents, mostFalseDecisions } from '../../support/statistics-draws';

type Breaches = AnswerCounts['breaches'];

interface ArmAnswers {
  readonly requests: number;
  readonly breaches?: Breaches | null;
  readonly unchecked?: number;
  readonly failures?: number;
}

const stage = aStage('canary');

function window(legacy: ArmAnswers, candidate: ArmAnswers, models: readonly string[] = ['large-chat']) {
  return evidenceOf(
    models.flatMap((model, index) => {
      const own = (arm: ArmAnswers) =>
        index === 0 ? arm : { requests: arm.requests, breaches: arm.requests > 100 ? { cut: 4 } : {} };
      return [aCell('legacy', { model, ...own(legacy) }), aCell('candidate', { model, ...own(candidate) })];
    }),
  );
}

const LEGACY: ArmAnswers = { requests: 9_000, breaches: { cut: 90, tool_schema: 9 } };
const answersOf = (evidence: StageEvidence, plan: StagePlan = stage) =>
  metricOf(judged(plan, evidence), 'answers');

describe('answers that break their contract', () => {
  it('roll back where the candidate has too many, and the sentence names the class that grew most', () => {
    const evidence = afterWindows([
      window(LEGACY, { requests: 1_000, breaches: { cut: 11, tool_schema: 50 } }),
    ]);
    const verdict = judged(stage, evidence);
    expect(verdict).toMatchObject({ outcome: 'fail', harm: 'answers' });
    expect(verdict.sentence).toMatch(
      /^answers that break their contract: 6\.1% against 1\.1%, mostly tool arguments outside their schema \(5% against 0\.1%\): 5\.5 times as many, allowed 1\.5 times, e-value over a million of 333 needed$/,
    );
    expect(metricOf(verdict, 'errors').harm).toBe(false);
  });

  it('are reported by class with the numbers of both', () => {
    const evidence = afterWindows([window(LEGACY, { requests: 1_000, breaches: { cut: 12, empty: 1 } })]);
    expect(answersOf(evidence)).toMatchObject({
      n: { legacy: 9_000, candidate: 1_000 },
      legacy: 0.011,
      candidate: 0.013,
      breaches: [
        { class: 'empty', legacy: 0, candidate: 1 },
        { class: 'cut', legacy: 90, candidate: 12 },
        { class: 'tool_schema', legacy: 9, candidate: 0 },
      ],
    });
  });

  it('promote where they are within the margin, and not before as many are checked as the plan asks for', () => {
    const alike = afterWindows([window(LEGACY, { requests: 1_000, breaches: { cut: 10 } })]);
    expect(answersOf(alike)).toMatchObject({ outcome: 'pass', harm: false, margin: 0.03, threshold: 22.22 });
    const careful = aStage('canary', { gates: { answers: { minimum: 1_001 } } });
    expect(answersOf(alike, careful)).toMatchObject({ outcome: 'inconclusive' });
    expect(answersOf(alike, careful).sentence).toMatch(
      /; 1000 of 1001 answers of the candidate are checked$/,
    );
    expect(judged(careful, alike).outcome).toBe('inconclusive');
  });

  it('hold the stage where the candidate has more than the margin allows', () => {
    const evidence = afterWindows([
      window({ requests: 9_000, breaches: { cut: 1_800 } }, { requests: 1_000, breaches: { cut: 240 } }),
    ]);
    expect(answersOf(evidence)).toMatchObject({ outcome: 'inconclusive', harm: false });
  });

  it('are found in one model of five, which the sentence names', () => {
    const models = ['small', 'a', 'b', 'c', 'd'];
    const windows = Array.from({ length: 4 }, () =>
      window(
        { requests: 450, breaches: { tool_schema: 4 } },
        { requests: 50, breaches: { tool_schema: 5 } },
        models,
      ),
    );
    const verdict = judged(stage, afterWindows(windows));
    expect(verdict.harm).toBe('answers');
    expect(verdict.sentence).toContain(
      ': in plain answers of small 10% against 0.89% (share 10%), allowed 1.5 times',
    );
  });

  it('that begin late are told by what came since', () => {
    const calm = Array.from({ length: 40 }, () =>
      window({ requests: 4_500, breaches: { cut: 45 } }, { requests: 500, breaches: { cut: 5 } }),
    );
    const worse = window(
      { requests: 4_500, breaches: { cut: 45 } },
      { requests: 500, breaches: { cut: 5, json_unparsed: 30 } },
    );
    const verdict = judged(stage, afterWindows([...calm, worse]));
    expect(verdict.harm).toBe('answers');
    expect(verdict.sentence).toMatch(
      /^answers that break their contract: 7% against 1% since window 41, mostly JSON that does not parse \(6% against 0%\): 7 times as many/,
    );
  });

  it('are judged by the rates of the stage before where no control arm is left', () => {
    const before = afterWindows([window(LEGACY, { requests: 1_000, breaches: { cut: 10 } })]);
    const { baseline } = judged(stage, before);
    expect(baseline).toMatchObject({ breachRate: 0.011 });
    const complete = aStage('complete');
    const alone = (breaches: Breaches) =>
      judged(complete, afterWindows([evidenceOf([aCell('candidate', { requests: 4_000, breaches })])]), {
        baseline: baseline === null ? null : { ...baseline, before },
      });
    expect(alone({ cut: 40 }).metrics.find(({ metric }) => metric === 'answers')).toMatchObject({
      outcome: 'pass',
    });
    expect(alone({ cut: 40, empty: 800 })).toMatchObject({ harm: 'answers' });
    expect(alone({ cut: 40, empty: 800 }).sentence).toMatch(/of legacy before: above the bound 3\.1%/);
  });
});

describe('what could not be checked', () => {
  it.each([
    [
      'the candidate',
      { requests: 9_000 },
      { requests: 1_000, unchecked: 300 },
      "30% of the candidate's and 0% of legacy's",
    ],
    [
      'legacy',
      { requests: 9_000, unchecked: 1_900 },
      { requests: 1_000 },
      "0% of the candidate's and 21% of legacy's",
    ],
  ])('is never good: too much of %s is not evaluated, and holds', (_whose, legacy, candidate, told) => {
    const verdict = judged(stage, afterWindows([window(legacy, candidate)]));
    expect(verdict).toMatchObject({ outcome: 'not evaluated', harm: null });
    expect(metricOf(verdict, 'answers')).toMatchObject({ outcome: 'not evaluated' });
    expect(metricOf(verdict, 'answers').sentence).toBe(
      `answers: ${told} could not be checked, at most 20% (too long, no time, or a gateway of an older release)`,
    );
  });

  it('does not hide harm in what was checked', () => {
    const broken = window(LEGACY, { requests: 1_000, unchecked: 500, breaches: { empty: 100 } });
    expect(judged(stage, afterWindows([broken]))).toMatchObject({ harm: 'answers' });
  });

  it('is in neither the breaches nor the answers of an arm', () => {
    const evidence = afterWindows([
      window(LEGACY, { requests: 1_000, unchecked: 100, breaches: { cut: 9 } }),
    ]);
    expect(answersOf(evidence)).toMatchObject({
      n: { legacy: 9_000, candidate: 900 },
      candidate: 0.01,
      unchecked: { legacy: 0, candidate: 100 },
    });
  });

  it('is all that gateways of older releases have', () => {
    const old = window({ requests: 9_000, breaches: null }, { requests: 1_000, breaches: null });
    expect(answersOf(afterWindows([old]))).toMatchObject({ outcome: 'not evaluated', harm: false });
    const mixed = evidenceOf([
      aCell('legacy', { requests: 9_000, breaches: {} }),
      aCell('candidate', { requests: 900, breaches: {}, model: 'a' }),
      aCell('candidate', { requests: 100, breaches: null, model: 'b' }),
    ]);
    expect(answersOf(afterWindows([mixed]))).toMatchObject({
      outcome: 'pass',
      unchecked: { candidate: 100 },
    });
  });

  it('counts once windows of an older release are followed by those that look at answers', () => {
    const row = unpackRow(packRow({ ...unpackRow(''), rates: [900, 9, 100, 1] }));
    const { answers: _none, ...old } = row;
    const after = afterWindows([window({ requests: 900 }, { requests: 100 })]);
    const [segment] = after.rates?.segments ?? [];
    const sum = unpackRow(addPackedRows(packRow(old), segment?.evidence ?? ''));
    expect(sum.answers).toMatchObject({
      checked: [900, 0, 100, 0],
      unchecked: { legacy: 900, candidate: 100 },
    });
    expect(sum.expected).toBeUndefined();
  });

  it('includes answers of a window in which it is not known how breaches cluster by key', () => {
    const buckets = { legacy: [[1, 9_000, 0, 0, 0]], candidate: [[2, 1_000, 0, 0, 0]] } as const;
    const evidence = afterWindows([
      evidenceOf([aCell('legacy', { requests: 9_000 }), aCell('candidate', { requests: 1_000 })], buckets),
    ]);
    expect(answersOf(evidence)).toMatchObject({ outcome: 'not evaluated' });
  });
});

it('has nothing to say where requests have no answers to check', () => {
  const embeddings = window({ requests: 9_000, unchecked: 9_000 }, { requests: 1_000, unchecked: 1_000 });
  const cells = embeddings.cells.map((cell) => ({
    ...cell,
    answers: { checked: 0, unchecked: 0, breaches: {}, ends: {} },
  }));
  expect(answersOf(afterWindows([{ ...embeddings, cells }]))).toMatchObject({ outcome: 'not applicable' });
});

it('judges nothing for a plan of an older release, whose weights stay', () => {
  const { answers: _gate, ...gates } = stage.gates;
  const { weights: _weights, ...alpha } = stage.alpha;
  const old = { ...stage, gates, alpha };
  const broken = afterWindows([window(LEGACY, { requests: 1_000, breaches: { empty: 900 } })]);
  const verdict = judged(old, broken);
  expect(verdict.metrics.map(({ metric }) => metric)).not.toContain('answers');
  expect(verdict.harm).toBeNull();
  expect(FORMER_WEIGHTS).toMatchObject({ errors: 0.5, latency: 0.225 });
  const failing = afterWindows([window(LEGACY, { requests: 1_000, failures: 100 })]);
  expect(metricOf(judged(old, failing), 'errors').threshold).toBe(80);
});

describe('by chance', () => {
  /** Keys whose answers break together. */
  function clustered(random: () => number, deflated: boolean): StageEvidence {
    let evidence = noStageEvidence(EPOCH);
    const rates = Array.from({ length: 256 }, () => (random() < 0.02 ? 0.5 : 0));
    const inCandidate = Array.from({ length: 256 }, () => random() < 0.1);
    for (let at = 0; at < 8; at += 1) {
      const arm = (candidate: boolean): BucketCount[] =>
        rates.flatMap((rate, bucket) =>
          inCandidate[bucket] === candidate
            ? [[bucket, 25, 0, 0, 0, 25, deflated ? drawEvents(25, rate, random) : 0] as const]
            : [],
        );
      const [legacy, candidate] = [arm(false), arm(true)];
      const counted = (counts: readonly BucketCount[]) =>
        deflated
          ? counts.reduce((sum, count) => sum + (count[6] ?? 0), 0)
          : counts.reduce((sum, count) => sum + drawEvents(25, rates[count[0]] ?? 0, random), 0);
      const cell = (arm: 'legacy' | 'candidate', counts: readonly BucketCount[]) =>
        aCell(arm, { requests: 25 * counts.length, breaches: { json_schema: counted(counts) } });
      const drawn = evidenceOf([cell('legacy', legacy), cell('candidate', candidate)], { legacy, candidate });
      evidence = withWindow(evidence, drawn, { burnIn: false, shareApplied: true, share: 0.1 });
    }
    return evidence;
  }

  it.each([
    ['at most at their alpha where breaches cluster by key', true],
    ['too often where that is not looked at, which is wrong', false],
  ])('answers of an equal candidate are harm %s', (_name, deflated) => {
    const random = seededRandom(11);
    const runs = 150;
    let found = 0;
    for (let run = 0; run < runs; run += 1) {
      if (answersOf(clustered(random, deflated)).harm) found += 1;
    }
    expect(found > mostFalseDecisions(runs, stage.alpha.rollback * 0.2)).toBe(!deflated);
  });

  it('are no harm where both break while the candidate has more of the traffic than usual', () => {
    const calm = window({ requests: 9_000, breaches: { cut: 9 } }, { requests: 1_000, breaches: { cut: 1 } });
    const busy = window(
      { requests: 1_000, breaches: { cut: 200 } },
      { requests: 1_000, breaches: { cut: 200 } },
    );
    const verdict = judged(stage, afterWindows([calm, calm, busy]));
    expect(metricOf(verdict, 'answers')).toMatchObject({ harm: false });
  });
});

it('reads as lines, the most frequent first, then what could not be checked', () => {
  const evidence = afterWindows([
    window(LEGACY, { requests: 1_000, unchecked: 100, breaches: { tool_schema: 45, cut: 9 } }),
  ]);
  expect(breachTexts(answersOf(evidence))).toEqual([
    { what: 'answers cut at their token limit', legacy: '1%', candidate: '1%' },
    { what: 'tool arguments outside their schema', legacy: '0.1%', candidate: '5%' },
    { what: 'could not be checked', legacy: '0%', candidate: '10%' },
  ]);
});
