import { planEffects } from '../effects/due-effects';
import { settleEffect } from '../effects/effect-outcome';
import { formatShare, stageKind } from '../plan/plan';
import { highestOf, settledRefusal } from '../routing/routing';
import { MINUTE_MS } from '../text/duration';
import { checkpointCount, newSaltsIn } from './checkpoint';
import { applyCommand } from './command-handling';
import type { Decision, EffectEvent, HealthCheckResult, MigrationEvent, RoutingReading } from './events';
import { dropStaleGateQuestions } from './external-gates';
import { withReasons } from './gateway-roster';
import {
  type AssessmentSummary,
  follows,
  hasSpentCopies,
  isRamping,
  type MigrationState,
  promotedShare,
  stageAt,
} from './migration-state';
import { applyPushResult } from './push-verification';
import { close, intend, record, rollBackToLegacy } from './routing-change';
import { advanceIfDue, applyDeadlines, nextTurnMs, takeBack, takeTurn, waitsFor } from './stage-exit';
import { withinBounds, withoutOldNotifications } from './state-bounds';
import { applyWindow, mayClose } from './window-result';

/**
 * The state machine of a migration: pure, so that every order of events can be tried. The workflow is the loop
 * around it: decide, do it as an activity or a wait, feed the result back. Events that no longer matter
 * (a result of work that was pre-empted, anything after the end) change nothing.
 */
export function transition(state: MigrationState, event: MigrationEvent): MigrationState {
  const stepped = dropStaleGateQuestions(takeTurn(step(state, event), event.atMs));
  const next = follows(state, 3) ? withinBounds(state, stepped, event) : stepped;
  if (next === state) return state;
  const planned = planEffects(state, next, event.atMs);
  return follows(state, 3) ? withoutOldNotifications(planned, event.atMs) : planned;
}

function step(state: MigrationState, event: MigrationEvent): MigrationState {
  const { atMs } = event;
  // Effects go on after the migration has closed.
  if (isEffectEvent(event)) return settleEffect(state, event, atMs);
  if (state.phase === 'closed') return state;
  switch (event.type) {
    case 'routing read':
      return state.phase === 'reading' ? routingRead(state, event.reading, atMs) : state;
    case 'assessed':
      return assessed(state, event.assessment, event.freshSalt, atMs);
    case 'health checked':
      return healthChecked(state, event, atMs);
    case 'routing applied':
      return applyPushResult(state, event.checkpoint, event.result, atMs);
    case 'watched':
      return applyWindow(state, event.window, atMs);
    case 'activity failed':
      return activityFailed(state, event);
    case 'command':
      return applyCommand(state, event.command, atMs);
    case 'cancelled':
      return rollBackToLegacy(state, { by: 'temporal', reason: 'the workflow was cancelled', atMs });
    case 'time passed':
      return advanceIfDue(applyDeadlines(withoutDueRetry(state, atMs), atMs), atMs);
    default:
      return event satisfies never;
  }
}

/** Time that passes beside a retry leaves it where it is. */
function withoutDueRetry(state: MigrationState, atMs: number): MigrationState {
  return state.retry !== null && atMs < state.retry.atMs ? state : { ...state, retry: null };
}

function isEffectEvent(event: MigrationEvent): event is MigrationEvent & EffectEvent {
  return event.type === 'effect captured' || event.type === 'effect ended' || event.type === 'effect failed';
}

const RETRY_MS = 10_000;
/** While the candidate may be served, or a change of routing is under way. */
const URGENT_RETRY_MS = 2_000;
const LONGEST_RETRY_MS = 15 * MINUTE_MS;

/**
 * What to do now. The workflow compares keys: while the key stays the same, running work goes on; when it
 * changes, running work is pre-empted. A rollback changes it in every state.
 */
export function nextDecision(state: MigrationState, nowMs: number): Decision {
  if (state.phase === 'closed') return { type: 'close', key: 'close' };
  if (state.retry !== null && nowMs < state.retry.atMs) {
    const { atMs, reason } = state.retry;
    return { type: 'wait', key: `retry:${atMs}`, untilMs: atMs, why: reason };
  }
  if (state.pending !== null) {
    const {
      checkpoint,
      record: wanted,
      direction,
      inFlight,
      leaseConfirms,
      confirmations,
      forgotten = [],
    } = state.pending;
    return {
      type: 'apply routing',
      key: `apply:${checkpoint}${forgotten.map((name) => `:without ${name}`).join('')}`,
      checkpoint,
      record: wanted,
      direction,
      inFlight,
      leaseConfirms,
      missing: confirmations === null ? null : confirmations.missing,
    };
  }
  if (state.phase === 'reading') return { type: 'read routing', key: 'read' };
  if (state.promotion !== null) {
    // A notification or an effect that is done meanwhile does not begin it anew.
    return { type: 'check health', key: `health:${state.promotion.since ?? checkpointCount(state)}` };
  }
  const stage = stageAt(state.plan, state.stageIndex);
  // Drift is watched even at share 0: nothing else sees a kill latch cleared.
  if (stageKind(stage) === 'assess' && state.drift === null) return decideAssess(state);
  if (hasSpentCopies(state) && state.drift === null && isDecided(state)) {
    // Nobody renews leases meanwhile: copies that a gateway might still send end with them.
    const untilMs = nextTurnMs(state);
    const why = waitsFor(state) ?? 'held until an operator decides';
    return { type: 'wait', key: `copies spent:${why}:${untilMs}`, untilMs, why };
  }
  if (state.inEffect === null) throw new Error('expected a routing in effect in a stage that moves traffic');
  const handover = mayClose(state);
  return {
    type: 'watch',
    key: `watch:${state.inEffect.record.epoch}:${state.roster.length}:${state.stage.reevaluating}:${handover}${planMark(state)}${identityMark(state)}`,
    record: state.inEffect.record,
    windowMs: windowMs(state, nowMs),
    handover,
  };
}

