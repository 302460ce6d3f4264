import type { CommandOutcome } from './client/command-outcome';
import {
  type CommandOptions,
  CommandSender,
  type FollowOptions,
  type SentCommand,
} from './client/command-sender';
import type { FetchedRun } from './client/history';
import type { ListedMigration } from './client/listed-migration';
import { MigrationList } from './client/migration-list';
import { MigrationQueries, type QueryOptions, type RecordedVerdict } from './client/migration-queries';
import { type MigrationRecord, recordOfHistories } from './client/migration-record';
import { endOf, type MigrationRun, type PastMigration } from './client/migration-run';
import { type StartedMigration, type StartRequest, startMigration } from './client/migration-start';
import { type ConnectOptions, type Pollers, TemporalService } from './client/temporal-service';
import type { QueueBuilds } from './client/worker-build';
import { type OpenRun, WorkerBuilds } from './client/worker-builds';
import { environment } from './config';
import { EFFECT_TASK_QUEUE, TASK_QUEUE, WATCH_TASK_QUEUE } from './contract';
import type { AmendmentPreview } from './core/migration/amendment/amendment';
import type { Checkpoint } from './core/migration/checkpoint';
import type { CommandName } from './core/migration/command';
import type { AssessmentSummary } from './core/migration/migration-state';
import type { MigrationStatus, RollbackEligibility } from './core/migration/status';
import type { Plan } from './core/plan/plan';
import { withPreempted } from './core/record/preempted-windows';
import { inOrder } from './core/record/record-entry';

export type { CommandOutcome } from './client/command-outcome';
export type { CommandOptions, FollowOptions, SentCommand } from './client/command-sender';
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
export type { QueryOptions, RecordedVerdict } from './client/migration-queries';
export type { MigrationRecord } from './client/migration-record';
export { endText, type MigrationRun, type PastMigration } from './client/migration-run';
export type { ReplacedMigration, StartedMigration, StartRequest } from './client/migration-start';
export { defaultPlan, loadPlan } from './client/plan-file';
export type { ConnectOptions } from './client/temporal-service';
export { configurationPath, loadConfiguration } from './config';
export type { AmendmentPreview } from './core/migration/amendment/amendment';
export { COMMAND_NAMES, type CommandName } from './core/migration/command';

/** Starts, steers and follows migrations: what the `cutover` command does, as a library. */
export class MigrationClient {
  private readonly migrations: MigrationList;
  private readonly queries: MigrationQueries;
  private readonly commands: CommandSender;

  private constructor(private readonly service: TemporalService) {
    this.migrations = new MigrationList(service);
    this.queries = new MigrationQueries(service, this.migrations);
    this.commands = new CommandSender(service, this.migrations, this.queries);
  }

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
  start(request: StartRequest): Promise<StartedMigration> {
    return startMigration(this.service, this.migrations, request);
  }

  /**
   * Sends a command. Throws `InvalidCommand` for a payload that no migration takes, `CommandRefused` when the
   * migration refuses or is closed, `NoMigration`, `TemporalUnreachable`.
   */
  command(
    route: string,
    name: CommandName,
    payload: Readonly<Record<string, unknown>>,
    options: CommandOptions = {},
  ): Promise<SentCommand> {
    return this.commands.send(route, name, payload, options);
  }

  /**
   * Waits until what a command asked for is decided and, for a change of routing, verified at the gateways; goes
   * on when the migration closes meanwhile. Throws `NoWorker` when nobody answers for too long.
   */
  follow(route: string, commandId: string, options: FollowOptions = {}): Promise<CommandOutcome> {
    return this.commands.follow(route, commandId, options);
  }

  /**
   * Where the migration of a route stands, and whether Temporal has ended its run: a terminated one answers queries
   * as if it were alive. Throws `NoMigration`, `NoWorker`, or `MigrationEnded` for an ended run without a worker.
   */
  status(route: string, options: QueryOptions = {}): Promise<MigrationStatus> {
    return this.queries.status(route, options);
  }

  /**
   * All checkpoints in their order, from after `after`, page by page. Those that a long migration no longer carries are
   * read from the histories of its earlier runs; the list begins later where Temporal no longer keeps them.
   */
  checkpoints(
    route: string,
    options: QueryOptions & { readonly after?: number } = {},
  ): AsyncIterable<Checkpoint> {
    return this.queries.checkpoints(route, options);
  }

  /** Where a rollback can go now. */
  rollbackEligibility(route: string, options: QueryOptions = {}): Promise<RollbackEligibility> {
    return this.queries.rollbackEligibility(route, options);
  }

  /** What the assess stage found; null before it has. */
  assessment(route: string, options: QueryOptions = {}): Promise<AssessmentSummary | null> {
    return this.queries.assessment(route, options);
  }

  /**
   * What another plan would change of an open migration, and why that would be refused; `command` with `amend` makes
   * it. Throws `CommandRefused` where the workers are of a release that knows no amendments.
   */
  amendment(route: string, plan: Plan, options: QueryOptions = {}): Promise<AmendmentPreview> {
    return this.queries.amendment(route, plan, options);
  }

  /** The last verdicts of all stages, oldest first. */
  verdicts(route: string, options: QueryOptions = {}): Promise<readonly RecordedVerdict[]> {
    return this.queries.verdicts(route, options);
  }

  /** Migrations of all routes: every open one, and the newest closed ones; needs no worker. */
  list(options: { readonly closedAtMost?: number } = {}): Promise<readonly ListedMigration[]> {
    return this.migrations.all(options);
  }

  /** The newest migration of a route as Temporal knows it, or one run; needs no worker. Throws `NoMigration`. */
  describe(route: string, runId?: string): Promise<MigrationRun> {
    return this.migrations.describe(route, runId);
  }

  /** The newest migration of a route, with what it came to where it has ended; needs no worker. Throws `NoMigration`. */
  newestPast(route: string): Promise<PastMigration> {
    return this.migrations.newestPast(route);
  }

  /** All migrations of a route that Temporal still keeps, newest first; needs no worker. */
  history(route: string): Promise<readonly PastMigration[]> {
    return this.migrations.history(route);
  }

  /**
   * How a migration was started, what was asked of it, what its windows judged, its checkpoints and its end: the
   * newest of the route, or the one of a migration or run id. Needs a worker for the checkpoints. Throws
   * `NoMigration` or `NoWorker`.
   */
  async record(route: string, wanted?: string): Promise<MigrationRecord> {
    const run = await this.migrations.find(route, wanted);
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
  find(route: string, wanted?: string): Promise<PastMigration> {
    return this.migrations.find(route, wanted);
  }

  /** Events in the history of the newest migration of a route, over all its runs. */
  historyEventCount(route: string): Promise<number> {
    return this.migrations.eventCount(route);
  }

  /** The history of a migration of a route, the newest without `wanted`, all its runs in their order; needs no worker. */
  fetchHistory(route: string, wanted?: string): Promise<readonly FetchedRun[]> {
    return this.migrations.fetchHistory(route, wanted);
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
}
