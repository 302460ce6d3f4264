import { isAnswering } from '../assessment/probe-streak';
import { type ArmUsage, noStageEvidence } from '../evidence/stage/stage-evidence';
import { formatShare, type StagePlan, stageKind } from '../plan/plan';
import { geometricMeanRatio } from '../statistics/geometric-mean';
import { HOUR_MS } from '../text/duration';
import { COHORT_SUCCESS, cohortOf, judgeCohort } from './cohort/judge-cohort';
import { metricVerdict, worseText } from './gate-metric';
import { judgeContract } from './judge-contract';
import { judgeIdentity } from './judge-identity';
import { judgeOutcomes } from './judge-outcomes';
import {
  isBaselineUnhealthy,
  judgeErrors,
  judgeFloor,
  judgeLeavers,
  judgeMinimumKeys,
  judgeSampleRatio,
  judgeShed,
} from './judge-rates';
import { judgeServedModel, servedModelAsks } from './judge-served-model';
import { judgeSpending } from './judge-spending';
import { judgeAllAnswers } from './latency/judge-all-answers';
import { judgeLatencies } from './latency/judge-latency';
import { judgeTails } from './latency/judge-tails';
import {
  answersByShape,
  judgedQuantile,
  latencyGroups,
  legacyLatencies,
  pooledP95,
} from './latency/latency-groups';
import { lowPowerOf } from './low-power';
import { ANSWER_PAIRS, judgeShadow, shownPairs } from './shadow/judge-shadow';
import { INTERVAL_ALPHA, isHandedOver, type JudgingFacts, rateOf, stageRates } from './stage-rates';
import {
  type Baseline,
  FAILURES_IN_A_ROW,
  type GateInput,
  type GateVerdict,
  IDENTITY,
  isOutcomeReports,
  JUDGING_RULES,
  type LowPower,
  type MetricVerdict,
  SERVED_MODEL,
  SHED,
} from './verdict';

/**
 * Evidence in, verdict out: judges one stage at one moment, pure, and valid however often it is asked. A metric
 * without data is `not evaluated`, which never passes; without a control arm relative metrics are held to
 * absolute bounds frozen from the last stage that had one.
 */
