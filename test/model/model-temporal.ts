import { ActivityCancellationDetails } from '@temporalio/common';
import { MockActivityEnvironment } from '@temporalio/testing';
import type { Decision, MigrationEvent } from '../../src/core/migration/events';
import { nextDecision, type transition } from '../../src/core/migration/migration';
import type { MigrationState } from '../../src/core/migration/migration-state';
import { nextTurnMs } from '../../src/core/migration/stage-exit';
import { type ActivityCall, activityCall, type EventSaid } from './activity-call';
import type { GroundTruth } from './ground-truth';
import type { ModelWorker } from './model-worker';
import type { VirtualTime } from './virtual-time';

const WORKFLOW_TASK_TIMEOUT_MS = 10_000;
/** The SDK sends at most one heartbeat in this part of the timeout. */
const HEARTBEAT_PART = 0.8;
const RETRY_MS = { first: 1_000, factor: 1.5, most: 10_000 };
const RECONNECT_MS = 1_000;
const CANCEL_REQUESTED = 3;
const STARTED = 2;

const SILENT = {
  log() {},
  trace() {},
  debug() {},
  info() {},
  warn() {},
  error() {},
};

interface Attempt {
  readonly number: number;
  readonly worker: ModelWorker;
  readonly environment: MockActivityEnvironment;
  /** When the service last heard of it, and what the worker has not sent yet. */
  heardMs: number;
  unsent: { readonly details: unknown } | null;
}

interface Activity {
  readonly id: string;
  readonly key: string;
  readonly call: ActivityCall;
  readonly scheduledMs: number;
  isCancelRequested: boolean;
  number: number;
  attempt: Attempt | null;
  details: unknown;
}

/** What is taken out of Temporal or of the machine, to see a law break. */
export interface ServiceFaults {
  readonly transition?: typeof transition;
  readonly call?: (call: ActivityCall) => ActivityCall;
  readonly describe?: (described: Description) => Description;
}

interface Description {
  readonly status: { readonly name: string };
  readonly raw: {
    readonly pendingActivities: readonly {
      readonly activityId: string;
      readonly attempt: number;
      readonly state: number;
    }[];
    readonly pendingWorkflowTask: {
      readonly attempt: number;
      readonly originalScheduledTime: { readonly seconds: number };
    } | null;
  };
}

/**
 * One workflow run on a Temporal service. The pure machine decides in workflow tasks; tasks can wait, fail or be lost
 * and done again, activities are attempted by workers that die, freeze or lose their connection, and what is not
 * current any more is refused. Commands are durable in the moment in which they are taken.
 */
export class ModelTemporal {
  isUp = true;
  /** How long a question about the run takes. */
  answersAfterMs = 0;
  /** Workflow tasks fail, as after a bad deploy. */
  isPoisoned = false;
  /** The next workflow task is done, and its worker dies before it can say so. */
  losesNextTask = false;
  state: MigrationState;
  readonly activities: Activity[] = [];
  #inbox: EventSaid[] = [];
  #task: { attempt: number; readonly scheduledMs: number } | null = null;
  #running: { readonly key: string; readonly activity: Activity | null } | null = null;
  #turnMs: number | null = null;
  #takenTurnMs: number | null = null;
  #activitiesBegun = 0;
  #workersAsked = 0;
  tasks = 0;

  constructor(
    state: MigrationState,
    private readonly world: {
      readonly time: VirtualTime;
      readonly truth: GroundTruth;
      readonly workers: () => readonly ModelWorker[];
      readonly step: typeof transition;
      /** Looks at every step of the machine; throws where a law is broken. */
      readonly looks: (before: MigrationState, event: MigrationEvent, after: MigrationState) => void;
      readonly faults: ServiceFaults;
    },
  ) {
    this.state = state;
  }

  /** Begins the run. */
  start(): void {
    this.#schedule();
  }

