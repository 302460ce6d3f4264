import { decodeNumbers } from '../evidence/number-list';
import { addRows, NO_ROW, type RateNumbers, type RateRow } from '../evidence/rate-row';
import {
  addFloorCounts,
  type FloorCounts,
  KEY_BUCKETS,
  mergeKeys,
  rateRows,
  type StageEvidence,
  strataAtFirst,
  strataOf,
} from '../evidence/stage-evidence';
import { formatShare, type GuardrailWeights, SHED_PAUSE_PART, type StagePlan, stageKind } from '../plan/plan';
import { type LogEvidence, rateAbove, rateBelow, rateInterval } from '../statistics/beta-binomial';
import { type DetectorState, detect, detectRate, lateStarts } from '../statistics/change-detector';
import { deflatedRates, deflatedSampleRatio } from '../statistics/design-effect';
import { smallestReaching } from '../statistics/expected-requests';
import { logSumExp } from '../statistics/log-space';
import {
  differenceExceeds,
  differenceWithin,
  priorAbove,
  type TwoRates,
} from '../statistics/rate-difference';
import { ratioExceeds } from '../statistics/rate-ratio';
import { pValueOf, sampleRatioMismatch } from '../statistics/sample-ratio';
import { GUARDRAIL_WEIGHTS, orderWeight } from './alpha-spending';
import {
  eValueOf,
  evidenceText,
  goalReached,
  lateWindows,
  metricVerdict,
  moreRequestsOf,
  moreText,
  percentText,
  pointsText,
  SEEMING,
  shownHarm,
} from './gate-metric';
import { type Baseline, type MetricVerdict, SHED } from './verdict';

/** Requests and failures of a stage, as counted and as independent as they are worth. */
export interface StageRates {
  readonly counted: TwoRates;
  /** Counts divided by the design effect; the same as counted when assignment is not sticky. */
  readonly deflated: TwoRates;
  readonly designEffect: number;
  /** The same of burn-in and of windows in which the share was not applied as well: what the floor judges. */
  readonly floorDesignEffect: number;
  readonly keys: string | null;
  /** Everything that was counted, and the same from each start. */
  readonly all: RateRow;
  readonly since: DetectorState<RatesSince>;
}

/** What was counted from a window on, and by how much requests of one key fail together since then. */
interface RatesSince {
  readonly row: RateRow;
  readonly designEffect: number;
}

/** Reads a stage's rates out of its evidence. */
export function stageRates(stage: StageEvidence): StageRates {
  const rows = rateRows(stage);
  const all = rows.segments.map(({ evidence }) => evidence).reduce(addRows, NO_ROW);
  const keys = keysSince(stage);
  const whole = keys[0]?.keys ?? null;
  const designEffect = designEffectOf(whole);
  const effects = keys.map(({ from, keys: since }) => ({ from, designEffect: designEffectOf(since) }));
  return {
    counted: twoRates(all.rates, 1),
    deflated: twoRates(all.rates, designEffect),
    designEffect,
    floorDesignEffect:
      stage.floorKeys === undefined ? designEffect : designEffectOf(mergeKeys(stage.floorKeys, whole)),
    keys: whole,
    all,
    since: {
      windows: rows.windows,
      segments: rows.segments.map(({ from, evidence: row }) => ({
        from,
        evidence: {
          row,
          // Keys are kept from fewer starts than rates: those of the next earlier one stand for a start.
          designEffect: effects.findLast((effect) => effect.from <= from)?.designEffect ?? designEffect,
        },
      })),
    },
  };
}

/** Adds what came later; how requests cluster is known for each start by itself. */
function addSince(earlier: RatesSince, later: RatesSince): RatesSince {
  return { row: addRows(earlier.row, later.row), designEffect: earlier.designEffect };
}

