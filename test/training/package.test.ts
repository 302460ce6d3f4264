import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { type TrainingPython, trainingPython } from '../support/servers/training-python';

const MINUTES_MS = 60_000;
let trainer: TrainingPython;

beforeAll(async () => {
  trainer = await trainingPython();
}, 15 * MINUTES_MS);

it(
  'passes its own tests: gradients, rounding, repetition bit for bit, bad input',
  async () => {
    const { python, env } = trainer;
    // The slow ones train whole runs twice, as the tests of the workflow do; `npm run test:long` has them.
    const chosen = process.env['CUTOVER_LONG_TESTS'] === undefined ? ['-m', 'not slow'] : [];
    const args = ['-m', 'pytest', '-q', '-p', 'no:cacheprovider', ...chosen];
    const done = await promisify(execFile)(python, args, {
      cwd: join(__dirname, '..', '..', 'training'),
      env: { ...process.env, ...env },
      maxBuffer: 16 * 1024 * 1024,
    }).catch((error: { stdout: string; stderr: string }) => error);
    // The whole report where it is not so.
    expect(`${done.stdout}${done.stderr}`).toMatch(/^\d+ passed(, \d+ deselected)? in [^\n]*\n$/m);
  },
  20 * MINUTES_MS,
);
