import { condition, log, setCurrentDetails, sleep, uuid4 } from '@temporalio/workflow';
import type { AssessInput, CheckHealthInput } from '../contract';
import {
  isSettled,
  rejectedByUsage,
  withHandover,
  withIdentity,
  withParity,
  withUsage,
} from '../core/assessment/assessment';
import type { UsageFindings } from '../core/assessment/usage-digest';
import { judgedStage } from '../core/gates/judged-stage';
import { currentDetails } from '../core/migration/details';
import type { Decision, MigrationEvent } from '../core/migration/events';
import {
  type AssessmentSummary,
  follows,
  type MigrationState,
  promotedShare,
  rampStep,
  stageAt,
} from '../core/migration/migration-state';
import { statusOf } from '../core/migration/status';
import { referencePlanOf } from '../core/plan/identity-plan';
import { plannedEffort } from '../core/plan/migration-effort';
import { formatShare } from '../core/plan/plan';
import { driftsOf } from '../core/routing/drift';
import { formatDuration, MINUTE_MS } from '../core/text/duration';
import { routingActivities, WITHOUT_END, watchActivities } from './activity-options';
import { unlessPreempted } from './unless-preempted';

const ANALYSIS_MS = 6 * 60 * MINUTE_MS;
/** No lease hangs on the analysis, and parsing a large export keeps a process busy for seconds. */
const ANALYSIS_HEARTBEAT_MS = 30_000;

type Result = MigrationEvent extends infer Event
  ? Event extends MigrationEvent
    ? Omit<Event, 'atMs'>
    : never
  : never;

/** Does what was decided and returns what came of it, or null when something pre-empted it. */
export function carryOut(
  decision: Decision,
  state: MigrationState,
  preempted: () => boolean,
): Promise<Result | null> {
  return unlessPreempted<Result>(
    () => perform(decision, state),
    preempted,
    (message) => {
      log.warn('an activity failed for good', { decision: decision.type, message });
      return { type: 'activity failed', what: decision.type, message, key: decision.key };
    },
  );
}

async function perform(decision: Decision, state: MigrationState): Promise<Result> {
  const { route } = state.plan;
  switch (decision.type) {
    case 'read routing': {
      const { readRouting } = routingActivities('Read what every gateway holds');
      return { type: 'routing read', reading: await readRouting({ route, nameSettled: true }) };
    }
    case 'apply routing':
      return applyRouting(decision, state);
    case 'assess':
      return assess(state);
    case 'check health':
      return checkHealth(state);
    case 'watch':
      return watch(decision, state);
    case 'wait':
      await (decision.untilMs === null
        ? condition(() => false)
        : sleep(Math.max(1, decision.untilMs - Date.now()), { summary: decision.why.slice(0, 200) }));
      return { type: 'time passed' };
    case 'close':
      return { type: 'time passed' };
    default:
      return decision satisfies never;
  }
}

async function applyRouting(
  decision: Decision & { type: 'apply routing' },
  state: MigrationState,
): Promise<Result> {
  const { checkpoint, record, direction, inFlight, missing, leaseConfirms } = decision;
  const input = {
    ...{ route: state.plan.route, record, roster: state.roster, direction, inFlight },
    ...(follows(state, 3) ? { reportsJoined: true } : {}),
    ...(state.pending?.sparesSettled === true ? { sparesSettled: true as const } : {}),
  };
  const what = `${record.stage}: share ${formatShare(record.share)} under epoch ${record.epoch} (checkpoint ${checkpoint})`;
  if (missing === null) {
    const result = await routingActivities(`Apply ${what}`).applyRouting(input);
    return { type: 'routing applied', checkpoint, result };
  }
  const attempts = state.pending?.confirmations?.attempts ?? 0;
  const { verifyRouting } = routingActivities(`Verify ${what}; missing ${missing.join(', ')}`.slice(0, 200));
  const result = await verifyRouting({ ...input, missing, leaseConfirms, attempts });
  return { type: 'routing applied', checkpoint, result };
}

