import { execFile } from 'node:child_process';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';
import { TrainingClient } from '../../../src/client/training-client';
import type { TrainingCheckpoint } from '../../../src/core/training/fine-tune-state';
import type { TrainingStatus } from '../../../src/core/training/fine-tune-status';
import type { TrainingPlan } from '../../../src/core/training/training-plan';
import type { RunningTemporal } from '../../../src/temporal-server/dev-server';
import { built, type CliResult, runCli } from '../cli';
import { startTestTemporal } from '../migrations/migration-fixture';
import { type NodeProcess, startNode } from '../node-process';
import { type TrainingPython, trainingPython } from '../servers/training-python';
import { trainingPlan } from './training-builders';

const WAIT_MS = 10 * 60_000;

/** Temporal, a worker of the built program that may be killed, and the tiny model of the examples. */
export interface TrainingStage {
  readonly client: TrainingClient;
  readonly temporal: RunningTemporal;
  readonly trainer: TrainingPython;
  readonly folder: string;
  /** Starts another one after the old was killed. */
  startWorker(): Promise<NodeProcess>;
  worker(): NodeProcess;
  /** A plan of 8 small steps with a checkpoint every 2. */
  plan(changes: Partial<TrainingPlan> & { readonly name: string }): TrainingPlan;
  start(plan: TrainingPlan): Promise<void>;
  until(name: string, wanted: (status: TrainingStatus) => boolean): Promise<TrainingStatus>;
  cli(...args: string[]): Promise<CliResult>;
  stop(): Promise<void>;
}

export async function startTrainingStage(): Promise<TrainingStage> {
  const folder = mkdtempSync(join(tmpdir(), 'training-'));
  const trainer = await trainingPython();
  const temporal = await startTestTemporal();
  await promisify(execFile)(trainer.python, [
    join(__dirname, '..', '..', '..', 'examples', 'training', 'make-tiny-model.py'),
    folder,
  ]);
  const env = {
    ...trainer.env,
    TEMPORAL_ADDRESS: temporal.address,
    CUTOVER_TRAINING_PYTHON: trainer.python,
    JAX_COMPILATION_CACHE_DIR: join(folder, 'compiled'),
    JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS: '0',
  };
  let worker: NodeProcess;
  const startWorker = async () => {
    const cli = built('src', 'cli', 'main.js');
    worker = await startNode([cli, 'train', 'worker'], {
      env,
      cwd: folder,
      ready: 'training worker: serving',
    });
    return worker;
  };
  await startWorker();
  const client = await TrainingClient.connect({ address: temporal.address });
  const until: TrainingStage['until'] = async (name, wanted) => {
    for (const endMs = Date.now() + WAIT_MS; ; await sleep(200)) {
      const status = await client.status(name).catch(() => null);
      if (status !== null && wanted(status)) return status;
      if (Date.now() > endMs)
        throw new Error(`waited in vain: ${JSON.stringify(status)}\n${worker.output()}`);
    }
  };
  return {
    ...{ client, temporal, trainer, folder, startWorker, until },
    worker: () => worker,
    plan: (changes) =>
      trainingPlan({
        model: join(folder, 'model'),
        tokenizer: join(folder, 'model', 'tokenizer.json'),
        data: join(folder, 'train.jsonl'),
        evaluation: join(folder, 'evaluation.jsonl'),
        runFolder: join(folder, changes.name),
        exportFolder: join(folder, changes.name, 'export'),
        ...{ batch: 4, microBatch: 4, sequenceTokens: 96, learningRate: 0.003, seed: 1 },
        ...{ steps: 8, checkpointEvery: 2 },
        // So few steps say nothing of the recipes; what is judged here is that it is judged.
        gate: { steps: 2, margin: 0.5, confidence: 0.95 },
        ...changes,
      }),
    start: async (plan) => {
      await client.start(plan, { by: 'test', reason: 'a test' });
    },
    cli: (...args) => runCli(args, { env: { TEMPORAL_ADDRESS: temporal.address }, cwd: folder }),
    stop: async () => {
      await client.close();
      await worker.end();
      await temporal.stop();
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

/** The lines of every step that led to a checkpoint, as they were written. */
export function curveTo(all: readonly TrainingCheckpoint[], last: TrainingCheckpoint): string[] {
  const before = last.parent === null ? [] : curveTo(all, all[last.parent - 1] as TrainingCheckpoint);
  const lines = readFileSync(join(last.path, 'metrics.jsonl'), 'utf8').trim().split('\n');
  return [...before, ...lines];
}

/** The processes that a process has started, by their ids. */
export function childrenOf(pid: number): number[] {
  const path = `/proc/${pid}/task`;
  if (!existsSync(path)) return [];
  return readdirSync(path).flatMap((task) => {
    const file = join(path, task, 'children');
    return existsSync(file) ? readFileSync(file, 'utf8').trim().split(' ').filter(Boolean).map(Number) : [];
  });
}

/** All checkpoints of a training, and the last one of its main lane. */
export async function lastOf(
  stage: TrainingStage,
  name: string,
): Promise<{ all: readonly TrainingCheckpoint[]; last: TrainingCheckpoint }> {
  const all = await stage.client.checkpoints(name);
  return { all, last: all.findLast(({ lane }) => lane === 'main') as TrainingCheckpoint };
}
