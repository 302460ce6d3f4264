import { execFile } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';
import { missingPython } from '../adapters/training-process';
import { TrainingClient } from '../client/training-client';
import { trainingPython } from '../config';
import type { TrainingPlan } from '../core/training/training-plan';
import { trainingPlanSchema } from '../core/training/training-plan-schema';
import { startTrainingWorker } from '../worker';
import { startModel } from './model-process';
import type { ServedModel } from './served-chat';

/** The model that a demo has fine-tuned, running, and questions that it was not trained on. */
export interface FineTunedModel {
  readonly model: ServedModel;
  readonly questions: readonly string[];
}

/** Thrown where the demo cannot train: what is missing, and what installs it. */
class CannotTrain extends Error {
  override readonly name = 'CannotTrain';
}

const MAKER = join(__dirname, '..', '..', '..', 'examples', 'training', 'make-tiny-model.py');
const LOOK_EVERY_MS = 500;
const FIND = `from importlib.util import find_spec
for name in ("cutover_training", "jax", "numpy", "safetensors", "tokenizers", "ml_dtypes"):
    if find_spec(name) is None: raise ModuleNotFoundError(f"No module named {name!r}")`;
/** More than the questions of the tiny model differ in. */
const QUESTIONS = 64;

/** Writes the tiny seeded model and its chats into a folder; throws `CannotTrain` before anything else is started. */
export async function makeTinyModel(folder: string): Promise<void> {
  const python = trainingPython();
  const fail = (error: { code?: unknown; stderr?: string; message: string }): never => {
    const code = typeof error.code === 'string' ? error.code : undefined;
    throw new CannotTrain(missingPython(python, { code, said: error.stderr ?? '' }) ?? error.message);
  };
  // The whole package is looked for: what makes the model needs only a part of it.
  await promisify(execFile)(python, ['-c', FIND]).catch(fail);
  await promisify(execFile)(python, [MAKER, folder]).catch(fail);
}

/**
 * Trains the tiny model in FP8 by the workflow `fineTune`, gated against BF16, and starts what it exported. About half a
 * minute on two cores.
 */
export async function trainDemoModel(
  folder: string,
  temporal: { readonly address: string; readonly namespace: string },
  { say, interrupted }: { readonly say: (line: string) => void; readonly interrupted: AbortSignal },
): Promise<FineTunedModel> {
  const { address, namespace } = temporal;
  const worker = await startTrainingWorker({ connection: { address }, namespace });
  try {
    const client = await TrainingClient.connect({ address, namespace });
    try {
      const plan = demoTrainingPlan(folder);
      await client.start(plan, { by: 'demo', reason: 'scenario fine-tuned' });
      const { path, digest } = await exported(client, plan.name, say, interrupted);
      const model = await startModel(trainingPython(), path);
      if (model.digest !== digest) {
        await model.stop();
        throw new Error(`expected to serve the exported ${digest}, but ${path} holds ${model.digest}`);
      }
      return { model, questions: questionsIn(join(folder, 'evaluation.jsonl')) };
    } finally {
      await client.close();
    }
  } finally {
    await worker.stop();
  }
}

/** As examples/training/train.yaml, with fewer steps: enough that it ends its answers. */
function demoTrainingPlan(folder: string): TrainingPlan {
  return trainingPlanSchema.parse({
    name: 'tiny',
    model: join(folder, 'model'),
    data: join(folder, 'train.jsonl'),
    evaluation: join(folder, 'evaluation.jsonl'),
    runFolder: join(folder, 'run'),
    ...{ recipe: 'fp8-delayed', steps: 80, checkpointEvery: 40, batch: 8, sequenceTokens: 128, seed: 1 },
    ...{ learningRate: 0.003, warmupSteps: 10, weightDecay: 0.01 },
    // So early a loss still falls by several percent per step: a narrower margin would judge chance.
    gate: { steps: 40, margin: '5%' },
  });
}

async function exported(
  client: TrainingClient,
  name: string,
  say: (line: string) => void,
  interrupted: AbortSignal,
): Promise<{ readonly path: string; readonly digest: string }> {
  let shown = 0;
  for (;;) {
    const status = await client.status(name);
    for (const { what, reason } of status.decisions.slice(shown)) {
      say(`  fine-tuning: ${what}${reason === '' ? '' : `: ${reason}`}`);
    }
    shown = status.decisions.length;
    if (status.outcome === 'exported' && status.exported !== null) return status.exported;
    if (status.outcome !== null || status.held !== null) {
      throw new Error(
        `the fine-tuning ended without a model: ${status.held?.reason ?? status.decisions.at(-1)?.reason}`,
      );
    }
    await sleep(LOOK_EVERY_MS, undefined, { signal: interrupted });
  }
}

/** A question and what the model says to it. */
export async function sampleOf({ model, questions: [question = ''] }: FineTunedModel): Promise<string> {
  const said: string[] = [];
  const messages = [{ role: 'user', content: question }];
  await model.ask({ messages, maxTokens: null, temperature: 0 }, (text) => said.push(text));
  return `asked "${question}" it answers "${said.join('')}"`;
}

function questionsIn(file: string): readonly string[] {
  const chats = readFileSync(file, 'utf8').trim().split('\n').slice(0, QUESTIONS);
  return chats.map((line) => {
    const { messages } = JSON.parse(line) as { readonly messages: readonly { readonly content: string }[] };
    return messages[0]?.content ?? '';
  });
}
