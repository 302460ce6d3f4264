import {
  NativeConnection,
  type NativeConnectionOptions,
  Runtime,
  Worker,
  type WorkerOptions as WorkerSettings,
} from '@temporalio/worker';
import { createActivities } from './activities';
import { createTrainingActivities } from './activities/training';
import { createPorts } from './adapters/create-ports';
import type { ParityDirectories } from './adapters/parity-runs';
import { createTrainer } from './adapters/training-process';
import { WorkerMetrics } from './adapters/worker-metrics';
import { TemporalUnreachable } from './client/errors';
import { silenceOf } from './client/temporal-silence';
import { environment, parityDirectories, readDocument, trainingPython } from './config';
import {
  EFFECT_TASK_QUEUE,
  TASK_QUEUE,
  TRAINING_TASK_QUEUE,
  WATCH_TASK_QUEUE,
  type WorkerBuild,
} from './contract';
import { failedLoginText } from './core/access/failed-logins';
import type { Configuration } from './core/configuration/configuration-schema';
import type { ListenAddress } from './gateway/sockets/listen-address';
import { openListenerTls } from './gateway/sockets/listener-tls';
import { Credentials } from './gateway/upstream/credentials';
import { type MetricsListener, startMetricsListener } from './metrics-listener';
import { loadCodec } from './payload-codec/load-codec';
import { runAll } from './running-workers';
import { watchForOutages } from './temporal-outage';
import { installRuntime, uncachedWorkflows } from './temporal-runtime';
import { openWorkerTracing } from './tracing/open-worker-tracing';
import { builtWorkflows } from './workflow-bundle';

/** How long running activities may go on after a shutdown was asked for; what is left goes on elsewhere. */
const SHUTDOWN_GRACE = '5s';

/** How old the progress may be that Temporal shows of a running activity. */
const PROGRESS_EVERY = '5s';

/** A worker that is stopped or cut off takes no more than the task it has asked for with it, until that times out. */
const oneTaskAtRisk = {
  workflowTaskPollerBehavior: { type: 'simple-maximum', maximum: 1 },
  activityTaskPollerBehavior: { type: 'simple-maximum', maximum: 1 },
  // Otherwise four fifths of the heartbeat timeout pass between two heartbeats.
  maxHeartbeatThrottleInterval: '1s',
} as const;

export interface WorkerOptions {
  readonly connection: NativeConnectionOptions;
  readonly namespace: string;
  readonly configuration: Configuration;
  readonly resolveSecret: (reference: string) => string;
  /** Where golden prompts and their answers are kept on this machine; see `parityDirectories`. */
  readonly parity?: ParityDirectories;
  /** A folder of this machine into which migrations that end are reported; none by default. */
  readonly reportsFolder?: string;
  /** Path of a module that exports `payloadCodecs`; CUTOVER_DATA_CONVERTER when absent, then none. */
  readonly dataConverter?: string;
  /** Windows that can be observed at once by this process; 100 by default. */
  readonly watchSlots?: number;
  /** Effects and external gates at once; 20 by default. One that hangs takes a slot until it times out. */
  readonly effectSlots?: number;
  /** The build that these workers are, which Temporal keeps open runs on; none by default: any worker takes any task. */
  readonly build?: WorkerBuild;
  /** Whether this machine trains models as well, by the Python of `trainingPython`; not by default. */
  readonly trains?: boolean;
  /** Where `/metrics`, `/healthz` and `/readyz` are shown; nowhere when absent. */
  readonly metrics?: ListenAddress;
}

export interface RunningWorker {
  /** `http://HOST:PORT/metrics`; null where none are shown. */
  readonly metricsUrl: string | null;
  /** Resolves when all workers have stopped; rejects when one failed. */
  readonly stopped: Promise<void>;
  /** Asks all to stop and resolves when they have. */
  stop(): Promise<void>;
}

/**
 * Three workers in one process: one for the workflow with applying and verifying, one for everything long, one for
 * effects, so that a rollback never waits for a slot that a watch or a target that hangs holds.
 */