export function judgeStage(stage: StagePlan, epoch: number, input: GateInput): GateVerdict {
  const foreign = input.evidence.epoch !== epoch;
  const evidence = foreign ? noStageEvidence(epoch) : input.evidence;
  const rates = stageRates(evidence);
  const groups = latencyGroups(evidence);
  const shapes = answersByShape(groups, evidence);
  const judged: JudgingFacts = {
    stage,
    rates,
    evidence,
    baseline: input.baseline,
    foresees: input.foresees ?? true,
  };
  const split = stageKind(stage) === 'split';
  const handedOver = isHandedOver(stage);
  const missing = [
    ...judgeIdentity(input.identity),
    ...silence(input),
    ...(foreign ? [foreignEvidence(input.evidence.epoch, epoch)] : []),
  ];
  const shadow = stageKind(stage) === 'shadow';
  const cohort = stageKind(stage) === 'cohort' ? cohortOf(judged) : null;
  const judgedByTraffic =
    cohort !== null
      ? [...missing, ...judgeCohort(judged), probes(stage, input)]
      : shadow
        ? [...missing, ...judgeShadow(judged), probes(stage, input)]
        : input.burnIn
          ? [...missing, judgeFloor(judged), probes(stage, input), ...failuresInARow(judged, input)]
          : [
              ...missing,
              judgeErrors(judged),
              ...judgeContract(judged),
              ...judgeLatencies(judged, groups, shapes),
              ...judgeAllAnswers(judged, shapes),
              ...judgeTails(judged, groups),
              judgeFloor(judged),
              ...judgeLeavers(judged),
              ...judgeShed(judged),
              ...(handedOver ? [] : [minimumSample(judged)]),
              ...(split && stage.minimumKeys > 0 ? [judgeMinimumKeys(judged)] : []),
              ...(split ? [judgeSampleRatio(judged)] : []),
              probes(stage, input),
              ...failuresInARow(judged, input),
              ...judgeOutcomes(judged),
              ...judgeSpending(judged),
              ...usage(judged),
              ...shownPairs(judged),
            ];
  const { servedModel } = input;
  const metrics = [...judgedByTraffic, ...(servedModel === undefined ? [] : [judgeServedModel(servedModel)])];
  // Law 3: at complete only a legacy whose probes pass is a place to go back to by itself.
  const last = stageKind(stage) === 'complete' || stage.holdback !== undefined;
  const mayRollBack = !last || isAnswering(input.probes.legacy);
  const harm = mayRollBack ? metrics.find((metric) => metric.harm) : undefined;
  const outcome = input.burnIn ? 'inconclusive' : atItsShare(stage, combine(metrics));
  const counted =
    cohort !== null
      ? { legacy: 0, candidate: cohort.requests }
      : input.burnIn
        ? input.windowRequests
        : { legacy: rates.counted.legacy.requests, candidate: rates.counted.candidate.requests };
  const lowPower =
    outcome === 'pass' && harm === undefined && stage.profile === 'small' && !shadow && cohort === null
      ? lowPowerOf(judged, groups)
      : null;
  const unhealthy = isBaselineUnhealthy(judged);
  const floor = metrics.find(({ metric }) => metric === 'floor');
  const approvals = [
    ...(unhealthy && floor !== undefined ? [floor.sentence] : []),
    ...(lowPower === null ? [] : [`a pass on little traffic: ${lowPower.sentence}`]),
    ...(servedModel === undefined ? [] : servedModelAsks(servedModel)),
  ];
  const pausing = metrics.find(
    ({ metric, outcome: said }) =>
      said === 'fail' &&
      (metric === IDENTITY ||
        metric === SERVED_MODEL ||
        metric === 'sample ratio' ||
        metric === SHED ||
        isOutcomeReports({ metric })),
  );
  return {
    stage: stage.name,
    epoch,
    outcome: harm === undefined ? outcome : 'fail',
    harm: harm?.metric ?? null,
    pause: pausing?.sentence ?? metrics.find(({ metric }) => metric === FAILURES_IN_A_ROW)?.sentence ?? null,
    burnIn: input.burnIn,
    sentence: harm?.sentence ?? summary(stage, outcome, metrics, { burnIn: input.burnIn, lowPower }),
    metrics,
    observedShare:
      cohort !== null || counted.legacy + counted.candidate === 0
        ? null
        : counted.candidate / (counted.legacy + counted.candidate),
    requests: counted,
    baseline: baselineOf(judged, groups),
    rules: JUDGING_RULES,
    ...(unhealthy ? { baselineUnhealthy: true } : {}),
    ...(lowPower === null ? {} : { lowPower }),
    ...(approvals.length === 0 ? {} : { approvals }),
  };
}

function minimumSample({ stage, rates: { counted } }: JudgingFacts): MetricVerdict {
  const { requests } = counted.candidate;
  return metricVerdict({
    metric: 'minimum sample',
    unit: 'requests',
    role: 'goal',
    outcome: requests >= stage.minimumSample ? 'pass' : 'inconclusive',
    n: { legacy: counted.legacy.requests, candidate: requests },
    candidate: requests,
    margin: stage.minimumSample,
    sentence: `${requests} of ${stage.minimumSample} candidate requests`,
  });
}