/** What runs by a plan that was amended since begins anew by the new one. */
function planMark({ amendments = 0 }: MigrationState): string {
  return amendments === 0 ? '' : `:plan ${amendments}`;
}

/** A watch that compares identities knows whether it may pause: after a resume another one begins. */
function identityMark({ plan, paused }: MigrationState): string {
  return plan.identity === undefined || paused === null ? '' : ':paused';
}

function decideAssess(state: MigrationState): Decision {
  const { verdict, reevaluating, held } = state.stage;
  const waits = state.paused !== null || held !== null || verdict?.outcome === 'pass';
  if (reevaluating || !waits) return { type: 'assess', key: `assess:${reevaluating}${planMark(state)}` };
  const untilMs = nextTurnMs(state);
  const why = waitsFor(state) ?? 'held until an operator decides';
  return { type: 'wait', key: `assess:${why}:${untilMs}`, untilMs, why };
}

/** Whether another window of the current stage would change nothing by itself. */
function isDecided({ stage: { verdict, held, reevaluating } }: MigrationState): boolean {
  return !reevaluating && (held !== null || verdict?.outcome === 'pass');
}

/** A window ends at its length, at the end of the soak or of a ramp's step, or at a deadline, whichever comes first. */
function windowMs(state: MigrationState, nowMs: number): number {
  const stage = stageAt(state.plan, state.stageIndex);
  if (state.stage.reevaluating) return 0;
  if (state.phase === 'handover') return stage.windowMs * HANDOVER_WINDOWS;
  const stepMs = isRamping(state) ? (stage.ramp?.everyMs ?? null) : null;
  const soakLeftMs = (stepMs ?? stage.soakMs) - state.stage.observedMs;
  const deadlineMs = nextTurnMs(state);
  const bounds = [
    Math.min(stage.windowMs, stepMs ?? stage.windowMs),
    ...(soakLeftMs > 0 ? [soakLeftMs] : []),
    ...(deadlineMs !== null && deadlineMs > nowMs ? [deadlineMs - nowMs] : []),
  ];
  return Math.max(SHORTEST_WINDOW_MS, Math.min(...bounds));
}

const SALTS_TRIED_MOST = 3;
const SHORTEST_WINDOW_MS = 500;
const HANDOVER_WINDOWS = 4;

function routingRead(state: MigrationState, reading: RoutingReading, atMs: number): MigrationState {
  const read: MigrationState = {
    ...state,
    epoch: highestOf(state.epoch, reading.highestEpoch),
    unreachable: reading.unreachable,
    unreachableBecause: reading.unreachableBecause ?? {},
  };
  const { settled = [] } = reading;
  if (settled.length > 0 && state.moveBack !== true) {
    return close(read, 'rejected', settledRefusal(state.plan.route, settled), atMs);
  }
  if (reading.unreachable.length > 0 || reading.roster.length === 0) {
    const reason =
      reading.roster.length === 0
        ? 'no gateway is configured or discovered'
        : `no answer from ${withReasons(reading)}: a start reads every gateway`;
    return { ...read, retry: { atMs: atMs + RETRY_MS, reason } };
  }
  const told = reading.forgotten.reduce(
    (seen, { gateway, share, epoch, migrationId }) =>
      record(seen, {
        what: 'forgotten share',
        reason: `${gateway} served ${formatShare(share)} of the candidate under epoch ${epoch} of ${migrationId || 'no migration'} and no migration was open: share 0 is applied first`,
        atMs,
      }),
    { ...read, roster: reading.roster },
  );
  return intend(told, {
    cause: 'baseline',
    stageIndex: 0,
    by: state.by,
    reason: state.reason || 'start of the migration',
    commandId: null,
    atMs,
  });
}

