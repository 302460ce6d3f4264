import { type WorkflowHandle, WorkflowNotFoundError } from '@temporalio/client';
import { MIGRATION_WORKFLOW, type MigrationResult, workflowIdOf } from '../contract';
import { NoMigration } from './errors';
import type { FetchedRun } from './history';
import { type ListedMigration, listedMigration } from './listed-migration';
import { isNamed, type MigrationRun, type PastMigration, runOf } from './migration-run';
import { isNotFound, type TemporalService } from './temporal-service';

const HISTORY_WAIT_MS = 120_000;
const CLOSED_LISTED = 200;

/** The migrations that Temporal keeps, open and closed, as it knows them itself: no worker is needed. */
export class MigrationList {
  constructor(private readonly service: TemporalService) {}

  /** Of all routes: every open one, and the newest closed ones. */
  async all(options: { readonly closedAtMost?: number } = {}): Promise<readonly ListedMigration[]> {
    const ours = `WorkflowType = "${MIGRATION_WORKFLOW}"`;
    const ended = 'ExecutionStatus != "Running" AND ExecutionStatus != "ContinuedAsNew"';
    const [open, closed] = await Promise.all([
      this.listed(`${ours} AND ExecutionStatus = "Running"`, Number.POSITIVE_INFINITY),
      this.listed(`${ours} AND ${ended}`, options.closedAtMost ?? CLOSED_LISTED),
    ]);
    return [...open, ...closed];
  }

  /** The newest migration of a route as Temporal knows it, or one run. Throws `NoMigration`. */
  async describe(route: string, runId?: string): Promise<MigrationRun> {
    const handle = this.handle(route, runId);
    return runOf(await orNoMigration(route, () => this.service.ask(() => handle.describe())));
  }

  /** The newest migration of a route, with what it came to where it has ended. Throws `NoMigration`. */
  async newestPast(route: string): Promise<PastMigration> {
    const run = await this.describe(route);
    return this.service.ask(() => this.withResult(run));
  }

  /** All migrations of a route that Temporal still keeps, newest first. */
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

  /** A migration of a route, by its id or the id of its run; the newest without one. Throws `NoMigration`. */
  async find(route: string, wanted?: string): Promise<PastMigration> {
    const all = await this.history(route);
    const run = wanted === undefined ? all[0] : all.find((each) => isNamed(each, wanted));
    if (run === undefined) throw new NoMigration(route, wanted);
    return run;
  }

  /** Events in the history of the newest migration of a route, over all its runs. */
  async eventCount(route: string): Promise<number> {
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

  /** The history of a migration of a route, the newest without `wanted`, all its runs in their order. */
  async fetchHistory(route: string, wanted?: string): Promise<readonly FetchedRun[]> {
    // Loaded here only: it knows every message of Temporal, and no rollback should wait for that.
    const { fetchedRun } = await import('./history.js');
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

  /** The newest migration of a route; null where Temporal keeps none. */
  async newest(route: string): Promise<MigrationRun | null> {
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

  private async withResult(run: MigrationRun): Promise<PastMigration> {
    const { workflowId, runId, status } = run;
    if (status !== 'COMPLETED') return { ...run, result: null };
    const handle = this.service.workflows.getHandle<() => Promise<MigrationResult>>(workflowId, runId, {
      followRuns: false,
    });
    return { ...run, result: await handle.result() };
  }
}

/** What Temporal answers of a route's migration; throws `NoMigration` where it keeps none. */
export async function orNoMigration<T>(route: string, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    throw error instanceof WorkflowNotFoundError ? new NoMigration(route) : error;
  }
}
