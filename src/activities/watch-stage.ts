import { activityInfo, Context } from '@temporalio/activity';
import type { WatchStageInput } from '../contract';
import { type Evidence, failureCount, mergeEvidence } from '../core/evidence/evidence';
import { withJudge } from '../core/evidence/judge-counts';
import { withCohort } from '../core/evidence/stage/stage-cohort';
import type { StageEvidence } from '../core/evidence/stage/stage-evidence';
import { withOutcomes } from '../core/evidence/stage/stage-outcomes';
import { boundFor, withPairs } from '../core/evidence/stage/stage-pairs';
import { judgedSpending, withSpending } from '../core/evidence/stage/stage-spending';
import { withWindow } from '../core/evidence/stage/stage-window';
import { tallyOf } from '../core/evidence/traffic-tally';
import { judgeStage } from '../core/gates/judge-stage';
import {
  FAILURES_IN_A_ROW,
  type GateInput,
  type GateVerdict,
  IDENTITY,
  type ProbeRecord,
  type VerdictOutcome,
} from '../core/gates/verdict';
import type { IdentityKnowledge } from '../core/identity/identity-audit';
import type { WindowResult } from '../core/migration/events';
import { driftKey } from '../core/routing/drift';
import { type Arm, leaseOverAfterMs } from '../core/routing/routing';
import type { Ports, StageTelemetry } from '../ports';
import { asFailure } from './failures';
import { withHeartbeats } from './heartbeats';
import { startIdentityWatch } from './identity/watch-identity';
import { startProbeLoop } from './probe-loop';
import { type RoundResult, renewRound } from './renew-round';

/** What a later attempt needs to go on where this one stopped; evidence is not in it, gateways keep it. */
interface WatchProgress {
  readonly elapsedMs: number;
  readonly observedMs: number;
  readonly probes: ProbeRecord;
  readonly lapses: WindowResult['lapses'];
  readonly servedModel?: IdentityKnowledge | null;
}

/**
 * One observation window: renews leases, reads evidence, probes both providers and judges, until the window is
 * over or something is decided. Evidence is read since the cursors that the workflow holds, so that neither a
 * cancelled nor a crashed window loses any of it.
 */
export function createWatchStage(ports: Ports): (input: WatchStageInput) => Promise<WindowResult> {
  return async (input) => {
    const context = Context.current();
    const probing = startProbeLoop(ports, input, context.cancellationSignal, probesAtStart(input));
    const served = startIdentityWatch(ports, input, context.cancellationSignal, identityAtStart(input));
    const telemetry = ports.telemetry.stage({
      route: input.route,
      stage: input.handover ? 'handover' : input.stage.name,
      shareAsked: input.record.share,
      soakRequiredMs: input.stage.soakMs,
      gateways: input.roster.map(({ name }) => name),
    });
    let outcome: VerdictOutcome | null = null;
    let progress = activityInfo().heartbeatDetails as WatchProgress | undefined;
    const report = (reached: WatchProgress) => {
      progress = reached;
      context.heartbeat(progress);
    };
    try {
      const window = await withHeartbeats(
        () => watch({ ports, telemetry, report, servedModel: served.current }, input, context, probing),
        () => progress,
      );
      outcome = window.verdict.outcome;
      return window;
    } catch (error) {
      throw asFailure(error);
    } finally {
      probing.stop();
      served.stop();
      telemetry.end(outcome);
    }
  };
}

function probesAtStart(input: WatchStageInput): ProbeRecord {
  return (activityInfo().heartbeatDetails as WatchProgress | undefined)?.probes ?? input.probes;
}

function identityAtStart(input: WatchStageInput): IdentityKnowledge | null {
  const before = activityInfo().heartbeatDetails as WatchProgress | undefined;
  return before?.servedModel ?? input.servedModel?.standing ?? null;
}

