import fc from 'fast-check';
import { isPreempted, nextStep, trainingTransition } from '../../../src/core/training/fine-tune';
import type { TrainingEvent, UntimedTrainingEvent } from '../../../src/core/training/fine-tune-events';
import { type FineTuneState, headOf, startedTraining } from '../../../src/core/training/fine-tune-state';
import { RECIPES } from '../../../src/core/training/recipe';
import { passed, savedSteps, trainingPlan } from '../../support/training/training-builders';

const PLANNED = {
  facts: { parameters: 10, chats: 10, evaluationChats: 10, device: 'cpu', jax: '0' },
  need: { stateBytes: 1, temporaryBytes: 1 },
};

function started(changes: Parameters<typeof trainingPlan>[0] = {}): FineTuneState {
  const plan = trainingPlan(changes);
  const state = startedTraining({ trainingId: 'tiny-1', plan, by: 'ana', reason: '' }, 0);
  const { recipe, microBatch, recompute } = plan;
  const fit = {
    settings: { recipe, microBatch, recompute },
    need: PLANNED.need,
    availableBytes: null,
    changes: [],
  };
  return after(state, { type: 'planned', epoch: 0, fit, facts: PLANNED.facts });
}

function after(state: FineTuneState, ...events: UntimedTrainingEvent[]): FineTuneState {
  return events.reduce(
    (so, event, at) => trainingTransition(so, { ...event, atMs: at } as TrainingEvent),
    state,
  );
}

/** What comes of the step that is due, when all goes well. */
function done(state: FineTuneState): UntimedTrainingEvent {
  const step = nextStep(state);
  const { epoch } = state;
  switch (step.type) {
    case 'train':
      return {
        type: 'trained',
        epoch,
        lane: step.lane,
        settings: step.settings,
        saved: savedSteps(step.toStep),
      };
    case 'evaluate':
      return {
        type: 'evaluated',
        epoch,
        about: step.about,
        checkpoint: step.judged.number,
        step: step.judged.step,
        verdict: passed(),
      };
    case 'export':
      return { type: 'exported', epoch, path: '/export', digest: 'sha256:1' };
    default:
      throw new Error(`nothing is done by ${step.type}`);
  }
}

function doneUntil(state: FineTuneState, wanted: (state: FineTuneState) => boolean): FineTuneState {
  let at = state;
  for (let turn = 0; turn < 100 && !wanted(at); turn += 1) at = after(at, done(at));
  expect(wanted(at)).toBe(true);
  return at;
}

const failedWith = (
  state: FineTuneState,
  kind: 'diverged' | 'out of memory' | 'corrupt checkpoint' | 'no storage',
  lane: 'main' | 'reference' = 'main',
) => after(state, { type: 'failed', epoch: state.epoch, lane, problem: { kind, message: 'it went wrong' } });
const command = (state: FineTuneState, name: 'pause' | 'resume' | 'stop') =>
  after(state, { type: 'command', command: { name, by: 'ana', reason: 'because' } });

it('trains, compares with as many steps in BF16, compares the served weights, and exports', () => {
  let state = started({
    steps: 20,
    checkpointEvery: 10,
    gate: { steps: 10, margin: 0.005, confidence: 0.95 },
  });
  const seen: string[] = [];
  while (state.outcome === null) {
    const step = nextStep(state);
    seen.push(
      step.type === 'train'
        ? `${step.lane} to ${step.toStep}`
        : step.type === 'evaluate'
          ? step.about
          : step.type,
    );
    state = after(state, done(state));
  }
  expect(seen).toEqual(['main to 10', 'reference to 10', 'trained', 'main to 20', 'served', 'export']);
  expect(state.exported?.digest).toBe('sha256:1');
});

it('saves at the step that is compared, also between two checkpoints', () => {
  const state = started({
    steps: 20,
    checkpointEvery: 8,
    gate: { steps: 10, margin: 0.005, confidence: 0.95 },
  });
  const compared = doneUntil(state, ({ verdicts }) => verdicts.length > 0);
  expect(compared.checkpoints.map(({ lane, step }) => `${lane} ${step}`)).toEqual([
    'main 8',
    'main 10',
    'reference 8',
    'reference 10',
  ]);
});

it('needs no comparison in BF16', () => {
  const state = doneUntil(started({ recipe: 'bf16' }), ({ outcome }) => outcome !== null);
  expect(state.verdicts).toEqual([]);
  expect(state.outcome).toBe('exported');
});

it.each(['fail', 'inconclusive'] as const)('exports nothing when the gate says %s', (outcome) => {
  const state = doneUntil(started(), (at) => nextStep(at).type === 'evaluate');
  const judged = after(state, { ...done(state), verdict: { ...passed(), outcome } } as UntimedTrainingEvent);
  expect(judged.outcome).toBe('rejected');
  const asSaid = judged.decisions.map(({ what, reason }) => `${what}: ${reason}`);
  expect(asSaid.at(-2)).toBe(`gate ${outcome === 'fail' ? 'failed' : 'inconclusive'}: as trained, it passes`);
  expect(nextStep(judged).type).toBe('close');
});

it('halves the micro-batch and accumulates twice when memory does not suffice, then computes twice, then asks', () => {
  let state = started({ batch: 4, microBatch: 4 });
  for (const settings of [
    { microBatch: 2, recompute: false },
    { microBatch: 1, recompute: false },
    { microBatch: 1, recompute: true },
  ]) {
    state = failedWith(state, 'out of memory');
    expect(state.settings).toMatchObject(settings);
  }
  expect(nextStep(failedWith(state, 'out of memory')).type).toBe('wait');
});