function probes(stage: StagePlan, input: GateInput): MetricVerdict {
  const { legacy, candidate } = input.probes;
  const { rollbackStreak, promotionStreak } = stage.gates.probes;
  const base = {
    metric: 'probes',
    unit: 'probes',
    role: 'guardrail and goal',
    n: { legacy: legacy.probes, candidate: candidate.probes },
    legacy: legacy.passedInARow,
    candidate: candidate.passedInARow,
    margin: promotionStreak,
  } as const;
  if (candidate.probes === 0) {
    const sentence = 'no probe of the candidate has come back yet';
    return metricVerdict({ ...base, outcome: 'not evaluated', sentence });
  }
  const harm = candidate.failedInARow >= rollbackStreak && isAnswering(legacy);
  const passed = candidate.passedInARow >= promotionStreak;
  const sentence = harm
    ? `the last ${candidate.failedInARow} probes of the candidate failed while legacy's pass`
    : `the last ${candidate.passedInARow} probes of the candidate passed, ${promotionStreak} needed`;
  return metricVerdict({
    ...base,
    outcome: harm ? 'fail' : passed ? 'pass' : 'inconclusive',
    harm,
    sentence,
  });
}

const PAUSING_STREAK = 3;
/** Candidate requests an hour; below it no e-process decides before somebody could have looked. */
const LOW_TRAFFIC = 60;

/**
 * Three failures in a row are an accident of busy traffic, and of low traffic half an hour of it: somebody should look.
 * After a pause the same failures do not count again, only one that is new in the window.
 */
function failuresInARow({ stage, evidence, rates }: JudgingFacts, input: GateInput): MetricVerdict[] {
  const { inARow, inWindow } = input.candidateFailures ?? { inARow: 0, inWindow: 0 };
  const { windows } = evidence.judged;
  const aWindow = windows === 0 ? input.windowRequests.candidate : rates.counted.candidate.requests / windows;
  const anHour = aWindow * (HOUR_MS / stage.windowMs);
  if (inARow < PAUSING_STREAK || inWindow === 0 || anHour >= LOW_TRAFFIC) return [];
  const sentence = `the last ${inARow} requests to the candidate at one gateway failed, and it gets fewer than ${LOW_TRAFFIC} per hour: too few to wait for statistics`;
  return [
    metricVerdict({
      metric: FAILURES_IN_A_ROW,
      unit: 'requests',
      role: 'guardrail',
      outcome: 'fail',
      n: { legacy: 0, candidate: inARow },
      candidate: inARow,
      margin: PAUSING_STREAK,
      sentence,
    }),
  ];
}

function silence(input: GateInput): MetricVerdict[] {
  if (input.silent.length === 0) return [];
  return [notSeen('gateways', `no evidence from ${input.silent.join(', ')}`)];
}

function foreignEvidence(got: number, expected: number): MetricVerdict {
  return notSeen(
    'evidence',
    `expected evidence of epoch ${expected}, got epoch ${got}: nothing of it is judged`,
  );
}

function notSeen(metric: string, sentence: string): MetricVerdict {
  return metricVerdict({ metric, unit: 'requests', role: 'goal', outcome: 'not evaluated', sentence });
}

/** Cost and tokens are reported: what they may be is the plan's ceiling to say, not a gate's. */
function usage({ evidence: { usage: seen } }: JudgingFacts): MetricVerdict[] {
  const { legacy, candidate } = seen;
  const cost = geometricMeanRatio(legacy.costLog, candidate.costLog, INTERVAL_ALPHA);
  const told: MetricVerdict[] = [];
  if (cost !== null) {
    const means = [legacy, candidate].map(({ costLog }) => Math.exp(costLog.sum / costLog.count));
    told.push(
      metricVerdict({
        metric: 'cost per request',
        unit: 'usd',
        role: 'report',
        outcome: 'not applicable',
        n: { legacy: legacy.costLog.count, candidate: candidate.costLog.count },
        legacy: means[0] ?? null,
        candidate: means[1] ?? null,
        estimate: cost.ratio - 1,
        interval: [cost.interval.low - 1, cost.interval.high - 1],
        sentence: `cost per request, geometric mean: ${comparedText(cost.ratio - 1, 'dearer', 'cheaper')}; reported only`,
      }),
    );
  }
  const [before, after] = [tokensOf(legacy), tokensOf(candidate)];
  if (before !== null && after !== null && before > 0) {
    told.push(
      metricVerdict({
        metric: 'tokens per answer',
        unit: 'tokens',
        role: 'report',
        outcome: 'not applicable',
        n: { legacy: legacy.answers, candidate: candidate.answers },
        legacy: before,
        candidate: after,
        estimate: after / before - 1,
        sentence: `tokens per answer, mean: ${comparedText(after / before - 1, 'more', 'fewer')}; reported only`,
      }),
    );
  }
  return told;
}