export async function startWorker(options: WorkerOptions): Promise<RunningWorker> {
  const { configuration, parity = parityDirectories() } = options;
  const codec = await loadCodec(options.dataConverter);
  const sdkMetricsUrl = await installRuntime({ metrics: options.metrics !== undefined });
  const tracing = await openWorkerTracing(environment, warn);
  const credentials = await Credentials.open({
    configured: configuration.credentials,
    now: () => performance.now(),
    warn,
  });
  // Each call to a provider asks for its key anew.
  credentials.follow(() => {});
  const resolveSecret = credentials.resolving(options.resolveSecret);
  const metrics = options.metrics === undefined ? undefined : new WorkerMetrics(sdkMetricsUrl);
  const { routing, watch, effects } = createActivities(
    createPorts(
      configuration,
      resolveSecret,
      readDocument,
      parity,
      metrics,
      options.reportsFolder,
      codec?.payloadCodecs,
    ),
  );
  let state = 'it connects to Temporal';
  const listener = await showMetrics(options, metrics, () => (state === SERVING ? null : state));
  const connection = await connect(options.connection).catch(async (error: unknown) => {
    await listener?.stop();
    throw error;
  });
  const shared = {
    connection,
    namespace: options.namespace,
    shutdownGraceTime: SHUTDOWN_GRACE,
    ...(codec === null ? {} : { dataConverter: codec }),
    ...(tracing === null ? {} : { interceptors: tracing.interceptors }),
    ...versioning(options.build),
  } as const;
  const created = Promise.all([
    Worker.create({
      ...shared,
      taskQueue: TASK_QUEUE,
      workflowBundle: builtWorkflows,
      activities: { ...routing },
      ...uncachedWorkflows,
      ...oneTaskAtRisk,
    }),
    Worker.create({
      ...shared,
      taskQueue: WATCH_TASK_QUEUE,
      activities: { ...watch },
      maxConcurrentActivityTaskExecutions: options.watchSlots ?? 100,
      // Otherwise four fifths of an activity's heartbeat timeout: too old to be called its progress.
      maxHeartbeatThrottleInterval: PROGRESS_EVERY,
    }),
    Worker.create({
      ...shared,
      taskQueue: EFFECT_TASK_QUEUE,
      activities: { ...effects },
      maxConcurrentActivityTaskExecutions: options.effectSlots ?? 20,
    }),
    ...(options.trains === true ? [createTrainingWorker(shared)] : []),
  ]);
  const workers = await created.catch(async (error: unknown) => {
    await connection.close().catch(() => undefined);
    await listener?.stop();
    throw error;
  });
  const stop = async (): Promise<void> => {
    state = 'it stops';
    for (const worker of workers) if (worker.getState() === 'RUNNING') worker.shutdown();
    await stopped;
  };
  state = SERVING;
  const stopWatching = watchForOutages({
    address: options.connection.address ?? '127.0.0.1:7233',
    ask: () =>
      connection.withDeadline(Date.now() + TEMPORAL_ANSWERS_WITHIN_MS, () =>
        connection.workflowService.getSystemInfo({}),
      ),
    warn,
    now: () => performance.now(),
  });
  const stopped = runAll(workers, () => {
    state = 'a part of it ended unexpectedly';
  }).finally(async () => {
    stopWatching();
    credentials.stop();
    await tracing?.stop();
    await connection.close().catch(() => undefined);
    await listener?.stop();
  });
  // Whoever started it waits for it; until then its failure is nobody's.
  stopped.catch(() => undefined);
  return { metricsUrl: listener?.url ?? null, stopped, stop };
}

/** Serves fine-tuning alone, which needs no configuration: workflow and activities, one process that trains at a time. */
export async function startTrainingWorker(
  options: Pick<WorkerOptions, 'connection' | 'namespace' | 'dataConverter' | 'build'>,
): Promise<Pick<RunningWorker, 'stopped' | 'stop'>> {
  const codec = await loadCodec(options.dataConverter);
  await installRuntime({ metrics: false });
  const tracing = await openWorkerTracing(environment, warn);
  const connection = await connect(options.connection);
  const { namespace } = options;
  const created = createTrainingWorker({
    connection,
    namespace,
    shutdownGraceTime: SHUTDOWN_GRACE,
    ...(codec === null ? {} : { dataConverter: codec }),
    ...(tracing === null ? {} : { interceptors: tracing.interceptors }),
    ...versioning(options.build),
  });
  const worker = await created.catch(async (error: unknown) => {
    await connection.close().catch(() => undefined);
    throw error;
  });
  const stopped = runAll([worker], () => undefined).finally(async () => {
    await tracing?.stop();
    await connection.close().catch(() => undefined);
  });
  stopped.catch(() => undefined);
  const stop = async (): Promise<void> => {
    if (worker.getState() === 'RUNNING') worker.shutdown();
    await stopped;
  };
  return { stopped, stop };
}

/** The workflow is on this queue too, so that a machine with a GPU takes no decision about traffic. */
function createTrainingWorker(shared: Omit<WorkerSettings, 'taskQueue'>) {
  return Worker.create({
    ...shared,
    taskQueue: TRAINING_TASK_QUEUE,
    workflowBundle: builtWorkflows,
    activities: { ...createTrainingActivities(createTrainer(trainingPython())) },
    maxConcurrentActivityTaskExecutions: 1,
    ...uncachedWorkflows,
    ...oneTaskAtRisk,
  });
}

/** Runs stay on the build that began them until they continue as new: see `continueOnCurrentBuild`. */
function versioning(build: WorkerBuild | undefined): Pick<WorkerSettings, 'workerDeploymentOptions'> {
  if (build === undefined) return {};
  const version = { deploymentName: build.deployment, buildId: build.buildId };
  return {
    workerDeploymentOptions: { version, useWorkerVersioning: true, defaultVersioningBehavior: 'PINNED' },
  };
}

function warn(message: string): void {
  Runtime.instance().logger.warn(message);
}

async function connect(options: NativeConnectionOptions): Promise<NativeConnection> {
  try {
    return await NativeConnection.connect(options);
  } catch (cause) {
    const { address = '127.0.0.1:7233', tls } = options;
    throw TemporalUnreachable.silent(address, await silenceOf(address, tls != null && tls !== false), cause);
  }
}

const SERVING = 'it serves';
const TEMPORAL_ANSWERS_WITHIN_MS = 5_000;

async function showMetrics(
  { metrics: address, configuration, resolveSecret }: WorkerOptions,
  metrics: WorkerMetrics | undefined,
  problem: () => string | null,
): Promise<MetricsListener | null> {
  if (address === undefined || metrics === undefined) return null;
  const { adminToken, metricsToken, adminHosts, tls } = configuration;
  return startMetricsListener({
    address,
    tokens: {
      admin: resolveSecret(adminToken),
      reader: metricsToken === undefined ? null : resolveSecret(metricsToken),
    },
    hosts: adminHosts,
    contentType: metrics.contentType,
    metrics: () => metrics.metrics(),
    problem,
    loginFailed: (failure) => Runtime.instance().logger.warn(failedLoginText(failure)),
    tls: openListenerTls('tls.metrics', tls.metrics, {
      resolveSecret,
      warn,
    }),
  });
}
