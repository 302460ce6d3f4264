import { judgedQuantile } from '../gates/latency/latency-groups';
import { latencyShape } from '../rehearsal/rehearsal';
import { rehearseStage } from '../rehearsal/rehearsal-run';
import { SCENARIOS } from '../rehearsal/rehearsal-scenario';
import { smallestReaching } from '../statistics/expected-requests';
import { GAMMA, type Histogram, histogramCount } from '../statistics/histogram';
import { quantileWithin } from '../statistics/quantile-ratio';
import { differenceWithin } from '../statistics/rate-difference';
import { scaleSamples } from '../statistics/scaled-samples';
import { DAY_MS } from '../text/duration';
import { type AnswerGate, judgedShare, type Plan, type StagePlan, stageKind } from './plan';
import { rampMs } from './ramp';
import { SPENDING_MEASURES } from './spending-gate';
import { ASSUMED_BREACH_RATE, type Traffic } from './traffic';

/** How long a stage takes to pass when the candidate is exactly as good as legacy. */
export interface StageEstimate {
  readonly stage: string;
  /** Of both arms, after burn-in, for half of such stages; null where no number of requests passes. */
  readonly requests: number | null;
  /** How long the ramp takes before it, at least; in all times below. Absent where there is none. */
  readonly rampMs?: number;
  /** What takes longest: a goal, or `soak`. */
  readonly heldUpBy: string;
  /** Since the stage's entry; null where no time is enough. */
  readonly expectedMs: number | null;
  /** The time within which about nine of ten such stages have passed. */
  readonly likelyMs: number | null;
  /** When the plan stops advancing by itself. */
  readonly holdMs: number;
  readonly decides: boolean;
  /** How many rehearsals passed before the deadline, where the stage was rehearsed. */
  readonly passed?: { readonly rehearsals: number; readonly passes: number };
}

const MOST_REQUESTS = 1e9;
/** Strata below this part of the requests are no goals. */
const SMALL_PART = 0.05;

/**
 * All goals have to pass at once, and chance delays some: how many times the requests that the slowest goal takes on
 * expected counts half and nine tenths of the stages take, by simulation (docs/statistics.md).
 */
const HALF = 1.3;
const NINE_OF_TEN = 2.6;

/**
 * Estimates every stage of a plan that moves traffic. Where the traffic is of a kind, or of several models, stages that
 * have a control arm are rehearsed on it: days, incidents and keys that fail together take more than expected counts say.
 */
export function estimatePlan(plan: Plan, traffic: Traffic): StageEstimate[] {
  const rehearses = traffic.kind !== undefined || traffic.models !== undefined;
  const estimates: StageEstimate[] = [];
  let before: LegacyBefore | null = null;
  for (const stage of plan.stages.filter(({ share, only }) => share > 0 && only === undefined)) {
    // What is held back is the control arm.
    const judged = { ...stage, share: judgedShare(stage) };
    const estimated = estimate(judged, traffic, before);
    // What cannot decide on even traffic is not rehearsed: that takes minutes, and days or keys do not help it.
    const own =
      rehearses && estimated.decides && stageKind(judged) === 'split'
        ? rehearsed(stage, traffic, estimated)
        : estimated;
    const whole = withRamp(own, rampMs(plan, plan.stages.indexOf(stage)));
    const lastsMs = own.expectedMs ?? stage.soakMs;
    estimates.push(whole);
    before = { requests: ((1 - judged.share) * lastsMs * traffic.requestsPerDay) / DAY_MS };
  }
  return estimates;
}

/** Soak and evidence count from the stage's own share on: the ramp comes before both, and the deadline runs through it. */
function withRamp(estimate: StageEstimate, takesMs: number): StageEstimate {
  if (takesMs === 0) return estimate;
  const later = (ms: number | null) => (ms === null ? null : ms + takesMs);
  const [expectedMs, likelyMs] = [later(estimate.expectedMs), later(estimate.likelyMs)];
  const decides = estimate.decides && likelyMs !== null && likelyMs <= estimate.holdMs;
  return { ...estimate, rampMs: takesMs, expectedMs, likelyMs, decides };
}

const REHEARSALS = 10;

