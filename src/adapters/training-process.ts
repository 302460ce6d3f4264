import { spawn } from 'node:child_process';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fineTuneMemory } from '../capacity/fine-tune-memory';
import { architectureOf } from '../capacity/model-config';
import type { TrainingProblem } from '../core/training/fine-tune-events';
import type { TrainerAnswer, TrainerPort } from '../ports';

/** The folder of the Python package, in a checkout and in an installed package alike. */
const PACKAGE = join(__dirname, '..', '..', '..', 'training');
const STDERR_KEPT = 2_000;

const KINDS: readonly TrainingProblem['kind'][] = [
  'bad input',
  'no storage',
  'diverged',
  'out of memory',
  'corrupt checkpoint',
];

/** `python` is the interpreter that has the package `cutover-training`. */
export function createTrainer(python: string): TrainerPort {
  return {
    run: (command, job, hooks) => runProcess(python, command, job, hooks),
    memoryNeed: (config, batch) => fineTuneMemory(architectureOf(config, 'config.json'), batch),
  };
}

/** Thrown for a process that ended without a word: killed, or a fault of its own. Another attempt may succeed. */
class TrainingProcessEnded extends Error {
  override readonly name = 'TrainingProcessEnded';
}

function runProcess(
  python: string,
  command: string,
  job: Readonly<Record<string, unknown>>,
  { signal, onStep }: Parameters<TrainerPort['run']>[2],
): Promise<TrainerAnswer> {
  return new Promise((resolve, reject) => {
    // Its standard input stays open: when it closes, because this worker died, the process ends too.
    const child = spawn(python, ['-m', 'cutover_training', command, '--with-parent'], {
      stdio: ['pipe', 'pipe', 'pipe'],
      signal,
      killSignal: 'SIGKILL',
    });
    let answer: TrainerAnswer | null = null;
    let said = '';
    const lines = createInterface({ input: child.stdout });
    const read = new Promise<void>((done) => lines.once('close', () => done()));
    lines.on('line', (line) => {
      const event = eventOf(line);
      if (event?.['event'] === 'step') onStep(event);
      else answer = answerOf(event) ?? answer;
    });
    child.stderr.on('data', (chunk: Buffer) => {
      said = (said + chunk.toString()).slice(-STDERR_KEPT);
    });
    // A process that is gone already says so by its exit.
    child.stdin.on('error', () => undefined);
    child.stdin.write(`${JSON.stringify(job)}\n`);
    child.once('error', (error: NodeJS.ErrnoException) => {
      const message = missingPython(python, { code: error.code, said: '' });
      if (message === null) return reject(error);
      resolve({ problem: { kind: 'bad input', message } });
    });
    child.once('close', (code, byName) => {
      void read.then(() => {
        if (answer !== null && (code === 0 || 'problem' in answer)) return resolve(answer);
        const message = missingPython(python, { code: undefined, said });
        if (message !== null) return resolve({ problem: { kind: 'bad input', message } });
        const how = byName === null ? `with exit code ${code}` : `by ${byName}`;
        const last = said.trim().split('\n').at(-1) ?? '';
        reject(
          new TrainingProcessEnded(`the training process ended ${how}${last === '' ? '' : `: ${last}`}`),
        );
      });
    });
  });
}

const LACKS = /No module named '?(cutover_training|jax|jaxlib|numpy|safetensors|tokenizers|ml_dtypes)\b/;

/** What is missing, and the command that installs it, where a Python could not run what it was asked to; else null. */
export function missingPython(
  python: string,
  { code, said }: { readonly code: string | undefined; readonly said: string },
): string | null {
  const lacks = LACKS.exec(said);
  const isAbsent = code === 'ENOENT' || code === 'EACCES';
  if (!isAbsent && lacks === null) return null;
  const what = isAbsent ? `there is no ${python} that can be run` : `${python} has no ${lacks?.[1]}`;
  return (
    `expected Python 3.11 or later with the package cutover-training, but ${what}. ` +
    `Install it: python3 -m pip install -e ${PACKAGE}; CUTOVER_TRAINING_PYTHON names another python`
  );
}

function eventOf(line: string): Readonly<Record<string, unknown>> | null {
  try {
    const event: unknown = JSON.parse(line);
    return typeof event === 'object' && event !== null ? (event as Record<string, unknown>) : null;
  } catch {
    // Libraries may print to standard output.
    return null;
  }
}

function answerOf(event: Readonly<Record<string, unknown>> | null): TrainerAnswer | null {
  if (event?.['event'] === 'result') return { result: event };
  if (event?.['event'] !== 'error') return null;
  const kind = KINDS.find((known) => known === event['kind']);
  return kind === undefined ? null : { problem: { kind, message: String(event['message']) } };
}
