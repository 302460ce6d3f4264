import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { TrainingPlan } from '../../src/core/training/training-plan';
import { ofFile } from '../support/of-file';
import { childrenOf, curveTo, lastOf, startTrainingStage } from '../support/training/training-stage';

const MINUTES_MS = 60_000;

const stage = ofFile(startTrainingStage, 15 * MINUTES_MS);

/** What one process makes of a plan that nothing disturbs. */
function undisturbed(plan: TrainingPlan): { lines: string[]; digest: string } {
  const { gate, divergence, rehearse, memoryBytes, ...fields } = plan;
  const job = {
    ...fields,
    accumulation: 1,
    gradientNormMost: divergence.gradientNorm,
    saturationMost: divergence.saturation,
    runFolder: `${plan.runFolder}-undisturbed`,
    toStep: plan.steps,
  };
  const { python, env } = stage().trainer;
  const said = execFileSync(python, ['-m', 'cutover_training', 'train'], {
    input: `${JSON.stringify(job)}\n`,
    env: { ...process.env, ...env, JAX_COMPILATION_CACHE_DIR: join(stage().folder, 'compiled') },
  });
  const last = JSON.parse(said.toString().trim().split('\n').at(-1) as string) as {
    checkpoint: { path: string; digest: string };
  };
  const { path } = last.checkpoint;
  const lines = readFileSync(join(path, 'metrics.jsonl'), 'utf8').trim().split('\n');
  return { lines, digest: sha256(join(path, 'state.safetensors')) };
}

const sha256 = (file: string) => createHash('sha256').update(readFileSync(file)).digest('hex');
const isTraining = ({ doing }: { doing: string }) => doing.startsWith('training');

it(
  'gives the loss curve of an undisturbed run, bit for bit, though process and worker are killed, and exports it',
  async () => {
    const plan = stage().plan({ name: 'killed' });
    await stage().start(plan);
    await stage().until('killed', isTraining);
    let killed = 0;
    for (const endMs = Date.now() + MINUTES_MS; killed < 2 && Date.now() < endMs; await sleep(300)) {
      const [child] = childrenOf(stage().worker().pid);
      if (child === undefined) continue;
      process.kill(child, 'SIGKILL');
      killed += 1;
      await sleep(1_500);
    }
    expect(killed).toBe(2);
    await stage().until('killed', ({ step }) => step >= 2);
    await stage().worker().end('SIGKILL');
    await stage().startWorker();
    const status = await stage().until('killed', ({ outcome }) => outcome !== null);
    expect(status).toMatchObject({ outcome: 'exported', step: 8 });
    expect(status.verdicts.map(({ about, outcome }) => `${about}: ${outcome}`)).toEqual([
      'trained: pass',
      'served: pass',
    ]);
    const { all, last } = await lastOf(stage(), 'killed');
    const expected = undisturbed(plan);
    expect(curveTo(all, last)).toEqual(expected.lines);
    expect(sha256(join(last.path, 'state.safetensors'))).toBe(expected.digest);
    // What `sha256sum` says of the served files is what is reported.
    const files = ['config.json', 'model.safetensors', 'tokenizer.json'];
    const listed = files.map((name) => `${sha256(join(plan.exportFolder, name))}  ${name}\n`).join('');
    expect(status.exported?.digest).toBe(`sha256:${createHash('sha256').update(listed).digest('hex')}`);
    // Measured beside planned: what lives for a whole step is known beforehand.
    const { planned, measured } = status.memory as NonNullable<typeof status.memory>;
    expect(measured?.liveBytes).toBeGreaterThan(0.95 * planned.stateBytes);
    expect(measured?.liveBytes).toBeLessThan(1.05 * planned.stateBytes);
  },
  15 * MINUTES_MS,
);

it(
  'is paused, sent back, resumed and stopped by the command line, which shows all of it',
  async () => {
    await stage().start(stage().plan({ name: 'steered', recipe: 'bf16', steps: 40 }));
    await stage().until('steered', ({ step }) => step >= 2);
    expect(await stage().cli('train', 'pause', 'steered', '--by', 'ana', '--reason', 'lunch')).toMatchObject({
      code: 0,
      stdout: 'steered: pause accepted\n',
    });
    const paused = await stage().until('steered', ({ doing }) => doing.startsWith('waiting: paused by ana'));
    expect(paused.step).toBeGreaterThanOrEqual(2);
    expect(childrenOf(stage().worker().pid)).toEqual([]);
    const again = await stage().cli('train', 'pause', 'steered');
    expect(again).toMatchObject({ code: 3 });
    expect(again.stderr).toContain('has paused it already');
    const unknown = await stage().cli('train', 'back', 'steered', '--to', '99');
    expect(unknown.code).toBe(3);
    expect(unknown.stderr).toContain('expected a checkpoint of the model (1');
    expect(await stage().cli('train', 'back', 'steered', '--to', '1')).toMatchObject({ code: 0 });
    expect(JSON.parse((await stage().cli('train', 'status', 'steered', '--json')).stdout)).toMatchObject({
      step: 2,
      outcome: null,
    });
    expect(await stage().cli('train', 'resume', 'steered')).toMatchObject({ code: 0 });
    await stage().until('steered', ({ step }) => step >= 4);
    expect(await stage().cli('train', 'stop', 'steered', '--reason', 'enough')).toMatchObject({ code: 0 });
    const watched = await stage().cli('train', 'watch', 'steered');
    expect(watched.code).toBe(5);
    expect(watched.stdout).toContain('stopped: enough');
    // The same steps from the same checkpoint: the same digest.
    const all = await stage().client.checkpoints('steered');
    const seconds = all.filter(({ step }) => step === 4).map(({ digest }) => digest);
    expect(new Set(seconds).size).toBe(1);
    const table = (await stage().cli('train', 'checkpoints', 'steered')).stdout;
    expect(table.split('\n')).toHaveLength(all.length + 2);
    expect(childrenOf(stage().worker().pid)).toEqual([]);
  },
  15 * MINUTES_MS,
);

it(
  'says what is wrong with its input to whoever starts it, before anything is trained',
  async () => {
    const plan = { name: 'bad', model: 'model', data: 'bad.jsonl', evaluation: 'evaluation.jsonl', steps: 4 };
    writeFileSync(
      join(stage().folder, 'bad.jsonl'),
      '{"messages":[{"role":"assistant","content":"a"}]}\n{"mess\n',
    );
    writeFileSync(
      join(stage().folder, 'bad.yaml'),
      JSON.stringify({ ...plan, sequenceTokens: 64, runFolder: 'bad' }),
    );
    const started = await stage().cli('train', '--plan', 'bad.yaml');
    expect(started.code).toBe(2);
    expect(started.stderr).toMatch(/nothing was trained: data: \S+bad.jsonl line 2 is not JSON/);
    const large = { ...plan, name: 'large', data: 'train.jsonl', sequenceTokens: 64, memory: '2MiB' };
    writeFileSync(join(stage().folder, 'large.yaml'), JSON.stringify({ ...large, runFolder: 'large' }));
    const refused = await stage().cli('train', '--plan', 'large.yaml');
    expect(refused.code).toBe(2);
    expect(refused.stderr).toContain('the plan does not fit');
    const nobody = await stage().cli('train', 'status', 'nobody');
    expect(nobody.code).toBe(2);
    expect(nobody.stderr).toContain('expected a fine-tuning named "nobody"');
  },
  5 * MINUTES_MS,
);
