import { withAccepted } from '../evidence/stage/stage-evidence';
import { addTallies } from '../evidence/traffic-tally';
import {
  FAILURES_IN_A_ROW,
  type GateVerdict,
  IDENTITY,
  isOutcomeReports,
  type MetricVerdict,
  SERVED_MODEL,
  SHED,
} from '../gates/verdict';
import { stageKind } from '../plan/plan';
import { driftsAfter, driftsOf, withDrifts, withoutLatch } from '../routing/drift';
import { highestOf } from '../routing/routing';
import { DAY_MS } from '../text/duration';
import { withNewBudget } from './amendment/new-budget';
import { rollBackByItself } from './automatic-rollback';
import type { WindowResult } from './events';
import { silentIn, withLocated, withRoster } from './gateway-roster';
import {
  type Drift,
  follows,
  hasSpentCopies,
  type Lapse,
  type MigrationState,
  type Pause,
  stageAt,
} from './migration-state';
import { close, noteDrift, pauseBecause, pauseForDrift, record } from './routing-change';
import { advanceIfDue, applyDeadlines, notePass, takeBack } from './stage-exit';

const LAPSES_A_DAY = 3;
/** Restarts in order of one gateway within a day that are routine: further ones count as lapses. */
const RESTARTS_A_DAY = 3;
const VERDICTS_KEPT = 20;
/** Of a verdict in the state, most telling first; a window's result, in history, has all. */
const METRICS_KEPT = 12;
/** Further lapses within a day are counted, not recorded one by one. */
const LAPSES_RECORDED = 50;
/** Characters that the state keeps of who lapsed together, and of how; checkpoints name each gateway. */
const LAPSE_TEXT_MOST = 200;

/**
 * Takes in what an observation window saw: evidence and verdict first, then whatever asks for a rollback, a pause,
 * or an advance. A window of another epoch than the one in effect changes nothing.
 */
export function applyWindow(state: MigrationState, window: WindowResult, atMs: number): MigrationState {
  const epoch = state.inEffect?.record.epoch;
  if (window.epoch !== epoch || state.pending !== null) return state;
  let next = notePass(remember(state, window, atMs), atMs);
  if (next.stage.verdict?.outcome !== 'pass') {
    next = takeBack(next, next.stage.verdict?.sentence ?? 'drift', atMs);
  }
  next = changeRoster(next, window, atMs);
  const drifts = driftsNow(next, window);
  next = noteDrifts(drifts.reduce(noteDrift, next), drifts, atMs);
  if (window.verdict.harm !== null) {
    next = rollBackForHarm(next, window, atMs);
    if (next.phase === 'rolling back') return next;
  }
  next = noteLapses(next, window, atMs);
  // What was accepted pauses no more by the window during which it was.
  const pausing = window.verdict.pause !== null && pauseCause(window.verdict) !== state.stage.accepted;
  if (pausing && next.paused === null) {
    const reason = window.verdict.pause ?? '';
    next = record(next, { what: 'paused', reason, atMs });
    next = pauseBecause(next, { atMs, by: 'cutover', reason, cause: pauseCause(window.verdict) });
  }
  if (next.phase === 'handover') return closeWhenSettled(next, window, atMs);
  return withNewBudget(holdIfSpent(advanceIfDue(applyDeadlines(next, atMs), atMs), atMs), atMs);
}

/** A stage whose copies have cost what they may, and that has not passed, learns nothing more by itself. */
function holdIfSpent(state: MigrationState, atMs: number): MigrationState {
  const { held, verdict } = state.stage;
  const isOpen = state.phase === 'observing' && held === null && verdict?.outcome !== 'pass';
  if (!isOpen || !hasSpentCopies(state)) return state;
  const { name, maxCostUsd = 0 } = stageAt(state.plan, state.stageIndex);
  const reason = `${name} has spent the $${maxCostUsd} of its copies and has not passed: ${verdict?.sentence ?? 'not evaluated'}`;
  const told = record(state, { what: 'held', reason, atMs });
  return { ...told, stage: { ...told.stage, held: { atMs, reason } } };
}

/** Which metric asks for a verdict's pause. */
function pauseCause({ metrics }: GateVerdict): Pause['cause'] {
  const failed = metrics.filter(({ outcome }) => outcome === 'fail');
  if (failed.some(({ metric }) => metric === IDENTITY)) return IDENTITY;
  if (metrics.some(({ metric }) => metric === FAILURES_IN_A_ROW)) return FAILURES_IN_A_ROW;
  if (failed.some(({ metric }) => metric === SHED)) return SHED;
  if (failed.some(({ metric }) => metric === 'sample ratio')) return 'sample ratio';
  if (failed.some(isOutcomeReports)) return 'outcome reports';
  return failed.some(({ metric }) => metric === SERVED_MODEL) ? SERVED_MODEL : 'sample ratio';
}