/** Key buckets from each start of the stage's windows on, oldest first. */
function keysSince({ judged: { segments } }: StageEvidence): { from: number; keys: string | null }[] {
  const starts: { from: number; keys: string | null }[] = [];
  let keys: string | null = null;
  for (const { from, evidence } of segments.toReversed()) {
    keys = mergeKeys(evidence.keys, keys);
    starts.unshift({ from, keys });
  }
  return starts;
}

/** By how much requests of one key (as `keys` of a window) go together. */
export function designEffectOf(keys: string | null): number {
  return keys === null ? 1 : deflatedRates(keyBuckets(keys)).designEffect;
}

function twoRates([requests, failures, moved, failed]: RateNumbers, deflator: number): TwoRates {
  return {
    legacy: { events: failures / deflator, requests: requests / deflator },
    candidate: { events: failed / deflator, requests: moved / deflator },
  };
}

function keyBuckets(text: string) {
  const keys = decodeNumbers(text);
  const arm = (offset: number) =>
    Array.from({ length: KEY_BUCKETS }, (_, bucket) => {
      const at = 4 * bucket + offset;
      return [bucket, keys[at] ?? 0, keys[at + 1] ?? 0] as const;
    }).filter(([, requests]) => requests > 0);
  return { legacy: arm(0), candidate: arm(2) };
}

/** What a metric of the stage is judged with. */
export interface Judged {
  readonly stage: StagePlan;
  readonly rates: StageRates;
  readonly evidence: StageEvidence;
  readonly baseline: Baseline | null;
  /** Whether to foresee how many more requests decide: it takes most of an evaluation that does not. */
  readonly foresees: boolean;
}

/** Intervals are for reading: they hold with this chance, whatever decides. */
export const INTERVAL_ALPHA = 0.05;

/** A guardrail's part of the stage's chance of a false rollback, fixed before anything is seen; `part` of its kind's. */
export function guardrailAlpha(
  { alpha: { rollback, weights = GUARDRAIL_WEIGHTS } }: Pick<StagePlan, 'alpha'>,
  kind: keyof GuardrailWeights,
  part = 1,
): number {
  return rollback * weights[kind] * part;
}

/** A guardrail's part of alpha, in words. */
export function alphaText({ stage: { alpha } }: Judged, own: number): string {
  return `${percentText(own / alpha.rollback)} of alpha ${percentText(alpha.rollback)}`;
}

/** Errors of both arms: harm by their ratio, promotion by their difference. */
export function judgeErrors(judged: Judged): MetricVerdict {
  const { stage, rates } = judged;
  if (stageKind(stage) === 'complete') return judgeErrorsAlone(judged);
  const { legacy, candidate } = rates.counted;
  const { rollbackRatio, promotionExcess } = stage.gates.errors;
  const n = { legacy: legacy.requests, candidate: candidate.requests };
  const base = {
    metric: 'errors',
    unit: 'rate',
    role: 'guardrail and goal',
    n,
    legacy: rateOf(legacy),
    candidate: rateOf(candidate),
    margin: promotionExcess,
  } as const;
  if (base.legacy === null || base.candidate === null) {
    const missing = base.candidate === null ? 'the candidate' : 'legacy';
    return metricVerdict({
      ...base,
      outcome: 'not evaluated',
      sentence: `errors: no requests of ${missing} yet`,
    });
  }
  const excess = base.candidate - base.legacy;
  const interval = differenceInterval(rates.deflated);
  const against = `candidate errors ${percentText(base.candidate)} against ${percentText(base.legacy)}`;
  const note = clusterText(rates.designEffect, 'failures');
  const { logHarm, worst } = errorHarm(judged, rollbackRatio);
  const harmAlpha = guardrailAlpha(stage, 'errors');
  if (logHarm >= -Math.log(harmAlpha)) {
    const times =
      worst ??
      (base.legacy === 0
        ? 'legacy has none'
        : `${Number((base.candidate / base.legacy).toPrecision(2))} times as many`);
    return metricVerdict({
      ...base,
      ...shownHarm(logHarm, harmAlpha),
      estimate: excess,
      interval,
      sentence: `${against}: ${times}, allowed ${rollbackRatio} times, ${evidenceText(logHarm, harmAlpha)}${note}`,
    });
  }
  const judge = differenceWithin(promotionExcess);
  const logWithin = judge(rates.deflated);
  const target = -Math.log(stage.alpha.promotion);
  const factor =
    logWithin >= target || !judged.foresees
      ? null
      : smallestReaching(target, (by) => judge(scaled(rates.deflated, by)), 1, 1_000);
  const moreRequests = moreRequestsOf(factor, n.legacy + n.candidate);
  const surelyMore =
    base.candidate > rollbackRatio * base.legacy &&
    detectRatio(judged, 1, allFailures) >= -Math.log(stage.alpha.promotion);
  const lately =
    logHarm >= SEEMING || surelyMore
      ? `; more than ${rollbackRatio} times as many as it seems`
      : errorsLately(judged, promotionExcess);
  return metricVerdict({
    ...base,
    ...goalReached(logWithin, stage.alpha.promotion, moreRequests, lately !== null),
    estimate: excess,
    interval,
    sentence: `${against}: ${signedPoints(excess)}, margin ${pointsText(promotionExcess)}, ${evidenceText(logWithin, stage.alpha.promotion)}${note}${lately ?? moreText(moreRequests)}`,
  });
}