/** The estimate with the times that rehearsals with an equal candidate took, half and nine of ten of them. */
function rehearsed(stage: StagePlan, traffic: Traffic, estimated: StageEstimate): StageEstimate {
  const [scenario] = SCENARIOS;
  if (scenario === undefined) return estimated;
  const passed = Array.from({ length: REHEARSALS }, (_, seed) =>
    rehearseStage({ stage, traffic, scenario, seed: seed + 1 }),
  )
    .filter(({ decision }) => decision === 'promoted')
    .toSorted((a, b) => a.afterMs - b.afterMs);
  const [half, nineOfTen] = [passed[REHEARSALS / 2 - 1], passed[REHEARSALS - 2]];
  return {
    ...estimated,
    requests: half === undefined ? null : Number(half.requests.toPrecision(2)),
    expectedMs: half?.afterMs ?? null,
    likelyMs: nineOfTen?.afterMs ?? null,
    decides: nineOfTen !== undefined,
    passed: { rehearsals: REHEARSALS, passes: passed.length },
  };
}

/** Whether every stage of a plan is likely to pass, with a candidate as good as legacy, before it is held. */
export function isDecidable(estimates: readonly StageEstimate[]): boolean {
  return estimates.every(({ decides }) => decides);
}

/** What legacy counts in the stage before, with which a stage without a control arm is compared. */
interface LegacyBefore {
  readonly requests: number;
}

function estimate(stage: StagePlan, traffic: Traffic, before: LegacyBefore | null): StageEstimate {
  const perMs = traffic.requestsPerDay / DAY_MS;
  const burnInMs = Math.max(stage.burnIn.timeMs, stage.burnIn.requests / (perMs * stage.share));
  const goals = goalsOf(stage, traffic, before).toSorted((a, b) => taken(b, HALF) - taken(a, HALF));
  const [slowest] = goals;
  const { holdMs } = stage.deadline;
  if (slowest === undefined || slowest.requests === null) {
    const nothing = { requests: null, expectedMs: null, likelyMs: null, decides: false };
    return { stage: stage.name, ...nothing, heldUpBy: slowest?.goal ?? '', holdMs };
  }
  const timeFor = (requests: number) => Math.max(burnInMs + requests / perMs, stage.soakMs);
  const byChance = (factor: number) => Math.max(...goals.map((goal) => taken(goal, factor)));
  const expectedMs = timeFor(byChance(HALF));
  // A stage is left at the end of a window.
  const likelyMs = timeFor(byChance(NINE_OF_TEN)) + stage.windowMs;
  return {
    stage: stage.name,
    requests: Number(byChance(HALF).toPrecision(2)),
    heldUpBy: expectedMs === stage.soakMs ? 'soak' : slowest.goal,
    expectedMs,
    likelyMs,
    holdMs,
    decides: likelyMs <= holdMs,
  };
}

interface Goal {
  readonly goal: string;
  /** Of both arms; null where no number is enough. */
  readonly requests: number | null;
}

const MINIMUM_SAMPLE = 'minimum sample';

/** Requests that a goal takes, chance included; a count of requests knows none. */
function taken({ goal, requests }: Goal, factor: number): number {
  if (requests === null) return Number.POSITIVE_INFINITY;
  return goal === MINIMUM_SAMPLE ? requests : requests * factor;
}

function goalsOf(stage: StagePlan, traffic: Traffic, before: LegacyBefore | null): Goal[] {
  const { failureRate } = traffic;
  const { errors, answers } = stage.gates;
  const floor = 1 - failureRate >= stage.gates.floor.success ? 0 : null;
  // Both arms of a stage with two, else legacy's requests of before and the candidate's since.
  const alone = stageKind(stage) === 'complete';
  const armsAt: Arms = (n) =>
    alone
      ? { legacy: before?.requests ?? 0, candidate: n }
      : { legacy: n * (1 - stage.share), candidate: n * stage.share };
  const comparable = !alone || before !== null;
  return [
    { goal: MINIMUM_SAMPLE, requests: stage.minimumSample / stage.share },
    { goal: 'floor', requests: floor },
    { goal: 'errors', requests: comparable ? ratesAgainst(stage, errors, failureRate, armsAt) : null },
    ...(answers === undefined
      ? []
      : [{ goal: 'answers', requests: comparable ? answersAgainst(stage, answers, traffic, armsAt) : null }]),
    ...(comparable ? latencyGoals(stage, traffic, armsAt) : []),
    ...(alone ? [] : spendingGoals(stage, traffic, armsAt)),
  ];
}

