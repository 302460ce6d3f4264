import type {
  ApplyRoutingInput,
  AssessInput,
  CheckHealthInput,
  VerifyRoutingInput,
  WatchStageInput,
} from '../../src/contract';
import { judgedStage } from '../../src/core/gates/judged-stage';
import type { Decision, MigrationEvent } from '../../src/core/migration/events';
import { type MigrationState, stageAt } from '../../src/core/migration/migration-state';
import { driftsOf } from '../../src/core/routing/drift';
import type { ModelWorker } from './model-worker';

export type EventSaid = MigrationEvent extends infer Event
  ? Event extends MigrationEvent
    ? Omit<Event, 'atMs'>
    : never
  : never;

/** An activity as the workflow schedules it: what it runs, with which limits, and the event that its result is. */
export interface ActivityCall {
  readonly name: string;
  readonly input: object;
  readonly run: (worker: ModelWorker, input: object) => Promise<EventSaid>;
  readonly heartbeatMs: number;
  readonly startToCloseMs: number;
  readonly scheduleToCloseMs: number;
  readonly attemptsMost: number;
}

type Limits = Pick<ActivityCall, 'heartbeatMs' | 'startToCloseMs'> & Partial<ActivityCall>;

function callOf<Input extends object>(
  name: string,
  input: Input,
  limits: Limits,
  run: (worker: ModelWorker, input: Input) => Promise<EventSaid>,
): ActivityCall {
  return { ...WITHOUT_END, ...limits, name, input, run: (worker, given) => run(worker, given as Input) };
}

const MINUTE_MS = 60_000;
const ROUTING = { heartbeatMs: 10_000, startToCloseMs: 15 * MINUTE_MS };
const WITHOUT_END = { scheduleToCloseMs: Number.POSITIVE_INFINITY, attemptsMost: Number.POSITIVE_INFINITY };

/** The activity that carries a decision out, as `workflows/decisions.ts` calls it; null for a wait and an end. */
export function activityCall(decision: Decision, state: MigrationState): ActivityCall | null {
  const { plan, roster } = state;
  const { route, watchHeartbeatMs: heartbeatMs, probes, leaseMs } = plan;
  switch (decision.type) {
    case 'read routing':
      return callOf('readRouting', { route, nameSettled: true }, ROUTING, async ({ activities }, given) => ({
        type: 'routing read',
        reading: await activities.routing.readRouting(given),
      }));
    case 'apply routing': {
      const { checkpoint, record, direction, inFlight, missing, leaseConfirms } = decision;
      const input: ApplyRoutingInput = { route, record, roster, direction, inFlight, reportsJoined: true };
      if (missing === null) {
        return callOf('applyRouting', input, ROUTING, async ({ activities }, given) => ({
          type: 'routing applied',
          checkpoint,
          result: await activities.routing.applyRouting(given),
        }));
      }
      const attempts = state.pending?.confirmations?.attempts ?? 0;
      const verification: VerifyRoutingInput = { ...input, missing, leaseConfirms, attempts };
      return callOf('verifyRouting', verification, ROUTING, async ({ activities }, given) => ({
        type: 'routing applied',
        checkpoint,
        result: await activities.routing.verifyRouting(given),
      }));
    }
    case 'assess': {
      if (state.inEffect === null) throw new Error('expected the baseline to be in effect before assessing');
      const stage = stageAt(plan, state.stageIndex);
      const input: AssessInput = { route, record: state.inEffect.record, roster, stage, probes };
      const limits = { heartbeatMs, startToCloseMs: 30 * MINUTE_MS };
      return callOf('assess', input, limits, async ({ activities }, given) => ({
        type: 'assessed',
        assessment: await activities.watch.assess(given),
        freshSalt: `salt-${Date.now()}`,
      }));
    }
    case 'check health': {
      const { embeddings, features } = probes;
      const timeoutMs = Math.min(probes.timeoutMs, leaseMs * 0.4);
      const input: CheckHealthInput = {
        ...{ route, timeoutMs, embeddings },
        ...(features === undefined ? {} : { features }),
      };
      const limits = {
        heartbeatMs,
        scheduleToCloseMs: leaseMs,
        startToCloseMs: leaseMs / 2,
        attemptsMost: 2,
      };
      return callOf('checkHealth', input, limits, async ({ activities }, given) => ({
        type: 'health checked',
        ...(await activities.watch.checkHealth(given)),
      }));
    }
    case 'watch': {
      const { evidence, cursors, observedMs, windows, burnInRequests } = state.stage;
      const { windowMs, handover, record } = decision;
      const input: WatchStageInput = {
        ...{ route, record, roster, windowMs, handover },
        stage: judgedStage(state),
        renewalMs: plan.renewalMs,
        progress: { evidence, cursors, observedMs, windows, burnInRequests },
        probePlan: probes,
        probes: state.probes,
        baseline: state.baseline,
        knownDrifts: driftsOf(state),
        knownSilent: state.unreachable,
        knownDrift: state.drift === null ? null : `${state.drift.gateway}: ${state.drift.kind}`,
      };
      const limits = { heartbeatMs, startToCloseMs: windowMs + 5 * MINUTE_MS };
      return callOf('watchStage', input, limits, async ({ activities }, given) => ({
        type: 'watched',
        window: await activities.watch.watchStage(given),
      }));
    }
    case 'wait':
    case 'close':
      return null;
    default:
      return decision satisfies never;
  }
}