/** In words, that errors towards the end of the soak are beyond the margin; null while they do not seem so. */
function errorsLately({ stage, rates: { since } }: Judged, margin: number): string | null {
  const starts = lateStarts(since, lateWindows(stage));
  for (const start of starts) {
    const late = since.segments.slice(start).map((segment) => segment.evidence);
    const { row, designEffect } = late.reduce(addSince);
    const { legacy, candidate } = twoRates(row.rates, designEffect);
    const [before, after] = [rateOf(legacy), rateOf(candidate)];
    if (before === null || after === null) continue;
    const bound = errorBound(before, margin);
    const evidence = rateAbove(bound, priorAbove(bound))(candidate.events, candidate.requests);
    if (evidence < SEEMING) continue;
    return `; towards the end ${percentText(after)} against ${percentText(before)}, beyond the margin`;
  }
  return null;
}

/**
 * Half of the evidence is on all requests together, half a weighted mean over strata (Vovk and Wang 2021: a mean of
 * e-values is one): what fails in one model of five drowns in the others. Weights are fixed by the order in which
 * strata were first seen; one that is small or has no failures counts as 0, which only lowers the mean. `worst` says
 * which stratum it is, where one of them says more than all together.
 */
function errorHarm(
  judged: Judged,
  ratio: number,
): { readonly logHarm: number; readonly worst: string | null } {
  const { rates, stage, evidence } = judged;
  const together = detectRatio(judged, ratio, allFailures);
  const requests = rates.all.rates[0] + rates.all.rates[2];
  const known = strataOf(evidence.measures);
  const first = strataAtFirst(evidence);
  // One alone is all together.
  if (known.length < 2) return { logHarm: together + Math.log((1 + orderWeight(0, 1)) / 2), worst: null };
  const strata = known.flatMap((stratum, index) => {
    const numbers = rates.all.strata[index] ?? NO_ROW.rates;
    return numbers[0] + numbers[2] < SMALL_PART * requests || numbers[2] === 0
      ? []
      : [
          {
            stratum,
            numbers,
            log: detectRatio(judged, ratio, failuresOf(index)),
            logWeight: Math.log(orderWeight(index, first)),
          },
        ];
  });
  const [worst] = strata.toSorted((a, b) => b.log - a.log);
  const logHarm = logSumExp([together, ...strata.map(({ log, logWeight }) => log + logWeight)]) - Math.LN2;
  if (worst === undefined || worst.log <= together) return { logHarm, worst: null };
  const [asked, failures, moved, failed] = worst.numbers;
  const what = `${worst.stratum.shape === 'stream' ? 'streams' : 'plain answers'} of ${worst.stratum.model}`;
  const text = `in ${what} ${percentText(failed / moved)} against ${asked === 0 ? 'none' : percentText(failures / asked)}`;
  return { logHarm, worst: `${text} (share ${formatShare(stage.share)})` };
}

