import { execFile, execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { parseArgs, promisify } from 'node:util';
import { TrainingClient } from '../src/client/training-client';
import { cacheDirectory, environment, trainingPython } from '../src/config';
import type { TrainingCheckpoint } from '../src/core/training/fine-tune-state';
import type { TrainingPlan } from '../src/core/training/training-plan';
import { trainingPlanSchema } from '../src/core/training/training-plan-schema';
import { type RunningTemporal, startTemporalServer } from '../src/temporal-server/dev-server';
import { freePorts } from '../src/temporal-server/free-port';
import { findTemporal } from '../src/temporal-server/temporal-source';
import { Child } from './child';
import { Random } from './random';
import { CLI } from './stack-programs';

const HELP = `Usage: npm run chaos:training -- [options]

Fine-tunes the tiny model of the examples, kills the training process, the worker and Temporal at random moments, and
compares every line of the loss curve and the last state with those of a run that nothing disturbed. Needs Linux and
CUTOVER_TRAINING_PYTHON, a Python with the package of training/.

Options:
  --kills <number>  how many (default: 20); of twenty, fourteen hit the process, three the worker, three Temporal
  --steps <number>  of the optimizer (default: 200), a checkpoint every 10
  --gap <seconds>   a kill comes at most this long after a process was started (default: 6); more on a busy machine
  --seed <number>   decides what is killed when (default: 1)
  -h, --help        display this

Exit code 1: a difference, or the job ended before all kills; 2: bad input.
`;

const EVERY = 10;
const READY_MS = 60_000;
const WAIT_MS = 20 * 60_000;
const MAKER = join(__dirname, '..', '..', 'examples', 'training', 'make-tiny-model.py');
const TARGETS = ['process', 'worker', 'temporal'] as const;

/** What runs, and may be killed. */
interface Stage {
  readonly folder: string;
  readonly executable: string;
  readonly port: number;
  temporal: RunningTemporal;
  worker: Child;
}

async function main(args: readonly string[]): Promise<number> {
  const { values } = parseArgs({
    args: [...args],
    options: {
      ...{ kills: { type: 'string' }, steps: { type: 'string' }, seed: { type: 'string' } },
      gap: { type: 'string' },
      help: { type: 'boolean', short: 'h' },
    },
  });
  if (values.help === true) {
    process.stdout.write(HELP);
    return 0;
  }
  const [kills, steps, seed] = [whole(values.kills, 20), whole(values.steps, 200), whole(values.seed, 1)];
  const gapMs = whole(values.gap, 6) * 1_000;
  const folder = mkdtempSync(join(tmpdir(), 'training-kills-'));
  await promisify(execFile)(trainingPython(), [MAKER, folder]);
  const plan = trainingPlanSchema.parse({
    name: 'killed',
    model: join(folder, 'model'),
    data: join(folder, 'train.jsonl'),
    evaluation: join(folder, 'evaluation.jsonl'),
    runFolder: join(folder, 'run'),
    ...{ steps, checkpointEvery: EVERY, sequenceTokens: 96, batch: 4, learningRate: 0.003, seed: 1 },
    // What is judged here is what survives, not what was learned.
    gate: { steps: EVERY, margin: '50%' },
  });
  say('the same run without any disturbance');
  const expected = undisturbed(plan);
  const stage = await startStage(folder);
  try {
    const all = await disturbed(stage, plan, kills, { gapMs, random: new Random(seed) });
    const last = all.findLast(({ lane }) => lane === 'main') as TrainingCheckpoint;
    const lines = curveTo(all, last);
    const different = expected.lines.filter((line, at) => line !== lines[at]).length;
    const isSame = sha256(join(last.path, 'state.safetensors')) === expected.state;
    say(
      `${lines.length} lines of ${expected.lines.length}, ${different} of them differ; the last state is ${isSame ? 'the same' : 'another'}`,
    );
    return different === 0 && lines.length === expected.lines.length && isSame ? 0 : 1;
  } finally {
    await stage.worker.end('SIGKILL');
    await stage.temporal.stop();
    rmSync(folder, { recursive: true, force: true });
  }
}

/** Runs a job to its end while parts of it are killed, and returns everything that it saved. */
async function disturbed(
  stage: Stage,
  plan: TrainingPlan,
  kills: number,
  { gapMs, random }: { readonly gapMs: number; readonly random: Random },
): Promise<readonly TrainingCheckpoint[]> {
  const left = Array.from({ length: kills }, (_, at) => TARGETS[at % 20 < 14 ? 0 : at % 20 < 17 ? 1 : 2]);
  const order = left.map((target) => ({ target, at: random.next() })).sort((a, b) => a.at - b.at);
  await ask(stage, (client) => client.start(plan, { by: 'chaos', reason: 'to be killed' }));
  let step = 0;
  for (const { target = 'process' } of order) {
    await saved(stage, plan.name, step + EVERY * random.whole(0, 1));
    const pid = await trainingPid(stage);
    await sleep(random.whole(0, gapMs));
    if (target === 'process') process.kill(childOf(stage) ?? pid, 'SIGKILL');
    else if (target === 'worker') {
      await stage.worker.end('SIGKILL');
      stage.worker = await startWorker(stage);
    } else {
      process.kill(stage.temporal.pid, 'SIGKILL');
      await stage.temporal.ended;
      stage.temporal = await startTemporal(stage);
    }
    const status = await ask(stage, (client) => client.status(plan.name));
    say(`killed the ${target}; ${status.step} of ${plan.steps} steps are saved`);
    if (status.step < step) throw new Error(`expected at least the ${step} steps that were saved before`);
    if (status.outcome !== null) throw new Error('the job ended before all kills: more --steps are needed');
    step = status.step;
  }
  for (const endMs = Date.now() + WAIT_MS; Date.now() < endMs; await sleep(1_000)) {
    const { outcome, held } = await ask(stage, (client) => client.status(plan.name));
    if (outcome === 'exported') return ask(stage, (client) => client.checkpoints(plan.name));
    if (outcome !== null || held !== null)
      throw new Error(`expected a model, got ${outcome ?? held?.reason}`);
  }
  throw new Error('the job did not come to its end');
}

/** Waits until `steps` steps are saved. */
async function saved(stage: Stage, name: string, steps: number): Promise<void> {
  for (const endMs = Date.now() + WAIT_MS; Date.now() < endMs; await sleep(250)) {
    const { step, outcome } = await ask(stage, (client) => client.status(name));
    if (step >= steps || outcome !== null) return;
  }
  throw new Error(`waited in vain for ${steps} steps`);
}

/** What one process makes of a plan. */
function undisturbed(plan: TrainingPlan): { readonly lines: readonly string[]; readonly state: string } {
  const { gate: _gate, divergence, rehearse: _rehearse, memoryBytes: _memory, ...fields } = plan;
  const job = {
    ...fields,
    accumulation: plan.batch / plan.microBatch,
    gradientNormMost: divergence.gradientNorm,
    saturationMost: divergence.saturation,
    runFolder: `${plan.runFolder}-undisturbed`,
    toStep: plan.steps,
  };
  const said = execFileSync(trainingPython(), ['-m', 'cutover_training', 'train'], {
    input: `${JSON.stringify(job)}\n`,
    maxBuffer: 64 * 1024 * 1024,
    stdio: ['pipe', 'pipe', 'ignore'],
  });
  const { checkpoint } = JSON.parse(said.toString().trim().split('\n').at(-1) as string) as {
    readonly checkpoint: { readonly path: string };
  };
  return { lines: linesOf(checkpoint.path), state: sha256(join(checkpoint.path, 'state.safetensors')) };
}

async function startStage(folder: string): Promise<Stage> {
  const source = await findTemporal({ env: environment, cacheDir: cacheDirectory(), report: say });
  if (source.kind === 'address')
    throw new Error('expected a Temporal of its own to kill: unset TEMPORAL_ADDRESS');
  const [port = 0] = await freePorts('127.0.0.1', 1);
  const given = { folder, executable: source.path, port };
  const temporal = await startTemporal(given);
  return { ...given, temporal, worker: await startWorker(given) };
}

function startTemporal({ folder, executable, port }: Pick<Stage, 'folder' | 'executable' | 'port'>) {
  return startTemporalServer({
    executable,
    dbFilename: join(folder, 'temporal.db'),
    port,
    searchAttributes: {},
  });
}

async function startWorker({ folder, port }: Pick<Stage, 'folder' | 'port'>): Promise<Child> {
  const { PYTHONPATH = '' } = process.env;
  const worker = new Child({
    command: process.execPath,
    args: [CLI, 'train', 'worker'],
    env: {
      ...{ PYTHONPATH, TEMPORAL_ADDRESS: `127.0.0.1:${port}` },
      CUTOVER_TRAINING_PYTHON: trainingPython(),
    },
    ...{ cwd: folder, ready: 'training worker: serving', log: join(folder, 'worker.log') },
  });
  await worker.untilReady(READY_MS);
  return worker;
}

/** Asks until it is answered: what was killed comes back. */
async function ask<T>({ port }: Stage, question: (client: TrainingClient) => Promise<T>): Promise<T> {
  for (const endMs = Date.now() + WAIT_MS; ; await sleep(500)) {
    try {
      const client = await TrainingClient.connect({ address: `127.0.0.1:${port}` });
      try {
        return await question(client);
      } finally {
        await client.close();
      }
    } catch (error) {
      if (Date.now() > endMs) throw error;
    }
  }
}

async function trainingPid(stage: Stage): Promise<number> {
  for (const endMs = Date.now() + WAIT_MS; Date.now() < endMs; await sleep(50)) {
    const pid = childOf(stage);
    if (pid !== null) return pid;
  }
  throw new Error('no training process was started');
}

/** The process that the worker has started, null while there is none. */
function childOf({ worker: { pid } }: Stage): number | null {
  const tasks = `/proc/${pid}/task`;
  const ids = readdirSync(tasks).flatMap((task) => {
    const file = join(tasks, task, 'children');
    return existsSync(file) ? readFileSync(file, 'utf8').trim().split(' ').filter(Boolean).map(Number) : [];
  });
  return ids[0] ?? null;
}

/** The lines of every step that led to a checkpoint. */
function curveTo(
  all: readonly TrainingCheckpoint[],
  { parent, path }: TrainingCheckpoint,
): readonly string[] {
  const before = parent === null ? [] : curveTo(all, all[parent - 1] as TrainingCheckpoint);
  return [...before, ...linesOf(path)];
}

function linesOf(checkpoint: string): readonly string[] {
  return readFileSync(join(checkpoint, 'metrics.jsonl'), 'utf8').trim().split('\n');
}

function sha256(file: string): string {
  return createHash('sha256').update(readFileSync(file)).digest('hex');
}

function whole(given: string | undefined, fallback: number): number {
  const number = Number(given ?? fallback);
  if (Number.isSafeInteger(number) && number > 0) return number;
  process.stderr.write(`expected a whole number above 0, got "${given}"\n`);
  process.exit(2);
}

function say(line: string): void {
  process.stdout.write(`${line}\n`);
}

main(process.argv.slice(2)).then(
  (code) => {
    process.exitCode = code;
  },
  (error: unknown) => {
    say(error instanceof Error ? (error.stack ?? error.message) : String(error));
    process.exitCode = 1;
  },
);