async function assess(state: MigrationState): Promise<Result> {
  const stage = stageAt(state.plan, state.stageIndex);
  if (state.inEffect === null) throw new Error('expected the baseline to be in effect before assessing');
  const usage = await analyseUsage(state);
  const rejected = usage === null ? null : rejectedByUsage(usage);
  if (rejected !== null) return { type: 'assessed', assessment: rejected, freshSalt: uuid4() };
  const { assess: run } = watchActivities(`Assess ${state.plan.route}: probe both providers`, {
    startToCloseTimeout: 30 * MINUTE_MS,
    heartbeatTimeout: state.plan.watchHeartbeatMs,
  });
  const assessment = await run({
    route: state.plan.route,
    record: state.inEffect.record,
    roster: state.roster,
    stage,
    probes: state.plan.probes,
    ...identityOf(state),
  });
  const withLogs = usage === null ? assessment : withUsage(assessment, usage);
  // Golden prompts and handed-over conversations are paid for: not before the rest allows the move.
  const paid = withLogs.outcome === 'pass' ? await compare(state, withLogs) : withLogs;
  return { type: 'assessed', assessment: paid, freshSalt: uuid4() };
}

/** What both providers make of golden prompts and of each other's conversations, as far as the plan asks. */
async function compare(state: MigrationState, passed: AssessmentSummary): Promise<AssessmentSummary> {
  const { parity: plan, handover, route, probes } = state.plan;
  const sold = referencePlanOf(state.plan);
  const known = state.stage.reevaluating ? undefined : (state.assessment ?? undefined);
  let summary = passed;
  if (sold !== null) {
    const { checkIdentity } = watchActivities(`Ask which model the candidate of ${route} serves`, {
      startToCloseTimeout: 30 * MINUTE_MS,
      heartbeatTimeout: PARITY_HEARTBEAT_MS,
    });
    const { timeoutMs } = probes;
    summary = withIdentity(
      summary,
      known?.identity ?? (await checkIdentity({ route, identity: sold, timeoutMs })),
    );
  }
  if (plan !== undefined) {
    const { checkParity } = watchActivities(`Compare answers to ${plan.golden}`.slice(0, 200), {
      startToCloseTimeout: PARITY_MS,
      heartbeatTimeout: PARITY_HEARTBEAT_MS,
    });
    const parity = known?.parity ?? (await checkParity({ route, parity: plan }));
    summary = withParity(summary, parity);
  }
  if (handover?.probe === true) {
    const { handoverProbe } = watchActivities(`Hand conversations of ${route} over, both ways`, {
      startToCloseTimeout: 30 * MINUTE_MS,
      heartbeatTimeout: PARITY_HEARTBEAT_MS,
    });
    const { timeoutMs } = probes;
    const { newConversationsOnly } = state;
    const input = { route, timeoutMs, newConversationsOnly };
    summary = withHandover(summary, known?.handover ?? (await handoverProbe(input)));
  }
  return summary;
}

const PARITY_MS = 12 * 60 * MINUTE_MS;
const PARITY_HEARTBEAT_MS = 30_000;

/** What the usage logs show; null where the plan names none. What is settled is read again only by `reevaluate`. */
async function analyseUsage(state: MigrationState): Promise<UsageFindings | null> {
  const { assess: plan, route } = state.plan;
  if (plan === undefined) return null;
  const known = state.assessment?.usage;
  if (known !== undefined && isSettled(known) && !state.stage.reevaluating) return known;
  const { analyseUsage: run } = watchActivities(
    `Analyse usage of ${route}: ${plan.usage.join(', ')}`.slice(0, 200),
    { startToCloseTimeout: ANALYSIS_MS, heartbeatTimeout: ANALYSIS_HEARTBEAT_MS },
  );
  const doing = (text: string) =>
    setCurrentDetails(currentDetails({ ...statusOf(state, Date.now()), doing: text }));
  doing('analysing usage; its progress is shown at the pending activity');
  const usage = await run({ route, plan, effort: plannedEffort(state.plan) });
  doing('assessing both providers');
  return usage;
}

