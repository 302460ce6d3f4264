import { sumCells } from '../evidence/evidence';
import { inOneSegment, noStageEvidence } from '../evidence/stage/stage-evidence';
import { judgedSpending, withSpending } from '../evidence/stage/stage-spending';
import { withWindow } from '../evidence/stage/stage-window';
import { alphaAtStep } from '../gates/alpha-spending';
import { judgeStage } from '../gates/judge-stage';
import type { Baseline, ProbeRecord } from '../gates/verdict';
import { judgedShare, type StagePlan, stageKind } from '../plan/plan';
import type { Traffic } from '../plan/traffic';
import { quantile } from '../statistics/histogram';
import { DAY_MS } from '../text/duration';
import { drawnSpending } from './drawn-spending';
import { type ArmBehaviour, CALM, modelName, rehearse, seededRandom } from './rehearsal';
import { breachRate, isFit, isHarm, onTraffic, type Scenario } from './rehearsal-scenario';

/** One stage, rehearsed once. */
export interface StageRehearsal {
  readonly decision: 'promoted' | 'rolled back' | 'paused' | 'undecided';
  /** The metric that asked for the rollback. */
  readonly metric: string | null;
  /** Whether the decision was wrong, by what the candidate really did. */
  readonly wrong: boolean;
  readonly afterMs: number;
  readonly candidateRequests: number;
  readonly requests: number;
  /** Requests that the candidate made fail or slow, beyond what legacy would have. */
  readonly hurt: number;
}

/** What to rehearse; the same seed gives the same traffic. */
export interface StageRehearsalInput {
  readonly stage: StagePlan;
  /** The stage before, with whose legacy a stage without a control arm is compared; absent: there is none. */
  readonly before?: StagePlan;
  readonly traffic: Traffic;
  readonly scenario: Scenario;
  readonly seed: number;
}

const EPOCH = 1;

/**
 * Draws a stage's traffic window by window and judges it as a watch would, at the end of every window, until it is
 * promoted, rolled back, paused, or has reached its deadline.
 */
export function rehearseStage(input: StageRehearsalInput): StageRehearsal {
  const { traffic, seed } = input;
  const scenario = onTraffic(input.scenario, traffic);
  const models = scenario.models ?? traffic.models ?? 1;
  // What applications will say is not drawn, and what is held back is the control arm.
  const { outcomes: _, ...rehearsed } = input.stage;
  const stage: StagePlan = {
    ...rehearsed,
    share: judgedShare(input.stage),
    // A ramp itself is not rehearsed: its steps have the other half of the stage's alpha.
    ...(rehearsed.ramp === undefined ? {} : { alpha: alphaAtStep(rehearsed.alpha, { step: 2, of: 2 }) }),
  };
  const perMs = traffic.requestsPerDay / DAY_MS;
  const burnInMs = Math.max(stage.burnIn.timeMs, stage.burnIn.requests / (perMs * stage.share));
  const endsAtMs = (window: number) => burnInMs + window * stage.windowMs;
  const startsAtMs = (window: number) => (window === 0 ? 0 : endsAtMs(window - 1));
  const middleMs = (window: number) => (startsAtMs(window) + endsAtMs(window)) / 2;
  const base = baseOf(traffic, scenario);
  const doing = (window: number) => ({ ...base, ...scenario.candidate(stage, traffic, middleMs(window)) });
  const conditions = (window: number) => scenario.conditions?.(middleMs(window), seed) ?? CALM;
  const windows = rehearse(
    {
      share: stage.share,
      requestsPerWindow: (window) =>
        Math.round(perMs * endsAtMs(window)) - Math.round(perMs * startsAtMs(window)),
      streamShare: traffic.streamShare,
      totalMs: traffic.totalMs,
      firstTokenMs: traffic.firstTokenMs,
      legacy: base,
      candidate: doing,
      conditions,
      keys: scenario.keys,
      retried: scenario.retried ?? 0,
      models,
    },
    EPOCH,
    seededRandom(seed),
  );
  const baseline =
    stageKind(stage) === 'complete' && input.before !== undefined
      ? baselineAfter(input.before, { ...input, scenario })
      : {
          ...baselineOf(traffic, typeof models === 'number' ? models : models.length),
          breachRate: breachRate(scenario.breaches),
        };
  const spending = judgedSpending(stage);
  const lengths = seededRandom(seed + LENGTHS_SEED);
  let evidence = noStageEvidence(EPOCH);
  let [candidateRequests, requests, hurt] = [0, 0, 0];
  let wasHarm = false;
  for (let window = 0; ; window += 1) {
    const { value: drawn } = windows.next();
    const behaviour = doing(window);
    const burnIn = window === 0;
    const afterMs = endsAtMs(window);
    const moved = sumCells(drawn, ({ side }) => side === 'candidate')?.attempts ?? 0;
    candidateRequests += moved;
    requests += sumCells(drawn, () => true)?.attempts ?? 0;
    hurt += moved * hurtPart(base, behaviour);
    wasHarm ||= isHarm(stage, base, behaviour);
    const shareApplied = conditions(window).lapsed !== true;
    const before = evidence.spending;
    evidence = withWindow(evidence, drawn, {
      ...{ burnIn, shareApplied, share: stage.share },
      quantile: stage.gates.latency.quantile ?? 0.95,
    });
    if (spending.length > 0 && !burnIn && shareApplied) {
      const spent = drawnSpending(drawn, { legacy: base, candidate: behaviour }, lengths);
      evidence = { ...evidence, spending: withSpending(before, spent, spending) };
    }
    const verdict = judgeStage(stage, EPOCH, {
      evidence,
      windowRequests: { legacy: 0, candidate: moved },
      probes: WELL,
      burnIn,
      silent: [],
      baseline,
      foresees: false,
    });
    const at = { metric: verdict.harm, afterMs, candidateRequests, requests, hurt };
    if (verdict.harm !== null) return { ...at, decision: 'rolled back', wrong: !wasHarm };
    if (verdict.pause !== null) return { ...at, decision: 'paused', wrong: true };
    if (verdict.outcome === 'pass' && afterMs >= stage.soakMs) {
      return { ...at, decision: 'promoted', wrong: !isFit(stage, base, behaviour) };
    }
    if (afterMs >= stage.deadline.holdMs) return { ...at, decision: 'undecided', wrong: false };
  }
}