  /** Takes a message; false where it cannot be reached, or the run is closed. */
  send(event: EventSaid): boolean {
    if (!this.isUp || this.state.phase === 'closed') return false;
    this.#inbox.push(event);
    this.#schedule();
    return true;
  }

  /** As continue-as-new, between two activities: the state makes its journey through JSON. */
  carryOn(): void {
    if (this.#running?.activity == null) this.state = JSON.parse(JSON.stringify(this.state));
  }

  #schedule(): void {
    if (this.#task !== null || this.state.phase === 'closed') return;
    this.#task = { attempt: 1, scheduledMs: this.world.time.nowMs };
    setTimeout(() => this.#work(), 0);
  }

  /** One workflow task: all that has arrived, then what follows from it. */
  #work(): void {
    const task = this.#task;
    if (task === null) return;
    const isServed = this.world.workers().some((worker) => isReachable(worker));
    if (!this.isUp || !isServed) {
      setTimeout(() => this.#work(), RECONNECT_MS);
      return;
    }
    this.tasks += 1;
    if (this.isPoisoned || this.losesNextTask) {
      // Whatever it decided is forgotten; the events stay in the history, and more may come.
      task.attempt += 1;
      setTimeout(() => this.#work(), this.losesNextTask ? WORKFLOW_TASK_TIMEOUT_MS : RECONNECT_MS);
      this.losesNextTask = false;
      return;
    }
    this.#task = null;
    for (const event of this.#inbox.splice(0)) this.#apply(event);
    this.#decide();
  }

  #apply(said: EventSaid): void {
    const before = this.state;
    const event = { ...said, atMs: this.world.time.nowMs };
    this.state = this.world.step(before, event);
    this.world.truth.decided(before, this.state);
    this.world.looks(before, event, this.state);
  }

  /** Does what the machine says; work under another key is cancelled and not waited for. */
  #decide(): void {
    const { time } = this.world;
    this.#setTurn();
    const decision = nextDecision(this.state, time.nowMs);
    if (this.#running?.key === decision.key) return;
    const old = this.#running?.activity;
    if (old != null) old.isCancelRequested = true;
    this.#running = null;
    if (decision.type === 'close') {
      this.activities.splice(0);
      return;
    }
    const call = activityCall(decision, this.state);
    if (call === null) this.#wait(decision);
    else this.#begin(decision.key, this.world.faults.call?.(call) ?? call);
  }

  #wait(decision: Decision): void {
    this.#running = { key: decision.key, activity: null };
    const own = this.#running;
    if (decision.type !== 'wait' || decision.untilMs === null) return;
    setTimeout(
      () => {
        if (this.#running !== own) return;
        this.#running = null;
        this.#inbox.push({ type: 'time passed' });
        this.#schedule();
      },
      Math.max(1, decision.untilMs - this.world.time.nowMs),
    );
  }

  /** As `workflows/turn-timer.ts`: time acts beside whatever runs. */
  #setTurn(): void {
    const dueMs = nextTurnMs(this.state);
    if (dueMs === this.#turnMs) return;
    this.#turnMs = dueMs;
    if (dueMs === null || dueMs === this.#takenTurnMs) return;
    setTimeout(
      () => {
        if (this.#turnMs !== dueMs || this.state.phase === 'closed') return;
        this.#takenTurnMs = dueMs;
        this.#turnMs = null;
        this.#inbox.push({ type: 'time passed' });
        this.#schedule();
      },
      Math.max(1, dueMs - this.world.time.nowMs),
    );
  }

  #begin(key: string, call: ActivityCall): void {
    this.#activitiesBegun += 1;
    const activity: Activity = {
      id: String(this.#activitiesBegun),
      key,
      call,
      scheduledMs: this.world.time.nowMs,
      isCancelRequested: false,
      number: 1,
      attempt: null,
      details: undefined,
    };
    this.activities.push(activity);
    this.#running = { key, activity };
    this.#attempt(activity);
  }

  #isPending(activity: Activity): boolean {
    return this.activities.includes(activity);
  }

  /** Gives the activity to a worker that polls; a stopped one may have polled before it was stopped. */
  #attempt(activity: Activity): void {
    if (!this.#isPending(activity) || activity.attempt !== null) return;
    if (activity.isCancelRequested) {
      this.#remove(activity);
      return;
    }
    const workers = this.world.workers().filter(({ isDead, isCut }) => !isDead && !isCut);
    const worker = workers[this.#workersAsked % Math.max(1, workers.length)];
    if (!this.isUp || worker === undefined) {
      setTimeout(() => this.#attempt(activity), RECONNECT_MS);
      return;
    }
    this.#workersAsked += 1;
    const { call, number, details } = activity;
    const { time } = this.world;
    const environment = new MockActivityEnvironment(
      {
        attempt: number,
        activityId: activity.id,
        activityType: call.name,
        heartbeatDetails: structuredClone(details),
        heartbeatTimeoutMs: call.heartbeatMs,
        scheduledTimestampMs: activity.scheduledMs,
        workflowExecution: { workflowId: 'cutover/chat', runId: 'run-1' },
      },
      { client: this.#clientOf(worker) as never, logger: SILENT },
    );
    const attempt: Attempt = { number, worker, environment, heardMs: time.nowMs, unsent: null };
    activity.attempt = attempt;
    environment.on('heartbeat', (beat: unknown) => this.#hear(activity, attempt, beat));
    this.#watchOver(activity, attempt);
    const startedMs = time.nowMs;
    const work = worker
      .running()
      .then(() => environment.run(() => call.run(worker, call.input)) as Promise<EventSaid>);
    work.then(
      (event) => this.#report(activity, attempt, event),
      (error: unknown) => {
        if (isDefect(error)) this.world.truth.breaks(`${call.name} threw ${(error as Error).stack}`);
        this.#report(activity, attempt, null);
      },
    );
    setTimeout(
      () => this.#end(activity, attempt, 'start to close'),
      Math.min(call.startToCloseMs, activity.scheduledMs + call.scheduleToCloseMs - startedMs),
    );
  }

  /** A heartbeat leaves the worker at most once in a part of its timeout; the newest details win. */
  #hear(activity: Activity, attempt: Attempt, details: unknown): void {
    const wasWaiting = attempt.unsent !== null;
    attempt.unsent = { details: structuredClone(details) };
    if (wasWaiting) return;
    const dueMs = attempt.heardMs + activity.call.heartbeatMs * HEARTBEAT_PART - this.world.time.nowMs;
    if (dueMs <= 0) this.#sendHeartbeat(activity, attempt);
    else setTimeout(() => this.#sendHeartbeat(activity, attempt), dueMs);
  }

  #sendHeartbeat(activity: Activity, attempt: Attempt): void {
    const { worker, unsent, environment } = attempt;
    if (worker.isDead || unsent === null) return;
    if (!this.isUp || worker.isCut || worker.isStopped) {
      setTimeout(() => this.#sendHeartbeat(activity, attempt), RECONNECT_MS);
      return;
    }
    attempt.unsent = null;
    const isCurrent = this.#isPending(activity) && activity.attempt === attempt;
    if (isCurrent) {
      attempt.heardMs = this.world.time.nowMs;
      activity.details = unsent.details;
    }
    // A cancellation, or that nobody knows this attempt any more, comes with the answer to a heartbeat.
    if (!isCurrent || activity.isCancelRequested) {
      environment.cancel('CANCELLED', new ActivityCancellationDetails({ cancelRequested: true }));
    }
  }

  #watchOver(activity: Activity, attempt: Attempt): void {
    const dueMs = attempt.heardMs + activity.call.heartbeatMs - this.world.time.nowMs;
    setTimeout(() => {
      if (!this.#isPending(activity) || activity.attempt !== attempt) return;
      if (this.world.time.nowMs - attempt.heardMs < activity.call.heartbeatMs)
        this.#watchOver(activity, attempt);
      else this.#end(activity, attempt, 'heartbeat');
    }, dueMs);
  }

  /** The worker says what became of an attempt, as soon as it can. */
  #report(activity: Activity, attempt: Attempt, event: EventSaid | null): void {
    const { worker } = attempt;
    if (worker.isDead) return;
    if (!this.isUp || worker.isCut || worker.isStopped) {
      setTimeout(() => this.#report(activity, attempt, event), RECONNECT_MS);
      return;
    }
    if (!this.#isPending(activity) || activity.attempt !== attempt) return;
    if (event === null) {
      this.#end(activity, attempt, 'failed');
      return;
    }
    this.#remove(activity);
    if (activity.isCancelRequested) return;
    this.#running = null;
    this.#inbox.push(JSON.parse(JSON.stringify(event)));
    this.#schedule();
  }

  /** An attempt is over without a result: another one follows, or the activity has failed for good. */
  #end(activity: Activity, attempt: Attempt, why: string): void {
    if (!this.#isPending(activity) || activity.attempt !== attempt) return;
    activity.attempt = null;
    if (activity.isCancelRequested) {
      this.#remove(activity);
      return;
    }
    const { call, scheduledMs, number } = activity;
    const overMs = this.world.time.nowMs - scheduledMs;
    if (number >= call.attemptsMost || overMs >= call.scheduleToCloseMs) {
      this.#remove(activity);
      this.#running = null;
      const what = nextDecision(this.state, this.world.time.nowMs).type;
      this.#inbox.push({ type: 'activity failed', what, message: `${call.name}: ${why}`, key: activity.key });
      this.#schedule();
      return;
    }
    activity.number += 1;
    const pauseMs = Math.min(RETRY_MS.first * RETRY_MS.factor ** (number - 1), RETRY_MS.most);
    setTimeout(() => this.#attempt(activity), pauseMs);
  }

  #remove(activity: Activity): void {
    const place = this.activities.indexOf(activity);
    if (place >= 0) this.activities.splice(place, 1);
  }

  /** What `WorkflowHandle.describe` answers a worker. */
  #clientOf(worker: ModelWorker): object {
    const describe = async (): Promise<Description> => {
      await worker.running();
      if (!this.isUp || worker.isCut) throw new Error('14 UNAVAILABLE: no connection');
      const task = this.#task;
      const described: Description = {
        status: { name: this.state.phase === 'closed' ? 'COMPLETED' : 'RUNNING' },
        raw: {
          pendingActivities: this.activities.map(({ id, number, isCancelRequested }) => ({
            activityId: id,
            attempt: number,
            state: isCancelRequested ? CANCEL_REQUESTED : STARTED,
          })),
          pendingWorkflowTask:
            task === null
              ? null
              : {
                  attempt: task.attempt,
                  originalScheduledTime: { seconds: Math.floor(task.scheduledMs / 1_000) },
                },
        },
      };
      const isHealthy = task === null || task.attempt <= 2;
      if (described.status.name === 'RUNNING' && isHealthy) this.world.truth.standingGranted();
      if (this.answersAfterMs > 0) await this.world.time.wait(this.answersAfterMs);
      await worker.running();
      return this.world.faults.describe?.(described) ?? described;
    };
    return {
      workflow: { getHandle: () => ({ describe }) },
      withAbortSignal: <T>(_signal: AbortSignal, work: () => Promise<T>) => work(),
    };
  }
}

function isReachable({ isDead, isStopped, isCut }: ModelWorker): boolean {
  return !isDead && !isStopped && !isCut;
}

/** What no activity throws for what the world does. */
function isDefect(error: unknown): boolean {
  return error instanceof TypeError || error instanceof RangeError || error instanceof ReferenceError;
}