/** Strata below this part of the requests are judged with the others only. */
const SMALL_PART = 0.05;

/** Requests and some of their events, and how many of these the candidate would have if both arms had them alike. */
interface PickedEvents {
  readonly numbers: RateNumbers;
  /** Null where a window of an older release is among them: the share of the whole stage stands for theirs. */
  readonly expected: number | null;
}

/** All failures of a row. */
function allFailures({ rates, expected }: RateRow): PickedEvents {
  return { numbers: rates, expected: expected?.failures ?? null };
}

/** Failures of one stratum. */
function failuresOf(index: number): (row: RateRow) => PickedEvents {
  return ({ strata, expected }) => ({
    numbers: strata[index] ?? NO_ROW.rates,
    expected: expected === undefined ? null : (expected.strata[index] ?? 0),
  });
}

/** The detector of the ratio of some events, those of each window by its own share. */
function detectRatio({ rates, stage }: Judged, ratio: number, pick: (row: RateRow) => PickedEvents): number {
  const [stayed, , moved] = pick(rates.all).numbers;
  const stageShare = weighedShare(moved, stayed, stage);
  return detect(rates.since, addSince, ({ row, designEffect }) => {
    const {
      numbers: [, legacy, , candidate],
      expected,
    } = pick(row);
    const share = expected === null ? stageShare : eventShare(expected, legacy + candidate, stageShare);
    return ratioExceeds(ratio, share)(candidate / designEffect, (legacy + candidate) / designEffect);
  });
}

/**
 * The candidate's part of some events if both arms had them alike: the mean of the windows' shares, weighed by their
 * events. With it the candidate's events vary less than a single share would have them (Hoeffding 1956), and a ratio
 * above 1 takes no more of them, so that windows of different shares only make the evidence weaker. `stageShare` lies
 * below 1 wherever legacy was asked at all, also where the plan asks for 100%: so does this.
 */
function eventShare(expected: number, events: number, stageShare: number): number {
  return (expected + stageShare) / (events + 1);
}

/** Callers who left before an answer: they do so more often where it hangs. */
export function judgeLeavers(judged: Judged): MetricVerdict[] {
  const { stage, rates } = judged;
  const gate = stage.gates.leavers;
  const alpha = guardrailAlpha(stage, 'leavers');
  if (gate === undefined || stageKind(stage) === 'complete') return [];
  const { left, rates: numbers } = rates.all;
  const requests = { legacy: numbers[0] + left.legacy, candidate: numbers[2] + left.candidate };
  if (left.legacy + left.candidate === 0 || requests.legacy === 0 || requests.candidate === 0) return [];
  const part = { legacy: left.legacy / requests.legacy, candidate: left.candidate / requests.candidate };
  const logHarm = detectRatio(
    judged,
    gate.rollbackRatio,
    ({ rates: [asked, , moved], left: gone, expected }) => ({
      numbers: [asked + gone.legacy, gone.legacy, moved + gone.candidate, gone.candidate],
      expected: expected?.left ?? null,
    }),
  );
  const harm = logHarm >= -Math.log(alpha);
  const against = `callers of the candidate left before the answer in ${percentText(part.candidate)}, those of legacy in ${percentText(part.legacy)}`;
  return [
    metricVerdict({
      metric: 'callers who left',
      unit: 'rate',
      role: 'guardrail',
      n: requests,
      ...part,
      margin: gate.rollbackRatio,
      outcome: harm ? 'fail' : 'not applicable',
      harm,
      eValue: eValueOf(logHarm),
      threshold: 1 / alpha,
      estimate: part.candidate - part.legacy,
      sentence: `${against}: allowed ${gate.rollbackRatio} times, ${evidenceText(logHarm, alpha)} (${alphaText(judged, alpha)})`,
    }),
  ];
}

