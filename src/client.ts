import { randomBytes, randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import {
  QueryNotRegisteredError,
  type WorkflowHandle,
  WorkflowNotFoundError,
  WorkflowUpdateFailedError,
} from '@temporalio/client';
import { WorkflowExecutionAlreadyStartedError } from '@temporalio/common';
import { type CommandOutcome, outcomeOf } from './client/command-outcome';
import {
  CommandRefused,
  InvalidCommand,
  MigrationAlreadyRuns,
  MigrationClosed,
  MigrationEnded,
  NoMigration,
  NoWorker,
} from './client/errors';
import type { FetchedRun } from './client/history';
import { type ListedMigration, listedMigration } from './client/listed-migration';
import { type MigrationRecord, recordOfHistories } from './client/migration-record';
import {
  endedByTemporal,
  endOf,
  endText,
  isNamed,
  type MigrationRun,
  type PastMigration,
  runOf,
} from './client/migration-run';
import { migrationStart, type StartRequest, startTexts } from './client/migration-start';
import {
  type ConnectOptions,
  firstSearchAttributes,
  isInvalidArgument,
  isNotFound,
  type Pollers,
  TemporalService,
  WorkerSilent,
} from './client/temporal-service';
import type { QueueBuilds } from './client/worker-build';
import { isServed, type OpenRun, WorkerBuilds } from './client/worker-builds';
import { environment } from './config';
import {
  type CheckpointsPage,
  type CheckpointsQuery,
  EFFECT_TASK_QUEUE,
  MIGRATION_WORKFLOW,
  type MigrationInput,
  type MigrationResult,
  QUERIES,
  TASK_QUEUE,
  WATCH_TASK_QUEUE,
  type WorkerBuild,
  workflowIdOf,
} from './contract';
import type { AmendmentPreview } from './core/migration/amendment/amendment';
import type { Checkpoint } from './core/migration/checkpoint';
import { type CommandAnswer, type CommandName, isBadMessage, readCommand } from './core/migration/command';
import { type AssessmentSummary, type MigrationState, stageAt } from './core/migration/migration-state';
import { endedStatus, type MigrationStatus, type RollbackEligibility } from './core/migration/status';
import type { Plan } from './core/plan/plan';
import { withPreempted } from './core/record/preempted-windows';
import { inOrder } from './core/record/record-entry';

export type { CommandOutcome } from './client/command-outcome';
export {
  CommandRefused,
  InvalidCommand,
  MigrationAlreadyRuns,
  MigrationClosed,
  MigrationEnded,
  NoMigration,
  NoWorker,
  TemporalUnreachable,
} from './client/errors';
export type { FetchedRun } from './client/history';
export type { ListedMigration } from './client/listed-migration';
export type { MigrationRecord } from './client/migration-record';
export { endText, type MigrationRun, type PastMigration } from './client/migration-run';
export type { StartRequest } from './client/migration-start';
export { defaultPlan, loadPlan } from './client/plan-file';
export type { ConnectOptions } from './client/temporal-service';
export { configurationPath, loadConfiguration } from './config';
export type { AmendmentPreview } from './core/migration/amendment/amendment';
export { COMMAND_NAMES, type CommandName } from './core/migration/command';

/** A migration that was just started. */
export interface StartedMigration {
  readonly migrationId: string;
  readonly workflowId: string;
  readonly runId: string;
  /** Whether stage, share and pause can be searched for in Temporal. */
  readonly searchAttributes: boolean;
  /** The migration of the route that was there before, over by now; null where Temporal keeps none. */
  readonly replaced: ReplacedMigration | null;
}

/** A migration after which another one was started. */
export interface ReplacedMigration {
  readonly migrationId: string;
  /** Whether it was still open when the start was asked for: somebody else's start may have just ended. */
  readonly wasOpen: boolean;
  /** When it ended; null for one that ended while this start was under way. */
  readonly closedAt: Date | null;
}

/** A command that Temporal took. */
export interface SentCommand {
  readonly commandId: string;
  /** An update was answered by the migration; a signal is recorded, and `follow` tells what became of it. */
  readonly via: 'update' | 'signal';
  readonly answer: CommandAnswer | null;
}

export interface CommandOptions {
  /** Default: `signal` for the two rollbacks, else `update`, which falls back to a signal without a worker. */
  readonly via?: 'signal' | 'update';
  /** How long an update may wait for a worker, milliseconds. Default: 5,000. */
  readonly updateWaitMs?: number;
}

export interface FollowOptions {
  /** Called with every status that is not the end yet. */
  readonly onProgress?: (status: MigrationStatus) => void;
  /** How long no worker may answer before `NoWorker` is thrown, milliseconds. Default: 30,000. */
  readonly workerWaitMs?: number;
  readonly signal?: AbortSignal;
}

export interface QueryOptions {
  /** How long a worker may take to answer, milliseconds. Default: 10,000. */
  readonly workerWaitMs?: number;
  /** An earlier run of the route. Default: the newest. */
  readonly runId?: string;
}

export type RecordedVerdict = MigrationState['verdicts'][number];

/** How long a task waits that a worker took along which is stopped or cut off. */
const TASK_TIMEOUT = '5s';
const QUERY_WAIT_MS = 10_000;
const UPDATE_WAIT_MS = 5_000;
const FOLLOW_WAIT_MS = 30_000;
const HISTORY_WAIT_MS = 120_000;
const CLOSED_LISTED = 200;
const POLL_FIRST_MS = 100;
const POLL_MOST_MS = 1_000;

/** Starts, steers and follows migrations: what the `cutover` command does, as a library. */
export class MigrationClient {
  private constructor(private readonly service: TemporalService) {}

  /** Connects to Temporal by the TEMPORAL_* variables or profile, or by `options`; throws `TemporalUnreachable`. */
  static async connect(options: ConnectOptions = {}): Promise<MigrationClient> {
    return new MigrationClient(await TemporalService.connect(options, environment));
  }

  get address(): string {
    return this.service.address;
  }

  get namespace(): string {
    return this.service.namespace;
  }

  /** Starts a migration; throws `MigrationAlreadyRuns`, or `InvalidDocument` for a plan that fits no route. */
  async start(request: StartRequest): Promise<StartedMigration> {
    const { route } = request.plan;
    const now = new Date();
    const start = migrationStart(request, now, randomBytes(20));
    const texts = startTexts(request, start, now);
    const before = await this.newest(route);
    try {
      const searchAttributes = await this.service.learnSearchAttributes();
      const begin = (known: boolean) =>
        this.service.ask(() => {
          const input: MigrationInput = { start, carried: null, searchAttributes: known };
          return this.service.workflows.start(MIGRATION_WORKFLOW, {
            ...texts,
            taskQueue: TASK_QUEUE,
            args: [input],
            workflowTaskTimeout: TASK_TIMEOUT,
            workflowIdReusePolicy: 'ALLOW_DUPLICATE',
            workflowIdConflictPolicy: 'FAIL',
            ...(known
              ? { typedSearchAttributes: firstSearchAttributes(route, stageAt(start.plan, 0).name) }
              : {}),
          });
        });
      const begun = await begin(searchAttributes).catch((error: unknown) => {
        // What was registered a moment ago may not be known everywhere yet.
        if (searchAttributes && isInvalidArgument(error)) return begin(false);
        throw error;
      });
      const { workflowId, firstExecutionRunId } = begun;
      const { migrationId } = start;
      const replaced = before === null ? null : replacedBy(before);
      return { migrationId, workflowId, runId: firstExecutionRunId, searchAttributes, replaced };
    } catch (error) {
      if (!(error instanceof WorkflowExecutionAlreadyStartedError)) throw error;
      throw new MigrationAlreadyRuns(route, (await this.describe(route)).migrationId);
    }
  }

  /**
   * Sends a command. Throws `InvalidCommand` for a payload that no migration takes, `CommandRefused` when the
   * migration refuses or is closed, `NoMigration`, `TemporalUnreachable`.
   */
  async command(
    route: string,
    name: CommandName,
    payload: Readonly<Record<string, unknown>>,
    options: CommandOptions = {},
  ): Promise<SentCommand> {
    const commandId = typeof payload['commandId'] === 'string' ? payload['commandId'] : randomUUID();
    const sent = { ...payload, commandId };
    const read = readCommand(name, sent);
    if (isBadMessage(read)) throw new InvalidCommand(name, read.problem);
    const isRollback = name === 'rollback' || name === 'emergencyRollback';
    const { via = isRollback ? 'signal' : 'update', updateWaitMs = UPDATE_WAIT_MS } = options;
    const handle = this.handle(route);
    // Where this client lacks the codec, names and reasons would be kept in plain text. A rollback goes out whatever holds.
    if (!isRollback) await this.describe(route);
    try {
      if (via === 'update') {
        const answer = await this.update(handle, name, sent, updateWaitMs);
        if (answer !== null) return { commandId, via: 'update', answer };
      }
      // The same command id: should the update arrive after all, it changes nothing a second time.
      await this.service.ask(() => handle.signal(name, sent));
      return { commandId, via: 'signal', answer: null };
    } catch (error) {
      if (!(error instanceof WorkflowNotFoundError)) throw error;
      const past = await this.newestPast(route);
      throw new MigrationClosed(name, past.migrationId, past.result?.outcome ?? null, endText(past));
    }
  }

  /**
   * Waits until what a command asked for is decided and, for a change of routing, verified at the gateways; goes
   * on when the migration closes meanwhile. Throws `NoWorker` when nobody answers for too long.
   */
  async follow(route: string, commandId: string, options: FollowOptions = {}): Promise<CommandOutcome> {
    const { onProgress, workerWaitMs = FOLLOW_WAIT_MS, signal } = options;
    const unseenUntilMs = Date.now() + workerWaitMs;
    for (let pollMs = POLL_FIRST_MS; ; pollMs = Math.min(pollMs * 1.5, POLL_MOST_MS)) {
      const status = await this.status(route, { workerWaitMs });
      const seen = status.commands.find((command) => command.commandId === commandId);
      const checkpoints: Checkpoint[] = [];
      if (seen?.checkpoint != null) {
        for await (const entry of this.checkpoints(route, { after: seen.checkpoint - 1, workerWaitMs })) {
          checkpoints.push(entry);
        }
      }
      const outcome = outcomeOf(commandId, status, checkpoints);
      if (outcome !== null) return outcome;
      // A worker that answers queries but takes no signal cannot go on: its workflow tasks fail.
      if (seen === undefined && Date.now() > unseenUntilMs) throw new NoWorker(route, workerWaitMs);
      onProgress?.(status);
      await sleep(pollMs, undefined, signal === undefined ? {} : { signal });
    }
  }

  /**
   * Where the migration of a route stands, and whether Temporal has ended its run: a terminated one answers queries
   * as if it were alive. Throws `NoMigration`, `NoWorker`, or `MigrationEnded` for an ended run without a worker.
   */
  async status(route: string, options: QueryOptions = {}): Promise<MigrationStatus> {
    const [run, asked] = await Promise.allSettled([
      this.describe(route, options.runId),
      this.query<MigrationStatus>({ route, ...options }, QUERIES.status),
    ]);
    if (run.status === 'rejected') throw run.reason;
    const ended = endedByTemporal(run.value);
    if (asked.status === 'fulfilled') {
      const status = asked.value;
      // A new migration may have begun between the two answers.
      const isOther = run.value.migrationId !== status.migrationId;
      if (ended === null || isOther || status.phase === 'closed') return status;
      return endedStatus(status, ended);
    }
    if (ended === null || !(asked.reason instanceof NoWorker)) throw asked.reason;
    throw new MigrationEnded(route, run.value.migrationId, ended);
  }

  /**
   * All checkpoints in their order, from after `after`, page by page. Those that a long migration no longer carries are
   * read from the histories of its earlier runs; the list begins later where Temporal no longer keeps them.
   */
  async *checkpoints(
    route: string,
    options: QueryOptions & { readonly after?: number } = {},
  ): AsyncIterable<Checkpoint> {
    let after: number | null = options.after ?? 0;
    while (after !== null) {
      const page: CheckpointsQuery = { after, limit: 500 };
      const asked = { route, ...options };
      const { checkpoints, next, archived }: CheckpointsPage = await this.query(
        asked,
        QUERIES.checkpoints,
        page,
      );
      if (archived !== undefined && after < archived.count) {
        const { count: until, runId } = archived;
        yield* await this.service.archivedCheckpoints(workflowIdOf(route), { runId, after, until });
      }
      yield* checkpoints;
      after = next;
    }
  }

  /** Where a rollback can go now. */
  rollbackEligibility(route: string, options: QueryOptions = {}): Promise<RollbackEligibility> {
    return this.query({ route, ...options }, QUERIES.rollbackEligibility);
  }

  /** What the assess stage found; null before it has. */
  assessment(route: string, options: QueryOptions = {}): Promise<AssessmentSummary | null> {
    return this.query({ route, ...options }, QUERIES.assessment);
  }

  /**
   * What another plan would change of an open migration, and why that would be refused; `command` with `amend` makes
   * it. Throws `CommandRefused` where the workers are of a release that knows no amendments.
   */
  async amendment(route: string, plan: Plan, options: QueryOptions = {}): Promise<AmendmentPreview> {
    try {
      return await this.query({ route, ...options }, QUERIES.amendment, plan);
    } catch (error) {
      if (!(error instanceof QueryNotRegisteredError)) throw error;
      throw new CommandRefused('amend', 'the workers run an older release, which cannot amend plans');
    }
  }

  /** The last verdicts of all stages, oldest first. */
  verdicts(route: string, options: QueryOptions = {}): Promise<readonly RecordedVerdict[]> {
    return this.query({ route, ...options }, QUERIES.verdicts);
  }

  /** Migrations of all routes: every open one, and the newest closed ones; needs no worker. */
  async list(options: { readonly closedAtMost?: number } = {}): Promise<readonly ListedMigration[]> {
    const ours = `WorkflowType = "${MIGRATION_WORKFLOW}"`;
    const ended = 'ExecutionStatus != "Running" AND ExecutionStatus != "ContinuedAsNew"';
    const [open, closed] = await Promise.all([
      this.listed(`${ours} AND ExecutionStatus = "Running"`, Number.POSITIVE_INFINITY),
      this.listed(`${ours} AND ${ended}`, options.closedAtMost ?? CLOSED_LISTED),
    ]);
    return [...open, ...closed];
  }

  /** The newest migration of a route as Temporal knows it, or one run; needs no worker. Throws `NoMigration`. */
  async describe(route: string, runId?: string): Promise<MigrationRun> {
    const handle = this.handle(route, runId);
    return runOf(await this.known(route, () => this.service.ask(() => handle.describe())));
  }

  /** The newest migration of a route, with what it came to where it has ended; needs no worker. Throws `NoMigration`. */
  async newestPast(route: string): Promise<PastMigration> {
    const run = await this.describe(route);
    return this.service.ask(() => this.withResult(run));
  }

  /** All migrations of a route that Temporal still keeps, newest first; needs no worker. */
  async history(route: string): Promise<readonly PastMigration[]> {
    const workflowId = JSON.stringify(workflowIdOf(route));
    const query = `WorkflowId = ${workflowId} AND ExecutionStatus != "ContinuedAsNew"`;
    return this.service.ask(async () => {
      const past: PastMigration[] = [];
      for await (const info of this.service.workflows.list({ query })) {
        past.push(await this.withResult(runOf(info)));
      }
      return past;
    });
  }

  /**
   * How a migration was started, what was asked of it, what its windows judged, its checkpoints and its end: the
   * newest of the route, or the one of a migration or run id. Needs a worker for the checkpoints. Throws
   * `NoMigration` or `NoWorker`.
   */
  async record(route: string, wanted?: string): Promise<MigrationRecord> {
    const run = await this.find(route, wanted);
    const { migrationId, workflowId, runId } = run;
    const { runs, whole } = await this.service.histories(workflowId, runId);
    const { commands } = await this.status(route, { runId });
    const checkpoints: Checkpoint[] = [];
    for await (const checkpoint of this.checkpoints(route, { runId })) checkpoints.push(checkpoint);
    const inTime = inOrder([
      ...recordOfHistories(runs, new Map(commands.map((command) => [command.commandId, command]))),
      ...checkpoints.map((checkpoint) => ({ checkpoint })),
      ...endOf(run),
    ]);
    return { migrationId, route, entries: withPreempted(inTime), whole };
  }

  /** A migration of a route, by its id or the id of its run; the newest without one. Throws `NoMigration`. */
  async find(route: string, wanted?: string): Promise<PastMigration> {
    const all = await this.history(route);
    const run = wanted === undefined ? all[0] : all.find((each) => isNamed(each, wanted));
    if (run === undefined) throw new NoMigration(route, wanted);
    return run;
  }

  /** Events in the history of the newest migration of a route, over all its runs. */
  async historyEventCount(route: string): Promise<number> {
    const workflowId = workflowIdOf(route);
    let events = 0;
    let runId: string | null = (await this.describe(route)).runId;
    while (runId !== null) {
      const handle = this.service.workflows.getHandle(workflowId, runId);
      events += (await this.service.ask(() => handle.describe())).historyLength;
      runId = await this.service.previousRun(workflowId, runId);
    }
    return events;
  }

  /** The history of a migration of a route, the newest without `wanted`, all its runs in their order; needs no worker. */
  async fetchHistory(route: string, wanted?: string): Promise<readonly FetchedRun[]> {
    // Loaded here only: it knows every message of Temporal, and no rollback should wait for that.
    const { fetchedRun } = await import('./client/history.js');
    const workflowId = workflowIdOf(route);
    const runs: FetchedRun[] = [];
    let runId: string | null = (
      await (wanted === undefined ? this.describe(route) : this.find(route, wanted))
    ).runId;
    while (runId !== null) {
      const id: string = runId;
      const handle = this.service.workflows.getHandle(workflowId, id);
      try {
        runs.unshift(fetchedRun(await this.service.history(handle, HISTORY_WAIT_MS), id));
      } catch (error) {
        // Temporal no longer keeps the first runs.
        if (runs.length > 0 && isNotFound(error)) break;
        throw error;
      }
      runId = await this.service.previousRun(workflowId, id);
    }
    return runs;
  }

  /** Whether workers serve migrations; one that was started a moment ago is waited for. */
  hasWorkers(): Promise<boolean> {
    return this.service.arePolled([TASK_QUEUE, WATCH_TASK_QUEUE]);
  }

  /** Which workers ask for work: for migrations and routing, for watching, and for effects. */
  async workers(): Promise<{
    readonly routing: Pollers;
    readonly watching: Pollers;
    readonly effects: Pollers;
  }> {
    const [routing, watching, effects] = await Promise.all([
      this.service.pollers(TASK_QUEUE),
      this.service.pollers(WATCH_TASK_QUEUE),
      this.service.pollers(EFFECT_TASK_QUEUE),
    ]);
    return { routing, watching, effects };
  }

  /** What builds of workers poll for migrations, and the open migrations and fine-tunings with the build they are on. */
  async builds(): Promise<{ readonly queues: readonly QueueBuilds[]; readonly runs: readonly OpenRun[] }> {
    const builds = new WorkerBuilds(this.service);
    const [queues, runs] = await Promise.all([builds.queues(['migration', 'training']), builds.openRuns()]);
    return { queues, runs };
  }

  /** Which builds of workers poll for migrations, and which takes new ones. */
  routingBuilds(): Promise<QueueBuilds> {
    return new WorkerBuilds(this.service).queue(TASK_QUEUE);
  }

  close(): Promise<void> {
    return this.service.close();
  }

  /** The build that a route's migration is pinned to, where no worker of it polls; else null. */
  private async unservedBuild(route: string): Promise<WorkerBuild | null> {
    const builds = new WorkerBuilds(this.service);
    const run = await builds.openRun(workflowIdOf(route));
    if (run === null || run.build === null) return null;
    return isServed(run, await builds.queues(['migration'])) ? null : run.build;
  }

  private async newest(route: string): Promise<MigrationRun | null> {
    try {
      return await this.describe(route);
    } catch (error) {
      if (error instanceof NoMigration) return null;
      throw error;
    }
  }

  private handle(route: string, runId?: string): WorkflowHandle {
    return this.service.workflows.getHandle(workflowIdOf(route), runId);
  }

  private listed(query: string, atMost: number): Promise<readonly ListedMigration[]> {
    return this.service.ask(async () => {
      const found: ListedMigration[] = [];
      if (atMost <= 0) return found;
      for await (const info of this.service.workflows.list({ query })) {
        const attributes = info.typedSearchAttributes.getAll().map(({ key, value }) => [key.name, value]);
        found.push(listedMigration(info, Object.fromEntries(attributes)));
        if (found.length >= atMost) break;
      }
      return found;
    });
  }

  private query<Answer>(
    asked: QueryOptions & { readonly route: string },
    name: string,
    ...args: readonly unknown[]
  ): Promise<Answer> {
    const { route, runId, workerWaitMs: waitMs = QUERY_WAIT_MS } = asked;
    const handle = this.handle(route, runId);
    return this.known(route, async () => {
      try {
        return await this.service.askWorker(() => handle.query<Answer, unknown[]>(name, ...args), waitMs);
      } catch (error) {
        if (error instanceof WorkerSilent) throw new NoWorker(route, waitMs, await this.unservedBuild(route));
        throw error;
      }
    });
  }

  /** The migration's answer, or null when no worker gave one in time. */
  private async update(
    handle: WorkflowHandle,
    name: CommandName,
    payload: Readonly<Record<string, unknown>> & { readonly commandId: string },
    waitMs: number,
  ): Promise<CommandAnswer | null> {
    try {
      const answer = await this.service.askWorker(
        () =>
          handle.executeUpdate<CommandAnswer, [unknown]>(name, {
            args: [payload],
            updateId: payload.commandId,
          }),
        waitMs,
      );
      if (!answer.accepted) throw new CommandRefused(name, answer.message);
      return answer;
    } catch (error) {
      if (error instanceof WorkerSilent) return null;
      if (error instanceof WorkflowUpdateFailedError) {
        throw new CommandRefused(name, error.cause?.message ?? error.message);
      }
      throw error;
    }
  }

  private async known<T>(route: string, work: () => Promise<T>): Promise<T> {
    try {
      return await work();
    } catch (error) {
      throw error instanceof WorkflowNotFoundError ? new NoMigration(route) : error;
    }
  }

  private async withResult(run: MigrationRun): Promise<PastMigration> {
    const { workflowId, runId, status } = run;
    if (status !== 'COMPLETED') return { ...run, result: null };
    const handle = this.service.workflows.getHandle<() => Promise<MigrationResult>>(workflowId, runId, {
      followRuns: false,
    });
    return { ...run, result: await handle.result() };
  }
}

function replacedBy({ migrationId, closedAt }: MigrationRun): ReplacedMigration {
  return { migrationId, closedAt, wasOpen: closedAt === null };
}
