import { WorkflowNotFoundError, WorkflowUpdateFailedError } from '@temporalio/client';
import { WorkflowExecutionAlreadyStartedError } from '@temporalio/common';
import { environment } from '../config';
import { FINE_TUNE_WORKFLOW, TRAINING_QUERIES, TRAINING_TASK_QUEUE, trainingWorkflowIdOf } from '../contract';
import type { TrainingCommandName } from '../core/training/fine-tune-command';
import type { FineTuneInput, TrainingCheckpoint } from '../core/training/fine-tune-state';
import type { TrainingStatus } from '../core/training/fine-tune-status';
import type { TrainingPlan } from '../core/training/training-plan';
import { CommandRefused } from './errors';
import { type ConnectOptions, isNotFound, TemporalService, WorkerSilent } from './temporal-service';

const QUERY_WAIT_MS = 10_000;
const UPDATE_WAIT_MS = 10_000;
const TASK_TIMEOUT = '10s';

/** Thrown when Temporal knows no fine-tuning of the name. */
class NoTraining extends Error {
  override readonly name = 'NoTraining';
  constructor(readonly job: string) {
    super(
      `expected a fine-tuning named "${job}", but Temporal knows none: start it with \`cutover train --plan\``,
    );
  }
}

/** Thrown by a second start under one name. */
class TrainingAlreadyRuns extends Error {
  override readonly name = 'TrainingAlreadyRuns';
  constructor(readonly job: string) {
    super(
      `expected no open fine-tuning named "${job}", but one is running: \`cutover train stop ${job}\` ends it`,
    );
  }
}

/** Thrown when no worker that trains answers. */
class NoTrainingWorker extends Error {
  override readonly name = 'NoTrainingWorker';
  constructor(address: string) {
    super(
      `no worker that trains answers at ${address}. Start one with \`cutover train worker\`, \`cutover worker --trains\` or \`cutover up\``,
    );
  }
}

/** Starts, steers and shows fine-tunings. */
export class TrainingClient {
  private constructor(private readonly service: TemporalService) {}

  /** Connects to Temporal by the TEMPORAL_* variables or profile, or by `options`; throws `TemporalUnreachable`. */
  static async connect(options: ConnectOptions = {}): Promise<TrainingClient> {
    return new TrainingClient(await TemporalService.connect(options, environment));
  }

  /** Throws `TrainingAlreadyRuns`, or `NoTrainingWorker` where nothing would begin it. */
  async start(plan: TrainingPlan, asked: { readonly by: string; readonly reason: string }): Promise<string> {
    if (!(await this.service.arePolled([TRAINING_TASK_QUEUE])))
      throw new NoTrainingWorker(this.service.address);
    const at = new Date()
      .toISOString()
      .replace(/[-:]|\.\d+/g, '')
      .toLowerCase();
    const input: FineTuneInput = { trainingId: `${plan.name}-${at}`, plan, ...asked };
    try {
      await this.service.ask(() =>
        this.service.workflows.start(FINE_TUNE_WORKFLOW, {
          workflowId: trainingWorkflowIdOf(plan.name),
          taskQueue: TRAINING_TASK_QUEUE,
          args: [input],
          workflowTaskTimeout: TASK_TIMEOUT,
          workflowIdReusePolicy: 'ALLOW_DUPLICATE',
          workflowIdConflictPolicy: 'FAIL',
          staticSummary: `Fine-tune ${plan.name}: ${plan.steps} steps in ${plan.recipe}`,
        }),
      );
    } catch (error) {
      if (!(error instanceof WorkflowExecutionAlreadyStartedError)) throw error;
      throw new TrainingAlreadyRuns(plan.name);
    }
    return input.trainingId;
  }

  status(name: string): Promise<TrainingStatus> {
    return this.query(name, TRAINING_QUERIES.status);
  }

  checkpoints(name: string): Promise<readonly TrainingCheckpoint[]> {
    return this.query(name, TRAINING_QUERIES.checkpoints);
  }

  /** Sends a command and waits for its answer; throws `CommandRefused`. */
  async command(
    name: string,
    command: TrainingCommandName,
    payload: Readonly<Record<string, unknown>>,
  ): Promise<void> {
    await this.known(name, async () => {
      try {
        await this.service.askWorker(
          () => this.handle(name).executeUpdate(command, { args: [payload] }),
          UPDATE_WAIT_MS,
        );
      } catch (error) {
        if (!(error instanceof WorkflowUpdateFailedError)) throw error;
        throw new CommandRefused(command, error.cause?.message ?? error.message);
      }
    });
  }

  close(): Promise<void> {
    return this.service.close();
  }

  private handle(name: string) {
    return this.service.workflows.getHandle(trainingWorkflowIdOf(name));
  }

  private query<Answer>(name: string, query: string): Promise<Answer> {
    return this.known(name, () =>
      this.service.askWorker(() => this.handle(name).query<Answer>(query), QUERY_WAIT_MS),
    );
  }

  private async known<T>(name: string, work: () => Promise<T>): Promise<T> {
    try {
      return await work();
    } catch (error) {
      if (error instanceof WorkerSilent) throw new NoTrainingWorker(this.service.address);
      if (error instanceof WorkflowNotFoundError || isNotFound(error)) throw new NoTraining(name);
      throw error;
    }
  }
}