it('goes back to the last checkpoint with the next safer recipe when the loss diverges', () => {
  let state = doneUntil(started(), ({ checkpoints }) => checkpoints.length === 1);
  for (const recipe of RECIPES.slice(1)) {
    state = failedWith(state, 'diverged');
    expect(nextStep(state)).toMatchObject({ type: 'train', from: { number: 1 }, settings: { recipe } });
  }
  expect(state.decisions.at(-1)?.what).toBe('back to checkpoint 1 (step 10), continuing with bf16');
  expect(nextStep(failedWith(state, 'diverged'))).toMatchObject({
    type: 'wait',
    why: 'diverged in bf16: it went wrong',
  });
});

it('goes one checkpoint further back when one cannot be read', () => {
  const state = doneUntil(started(), ({ checkpoints }) => checkpoints.length === 2);
  const back = failedWith(state, 'corrupt checkpoint');
  expect(headOf(back, 'main')?.number).toBe(1);
  expect(headOf(failedWith(back, 'corrupt checkpoint'), 'main')).toBeNull();
});

it('asks a person about a disk that is full, and tries again when it is told to', () => {
  const state = failedWith(started(), 'no storage');
  expect(nextStep(state)).toMatchObject({ type: 'wait', why: 'no storage: it went wrong' });
  expect(nextStep(command(state, 'resume')).type).toBe('train');
});

it('lets what runs come to its checkpoint when it is paused', () => {
  const begun = started();
  const paused = command(begun, 'pause');
  expect(isPreempted(paused, begun)).toBe(false);
  const saved = after(paused, done(begun));
  expect(saved.checkpoints).toHaveLength(1);
  expect(nextStep(saved)).toMatchObject({ type: 'wait', why: 'paused by ana' });
  expect(nextStep(command(saved, 'resume'))).toMatchObject({ type: 'train', from: { number: 1 } });
});

it('drops what comes of work that a person sent back', () => {
  const begun = doneUntil(started(), ({ checkpoints }) => checkpoints.length === 2);
  const back = after(begun, {
    type: 'command',
    command: { name: 'backTo', checkpoint: 1, by: 'ana', reason: '' },
  });
  expect(isPreempted(back, begun)).toBe(true);
  expect(after(back, done(begun))).toBe(back);
  expect(nextStep(back)).toMatchObject({ type: 'train', from: { number: 1 } });
});

it('judges again what was trained again after a verdict', () => {
  const judged = doneUntil(
    started({ steps: 30, gate: { steps: 20, margin: 0.005, confidence: 0.95 } }),
    (state) => state.verdicts.some(({ about }) => about === 'trained'),
  );
  const back = after(judged, {
    type: 'command',
    command: { name: 'backTo', checkpoint: 1, by: 'ana', reason: '' },
  });
  const again = doneUntil(back, ({ outcome }) => outcome !== null);
  expect(again.verdicts.filter(({ about }) => about === 'trained')).toHaveLength(2);
});

it('refuses a plan before the first step', () => {
  const { plan } = started();
  const fresh = startedTraining({ trainingId: 'tiny-1', plan, by: 'ana', reason: '' }, 0);
  const problem = { kind: 'bad input', message: 'data: line 17' } as const;
  const state = after(fresh, { type: 'failed', epoch: 0, lane: null, problem });
  expect(state.outcome).toBe('refused');
  expect(state.decisions.at(-1)?.reason).toBe('data: line 17');
});

it('ends when it is stopped or cancelled, and nothing changes it after that', () => {
  const stopped = command(started(), 'stop');
  expect(stopped.outcome).toBe('stopped');
  expect(after(started(), { type: 'cancelled' }).outcome).toBe('stopped');
  expect(command(stopped, 'resume')).toBe(stopped);
});

it('never exports without passes of the weights that it exports, whatever happens in which order', () => {
  const happening = fc.constantFrom(
    ...([
      'done',
      'done',
      'done',
      'diverged',
      'out of memory',
      'corrupt checkpoint',
      'back',
      'pause',
      'resume',
    ] as const),
  );
  fc.assert(
    fc.property(fc.array(happening, { maxLength: 60 }), (happenings) => {
      let state = started({ steps: 30, gate: { steps: 20, margin: 0.005, confidence: 0.95 } });
      for (const what of happenings) {
        const step = nextStep(state);
        const exported = step.type === 'export' ? step.checkpoint : null;
        if (what === 'done' && ['train', 'evaluate', 'export'].includes(step.type))
          state = after(state, done(state));
        if (what === 'pause' || what === 'resume') state = command(state, what);
        if (what === 'back') {
          state = after(state, {
            type: 'command',
            command: { name: 'backTo', checkpoint: 1, by: 'a', reason: '' },
          });
        }
        if (step.type === 'train' && what !== 'done' && !['back', 'pause', 'resume'].includes(what)) {
          state = failedWith(state, what as 'diverged', step.lane);
        }
        if (state.outcome === 'exported' && exported !== null) {
          const served = state.verdicts.some(
            (one) => one.about === 'served' && one.checkpoint === exported.number,
          );
          const trained = state.verdicts
            .filter(({ about }) => about === 'trained')
            .map((one) => one.checkpoint);
          const line: number[] = [];
          for (
            let at: number | null = exported.number;
            at !== null;
            at = state.checkpoints[at - 1]?.parent ?? null
          ) {
            line.push(at);
          }
          expect(served && trained.some((number) => line.includes(number))).toBe(true);
          return;
        }
      }
    }),
  );
});
