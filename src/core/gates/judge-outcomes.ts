import { OUTCOME_STEPS } from '../evidence/outcome-counts';
import {
  type ArmGrids,
  addGrids,
  countOf,
  type OutcomeBucket,
  outcomeBuckets,
  outcomeGrids,
  type StageOutcomes,
} from '../evidence/stage/stage-outcomes';
import { OUTCOMES_PART, type OutcomeGate } from '../plan/outcome-gate';
import { formatShare, stageKind } from '../plan/plan';
import { rateDiffers } from '../statistics/beta-binomial';
import { detect } from '../statistics/change-detector';
import { deflatedSampleRatio, meanDesignEffect } from '../statistics/design-effect';
import {
  type GridCounts,
  meanFallsShort,
  meanInterval,
  meanKeepsUp,
  meanOf,
  type TwoMeans,
  varianceOf,
} from '../statistics/mean-difference';
import { pValueOf } from '../statistics/sample-ratio';
import {
  eValueOf,
  evidenceText,
  goalReached,
  metricVerdict,
  percentText,
  pointsText,
  SEEMING,
  shownHarm,
} from './gate-metric';
import { clusterText, INTERVAL_ALPHA, type JudgingFacts, realisedShare } from './stage-rates';
import { type MetricVerdict, OUTCOME_REPORTS } from './verdict';

/** What applications said of answers, by each name that the plan judges, and whether both arms report alike. */
export function judgeOutcomes(judged: JudgingFacts): MetricVerdict[] {
  const { stage, evidence } = judged;
  const { outcomes: gates = [] } = stage;
  return gates.flatMap((gate) => {
    const held = evidence.outcomes?.find(({ name }) => name === gate.name);
    const judge = stageKind(stage) === 'split' ? judgeOutcome : shownOnly;
    return [judge(judged, gate, held), ...(held === undefined ? [] : judgeReports(judged, gate, held))];
  });
}

function judgeOutcome(
  judged: JudgingFacts,
  gate: OutcomeGate,
  held: StageOutcomes | undefined,
): MetricVerdict {
  const { stage } = judged;
  const grids = held === undefined ? null : outcomeGrids(held);
  const all = grids?.segments.map(({ evidence }) => evidence).reduce(addGrids, NONE) ?? NONE;
  const base = {
    ...shown(gate, all),
    role: 'guardrail and goal',
    margin: gate.promotion ?? gate.harm,
  } as const;
  if (held === undefined || grids === null || base.legacy === null || base.candidate === null) {
    const who =
      base.legacy === null && base.candidate === null
        ? 'no application has reported one yet'
        : `none of ${base.candidate === null ? 'the candidate' : 'legacy'} was reported yet`;
    const sentence = `${gate.name}: ${who} (POST /v1/outcomes with the name "${gate.name}")`;
    return metricVerdict({ ...base, outcome: 'not evaluated', sentence });
  }
  const deflator = outcomeDesignEffect(held, all);
  const note = clusterText(deflator, 'outcomes');
  const worse = worseBy(gate, base.legacy, base.candidate);
  const means = oriented(gate, all, deflator);
  const numbers = { estimate: worse, interval: intervalOf(means) };
  const against = `${gate.name} of the candidate ${percentText(base.candidate)} against ${percentText(base.legacy)}`;
  const alpha = outcomeAlpha(judged);
  const logHarm = detect(grids, addGrids, (since) =>
    meanFallsShort(gate.harm, oriented(gate, since, deflator), 0),
  );
  if (logHarm >= -Math.log(alpha)) {
    return metricVerdict({
      ...base,
      ...numbers,
      ...shownHarm(logHarm, alpha),
      sentence: `${against}: worse by ${pointsText(worse)}, allowed ${pointsText(gate.harm)}, ${evidenceText(logHarm, alpha)}${note}`,
    });
  }
  const { candidate: count } = base.n;
  const enough = count >= gate.minimum;
  const seems = logHarm >= SEEMING ? `; apparently worse by more than ${pointsText(gate.harm)}` : '';
  const few = enough ? '' : `; ${count} of ${gate.minimum} outcomes of the candidate`;
  if (gate.promotion === null) {
    const evidence = `evidence of harm ${evidenceText(logHarm, alpha)}`;
    return metricVerdict({
      ...{ ...base, ...numbers, role: 'guardrail' },
      outcome: enough && seems === '' ? 'pass' : 'inconclusive',
      ...{ eValue: eValueOf(logHarm), threshold: 1 / alpha },
      sentence: `${against}: ${differenceText(worse)}, ${evidence}${note}${few}${seems}`,
    });
  }
  const logWithin = meanKeepsUp(gate.promotion, means);
  return metricVerdict({
    ...base,
    ...numbers,
    ...goalReached(logWithin, stage.alpha.promotion, null, !enough || seems !== ''),
    sentence: `${against}: ${differenceText(worse)}, margin ${pointsText(gate.promotion)}, ${evidenceText(logWithin, stage.alpha.promotion)}${note}${few}${seems}`,
  });
}

