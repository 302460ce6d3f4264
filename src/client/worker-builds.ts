import type { WorkflowExecutionDescription } from '@temporalio/client';
import { tsToMs } from '@temporalio/common/lib/time';
import {
  EFFECT_TASK_QUEUE,
  FINE_TUNE_WORKFLOW,
  MIGRATION_WORKFLOW,
  TASK_QUEUE,
  TRAINING_TASK_QUEUE,
  WATCH_TASK_QUEUE,
  type WorkerBuild,
} from '../contract';
import { isNotFound, POLL_OLDEST_MS, type TemporalService } from './temporal-service';
import { isPolledBy, isSameBuild, type QueueBuilds } from './worker-build';

/** An open migration or fine-tuning, and the build that its tasks go to. */
export interface OpenRun {
  readonly kind: 'migration' | 'training';
  /** The route, or the job's name. */
  readonly name: string;
  readonly workflowId: string;
  readonly runId: string;
  /** Null: any worker without a build, and the current one of the queue. */
  readonly build: WorkerBuild | null;
  /** The build that completed its last task, where its tasks were since moved to `build` by hand; else null. */
  readonly movedFrom: WorkerBuild | null;
  /** Whether `build` was set by hand, and so is inherited by later runs until it is unset. */
  readonly isOverridden: boolean;
}

type VersioningInfo = NonNullable<
  NonNullable<WorkflowExecutionDescription['raw']['workflowExecutionInfo']>['versioningInfo']
>;

const QUEUES_OF = {
  migration: [TASK_QUEUE, WATCH_TASK_QUEUE, EFFECT_TASK_QUEUE],
  training: [TRAINING_TASK_QUEUE],
} as const;

const TYPES = { [MIGRATION_WORKFLOW]: 'migration', [FINE_TUNE_WORKFLOW]: 'training' } as const;
/** temporal.api.enums.v1.WorkerVersioningMode and VersioningOverride.PinnedOverrideBehavior */
const VERSIONED = 2;
const PINNED = 1;

/** The task queues that a worker must serve for a run to advance. */
export function queuesOf({ kind }: Pick<OpenRun, 'kind'>): readonly string[] {
  return QUEUES_OF[kind];
}

/** Whether workers of the build that a run is on poll all that it needs. */
export function isServed(run: OpenRun, queues: readonly QueueBuilds[]): boolean {
  const needed = queues.filter(({ queue }) => queuesOf(run).includes(queue));
  return needed.every((queue) => isPolledBy(queue, run.build));
}

/** What Temporal knows of workers' builds, and how open runs are put onto them. Needs no worker. */
export class WorkerBuilds {
  constructor(private readonly service: TemporalService) {}

  /** Throws `TemporalUnreachable`. */
  async queue(queue: string): Promise<QueueBuilds> {
    const { service } = this;
    const { namespace } = service;
    const answers = await Promise.all(
      [1, 2].map((taskQueueType) =>
        service.ask(() =>
          service.rpc.describeTaskQueue({ namespace, taskQueue: { name: queue }, taskQueueType }),
        ),
      ),
    );
    const oldestMs = Date.now() - POLL_OLDEST_MS;
    const polling = answers
      .flatMap(({ pollers }) => pollers)
      .filter(({ lastAccessTime }) => tsToMs(lastAccessTime) >= oldestMs)
      .map(({ deploymentOptions: options }) =>
        options?.workerVersioningMode === VERSIONED ? buildOf(options) : null,
      );
    const current = answers.map(({ versioningInfo }) => versioningInfo?.currentDeploymentVersion ?? null);
    return {
      queue,
      current: buildOf(current.find((version) => version !== null) ?? null),
      polling: polling.filter((build, at) => polling.findIndex((each) => isSameBuild(each, build)) === at),
    };
  }

  /** All queues of the given kinds of runs. */
  queues(kinds: readonly OpenRun['kind'][]): Promise<readonly QueueBuilds[]> {
    const names = [...new Set(kinds.flatMap((kind) => queuesOf({ kind })))];
    return Promise.all(names.map((name) => this.queue(name)));
  }

  /** Every open migration and fine-tuning. */
  async openRuns(): Promise<readonly OpenRun[]> {
    const types = Object.keys(TYPES).map((type) => JSON.stringify(type));
    const query = `WorkflowType IN (${types.join(', ')}) AND ExecutionStatus = "Running"`;
    const ids = await this.service.ask(async () => {
      const found: string[] = [];
      for await (const { workflowId } of this.service.workflows.list({ query })) found.push(workflowId);
      return [...new Set(found)];
    });
    const runs = await Promise.all(ids.map((id) => this.openRun(id)));
    return runs.filter((run) => run !== null);
  }

  /** A workflow's open run; null where there is none. */
  async openRun(workflowId: string): Promise<OpenRun | null> {
    try {
      const described = await this.service.ask(() => this.service.workflows.getHandle(workflowId).describe());
      return described.status.name === 'RUNNING' ? openRunOf(described) : null;
    } catch (error) {
      if (isNotFound(error)) return null;
      throw error;
    }
  }

  /** Makes a build the one that takes new runs; throws what Temporal refuses it for. */
  async setCurrent({ deployment, buildId }: WorkerBuild): Promise<void> {
    const { service } = this;
    const { namespace } = service;
    const identity = service.identity;
    await service.ask(() =>
      service.rpc.setWorkerDeploymentCurrentVersion({
        ...{ namespace, deploymentName: deployment, buildId, identity },
      }),
    );
  }

  /** Sends the tasks of a run to a build, from now on and in its later runs; null undoes that. */
  async override({ workflowId, runId }: OpenRun, build: WorkerBuild | null): Promise<void> {
    const { service } = this;
    const { namespace } = service;
    const version = build === null ? null : { deploymentName: build.deployment, buildId: build.buildId };
    await service.ask(() =>
      service.rpc.updateWorkflowExecutionOptions({
        namespace,
        workflowExecution: { workflowId, runId },
        workflowExecutionOptions: {
          versioningOverride: version === null ? null : { pinned: { behavior: PINNED, version } },
        },
        updateMask: { paths: ['versioning_override'] },
        identity: service.identity,
      }),
    );
  }
}

function openRunOf({ workflowId, runId, type, memo, raw }: WorkflowExecutionDescription): OpenRun | null {
  const kind = TYPES[type as keyof typeof TYPES];
  if (kind === undefined) return null;
  const info = raw.workflowExecutionInfo?.versioningInfo ?? null;
  const ran = info !== null && info.behavior !== 0 ? buildOf(info.deploymentVersion ?? null) : null;
  const overridden = buildOf(overrideOf(info));
  const route = memo?.['route'];
  return {
    kind,
    name: typeof route === 'string' ? route : workflowId.slice(workflowId.indexOf('/') + 1),
    workflowId,
    runId,
    build: overridden ?? ran,
    movedFrom: overridden === null || isSameBuild(overridden, ran) ? null : ran,
    isOverridden: overridden !== null,
  };
}

type Version = { readonly deploymentName?: string | null; readonly buildId?: string | null };

function overrideOf(info: VersioningInfo | null): Version | null {
  return info?.versioningOverride?.pinned?.version ?? null;
}

function buildOf(version: Version | null): WorkerBuild | null {
  const { deploymentName, buildId } = version ?? {};
  return deploymentName && buildId ? { deployment: deploymentName, buildId } : null;
}