function tokensOf({ answers, tokensOut }: ArmUsage): number | null {
  return answers === 0 ? null : tokensOut / answers;
}

function comparedText(part: number, more: string, less: string): string {
  return worseText(part).replace('worse', more).replace('better', less);
}

function combine(metrics: readonly MetricVerdict[]): GateVerdict['outcome'] {
  const outcomes = metrics.map((metric) => metric.outcome);
  if (outcomes.includes('fail')) return 'fail';
  if (outcomes.includes('not evaluated')) return 'not evaluated';
  return outcomes.includes('inconclusive') ? 'inconclusive' : 'pass';
}

/** On its way to its own share a stage can fail, and never pass. */
function atItsShare({ rampingTo }: StagePlan, outcome: GateVerdict['outcome']): GateVerdict['outcome'] {
  return rampingTo === undefined || outcome === 'fail' ? outcome : 'inconclusive';
}

const REASONS_TOLD = 3;

function summary(
  stage: StagePlan,
  outcome: GateVerdict['outcome'],
  metrics: readonly MetricVerdict[],
  { burnIn, lowPower }: { readonly burnIn: boolean; readonly lowPower: LowPower | null },
): string {
  if (burnIn) return `${stage.name} is in burn-in: recorded, not judged`;
  if (stage.rampingTo !== undefined && outcome !== 'fail') {
    return `${stage.name} is ramping: ${formatShare(stage.share)} on the way to ${formatShare(stage.rampingTo)}, watched for harm, not judged for a promotion`;
  }
  if (outcome === 'pass') {
    const main =
      metrics.find(
        ({ metric }) => metric === 'errors' || metric === ANSWER_PAIRS || metric === COHORT_SUCCESS,
      )?.sentence ?? '';
    const passes =
      stage.only === undefined
        ? `${stage.name} at ${formatShare(stage.share)} passes`
        : `${stage.name} passes`;
    return lowPower === null ? `${passes}: ${main}` : `${passes}, low power: ${lowPower.sentence}; ${main}`;
  }
  // What is still missing stands first: it is what people can wait for, or bring about.
  const isCount = ({ unit }: MetricVerdict) => unit === 'requests' || unit === 'keys';
  const undecided = metrics.filter((metric) => metric.outcome === outcome);
  const open = [...undecided.filter(isCount), ...undecided.filter((metric) => !isCount(metric))].map(
    ({ sentence }) => sentence,
  );
  const more = open.length > REASONS_TOLD ? `; and ${open.length - REASONS_TOLD} more` : '';
  const said = outcome === 'fail' ? 'not within its limits' : outcome;
  return `${stage.name} is ${said}: ${open.slice(0, REASONS_TOLD).join('; ')}${more}`;
}

function baselineOf(
  { stage, rates }: JudgingFacts,
  groups: Parameters<typeof judgeLatencies>[1],
): Baseline | null {
  const errorRate = rateOf(rates.counted.legacy);
  if (errorRate === null) return null;
  const [checked = 0, breaches = 0] = rates.all.answers?.checked ?? [];
  const breachRate = checked === 0 ? null : breaches / checked;
  return {
    errorRate,
    // A plan without the gate has no use for it, and its verdicts are what they were.
    ...(breachRate === null || stage.gates.answers === undefined ? {} : { breachRate }),
    plainP95Ms: pooledP95(groups, 'total', 'legacy'),
    firstTokenP95Ms: pooledP95(groups, 'first token', 'legacy'),
    latencies: legacyLatencies(groups, judgedQuantile(stage)),
  };
}