function assessed(
  state: MigrationState,
  assessment: AssessmentSummary,
  freshSalt: string,
  atMs: number,
): MigrationState {
  if (state.phase !== 'observing' || state.stageIndex !== 0 || state.inEffect === null) return state;
  // Neither while a promotion waits for its health check nor over drift is anything assessed.
  if (state.promotion !== null || state.drift !== null) return state;
  const stage = stageAt(state.plan, 0);
  const saltsTried = newSaltsIn(state.checkpoints) + state.archived.newSalts;
  const replaceSalt = !assessment.saltBalanced && saltsTried < SALTS_TRIED_MOST;
  const unsplittable = !assessment.saltBalanced && !replaceSalt && assessment.outcome === 'pass';
  const outcome = unsplittable ? 'inconclusive' : assessment.outcome;
  const sentence = unsplittable
    ? `legacy's traffic is split unevenly by ${SALTS_TRIED_MOST + 1} salts in a row`
    : assessment.sentence;
  const verdict = {
    stage: stage.name,
    epoch: state.inEffect.record.epoch,
    outcome,
    harm: null,
    pause: null,
    sentence,
    burnIn: false,
    metrics: [],
    observedShare: null,
    requests: { legacy: 0, candidate: 0 },
    baseline: null,
  };
  const next: MigrationState = {
    ...state,
    assessment,
    probes: assessment.probes,
    ...(assessment.identity?.standing == null ? {} : { servedModel: assessment.identity.standing }),
    stage: {
      ...state.stage,
      verdict,
      windows: state.stage.windows + 1,
      held: state.stage.reevaluating ? null : state.stage.held,
      reevaluating: false,
    },
    verdicts: [...state.verdicts, { ...verdict, atMs, window: state.stage.windows + 1 }].slice(-20),
  };
  const told = record(outcome === 'pass' ? next : takeBack(next, `${outcome}: ${sentence}`, atMs), {
    what: 'assessed',
    reason: `${outcome}: ${sentence}`,
    atMs,
  });
  if (assessment.outcome === 'fail') {
    return close(
      { ...told, approval: null },
      'rejected',
      `nothing was moved: ${assessment.blockers.join('; ')}`,
      atMs,
    );
  }
  if (replaceSalt) {
    return intend(
      { ...told, salt: freshSalt },
      {
        cause: 'new salt',
        stageIndex: 0,
        by: 'cutover',
        reason: "legacy's traffic is split unevenly by this salt",
        commandId: null,
        atMs,
      },
    );
  }
  const again =
    outcome === 'inconclusive' ? { atMs: atMs + pauseBeforeAssessing(told), reason: sentence } : null;
  return advanceIfDue(applyDeadlines({ ...told, retry: again }, atMs), atMs);
}

/** Doubles from one window, so that a day of trying leaves a hundred entries and not ten thousand. */
function pauseBeforeAssessing(state: MigrationState): number {
  const { windowMs } = stageAt(state.plan, state.stageIndex);
  return Math.min(windowMs * 2 ** Math.min(state.stage.windows, 20), LONGEST_RETRY_MS);
}

/** A failure of work that is no longer wanted changes nothing, so that it never delays what pre-empted it. */
function activityFailed(
  state: MigrationState,
  { what, message, key, atMs }: MigrationEvent & { type: 'activity failed' },
): MigrationState {
  const decision = nextDecision(state, atMs);
  if (key === undefined ? what !== decision.type : key !== decision.key) return state;
  // Without an answer nothing is promoted; the stage is watched on.
  if (decision.type === 'check health') {
    return healthChecked(state, { healthy: false, sentence: message }, atMs);
  }
  const urgent = state.pending !== null || (state.inEffect?.record.share ?? 0) > 0;
  return {
    ...state,
    retry: { atMs: atMs + (urgent ? URGENT_RETRY_MS : RETRY_MS), reason: `${what}: ${message}` },
  };
}

function healthChecked(state: MigrationState, check: HealthCheckResult, atMs: number): MigrationState {
  const promotion = state.promotion;
  if (promotion === null) return state;
  const cleared = { ...state, promotion: null };
  const { healthy, sentence, notBefore = null } = check;
  if (notBefore !== null) {
    // Whatever the clock of the worker says: the stage is watched before it is asked again.
    const earliestMs = follows(state, 2) ? atMs + RETRY_MS : notBefore.atMs;
    const nextMs = Math.max(notBefore.atMs, earliestMs);
    const reason = `${notBefore.why}: next possible at ${new Date(nextMs).toISOString()}`;
    const told = record(cleared, { what: 'waiting', reason, atMs });
    return { ...told, stage: { ...told.stage, notBefore: { atMs: nextMs, reason } } };
  }
  if (!healthy) {
    const told = record(cleared, { what: 'health check failed', reason: sentence, atMs });
    const assessing = stageKind(stageAt(state.plan, state.stageIndex)) === 'assess';
    return {
      ...told,
      stage: { ...told.stage, verdict: null },
      retry: assessing ? { atMs: atMs + pauseBeforeAssessing(told), reason: sentence } : null,
    };
  }
  const { toIndex } = promotion;
  const isStep = toIndex === state.stageIndex && isRamping(state);
  return intend(cleared, {
    cause: isStep ? 'step' : 'advance',
    stageIndex: toIndex,
    ...(toIndex === state.stageIndex ? { share: promotedShare(state, toIndex) } : {}),
    by: promotion.by,
    reason: promotion.reason,
    commandId: promotion.commandId,
    atMs,
  });
}
