import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createTrainer } from '../../src/adapters/training-process';

const HOOKS = { signal: new AbortController().signal, onStep: () => undefined };

function scripted(script: string): { python: string; remove: () => void } {
  const folder = mkdtempSync(join(tmpdir(), 'python-'));
  const python = join(folder, 'python3');
  writeFileSync(python, `#!/bin/sh\n${script}\n`);
  chmodSync(python, 0o755);
  return { python, remove: () => rmSync(folder, { recursive: true, force: true }) };
}

it('says how Python is installed where there is none', async () => {
  const answer = await createTrainer('/nowhere/python3').run('check', {}, HOOKS);
  expect(answer).toEqual({
    problem: {
      kind: 'bad input',
      message: expect.stringMatching(
        /^expected Python 3.11 .* there is no \/nowhere\/python3 .*Install it: python3 -m pip install -e \S+training;/,
      ),
    },
  });
});

it('says how the package is installed where Python has none', async () => {
  // Any program that says what Python says; it reads nothing, which must not matter.
  const { python, remove } = scripted(
    'echo "/usr/bin/python3: No module named cutover_training" >&2; exit 1',
  );
  const answer = await createTrainer(python).run('check', { much: 'x'.repeat(1_000_000) }, HOOKS);
  remove();
  expect(answer).toMatchObject({ problem: { message: expect.stringContaining('has no cutover_training') } });
});

it('reads steps and result among what libraries print', async () => {
  const { python, remove } = scripted(
    'echo "warming up"; echo \'{"event":"step","step":1}\'; echo \'{"event":"result","path":"/a"}\'',
  );
  const steps: unknown[] = [];
  const answer = await createTrainer(python).run(
    'train',
    {},
    { ...HOOKS, onStep: (step) => steps.push(step) },
  );
  remove();
  expect(steps).toEqual([{ event: 'step', step: 1 }]);
  expect(answer).toEqual({ result: { event: 'result', path: '/a' } });
});

it.each([
  ['echo "Traceback" >&2; echo "ValueError: odd" >&2; exit 1', 'exit code 1: ValueError: odd'],
  ['kill -9 $$', 'by SIGKILL'],
  // A later release may say more; a result that was cut short is none.
  ['echo \'{"event":"result"\'; exit 0', 'exit code 0'],
  ['echo \'{"event":"error","kind":"new kind","message":"x"}\'; exit 9', 'exit code 9'],
])('throws for a process that ends by `%s`', async (script, expected) => {
  const { python, remove } = scripted(script);
  await expect(createTrainer(python).run('train', {}, HOOKS)).rejects.toThrow(expected);
  remove();
});

it('ends the process when it is cancelled', async () => {
  const { python, remove } = scripted('exec sleep 600');
  const stopping = new AbortController();
  const running = createTrainer(python).run('train', {}, { ...HOOKS, signal: stopping.signal });
  stopping.abort();
  await expect(running).rejects.toThrow('aborted');
  remove();
});