async function watch(
  {
    ports,
    telemetry,
    report,
    servedModel,
  }: {
    readonly ports: Ports;
    readonly telemetry: StageTelemetry;
    readonly report: (progress: WatchProgress) => void;
    readonly servedModel: () => IdentityKnowledge | null;
  },
  input: WatchStageInput,
  context: Context,
  probing: Pick<ReturnType<typeof startProbeLoop>, 'current' | 'identity'>,
): Promise<WindowResult> {
  const signal = context.cancellationSignal;
  const before = activityInfo().heartbeatDetails as WatchProgress | undefined;
  let { elapsedMs, observedMs, lapses } = before ?? { elapsedMs: 0, observedMs: 0, lapses: [] };
  let lastMs = ports.clock.now();
  let known = input.knownDrifts ?? [];
  let { roster } = input;
  const names = (input.stage.outcomes ?? []).map(({ name }) => name);
  const spending = judgedSpending(input.stage);
  let wasGood = false;
  // A window lies within burn-in or after it: evidence of the one is never judged with the other.
  const burnIn = isBurningIn(input, 0, 0);
  // What a gateway counted while it was behind was not split as the share says. One that was out of reach and held
  // its lease was not behind; one whose lease ran out says so when it is back, and its evidence with it.
  let shareApplied = true;
  const lastGrantMs = new Map(input.roster.map(({ name }) => [name, lastMs]));
  const lastAnswerMs = new Map(lastGrantMs);

  for (;;) {
    const round = await renewRound(ports, input, roster, known);
    known = round.drifts;
    roster = round.located;
    signal.throwIfAborted();
    const nowMs = ports.clock.now();
    const passedMs = nowMs - lastMs;
    elapsedMs += passedMs;
    // Time counts as soak only between two rounds in which every gateway served as it should.
    const good = round.behind.length === 0 && round.unreachable.length === 0 && round.drifts.length === 0;
    if (good && wasGood) observedMs += passedMs;
    wasGood = good;
    lastMs = nowMs;
    for (const name of round.granted) lastGrantMs.set(name, nowMs);
    for (const name of round.answered) lastAnswerMs.set(name, nowMs);
    lapses = [...lapses, ...round.behind].slice(-20);

    const delta = mergeEvidence(round.evidence, input.record.epoch);
    shareApplied &&= round.drifts.length === 0 && lapses.length === 0;
    const { quantile = 0.95 } = input.stage.gates.latency;
    const { share } = input.record;
    const before = input.progress.evidence;
    const window = withWindow(before, delta, { burnIn, shareApplied, share, quantile });
    const comparesSpending = !burnIn && shareApplied;
    const evidence = {
      ...window,
      ...(names.length === 0 ? {} : { outcomes: withOutcomes(before.outcomes, delta.outcomes, names) }),
      ...(spending.length === 0 || !comparesSpending
        ? {}
        : { spending: withSpending(before.spending, delta.spending, spending) }),
      ...(input.stage.gates.cohort === undefined
        ? {}
        : { cohort: withCohort(before.cohort, delta.cells, input.stage.gates.cohort) }),
      ...(before.pairs === undefined && delta.pairs === undefined
        ? {}
        : { pairs: withPairs(before.pairs, delta.pairs, harmBounds(input.stage)) }),
      ...(input.stage.judge === undefined ? {} : { judge: withJudge(before.judge, delta.judge) }),
    };
    // What the verdict rests on is what the result tells: probes go on meanwhile.
    const probed = probing.current();
    const identity = probing.identity();
    const served = servedModel();
    const verdict = judge(input, { evidence, delta, burnIn }, round, {
      probes: probed,
      ...(identity === undefined ? {} : { identity }),
      ...(input.servedModel === undefined
        ? {}
        : { servedModel: { standing: served, alpha: input.servedModel.plan.alpha } }),
    });
    telemetry.round({
      verdict,
      probes: probed,
      soakMs: input.progress.observedMs + observedMs,
      drift: round.drifts[0]?.kind ?? null,
      lapsed: round.behind.map(({ gateway }) => gateway),
      silent: round.silent,
    });
    const left = leftBy(input, round, lastGrantMs, nowMs);
    const ended = endOf({
      input,
      round,
      verdict,
      elapsedMs,
      rosterChanged:
        round.joined.length + left.length > 0 || hasSilenceChanged(input, round, lastAnswerMs, nowMs),
      spent: hasSpent(input, evidence),
      exchanged: (served?.events.length ?? 0) > (input.servedModel?.standing?.events.length ?? 0),
      burntIn: burnIn && !isBurningIn(input, observedMs, verdict.requests.candidate),
    });
    const asked = served === null ? {} : { servedModel: served };
    report({ elapsedMs, observedMs, probes: probed, lapses, ...asked });
    if (ended !== null) {
      return {
        epoch: input.record.epoch,
        ended,
        observedMs,
        evidence,
        cursors: round.cursors,
        verdict,
        probes: probed,
        ...asked,
        traffic: tallyOf(delta),
        lapses,
        drift: round.drifts[0] ?? null,
        drifts: round.drifts,
        answered: round.answered,
        unansweredBecause: round.unansweredBecause,
        discovered: round.joined,
        left,
        located: round.located,
        settled: round.settled,
        highestEpoch: round.highestEpoch,
      };
    }
    const leftMs = Math.max(0, input.windowMs - elapsedMs);
    await ports.clock.sleep(Math.min(input.renewalMs, leftMs), signal);
    signal.throwIfAborted();
  }
}

/** Whether the copies of a stage have cost what they may since its window began. */
function hasSpent({ stage, progress, copiesUsd = 0 }: WatchStageInput, { pairs }: StageEvidence): boolean {
  const { mirror, maxCostUsd = 0 } = stage;
  if (mirror === undefined) return false;
  const before = progress.evidence.pairs?.costUsd ?? 0;
  // What earlier entries into the stage have spent counts as well.
  const earlier = copiesUsd - before;
  return earlier + before < maxCostUsd && earlier + (pairs?.costUsd ?? 0) >= maxCostUsd;
}