function remember(state: MigrationState, window: WindowResult, atMs: number): MigrationState {
  const { accepted, ...stage } = state.stage;
  // Law 9: while something contradicts the routing, neither soak nor promotion evidence is gathered, nor is it in assess.
  const assessing = stageKind(stageAt(state.plan, state.stageIndex)) === 'assess';
  const counts = state.drift === null && window.drift === null && !assessing;
  const verdict = counts ? shortened(window.verdict) : null;
  const seen = accepted === undefined ? window.evidence : withAccepted(window.evidence, accepted);
  return {
    ...state,
    epoch: highestOf(state.epoch, window.highestEpoch),
    probes: window.probes,
    ...(window.traffic === undefined ? {} : { traffic: addTallies(state.traffic, window.traffic) }),
    ...copiesOf(state, window),
    ...(window.servedModel === undefined ? {} : { servedModel: window.servedModel }),
    unreachable: window.answered === undefined ? state.unreachable : silentIn(state.roster, window.answered),
    unreachableBecause: window.unansweredBecause ?? {},
    // A promotion rests on the verdict before it: one that is no longer a pass takes it back.
    promotion: verdict?.outcome === 'pass' ? state.promotion : null,
    stage: {
      ...stage,
      observedMs: stage.observedMs + (counts ? window.observedMs : 0),
      windows: stage.windows + 1,
      evidence: counts && window.evidence.epoch === window.epoch ? seen : stage.evidence,
      burnInRequests: stage.burnInRequests + (window.verdict.burnIn ? window.verdict.requests.candidate : 0),
      cursors: { ...stage.cursors, ...window.cursors },
      verdict,
      held: stage.reevaluating ? null : stage.held,
      reevaluating: false,
    },
    verdicts: [...state.verdicts, { ...shortened(window.verdict), atMs, window: stage.windows + 1 }].slice(
      -VERDICTS_KEPT,
    ),
  };
}

/** What the copies of a stage that is there for them have cost so far, and what judging them has. */
function copiesOf(
  { copiesUsd = 0, judgeUsd = 0, plan, stageIndex, stage }: MigrationState,
  { evidence }: WindowResult,
): Pick<MigrationState, 'copiesUsd' | 'judgeUsd'> {
  if (stageKind(stageAt(plan, stageIndex)) !== 'shadow') return {};
  const grown = (evidence.pairs?.costUsd ?? 0) - (stage.evidence.pairs?.costUsd ?? 0);
  const judged = (evidence.judge?.costUsd ?? 0) - (stage.evidence.judge?.costUsd ?? 0);
  return {
    ...(grown > 0 ? { copiesUsd: Number((copiesUsd + grown).toFixed(6)) } : {}),
    ...(judged > 0 ? { judgeUsd: Number((judgeUsd + judged).toFixed(6)) } : {}),
  };
}

/** What the state keeps of a verdict with many strata. */
function shortened(verdict: GateVerdict): GateVerdict {
  if (verdict.metrics.length <= METRICS_KEPT) return verdict;
  const weight = ({ harm, outcome, role }: MetricVerdict) =>
    harm ? 0 : role === 'report' ? 4 : outcome === 'pass' ? 2 : outcome === 'not applicable' ? 3 : 1;
  const kept = [...verdict.metrics].sort((a, b) => weight(a) - weight(b)).slice(0, METRICS_KEPT);
  return { ...verdict, metrics: verdict.metrics.filter((metric) => kept.includes(metric)) };
}

function changeRoster(state: MigrationState, window: WindowResult, atMs: number): MigrationState {
  const found = window.discovered.filter(({ name }) => !state.roster.some((entry) => entry.name === name));
  // Whoever may hold a pinned record serves it on without us: it stays until it confirms.
  const left = state.mayHold.pinned
    ? []
    : window.left.filter((name) => state.roster.some((entry) => entry.name === name));
  return withRoster(withAddresses(state, window, atMs), found, left, atMs);
}

/** Where the gateways of the roster were found last. */
function withAddresses(state: MigrationState, { located = [] }: WindowResult, atMs: number): MigrationState {
  const known = located.filter(({ name }) => state.roster.some((entry) => entry.name === name));
  return withLocated(state, known, atMs);
}

/** What is known to contradict our routing after a window; of a watch of an older release only the last word is known. */
function driftsNow(state: MigrationState, { drift, drifts, answered }: WindowResult): readonly Drift[] {
  const found = drifts ?? (drift === null ? [] : [drift]);
  if (answered === undefined) return found;
  const isKnown = ({ gateway }: Drift) => state.roster.some(({ name }) => name === gateway);
  return driftsAfter(driftsOf(state), found, answered, follows(state, 4)).map((known) =>
    isKnown(known) ? known : withoutLatch(known),
  );
}