/**
 * How much of the traffic found the candidate closed (breaker, cap, its own Retry-After). Those requests are in no
 * ratio, so a candidate that hides behind them must not pass: too many pause.
 */
export function judgeShed({ stage, rates }: Judged): MetricVerdict[] {
  const { pausePart } = stage.gates.shed ?? { pausePart: SHED_PAUSE_PART };
  const { shed, rates: numbers } = rates.all;
  const drawn = numbers[2] + shed.candidate;
  if (shed.candidate === 0 || drawn === 0) return [];
  const part = shed.candidate / drawn;
  const above = rateAbove(pausePart, priorAbove(pausePart));
  // Closed for a while is one event, however many requests come meanwhile.
  const logEvidence = above(shed.candidate / SHED_BURST, drawn / SHED_BURST);
  // In the first window errors of the requests that were sent may still decide.
  const pauses = logEvidence >= -Math.log(INTERVAL_ALPHA) && rates.since.windows > 1;
  return [
    metricVerdict({
      metric: SHED,
      unit: 'rate',
      role: 'guardrail and goal',
      n: { legacy: shed.legacy, candidate: shed.candidate },
      candidate: part,
      margin: pausePart,
      outcome: part <= pausePart ? 'pass' : pauses ? 'fail' : 'inconclusive',
      eValue: eValueOf(logEvidence),
      threshold: 1 / INTERVAL_ALPHA,
      sentence: `the candidate took none of ${percentText(part)} of its requests (breaker, cap or its own Retry-After), at most ${percentText(pausePart)}`,
    }),
  ];
}

/** Requests that one closure of the candidate is taken to last, when closures are counted. */
const SHED_BURST = 20;

/** Law 3: without a control arm errors are held to a bound that was frozen from the last stage that had one. */
function judgeErrorsAlone({ stage, rates, baseline, foresees }: Judged): MetricVerdict {
  const { candidate } = rates.counted;
  const margin = stage.gates.errors.promotionExcess;
  const base = {
    metric: 'errors',
    unit: 'rate',
    role: 'guardrail and goal',
    n: { legacy: 0, candidate: candidate.requests },
    legacy: baseline?.errorRate ?? null,
    candidate: rateOf(candidate),
    margin,
  } as const;
  if (base.candidate === null || base.legacy === null) {
    const sentence =
      base.candidate === null
        ? 'errors: no requests of the candidate yet'
        : 'errors: no stage with a control arm has left numbers to compare with';
    return metricVerdict({ ...base, outcome: 'not evaluated', sentence });
  }
  const bound = errorBound(base.legacy, margin);
  const { above, below } = boundEvidence(base.legacy, margin, baseline);
  const interval = rateInterval(
    rates.deflated.candidate.events,
    rates.deflated.candidate.requests,
    INTERVAL_ALPHA,
  );
  const numbers = {
    ...base,
    estimate: base.candidate - base.legacy,
    interval: [interval.low - base.legacy, interval.high - base.legacy],
  } as const;
  const against = `candidate errors ${percentText(base.candidate)} against ${percentText(base.legacy)} of legacy before`;
  if (isHandedOver(stage)) {
    const sentence = `${against}: all traffic is at the candidate, shown only`;
    return metricVerdict({ ...numbers, role: 'report', outcome: 'not applicable', sentence });
  }
  const limit = `bound ${percentText(bound)}`;
  const note = clusterText(rates.designEffect, 'failures');
  const logHarm = detect(rates.since, addSince, ({ row, designEffect }) =>
    above(row.rates[3] / designEffect, row.rates[2] / designEffect),
  );
  const harmAlpha = guardrailAlpha(stage, 'errors');
  if (logHarm >= -Math.log(harmAlpha)) {
    return metricVerdict({
      ...numbers,
      ...shownHarm(logHarm, harmAlpha),
      sentence: `${against}: above the ${limit}, ${evidenceText(logHarm, harmAlpha)}${note}`,
    });
  }
  const { events, requests } = rates.deflated.candidate;
  const logWithin = below(events, requests);
  const target = -Math.log(stage.alpha.promotion);
  const factor =
    logWithin >= target || !foresees
      ? null
      : smallestReaching(target, (by) => below(events * by, requests * by), 1, 1_000);
  const moreRequests = moreRequestsOf(factor, candidate.requests);
  return metricVerdict({
    ...numbers,
    ...goalReached(logWithin, stage.alpha.promotion, moreRequests),
    sentence: `${against}: ${limit}, ${evidenceText(logWithin, stage.alpha.promotion)}${note}${moreText(moreRequests)}`,
  });
}