/** Traffic says nothing of costs and lengths: they are taken to be spread as answers usually are. */
const ASSUMED_SPENDING = latencyShape(1_000, 5_000);

function spendingGoals(stage: StagePlan, { failureRate }: Traffic, armsAt: Arms): Goal[] {
  const answersAt = (n: number) => {
    const { legacy, candidate } = armsAt(n);
    return { legacy: legacy * (1 - failureRate), candidate: candidate * (1 - failureRate) };
  };
  return SPENDING_MEASURES.flatMap((measure) => {
    const { promotionIncrease: increase = null, quantile: p = 0.95 } = stage.gates[measure] ?? {};
    if (increase === null) return [];
    const requests = latencyAgainst(stage, { p, increase, shape: ASSUMED_SPENDING }, answersAt);
    return [{ goal: measure === 'cost' ? 'cost' : 'output tokens', requests }];
  });
}

function target(stage: StagePlan): number {
  return -Math.log(stage.alpha.promotion);
}

/** How many requests each arm is judged on once so many more have come. */
type Arms = (requests: number) => { readonly legacy: number; readonly candidate: number };

function ratesAgainst(
  stage: StagePlan,
  { promotionExcess }: { readonly promotionExcess: number },
  rate: number,
  armsAt: Arms,
): number | null {
  const judge = differenceWithin(promotionExcess);
  const arm = (requests: number) => ({ events: requests * rate, requests });
  const judgeAt = (n: number) => {
    const { legacy, candidate } = armsAt(n);
    return judge({ legacy: arm(legacy), candidate: arm(candidate) });
  };
  return smallestReaching(target(stage), judgeAt, 10, MOST_REQUESTS);
}

/** Answers of both arms that break their contract alike, and as many of the candidate as have to be checked. */
function answersAgainst(
  stage: StagePlan,
  gate: AnswerGate,
  { breachRate = ASSUMED_BREACH_RATE, failureRate }: Traffic,
  armsAt: Arms,
): number | null {
  const needed = ratesAgainst(stage, gate, breachRate, armsAt);
  if (needed === null) return null;
  const checkedOf = armsAt(1).candidate * (1 - failureRate);
  return Math.max(needed / (1 - failureRate), checkedOf === 0 ? 0 : gate.minimum / checkedOf);
}

function latencyGoals(stage: StagePlan, traffic: Traffic, armsAt: Arms): Goal[] {
  const { promotionIncrease } = stage.gates.latency;
  if (promotionIncrease === null) return [];
  const p = judgedQuantile(stage);
  const { streamShare, totalMs, firstTokenMs } = traffic;
  return [
    { goal: `p${100 * p} of plain answers`, part: 1 - streamShare, shape: totalMs },
    { goal: `p${100 * p} to first token`, part: streamShare, shape: firstTokenMs },
  ]
    .filter(({ part }) => part >= SMALL_PART)
    .map(({ goal, part, shape }) => {
      const answersAt = (n: number) => {
        const { legacy, candidate } = armsAt(n);
        return { legacy: legacy * part, candidate: candidate * part };
      };
      return { goal, requests: latencyAgainst(stage, { p, increase: promotionIncrease, shape }, answersAt) };
    });
}

function latencyAgainst(
  stage: StagePlan,
  { p, increase, shape }: { readonly p: number; readonly increase: number; readonly shape: Histogram },
  answersAt: Arms,
): number | null {
  // On whole buckets, as the gate judges it.
  const buckets = Math.floor(Math.log(1 + increase) / Math.log(GAMMA));
  if (buckets === 0) return null;
  const claim = { p, margin: GAMMA ** buckets - 1 };
  const one = 1 / histogramCount(shape);
  const scaled = (answers: number) => scaleSamples({ legacy: shape, candidate: shape }, answers * one).legacy;
  const judgeAt = (n: number) => {
    const { legacy, candidate } = answersAt(n);
    return quantileWithin(claim, { legacy: scaled(legacy), candidate: scaled(candidate) });
  };
  return smallestReaching(target(stage), judgeAt, 10, MOST_REQUESTS);
}
