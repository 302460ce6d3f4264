import { KEY_BUCKETS } from '../evidence/key-buckets';
import { addFloorCounts, type FloorCounts } from '../evidence/stage/window-counts';
import { formatShare, SHED_PAUSE_PART, type StagePlan, stageKind } from '../plan/plan';
import { rateAbove } from '../statistics/beta-binomial';
import { detect, detectRate } from '../statistics/change-detector';
import { splitDesignEffect } from '../statistics/design-effect';
import { priorAbove } from '../statistics/rate-difference';
import { ratioExceeds } from '../statistics/rate-ratio';
import { pValueOf, sampleRatioMismatch } from '../statistics/sample-ratio';
import { eValueOf, evidenceText, metricVerdict, percentText } from './gate-metric';
import { detectRatio, eventShare, type RatioHarm, weighedShare } from './rate-events';
import { judgeRate, timesText } from './rate-ladder';
import {
  alphaText,
  guardrailAlpha,
  INTERVAL_ALPHA,
  type JudgingFacts,
  keyBuckets,
  rateOf,
  stageRates,
} from './stage-rates';
import { type MetricVerdict, SHED } from './verdict';

/** Errors of both arms: harm by their ratio, promotion by their difference. */
export function judgeErrors(judged: JudgingFacts): MetricVerdict {
  const { stage, rates, baseline } = judged;
  const against = (candidate: number, legacy: number) =>
    `candidate errors ${percentText(candidate)} against ${percentText(legacy)}`;
  const { counted } = rates;
  const whole = { legacy: rateOf(counted.legacy) ?? 0, candidate: rateOf(counted.candidate) ?? 0 };
  return judgeRate(judged, {
    metric: 'errors',
    kind: 'errors',
    ...stage.gates.errors,
    events: rates.failures,
    before:
      baseline === null
        ? null
        : {
            rate: baseline.errorRate,
            ...(baseline.before === undefined
              ? {}
              : { counted: stageRates(baseline.before).failures.deflated.legacy }),
          },
    words: {
      missing: (whose) => `errors: no requests of ${whose} yet`,
      against,
      clustering: 'failures',
      harm: (harm) => ({
        against: against(whole.candidate, whole.legacy),
        times: stratumText(harm, stage) ?? timesText(whole),
      }),
    },
  });
}

/** `in streams of small 8% against 1% (share 10%)`, where one model and shape says more than all; else null. */
export function stratumText({ worst }: RatioHarm, stage: StagePlan): string | null {
  if (worst === null) return null;
  const [asked, failures, moved, failed] = worst.numbers;
  const what = `${worst.stratum.shape === 'stream' ? 'streams' : 'plain answers'} of ${worst.stratum.model}`;
  const text = `in ${what} ${percentText(failed / moved)} against ${asked === 0 ? 'none' : percentText(failures / asked)}`;
  return `${text} (share ${formatShare(stage.share)})`;
}

/** Callers who left before an answer: they do so more often where it hangs. */
export function judgeLeavers(judged: JudgingFacts): MetricVerdict[] {
  const { stage, rates } = judged;
  const gate = stage.gates.leavers;
  const alpha = guardrailAlpha(stage, 'leavers');
  if (gate === undefined || stageKind(stage) === 'complete') return [];
  const { left, rates: numbers } = rates.all;
  const requests = { legacy: numbers[0] + left.legacy, candidate: numbers[2] + left.candidate };
  if (left.legacy + left.candidate === 0 || requests.legacy === 0 || requests.candidate === 0) return [];
  const part = { legacy: left.legacy / requests.legacy, candidate: left.candidate / requests.candidate };
  const logHarm = detectRatio(rates.left, gate.rollbackRatio, stage);
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
export function judgeShed({ stage, rates }: JudgingFacts): MetricVerdict[] {
  const { pausePart } = stage.gates.shed ?? { pausePart: SHED_PAUSE_PART };
  const { shed, rates: numbers } = rates.all;
  const drawn = numbers[2] + shed.candidate;
  if (shed.candidate === 0 || drawn === 0) return [];
  const part = shed.candidate / drawn;
  const above = rateAbove(pausePart, priorAbove(pausePart));
  // Closed for a while is one event, however many requests come meanwhile.
  const logEvidence = above(shed.candidate / SHED_BURST, drawn / SHED_BURST);
  // In the first window errors of the requests that were sent may still decide.
  const pauses = logEvidence >= -Math.log(INTERVAL_ALPHA) && rates.rows.windows > 1;
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
      sentence: `${percentText(part)} of the candidate's requests could not be sent to it (breaker, cap or its own Retry-After), at most ${percentText(pausePart)} may be`,
    }),
  ];
}

/** Requests that one closure of the candidate is taken to last, when closures are counted. */
const SHED_BURST = 20;

/** The least that the candidate may succeed, burn-in included; a legacy below it is no place to compare with. */
export function judgeFloor(judged: JudgingFacts): MetricVerdict {
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
      ? `${told}: ${1 - failed >= success ? 'held over the whole stage, and not lately' : 'below it'}, ${evidenceText(logHarm, alpha)}`
      : `${told}: ${1 - failed >= success ? 'held' : 'not held so far'}, evidence of harm ${evidenceText(logHarm, alpha)} (${alphaText(judged, alpha)})`,
  });
}

/**
 * Evidence that the candidate fails more often than legacy did at the same time, so that an outage of both is not
 * the candidate's: against "it holds the floor, or is no worse than legacy" the smaller of both is an e-process.
 * Infinity where there is no legacy to compare with.
 */
function worseThanLegacy({ stage, rates, evidence: { floor } }: JudgingFacts): number {
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
export function isBaselineUnhealthy({ stage, rates: { deflated } }: JudgingFacts): boolean {
  const failure = 1 - stage.gates.floor.success;
  const { events, requests } = deflated.legacy;
  return rateAbove(failure, priorAbove(failure))(events, requests) >= -Math.log(INTERVAL_ALPHA);
}

/** Whether requests were split as the share says: if not, something drops or moves them and no number is to be trusted. */
export function judgeSampleRatio({ stage, rates, evidence: { split } }: JudgingFacts): MetricVerdict {
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
  const deflator = rates.keys === null ? 1 : splitDesignEffect(keyBuckets(rates.keys), KEY_BUCKETS);
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

/** Keys are counted by the buckets that they fill (linear counting, Whang 1990); only when assignment is sticky. */
export function judgeMinimumKeys({ stage, evidence: { keysSeen } }: JudgingFacts): MetricVerdict {
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