/**
 * Evidence for and against a rate above legacy's of before and the margin: by two samples where it is known on how much
 * legacy's rate rests, and by that rate as if it were exact in records of older releases.
 */
function boundEvidence(
  legacyRate: number,
  margin: number,
  baseline: Baseline | null,
): { readonly above: LogEvidence; readonly below: LogEvidence } {
  const bound = errorBound(legacyRate, margin);
  if (baseline?.before === undefined) {
    return { above: rateAbove(bound, priorAbove(bound)), below: errorsWithinBound(legacyRate, margin) };
  }
  const { legacy } = stageRates(baseline.before).deflated;
  const exceeds = differenceExceeds(margin, legacy);
  const within = differenceWithin(margin);
  return {
    above: (events, requests) => exceeds({ events, requests }),
    below: (events, requests) => within({ legacy, candidate: { events, requests } }),
  };
}

/** Whether what a stage had held back has moved: nothing is left to compare with, and what was is of another time. */
export function isHandedOver({ share, holdback }: Pick<StagePlan, 'share' | 'holdback'>): boolean {
  return share === 1 && holdback !== undefined;
}

/** What the error rate may be without a control arm: legacy's from the last stage that had one, and the margin. */
export function errorBound(legacyRate: number, margin: number): number {
  return Math.min(0.999, legacyRate + margin);
}

/** Evidence that the candidate's error rate lies below that bound. */
function errorsWithinBound(legacyRate: number, margin: number): LogEvidence {
  const bound = errorBound(legacyRate, margin);
  const mean = legacyRate + margin / 4;
  return rateBelow(bound, { mean: Math.min(mean, bound), strength: 1 / mean });
}

