import { type StagePlan, stageKind } from '../plan/plan';
import { type LogEvidence, rateAbove, rateBelow, rateInterval } from '../statistics/beta-binomial';
import { lateStarts } from '../statistics/change-detector';
import { smallestReaching } from '../statistics/expected-requests';
import {
  differenceExceeds,
  differenceWithin,
  priorAbove,
  type TwoRates,
} from '../statistics/rate-difference';
import {
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
import {
  detectEvents,
  detectRatio,
  type RateEvents,
  type RatioHarm,
  ratioHarm,
  twoRates,
} from './rate-events';
import {
  clusterText,
  guardrailAlpha,
  INTERVAL_ALPHA,
  isHandedOver,
  type JudgingFacts,
  rateOf,
} from './stage-rates';
import type { MetricVerdict } from './verdict';

/** Events that are judged by their rate: harm by the ratio of both arms, promotion by their difference. */
export interface RateGate {
  readonly metric: string;
  /** The guardrail of which it has the part of alpha. */
  readonly kind: 'errors' | 'answers';
  readonly rollbackRatio: number;
  readonly promotionExcess: number;
  readonly events: RateEvents;
  /** What legacy had in the stage before, where there is no control arm; null where that is not known. */
  readonly before: LegacyBefore | null;
  readonly words: RateWords;
}

/** How a metric speaks of its events. */
interface RateWords {
  /** `errors: ${missing('the candidate')}`. */
  readonly missing: (whose: 'the candidate' | 'legacy') => string;
  /** `candidate errors 5% against 1%`. */
  readonly against: (candidate: number, legacy: number) => string;
  /** What goes together by key. */
  readonly clustering: string;
  /** How harm is told; by the rates of the whole stage when absent. */
  readonly harm?: (harm: RatioHarm) => { readonly against: string; readonly times: string };
}

/** Legacy's rate in the last stage that had a control arm. */
export interface LegacyBefore {
  readonly rate: number;
  /** What it rests on; absent in records of older releases, whose rate is taken as exact. */
  readonly counted?: TwoRates['legacy'];
}

type MetricNumbers = Omit<Parameters<typeof metricVerdict>[0], 'outcome' | 'sentence'>;

/** A metric that is watched for harm, and has a goal as long as there is none. */
interface HarmThenGoal {
  readonly numbers: MetricNumbers;
  readonly harm: { readonly logEvidence: number; readonly alpha: number; readonly text: () => string };
  readonly goal: {
    /** Evidence for the goal if there were this many times as many requests. */
    readonly evidenceAt: (by: number) => number;
    readonly alpha: number;
    readonly text: string;
    /** Requests so far, of which more decide; null where that is not to be foreseen. */
    readonly requests: number | null;
    /** In words, why the goal is not met although its evidence says so; null where nothing speaks against it. */
    readonly against: () => string | null;
  };
  /** What is said of every decision. */
  readonly note: string;
}

const MOST_GROWTH = 1_000;

/** The one ladder of all that is judged by its rate: harm first, then the goal and how many requests are missing. */
function harmThenGoal({ numbers, harm, goal, note }: HarmThenGoal): MetricVerdict {
  if (harm.logEvidence >= -Math.log(harm.alpha)) {
    return metricVerdict({
      ...numbers,
      ...shownHarm(harm.logEvidence, harm.alpha),
      sentence: `${harm.text()}, ${evidenceText(harm.logEvidence, harm.alpha)}${note}`,
    });
  }
  const logWithin = goal.evidenceAt(1);
  const target = -Math.log(goal.alpha);
  const factor =
    logWithin >= target || goal.requests === null
      ? null
      : smallestReaching(target, goal.evidenceAt, 1, MOST_GROWTH);
  const moreRequests = moreRequestsOf(factor, goal.requests ?? 0);
  const against = goal.against();
  return metricVerdict({
    ...numbers,
    ...goalReached(logWithin, goal.alpha, moreRequests, against !== null),
    sentence: `${goal.text}, ${evidenceText(logWithin, goal.alpha)}${note}${against ?? moreText(moreRequests)}`,
  });
}

/** Judges events of both arms, or of the candidate against what legacy had before where there is no control arm. */
export function judgeRate(judged: JudgingFacts, gate: RateGate): MetricVerdict {
  return stageKind(judged.stage) === 'complete' ? judgeAlone(judged, gate) : judgeTwoArms(judged, gate);
}

function judgeTwoArms(judged: JudgingFacts, gate: RateGate): MetricVerdict {
  const { stage, foresees } = judged;
  const { events, rollbackRatio, promotionExcess, words } = gate;
  const { legacy, candidate } = events.counted;
  const n = { legacy: legacy.requests, candidate: candidate.requests };
  const base = {
    metric: gate.metric,
    unit: 'rate',
    role: 'guardrail and goal',
    n,
    legacy: rateOf(legacy),
    candidate: rateOf(candidate),
    margin: promotionExcess,
  } as const;
  if (base.legacy === null || base.candidate === null) {
    const missing = base.candidate === null ? 'the candidate' : 'legacy';
    return metricVerdict({ ...base, outcome: 'not evaluated', sentence: words.missing(missing) });
  }
  const rates = { legacy: base.legacy, candidate: base.candidate };
  const excess = rates.candidate - rates.legacy;
  const against = words.against(rates.candidate, rates.legacy);
  const harm = ratioHarm(events, rollbackRatio, judged);
  const within = differenceWithin(promotionExcess);
  return harmThenGoal({
    numbers: { ...base, estimate: excess, interval: differenceInterval(events.deflated) },
    harm: {
      logEvidence: harm.logHarm,
      alpha: guardrailAlpha(stage, gate.kind),
      text: () => {
        const shown = words.harm?.(harm) ?? { against, times: timesText(rates) };
        return `${shown.against}: ${shown.times}, allowed ${rollbackRatio} times`;
      },
    },
    goal: {
      evidenceAt: (by) => within(scaled(events.deflated, by)),
      alpha: stage.alpha.promotion,
      text: `${against}: ${signedPoints(excess)}, margin ${pointsText(promotionExcess)}`,
      requests: foresees ? n.legacy + n.candidate : null,
      against: () => {
        const surelyMore =
          rates.candidate > rollbackRatio * rates.legacy &&
          detectRatio(events, 1, stage) >= -Math.log(stage.alpha.promotion);
        return harm.logHarm >= SEEMING || surelyMore
          ? `; apparently more than ${rollbackRatio} times as many`
          : missedLately(stage, events, promotionExcess);
      },
    },
    note: clusterText(events.designEffect, words.clustering),
  });
}

/** `5.1 times as many`. */
export function timesText({
  legacy,
  candidate,
}: {
  readonly legacy: number;
  readonly candidate: number;
}): string {
  return legacy === 0 ? 'legacy has none' : `${Number((candidate / legacy).toPrecision(2))} times as many`;
}

/** In words, that events towards the end of the soak are beyond the margin; null while they do not seem so. */
function missedLately(stage: StagePlan, { since }: RateEvents, margin: number): string | null {
  const starts = lateStarts(since, lateWindows(stage));
  for (const start of starts) {
    const late = since.segments[start]?.evidence;
    if (late === undefined) continue;
    const { legacy, candidate } = twoRates(late.row.numbers, late.designEffect);
    const [before, after] = [rateOf(legacy), rateOf(candidate)];
    if (before === null || after === null) continue;
    const bound = errorBound(before, margin);
    const evidence = rateAbove(bound, priorAbove(bound))(candidate.events, candidate.requests);
    if (evidence < SEEMING) continue;
    return `; towards the end ${percentText(after)} against ${percentText(before)}, beyond the margin`;
  }
  return null;
}

/** Law 3: without a control arm events are held to a bound that was frozen from the last stage that had one. */
function judgeAlone({ stage, foresees }: JudgingFacts, gate: RateGate): MetricVerdict {
  const { events, promotionExcess: margin, before, words } = gate;
  const { candidate } = events.counted;
  const base = {
    metric: gate.metric,
    unit: 'rate',
    role: 'guardrail and goal',
    n: { legacy: 0, candidate: candidate.requests },
    legacy: before?.rate ?? null,
    candidate: rateOf(candidate),
    margin,
  } as const;
  if (before === null && isHandedOver(stage)) {
    const sentence = `${gate.metric}: all traffic is at the candidate, and nothing of legacy is left to compare with`;
    return metricVerdict({ ...base, role: 'report', outcome: 'not applicable', sentence });
  }
  if (base.candidate === null || before === null) {
    const sentence =
      base.candidate === null
        ? words.missing('the candidate')
        : `${gate.metric}: no stage with a control arm has left numbers to compare with`;
    return metricVerdict({ ...base, outcome: 'not evaluated', sentence });
  }
  const bound = errorBound(before.rate, margin);
  const { above, below } = boundEvidence(before, margin);
  const { deflated } = events;
  const interval = rateInterval(deflated.candidate.events, deflated.candidate.requests, INTERVAL_ALPHA);
  const numbers = {
    ...base,
    estimate: base.candidate - before.rate,
    interval: [interval.low - before.rate, interval.high - before.rate],
  } as const;
  const against = `${words.against(base.candidate, before.rate)} of legacy before`;
  if (isHandedOver(stage)) {
    const sentence = `${against}: all traffic is at the candidate, shown only`;
    return metricVerdict({ ...numbers, role: 'report', outcome: 'not applicable', sentence });
  }
  const limit = `bound ${percentText(bound)}`;
  return harmThenGoal({
    numbers,
    harm: {
      logEvidence: detectEvents(events, ({ row: { numbers: counts }, designEffect }) =>
        above(counts[3] / designEffect, counts[2] / designEffect),
      ),
      alpha: guardrailAlpha(stage, gate.kind),
      text: () => `${against}: above the ${limit}`,
    },
    goal: {
      evidenceAt: (by) => below(deflated.candidate.events * by, deflated.candidate.requests * by),
      alpha: stage.alpha.promotion,
      text: `${against}: ${limit}`,
      requests: foresees ? candidate.requests : null,
      against: () => null,
    },
    note: clusterText(events.designEffect, words.clustering),
  });
}

/**
 * Evidence for and against a rate above legacy's of before and the margin: by two samples where it is known on how much
 * legacy's rate rests, and by that rate as if it were exact in records of older releases.
 */
function boundEvidence(
  { rate, counted }: LegacyBefore,
  margin: number,
): { readonly above: LogEvidence; readonly below: LogEvidence } {
  const bound = errorBound(rate, margin);
  if (counted === undefined) {
    return { above: rateAbove(bound, priorAbove(bound)), below: withinBound(rate, margin) };
  }
  const exceeds = differenceExceeds(margin, counted);
  const within = differenceWithin(margin);
  return {
    above: (events, requests) => exceeds({ events, requests }),
    below: (events, requests) => within({ legacy: counted, candidate: { events, requests } }),
  };
}

/** What a rate may be without a control arm: legacy's from the last stage that had one, and the margin. */
export function errorBound(legacyRate: number, margin: number): number {
  return Math.min(0.999, legacyRate + margin);
}

/** Evidence that the candidate's rate lies below that bound. */
function withinBound(legacyRate: number, margin: number): LogEvidence {
  const bound = errorBound(legacyRate, margin);
  const mean = legacyRate + margin / 4;
  return rateBelow(bound, { mean: Math.min(mean, bound), strength: 1 / mean });
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

function signedPoints(value: number): string {
  return `${value >= 0 ? '+' : ''}${pointsText(value)}`;
}