function noteDrifts(state: MigrationState, drifts: readonly Drift[], atMs: number): MigrationState {
  const before = driftsOf(state);
  const had = (drift: Drift) =>
    before.find(({ gateway, kind }) => gateway === drift.gateway && kind === drift.kind);
  const gone = before.filter(
    ({ gateway, kind }) => !drifts.some((drift) => drift.gateway === gateway && drift.kind === kind),
  );
  const cleared = drifts.filter((drift) => drift.kill === null && had(drift)?.kill != null);
  const over = [
    ...gone.map(({ gateway, kind }) => `${gateway}: ${kind} is gone`),
    ...(follows(state, 2) ? cleared.map(({ gateway, detail }) => `${gateway}: ${detail}`) : []),
  ];
  // The pause stays: only an operator resumes.
  const told = over.reduce(
    (seen, what) =>
      record(seen, { what: 'drift cleared', reason: `${what}; resume with accept "reapply" goes on`, atMs }),
    withDrifts(state, drifts),
  );
  const met = drifts.filter((drift) => {
    const earlier = had(drift);
    return earlier === undefined || (follows(state, 2) && drift.kill !== null && earlier.kill === null);
  });
  return met.reduce((seen, drift) => pauseForDrift(seen, drift, atMs), told);
}

function rollBackForHarm(state: MigrationState, window: WindowResult, atMs: number): MigrationState {
  const metric = window.verdict.metrics.find(({ metric: name }) => name === window.verdict.harm);
  const reason = metric?.sentence ?? window.verdict.sentence;
  return rollBackByItself(state, { what: 'harm', reason, atMs });
}

function noteLapses(state: MigrationState, window: WindowResult, atMs: number): MigrationState {
  if (window.lapses.length === 0) return state;
  const recorded = state.lapses.length < LAPSES_RECORDED ? window.lapses : [];
  const isRevised = follows(state, 3);
  const told = recorded.reduce(
    (seen, { gateway, what, routine }) =>
      record(seen, {
        what: isRevised && routine === true ? 'restarted' : 'lapse',
        reason: `${gateway}: ${what}`,
        atMs,
      }),
    state,
  );
  const lapses = [...state.lapses, ...lapsesOf(window, isRevised, atMs)]
    .filter((earlier) => earlier.atMs > atMs - DAY_MS)
    .slice(-LAPSES_RECORDED);
  const counted = lapses.filter((lapse, index) => isTrouble(lapse, lapses.slice(0, index)));
  if (counted.length < LAPSES_A_DAY || told.paused !== null) return { ...told, lapses };
  const reason = `${counted.length} lapses within a day, the last at ${counted.at(-1)?.gateway}`;
  return pauseBecause(
    { ...record(told, { what: 'paused', reason, atMs }), lapses },
    { atMs, by: 'cutover', reason, cause: 'lapses' },
  );
}

function lapsesOf({ lapses }: WindowResult, isRevised: boolean, atMs: number): readonly Lapse[] {
  const routine = isRevised ? lapses.filter((lapse) => lapse.routine === true) : [];
  const others = lapses.filter((lapse) => !routine.includes(lapse));
  // What lapses together counts once: a worker that was away is one outage, however many gateways there are.
  const most = isRevised ? LAPSE_TEXT_MOST : Number.POSITIVE_INFINITY;
  const together = others
    .map(({ gateway }) => gateway)
    .join(', ')
    .slice(0, most);
  const what = (others[0]?.what ?? '').slice(0, most);
  return [
    ...routine.map(({ gateway }) => ({
      ...{ gateway: gateway.slice(0, most), what: 'it restarted in order', atMs },
      routine: true as const,
    })),
    ...(others.length === 0 ? [] : [{ gateway: together, what, atMs }]),
  ];
}

/** Whether a lapse counts: a restart in order is none, but one gateway that restarts again and again is trouble. */
function isTrouble({ gateway, routine }: Lapse, earlier: readonly Lapse[]): boolean {
  if (routine !== true) return true;
  const restarts = earlier.filter((lapse) => lapse.routine === true && lapse.gateway === gateway);
  return restarts.length >= RESTARTS_A_DAY;
}

/** Whether the handover may end by itself: neither while paused nor while something contradicts the routing. */
export function mayClose(state: MigrationState): boolean {
  return state.phase === 'handover' && state.paused === null && state.drift === null;
}

function closeWhenSettled(state: MigrationState, window: WindowResult, atMs: number): MigrationState {
  const next = { ...state, settled: window.settled };
  const all = next.roster.length > 0 && next.roster.every(({ name }) => window.settled.includes(name));
  if (!all || !mayClose(next)) return next;
  const stage = stageAt(next.plan, next.stageIndex);
  const reason = `${stage.name} has passed and every gateway's configuration says settled: candidate`;
  return close(next, 'completed', reason, atMs);
}