/** The least that the candidate may succeed, burn-in included; a legacy below it is no place to compare with. */
export function judgeFloor(judged: Judged): MetricVerdict {
  const { stage, rates, evidence } = judged;
  const { success } = stage.gates.floor;
  const alpha = guardrailAlpha(stage, 'floor');
  const all = evidence.floor.segments.reduce(
    (sum, { evidence: counts }) => ({
      events: sum.events + counts.successes,
      requests: sum.requests + counts.trials,
    }),
    { events: 0, requests: 0 },
  );
  const failed = rateOf(all);
  const base = {
    metric: 'floor',
    unit: 'rate',
    role: 'guardrail and goal',
    n: { legacy: rates.counted.legacy.requests, candidate: all.requests },
    candidate: failed === null ? null : 1 - failed,
    margin: success,
  } as const;
  if (failed === null) {
    return metricVerdict({ ...base, outcome: 'not evaluated', sentence: 'floor: no candidate requests yet' });
  }
  const below = rateAbove(1 - success, priorAbove(1 - success));
  if (isBaselineUnhealthy(judged)) {
    const legacySuccess = 1 - (rateOf(rates.deflated.legacy) ?? 0);
    const told = `baseline unhealthy: legacy succeeds in ${percentText(legacySuccess)}, below the floor of ${percentText(success)}`;
    return metricVerdict({
      ...base,
      legacy: legacySuccess,
      outcome: 'not applicable',
      sentence: `${told}; an operator has to accept that`,
    });
  }
  const logBelow = detectRate(evidence.floor, (events, requests) =>
    below(events / rates.floorDesignEffect, requests / rates.floorDesignEffect),
  );
  const logHarm = Math.min(logBelow, worseThanLegacy(judged));
  const harm = logHarm >= -Math.log(alpha);
  const told = `candidate success ${percentText(1 - failed)}, floor ${percentText(success)}`;
  return metricVerdict({
    ...base,
    harm,
    outcome: harm ? 'fail' : 1 - failed >= success ? 'pass' : 'inconclusive',
    eValue: eValueOf(logHarm),
    threshold: 1 / alpha,
    sentence: harm
      ? `${told}: below it, ${evidenceText(logHarm, alpha)}`
      : `${told}: ${1 - failed >= success ? 'held' : 'not held so far'}, evidence of harm ${evidenceText(logHarm, alpha)} (${alphaText(judged, alpha)})`,
  });
}

/**
 * Evidence that the candidate fails more often than legacy did at the same time, so that an outage of both is not
 * the candidate's: against "it holds the floor, or is no worse than legacy" the smaller of both is an e-process.
 * Infinity where there is no legacy to compare with.
 */
function worseThanLegacy({ stage, rates, evidence: { floor } }: Judged): number {
  const all = floor.segments.map((segment) => segment.evidence).reduce(addFloorCounts, NO_FLOOR);
  const legacy = all.legacy?.trials ?? 0;
  if (legacy === 0) return Number.POSITIVE_INFINITY;
  const stageShare = weighedShare(all.trials, legacy, stage);
  return detect<FloorCounts>(floor, addFloorCounts, ({ successes, legacy: before, expected }) => {
    const events = successes + (before?.successes ?? 0);
    const share = expected === undefined ? stageShare : eventShare(expected, events, stageShare);
    return ratioExceeds(1, share)(successes / rates.floorDesignEffect, events / rates.floorDesignEffect);
  });
}

const NO_FLOOR: FloorCounts = { successes: 0, trials: 0, legacy: { successes: 0, trials: 0 }, expected: 0 };

/** Whether legacy itself succeeds less often than the floor says, beyond chance. */
export function isBaselineUnhealthy({ stage, rates: { deflated } }: Judged): boolean {
  const failure = 1 - stage.gates.floor.success;
  const { events, requests } = deflated.legacy;
  return rateAbove(failure, priorAbove(failure))(events, requests) >= -Math.log(INTERVAL_ALPHA);
}

/** Whether requests were split as the share says: if not, something drops or moves them and no number is to be trusted. */
export function judgeSampleRatio({ stage, rates, evidence: { split } }: Judged): MetricVerdict {
  const { pausePValue } = stage.gates.sampleRatio;
  const base = {
    metric: 'sample ratio',
    unit: 'p-value',
    role: 'guardrail and goal',
    n: { legacy: split.trials - split.successes, candidate: split.successes },
    margin: pausePValue,
  } as const;
  if (split.trials === 0) {
    const sentence = 'sample ratio: no requests yet while every gateway applied the share';
    return metricVerdict({ ...base, outcome: 'not evaluated', sentence });
  }
  const deflator = rates.keys === null ? 1 : ratioDesignEffect(rates.keys);
  const logEvidence = sampleRatioMismatch(stage.share)(split.successes / deflator, split.trials / deflator);
  const pValue = pValueOf(logEvidence);
  const mismatch = pValue < pausePValue;
  const observed = `${formatShare(split.successes / split.trials)} of the requests went to the candidate, asked ${formatShare(stage.share)}`;
  return metricVerdict({
    ...base,
    candidate: pValue,
    estimate: split.successes / split.trials - stage.share,
    outcome: mismatch ? 'fail' : 'pass',
    eValue: eValueOf(logEvidence),
    threshold: 1 / pausePValue,
    sentence: mismatch
      ? `sample ratio mismatch: ${observed}, p below ${pausePValue}: something drops or moves requests`
      : `${observed}, p ${Number(pValue.toPrecision(2))}`,
  });
}