/** What is harm in the ratios of a pair. */
function harmBounds({ gates: { latency, cost, outputTokens } }: WatchStageInput['stage']) {
  const boundOf = (gate?: { readonly rollbackIncrease: number }) =>
    boundFor((gate ?? latency).rollbackIncrease);
  return { latency: boundOf(latency), cost: boundOf(cost), outputTokens: boundOf(outputTokens) };
}

function judge(
  input: WatchStageInput,
  window: { readonly evidence: StageEvidence; readonly delta: Evidence; readonly burnIn: boolean },
  round: RoundResult,
  probed: Pick<GateInput, 'probes' | 'identity' | 'servedModel'>,
): GateVerdict {
  const { stage, record, baseline } = input;
  const live = (arm: Arm) =>
    window.delta.cells.reduce(
      (sum, cell) => sum + (cell.side === arm && cell.kind === 'live' ? cell.attempts - cell.aborted : 0),
      0,
    );
  return judgeStage(stage, record.epoch, {
    evidence: window.evidence,
    windowRequests: { legacy: live('legacy'), candidate: live('candidate') },
    ...probed,
    candidateFailures: {
      inARow: round.candidateFailureStreak,
      inWindow: window.delta.cells.reduce(
        (sum, cell) => sum + (cell.side === 'candidate' && cell.kind === 'live' ? failureCount(cell) : 0),
        0,
      ),
    },
    burnIn: window.burnIn,
    silent: round.silent,
    baseline,
  });
}

/** Whether the stage is in burn-in after so much more of it: the larger of a time and a number of requests. */
function isBurningIn(
  { stage, progress }: WatchStageInput,
  observedMs: number,
  candidateRequests: number,
): boolean {
  const { timeMs, requests } = stage.burnIn;
  if (progress.evidence.judged.windows > 0) return false;
  return (
    (timeMs > 0 && progress.observedMs + observedMs <= timeMs) ||
    progress.burnInRequests + candidateRequests < requests
  );
}

function endOf(at: {
  readonly input: WatchStageInput;
  readonly round: RoundResult;
  readonly verdict: GateVerdict;
  readonly elapsedMs: number;
  readonly rosterChanged: boolean;
  readonly burntIn: boolean;
  /** The candidate shows another model than before. */
  readonly exchanged: boolean;
  /** What copies may cost has been spent in this window. */
  readonly spent: boolean;
}): WindowResult['ended'] | null {
  const { input, round, verdict, elapsedMs } = at;
  if (verdict.harm !== null) return 'harm';
  if (hasDriftChanged(input, round)) return 'drift changed';
  if (at.rosterChanged) return 'roster changed';
  if (input.handover && input.roster.every(({ name }) => round.settled.includes(name))) return 'settled';
  if (verdict.metrics.some(({ metric }) => metric === FAILURES_IN_A_ROW)) return 'window over';
  if (isAnotherModel(verdict) && input.identity?.paused === false) return 'window over';
  if (at.exchanged) return 'window over';
  if (at.spent) return 'budget spent';
  if (input.windowMs === 0) return 'asked';
  return at.burntIn || elapsedMs >= input.windowMs ? 'window over' : null;
}

function isAnotherModel({ metrics }: GateVerdict): boolean {
  return metrics.some(({ metric, outcome }) => metric === IDENTITY && outcome === 'fail');
}

/** Within one renewal of its change, a latch that is cleared included: the runbook goes on from there. */
function hasDriftChanged({ knownDrift, knownDrifts }: WatchStageInput, { drifts }: RoundResult): boolean {
  if (knownDrifts !== undefined) return driftKey(drifts) !== driftKey(knownDrifts);
  const [drift] = drifts;
  return (drift === undefined ? null : `${drift.gateway}: ${drift.kind}`) !== knownDrift;
}

/** Whether somebody answers who was known to be silent, or is silent for longer than a lease and was not known to be. */
function hasSilenceChanged(
  { knownSilent, record }: WatchStageInput,
  { answered }: RoundResult,
  lastAnswerMs: ReadonlyMap<string, number>,
  nowMs: number,
): boolean {
  if (knownSilent === undefined) return false;
  return [...lastAnswerMs].some(([name, atMs]) =>
    knownSilent.includes(name) ? answered.includes(name) : nowMs - atMs > leaseOverAfterMs(record.leaseMs),
  );
}

/** Who is gone from the configuration, out of reach, and one lease past its last grant. */
function leftBy(
  { record }: WatchStageInput,
  { absent, unreachable }: RoundResult,
  lastGrantMs: ReadonlyMap<string, number>,
  nowMs: number,
): readonly string[] {
  return absent
    .filter((name) => unreachable.includes(name) && !record.pinned)
    .filter((name) => nowMs - (lastGrantMs.get(name) ?? nowMs) > leaseOverAfterMs(record.leaseMs));
}
