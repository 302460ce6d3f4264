import { QueryNotRegisteredError } from '@temporalio/client';
import {
  type CheckpointsPage,
  type CheckpointsQuery,
  QUERIES,
  type WorkerBuild,
  workflowIdOf,
} from '../contract';
import type { AmendmentPreview } from '../core/migration/amendment/amendment';
import type { Checkpoint } from '../core/migration/checkpoint';
import type { AssessmentSummary, MigrationState } from '../core/migration/migration-state';
import { endedStatus, type MigrationStatus, type RollbackEligibility } from '../core/migration/status';
import type { Plan } from '../core/plan/plan';
import { CommandRefused, MigrationEnded, NoWorker } from './errors';
import { type MigrationList, orNoMigration } from './migration-list';
import { endedByTemporal } from './migration-run';
import { type TemporalService, WorkerSilent } from './temporal-service';
import { isServed, WorkerBuilds } from './worker-builds';

export interface QueryOptions {
  /** How long a worker may take to answer, milliseconds. Default: 10,000. */
  readonly workerWaitMs?: number;
  /** An earlier run of the route. Default: the newest. */
  readonly runId?: string;
}

export type RecordedVerdict = MigrationState['verdicts'][number];

const QUERY_WAIT_MS = 10_000;

/** What a migration says of itself; each question needs a worker. */
export class MigrationQueries {
  constructor(
    private readonly service: TemporalService,
    private readonly migrations: Pick<MigrationList, 'describe'>,
  ) {}

  /**
   * Where the migration of a route stands, and whether Temporal has ended its run: a terminated one answers queries
   * as if it were alive. Throws `NoMigration`, `NoWorker`, or `MigrationEnded` for an ended run without a worker.
   */
  async status(route: string, options: QueryOptions = {}): Promise<MigrationStatus> {
    const [run, asked] = await Promise.allSettled([
      this.migrations.describe(route, options.runId),
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

  private query<Answer>(
    asked: QueryOptions & { readonly route: string },
    name: string,
    ...args: readonly unknown[]
  ): Promise<Answer> {
    const { route, runId, workerWaitMs: waitMs = QUERY_WAIT_MS } = asked;
    const handle = this.service.workflows.getHandle(workflowIdOf(route), runId);
    return orNoMigration(route, async () => {
      try {
        return await this.service.askWorker(() => handle.query<Answer, unknown[]>(name, ...args), waitMs);
      } catch (error) {
        if (error instanceof WorkerSilent) throw new NoWorker(route, waitMs, await this.unservedBuild(route));
        throw error;
      }
    });
  }

  /** The build that a route's migration is pinned to, where no worker of it polls; else null. */
  private async unservedBuild(route: string): Promise<WorkerBuild | null> {
    const builds = new WorkerBuilds(this.service);
    const run = await builds.openRun(workflowIdOf(route));
    if (run === null || run.build === null) return null;
    return isServed(run, await builds.queues(['migration'])) ? null : run.build;
  }
}