function ratioDesignEffect(keys: string): number {
  const buckets = keyBuckets(keys);
  const counted = [...buckets.legacy, ...buckets.candidate].reduce((sum, [, requests]) => sum + requests, 0);
  const { trials } = deflatedSampleRatio(buckets);
  return trials > 0 ? Math.max(1, counted / trials) : 1;
}

/** Keys are counted by the buckets that they fill (linear counting, Whang 1990); only when assignment is sticky. */
export function judgeMinimumKeys({ stage, evidence: { keysSeen } }: Judged): MetricVerdict {
  const base = { metric: 'minimum keys', unit: 'keys', role: 'goal', margin: stage.minimumKeys } as const;
  if (keysSeen === '') {
    const sentence = 'minimum keys: assignment is by request, or no request bears a key';
    return metricVerdict({ ...base, outcome: 'not applicable', sentence });
  }
  const buckets = 4 * keysSeen.length;
  const filled = [...keysSeen].reduce((sum, digit) => sum + bitsOf(Number.parseInt(digit, 16)), 0);
  // All buckets full: as many keys as would leave half a bucket empty, or more.
  const keys = Math.round(-buckets * Math.log(Math.max(0.5, buckets - filled) / buckets));
  return metricVerdict({
    ...base,
    n: { legacy: 0, candidate: keys },
    candidate: keys,
    outcome: keys >= stage.minimumKeys ? 'pass' : 'inconclusive',
    sentence: `about ${keys} of ${stage.minimumKeys} keys of the candidate`,
  });
}

function bitsOf(digit: number): number {
  return (digit & 1) + ((digit >> 1) & 1) + ((digit >> 2) & 1) + ((digit >> 3) & 1);
}

/** What the realised share weighs against the plan's, in requests: a few requests say nothing about it. */
const SHARE_WEIGHT = 100;

/** The candidate's part of the requests, weighed against the plan's while there are few. */
export function realisedShare({ counted: { legacy, candidate } }: StageRates, stage: StagePlan): number {
  return weighedShare(candidate.requests, legacy.requests, stage);
}

function weighedShare(moved: number, stayed: number, { share }: StagePlan): number {
  return (moved + SHARE_WEIGHT * share) / (moved + stayed + SHARE_WEIGHT);
}

function differenceInterval({ legacy, candidate }: TwoRates): readonly [number, number] {
  const [l, c] = [legacy, candidate].map(({ events, requests }) =>
    rateInterval(events, requests, INTERVAL_ALPHA / 2),
  ) as [{ low: number; high: number }, { low: number; high: number }];
  return [c.low - l.high, c.high - l.low];
}

function scaled({ legacy, candidate }: TwoRates, by: number): TwoRates {
  const arm = ({ events, requests }: TwoRates['legacy']) => ({
    events: events * by,
    requests: requests * by,
  });
  return { legacy: arm(legacy), candidate: arm(candidate) };
}

/** Failures of requests; null without any. */
export function rateOf({ events, requests }: TwoRates['legacy']): number | null {
  return requests === 0 ? null : events / requests;
}

/** Says that counts were divided, where that is felt. */
export function clusterText(designEffect: number, what: string): string {
  return designEffect < 1.05
    ? ''
    : `, counts divided by ${Number(designEffect.toPrecision(2))} as ${what} cluster by key`;
}

function signedPoints(value: number): string {
  return `${value >= 0 ? '+' : ''}${pointsText(value)}`;
}
