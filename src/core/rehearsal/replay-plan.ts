import { alphaAtEntry, alphaAtStep } from '../gates/alpha-spending';
import { formatShare, type Plan, type StagePlan, stageKind } from '../plan/plan';
import { rampStepOf } from '../plan/ramp';
import { formatDuration } from '../text/duration';
import { judgeAgain, type RecordedWindow } from './recorded-window';

/** What became of a stage, or would have. */
export type StageDecision = 'promoted' | 'rolled back' | 'paused' | 'held' | 'undecided';

/** A decision with the moment and the evidence at which it fell. */
export interface DecidedStage {
  readonly decision: StageDecision;
  /** The window of the stage at whose end it fell. */
  readonly window: number;
  /** Since the stage was entered. */
  readonly afterMs: number;
  readonly candidateRequests: number;
  readonly sentence: string;
}

/** One recorded visit of a stage beside what another plan would have decided on its evidence. */
export interface ReplayedStage {
  /** The stage of the other plan that judged. */
  readonly stage: string;
  readonly recordedStage: string;
  /** The share at which the evidence was gathered: the other plan may ask for another. */
  readonly recordedShare: number;
  readonly epoch: number;
  readonly windows: number;
  readonly recorded: DecidedStage;
  readonly replayed: DecidedStage;
  /** False where the other plan would have rolled back before. */
  readonly reached: boolean;
}

/** A past migration's evidence judged by another plan. */
export interface PlanReplay {
  readonly stages: readonly ReplayedStage[];
  /** Stages of the other plan for which no evidence was recorded. */
  readonly withoutEvidence: readonly string[];
}

/**
 * What another plan would have decided on a past migration's recorded evidence, stage by stage. A recorded stage
 * is judged by the plan's stage of the same name, else by the one of its kind with the nearest share; always at
 * the share at which the evidence was gathered, after the burn-in that was observed.
 */
export function replayPlan(plan: Plan, windows: readonly RecordedWindow[]): PlanReplay {
  const visits = visitsOf(windows);
  const stages: ReplayedStage[] = [];
  let reached = true;
  // A stage that only copies, or serves a cohort, is an entry of its own, and is not judged again here.
  const copying = plan.stages.filter((stage) => ['shadow', 'cohort'].includes(stageKind(stage))).length;
  visits.forEach((visit, index) => {
    const [first] = visit;
    const last = visit.at(-1);
    if (first === undefined || last === undefined) return;
    const stage = matching(plan, first);
    if (stage === null) return;
    const alpha =
      plan.alpha === undefined
        ? stage.alpha
        : alphaAtEntry(plan.alpha, index + 1 + copying, plan.stages.indexOf(stage));
    const { holdback: _own, ...judged } = stage;
    const { holdback, rampingTo } = first.stage;
    const asRecorded = {
      ...(holdback === undefined ? {} : { holdback }),
      ...(rampingTo === undefined ? {} : { rampingTo }),
    };
    const step = rampStepOf(plan, plan.stages.indexOf(stage), first.share);
    const replayed = decide(
      { ...judged, ...asRecorded, share: first.share, alpha: alphaAtStep(alpha, step) },
      visit,
    );
    stages.push({
      stage: stage.name,
      recordedStage: first.stage.name,
      recordedShare: first.share,
      epoch: first.epoch,
      windows: visit.length,
      recorded: whatHappened(visit, visits[index + 1]),
      replayed,
      reached,
    });
    reached &&= replayed.decision !== 'rolled back';
  });
  const judged = new Set(stages.map(({ stage }) => stage));
  const withoutEvidence = plan.stages
    .filter((stage) => stage.share > 0 && stage.only === undefined && !judged.has(stage.name))
    .map(({ name }) => name);
  return { stages, withoutEvidence };
}

/**
 * Windows of one epoch are one visit: a return to a stage gathers its evidence afresh. A step of a ramp is no visit,
 * because nothing is promoted by it, unless harm was found there.
 */