async function checkHealth(state: MigrationState): Promise<Result> {
  const { leaseMs } = state.plan;
  const next = state.promotion === null ? null : stageAt(state.plan, state.promotion.toIndex);
  const { checkHealth: run } = watchActivities(`Health check before ${next?.name ?? 'the next step'}`, {
    // Nothing is watched or renewed meanwhile: within one lease it is over, or the watch goes on.
    scheduleToCloseTimeout: leaseMs,
    startToCloseTimeout: leaseMs / 2,
    heartbeatTimeout: state.plan.watchHeartbeatMs,
    retry: { ...WITHOUT_END, maximumAttempts: 2 },
  });
  const { embeddings, features } = state.plan.probes;
  const timeoutMs = Math.min(state.plan.probes.timeoutMs, leaseMs * 0.4);
  const { rollout } = state.plan;
  const check = await run({
    ...{ route: state.plan.route, timeoutMs, embeddings, features },
    ...(rollout === undefined ? {} : { rollout, nowMs: Date.now() }),
    ...identityOf(state),
    ...raiseOf(state),
  });
  return { type: 'health checked', ...check };
}

function identityOf({ plan: { identity } }: MigrationState): Pick<AssessInput, 'identity'> {
  return identity === undefined ? {} : { identity };
}

/** The raise that a promotion is about to make; nothing where it raises nothing. */
function raiseOf(state: MigrationState): Pick<CheckHealthInput, 'raise'> {
  const { promotion, inEffect, roster, stage } = state;
  if (promotion === null || inEffect === null) return {};
  const toShare = promotedShare(state, promotion.toIndex);
  const { epoch, share: fromShare } = inEffect.record;
  if (toShare <= fromShare) return {};
  // Gateways count what they served under this epoch, which a step of a ramp begins.
  const sinceMs = stage.ramp?.sinceMs ?? stage.enteredAtMs;
  return { raise: { roster, epoch, forMs: Date.now() - sinceMs, fromShare, toShare } };
}

async function watch(decision: Decision & { type: 'watch' }, state: MigrationState): Promise<Result> {
  const { record, windowMs, handover } = decision;
  const stage = judgedStage(state);
  const label = handover ? 'Handover' : stage.name;
  const step = rampStep(state);
  const soak =
    step === null
      ? `soak ${formatDuration(state.stage.observedMs)} of ${formatDuration(stage.soakMs)}`
      : `step ${step.step} of ${step.of}`;
  const { watchStage } = watchActivities(
    `Watch ${label} at ${formatShare(record.share)}, window ${state.stage.windows + 1}, ${soak}`,
    {
      startToCloseTimeout: windowMs + 5 * MINUTE_MS,
      heartbeatTimeout: state.plan.watchHeartbeatMs,
      retry: { initialInterval: '1s', backoffCoefficient: 1 },
    },
  );
  const { identity } = state.plan;
  const { evidence, cursors, observedMs, windows, burnInRequests } = state.stage;
  const sold = referencePlanOf(state.plan);
  const window = await watchStage({
    route: state.plan.route,
    record,
    roster: state.roster,
    stage,
    windowMs,
    renewalMs: state.plan.renewalMs,
    handover,
    progress: { evidence, cursors, observedMs, windows, burnInRequests },
    probePlan: state.plan.probes,
    probes: state.probes,
    baseline: state.baseline,
    knownDrifts: driftsOf(state),
    ...(follows(state, 3) ? { knownSilent: state.unreachable } : {}),
    ...(identity === undefined ? {} : { identity: { ...identity, paused: state.paused !== null } }),
    ...(state.copiesUsd === undefined ? {} : { copiesUsd: state.copiesUsd }),
    ...(sold === null ? {} : { servedModel: { plan: sold, standing: state.servedModel ?? null } }),
    knownDrift: state.drift === null ? null : `${state.drift.gateway}: ${state.drift.kind}`,
  });
  return { type: 'watched', window };
}