/** Without a control arm there is nothing to compare with. */
function shownOnly(_: JudgingFacts, gate: OutcomeGate, held: StageOutcomes | undefined): MetricVerdict {
  const grids = held === undefined ? [] : outcomeGrids(held).segments.map(({ evidence }) => evidence);
  const base = shown(gate, grids.reduce(addGrids, NONE));
  const said = base.candidate === null ? 'none yet' : percentText(base.candidate);
  return metricVerdict({
    ...{ ...base, role: 'report', outcome: 'not applicable' },
    sentence: `${gate.name} of the candidate: ${said}; there is no control arm, so it is shown only`,
  });
}

/**
 * Whether both arms report alike, given how many requests each had: if not, something loses outcomes of one arm, or
 * people of one arm say less, and the means of those who did report prove nothing.
 */
function judgeReports(judged: JudgingFacts, { name }: OutcomeGate, held: StageOutcomes): MetricVerdict[] {
  const { stage, rates } = judged;
  const { legacy, candidate } = held.reported;
  if (stageKind(stage) !== 'split' || legacy + candidate === 0) return [];
  const { pausePValue } = stage.gates.sampleRatio;
  const share = realisedShare(rates, stage);
  const deflator = reportsDesignEffect(held);
  const evidence = rateDiffers(share, { mean: share, strength: REPORTS_STRENGTH });
  const logEvidence = evidence(candidate / deflator, (legacy + candidate) / deflator);
  const pValue = pValueOf(logEvidence);
  const uneven = pValue < pausePValue;
  const part = candidate / (legacy + candidate);
  const observed = `${formatShare(part)} of the outcomes "${name}" are the candidate's, which had ${formatShare(share)} of the requests`;
  return [
    metricVerdict({
      metric: `${OUTCOME_REPORTS}${name}`,
      unit: 'p-value',
      role: 'guardrail and goal',
      n: { legacy, candidate },
      candidate: pValue,
      margin: pausePValue,
      estimate: part - share,
      outcome: uneven ? 'fail' : 'pass',
      eValue: eValueOf(logEvidence),
      threshold: 1 / pausePValue,
      sentence: uneven
        ? `${observed}, p below ${pausePValue}: one side reports less often, or its reports are lost`
        : `${observed}, p ${Number(pValue.toPrecision(2))}`,
    }),
  ];
}

/** As of the sample ratio: deviations of about 30% of a share of 10% are expected where something is wrong. */
const REPORTS_STRENGTH = 100;

const EMPTY: GridCounts = new Array<number>(OUTCOME_STEPS + 1).fill(0);
const NONE: ArmGrids = { legacy: EMPTY, candidate: EMPTY };

function shown(gate: OutcomeGate, { legacy, candidate }: ArmGrids) {
  return {
    metric: `outcome ${gate.name}`,
    unit: 'rate',
    n: { legacy: countOf(legacy), candidate: countOf(candidate) },
    legacy: meanOf(legacy),
    candidate: meanOf(candidate),
  } as const;
}

/** Each outcome's part of the stage's chance of a false rollback, fixed by the plan. */
function outcomeAlpha({ stage: { alpha, outcomes = [] } }: JudgingFacts): number {
  return (alpha.outcomes ?? alpha.rollback * OUTCOMES_PART) / outcomes.length;
}

/** Counts as independent as they are worth, turned so that more is better. */
function oriented({ better }: OutcomeGate, { legacy, candidate }: ArmGrids, deflator: number): TwoMeans {
  const arm = (grid: GridCounts) => {
    const deflated = grid.map((count) => count / deflator);
    return better === 'higher' ? deflated : deflated.reverse();
  };
  return { legacy: arm(legacy), candidate: arm(candidate) };
}

function worseBy({ better }: OutcomeGate, legacy: number, candidate: number): number {
  return better === 'higher' ? legacy - candidate : candidate - legacy;
}

function differenceText(worse: number): string {
  return worse >= 0 ? `worse by ${pointsText(worse)}` : `better by ${pointsText(-worse)}`;
}

function intervalOf({ legacy, candidate }: TwoMeans): readonly [number, number] {
  const [l, c] = [meanInterval(legacy, INTERVAL_ALPHA / 2), meanInterval(candidate, INTERVAL_ALPHA / 2)];
  return [l.low - c.high, l.high - c.low];
}

/** By how much outcomes of one key go together: the larger effect of both arms, as for rates. */
function outcomeDesignEffect(held: StageOutcomes, all: ArmGrids): number {
  const { legacy, candidate } = outcomeBuckets(held);
  const effect = (buckets: readonly OutcomeBucket[], grid: GridCounts) =>
    meanDesignEffect(
      buckets.map(([bucket, count, steps]) => [bucket, count, steps / OUTCOME_STEPS] as const),
      varianceOf(grid),
    );
  return (
    Math.max(effect(legacy, all.legacy), effect(candidate, all.candidate)) *
    (candidate.length === 0 ? 1 : 1 + 1 / candidate.length)
  );
}

function reportsDesignEffect(held: StageOutcomes): number {
  const { legacy, candidate } = outcomeBuckets(held);
  const total = [...legacy, ...candidate].reduce((sum, [, count]) => sum + count, 0);
  const { trials } = deflatedSampleRatio({ legacy, candidate });
  return trials > 0 ? Math.max(1, total / trials) : 1;
}