/** What legacy does, and a candidate that does as well. */
function baseOf({ failureRate }: Traffic, { breaches }: Scenario): ArmBehaviour {
  return { failureRate, latencyFactor: 1, ...(breaches === undefined ? {} : { breaches }) };
}

/** The part of the candidate's requests that are worse off than with legacy. */
function hurtPart(base: ArmBehaviour, behaviour: ArmBehaviour): number {
  const { failureRate, latencyFactor } = behaviour;
  const more = breachRate(behaviour.breaches) - breachRate(base.breaches);
  return latencyFactor > 1 ? 1 : Math.max(0, failureRate - base.failureRate) + Math.max(0, more);
}

const WELL: ProbeRecord = {
  legacy: { probes: 1_000, failures: 0, passedInARow: 1_000, failedInARow: 0, meanMs: null },
  candidate: { probes: 1_000, failures: 0, passedInARow: 1_000, failedInARow: 0, meanMs: null },
};

/** What the stage before leaves, drawn over its soak with a candidate that does as legacy does. */
function baselineAfter(given: StagePlan, { traffic, scenario, seed }: StageRehearsalInput): Baseline | null {
  const before = { ...given, share: judgedShare(given) };
  const count = Math.ceil(before.soakMs / before.windowMs);
  const perWindow = Math.round((traffic.requestsPerDay / DAY_MS) * before.windowMs);
  const base = baseOf(traffic, scenario);
  const windows = rehearse(
    {
      share: before.share,
      requestsPerWindow: perWindow,
      streamShare: traffic.streamShare,
      totalMs: traffic.totalMs,
      firstTokenMs: traffic.firstTokenMs,
      legacy: base,
      candidate: () => base,
      conditions: (window) => scenario.conditions?.((window + 0.5 - count) * before.windowMs, seed) ?? CALM,
      keys: scenario.keys,
      retried: scenario.retried ?? 0,
      models: scenario.models ?? traffic.models ?? 1,
    },
    EPOCH,
    // Other traffic than that of the stage itself.
    seededRandom(seed + BEFORE_SEED),
  );
  let evidence = noStageEvidence(EPOCH);
  for (let window = 0; window < count; window += 1) {
    const kind = { burnIn: false, shareApplied: true, quantile: before.gates.latency.quantile ?? 0.95 };
    evidence = withWindow(evidence, windows.next().value, kind);
  }
  const { baseline } = judgeStage(before, EPOCH, {
    evidence,
    windowRequests: { legacy: 0, candidate: 0 },
    probes: WELL,
    burnIn: false,
    silent: [],
    baseline: null,
    foresees: false,
  });
  return baseline === null ? null : { ...baseline, before: inOneSegment(evidence) };
}

const BEFORE_SEED = 1_000_000_007;
const LENGTHS_SEED = 2_000_000_011;

/** What a stage with a control arm would have left for the one without. */
function baselineOf({ failureRate, totalMs, firstTokenMs }: Traffic, models: number): Baseline {
  const read = (histogram: Traffic['totalMs'], p: number) => quantile(histogram, p) ?? 1;
  const latencyOf = (what: 'total' | 'first token', model: number, histogram: Traffic['totalMs']) => ({
    what,
    model: modelName(model),
    p95Ms: read(histogram, 0.95),
    p50Ms: read(histogram, 0.5),
  });
  return {
    errorRate: failureRate,
    plainP95Ms: read(totalMs, 0.95),
    firstTokenP95Ms: read(firstTokenMs, 0.95),
    latencies: Array.from({ length: models }, (_, model) => [
      latencyOf('total', model, totalMs),
      latencyOf('first token', model, firstTokenMs),
    ]).flat(),
  };
}

/** Whether a stage can be rehearsed: one without candidate traffic judges nothing. */
export function isRehearsable(stage: StagePlan): boolean {
  return stage.share > 0;
}
