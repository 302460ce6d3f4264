import { truncateSync } from 'node:fs';
import { join } from 'node:path';
import { ofFile } from '../support/of-file';
import { curveTo, lastOf, startTrainingStage } from '../support/training/training-stage';

const MINUTES_MS = 60_000;

const stage = ofFile(startTrainingStage, 15 * MINUTES_MS);

it(
  'halves the batch when memory does not suffice, and undoes a planted overflow with a safer recipe',
  async () => {
    const linear = 'model.layers.1.mlp.down_proj';
    const plan = stage().plan({ name: 'planted', steps: 6, rehearse: { linear, step: 3, factor: 64 } });
    // For two sequences at once, not for four.
    await stage().start({ ...plan, memoryBytes: 16_000_000 });
    const status = await stage().until('planted', ({ outcome, held }) => outcome !== null || held !== null);
    expect(status).toMatchObject({ outcome: 'exported', recipe: 'fp8-current', microBatch: 2 });
    const what = status.decisions.map((decision) => decision.what);
    expect(status.decisions[1]?.reason).toContain('micro-batch 2 instead of 4, accumulated 2 times');
    expect(what).toContain('back to checkpoint 1 (step 2), continuing with fp8-current');
    const named = status.decisions.find((decision) => decision.what.startsWith('back to'));
    expect(named?.reason).toContain(`of the input of ${linear} is beyond its FP8 format`);
    const { all, last } = await lastOf(stage(), 'planted');
    const recipes = curveTo(all, last).map((line) => (JSON.parse(line) as { recipe: string }).recipe);
    expect(recipes).toEqual(['fp8-delayed', 'fp8-delayed', ...Array(4).fill('fp8-current')]);
  },
  15 * MINUTES_MS,
);

it(
  'goes back to the checkpoint before one that was cut short on disk',
  async () => {
    await stage().start(stage().plan({ name: 'cut', recipe: 'bf16', steps: 10 }));
    await stage().until('cut', ({ step }) => step >= 4);
    await stage().cli('train', 'pause', 'cut');
    await stage().until('cut', ({ doing }) => doing.startsWith('waiting'));
    const { last } = await lastOf(stage(), 'cut');
    truncateSync(join(last.path, 'state.safetensors'), 1_000);
    await stage().cli('train', 'resume', 'cut');
    const status = await stage().until('cut', ({ outcome, held }) => outcome !== null || held !== null);
    expect(status.outcome).toBe('exported');
    expect(status.decisions.map(({ what }) => what)).toContain(`main: back to checkpoint ${last.parent}`);
  },
  10 * MINUTES_MS,
);