function visitsOf(windows: readonly RecordedWindow[]): RecordedWindow[][] {
  const visits: RecordedWindow[][] = [];
  for (const window of windows) {
    if (window.share === 0 || window.handover || window.stage.only !== undefined) continue;
    const current = visits.at(-1);
    if (current?.[0]?.epoch === window.epoch) current.push(window);
    else visits.push([window]);
  }
  return visits.filter(
    (visit) => visit[0]?.stage.rampingTo === undefined || visit.at(-1)?.result.ended === 'harm',
  );
}

function matching(plan: Plan, { stage, share }: RecordedWindow): StagePlan | null {
  const kind = stage.holdback === undefined ? stageKind({ share }) : 'complete';
  const alike = plan.stages.filter((other) => stageKind(other) === kind);
  const named = alike.find(({ name }) => name === stage.name);
  const nearest = alike.toSorted((a, b) => Math.abs(a.share - share) - Math.abs(b.share - share))[0];
  return named ?? nearest ?? null;
}

function decide(stage: StagePlan, visit: readonly RecordedWindow[]): DecidedStage {
  const enteredAtMs = visit[0]?.startedAtMs ?? 0;
  const { holdMs, rollbackMs } = stage.deadline;
  let sentence = '';
  let candidateRequests = 0;
  for (const [index, window] of visit.entries()) {
    const verdict = judgeAgain(window, stage);
    const afterMs = window.endedAtMs - enteredAtMs;
    const observedMs = window.observedBeforeMs + window.result.observedMs;
    if (!verdict.burnIn) candidateRequests = verdict.requests.candidate;
    sentence = verdict.sentence;
    const at = { window: index + 1, afterMs, candidateRequests };
    if (verdict.harm !== null) return { ...at, decision: 'rolled back', sentence };
    if (verdict.pause !== null) return { ...at, decision: 'paused', sentence: verdict.pause };
    if (verdict.outcome === 'pass' && observedMs >= stage.soakMs) {
      return { ...at, decision: 'promoted', sentence };
    }
    if (rollbackMs !== null && afterMs >= rollbackMs) {
      const late = `${stage.name} has not passed within ${formatDuration(rollbackMs)}`;
      return { ...at, decision: 'rolled back', sentence: late };
    }
    if (afterMs >= holdMs) {
      const late = `${stage.name} has not passed within ${formatDuration(holdMs)}: ${sentence}`;
      return { ...at, decision: 'held', sentence: late };
    }
  }
  return {
    decision: 'undecided',
    window: visit.length,
    afterMs: (visit.at(-1)?.endedAtMs ?? enteredAtMs) - enteredAtMs,
    candidateRequests,
    sentence: `no more evidence was recorded at ${formatShare(stage.share)}: ${sentence}`,
  };
}

/** What the migration itself did, as its windows and what followed them show. */
function whatHappened(
  visit: readonly RecordedWindow[],
  next: readonly RecordedWindow[] | undefined,
): DecidedStage {
  const enteredAtMs = visit[0]?.startedAtMs ?? 0;
  const last = visit.at(-1);
  const { verdict, ended } = last?.result ?? {};
  const at = {
    window: visit.length,
    afterMs: (last?.endedAtMs ?? enteredAtMs) - enteredAtMs,
    candidateRequests: verdict?.burnIn === false ? verdict.requests.candidate : 0,
  };
  const sentence = verdict?.sentence ?? '';
  if (ended === 'harm') return { ...at, decision: 'rolled back', sentence };
  const [following] = next ?? [];
  if (following !== undefined && following.share > (last?.share ?? 1)) {
    return { ...at, decision: 'promoted', sentence };
  }
  if (following !== undefined)
    return { ...at, decision: 'rolled back', sentence: 'went back to a lower share' };
  // The last stage is left for the handover, in which its windows go on.
  const wasLast = last?.share === 1 || last?.stage.holdback !== undefined;
  if (verdict?.outcome === 'pass' && wasLast) return { ...at, decision: 'promoted', sentence };
  return { ...at, decision: 'undecided', sentence };
}
