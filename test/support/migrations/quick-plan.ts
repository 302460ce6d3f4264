import { parseDocument } from '../../../src/core/configuration/schema-parts';
import type { Plan } from '../../../src/core/plan/plan';
import { planSchema } from '../../../src/core/plan/plan-schema';

type Fields = Readonly<Record<string, unknown>>;

/** Margins that no busy machine crosses by itself; `floor` still sees a candidate that fails outright. */
const WIDE_GATES = {
  errors: { rollbackRatio: 50, promotionExcess: 0.5 },
  latency: { rollbackIncrease: 100, promotionIncrease: null },
  interToken: { rollbackIncrease: 100 },
  floor: { success: 0.5 },
  probes: { rollbackStreak: 100, promotionStreak: 1 },
};

const MOVING = {
  window: '1s',
  minimumSample: 3,
  minimumKeys: 0,
  burnIn: { time: '0s', requests: 0 },
  deadline: { hold: '10m' },
  gates: WIDE_GATES,
};

type StageFields = Readonly<Partial<Record<'assess' | 'canary' | 'rolling' | 'complete', Fields>>>;

/** A plan in seconds; `stages` changes single stages and `fields` the plan's own fields. */
export function quickPlan(route: string, stages: StageFields = {}, fields: Fields = {}): Plan {
  return parseDocument(planSchema, quickDocument(route, stages, fields), 'the quick plan');
}

/** The same as a person would write it. */
export function quickDocument(route: string, stages: StageFields = {}, fields: Fields = {}): Fields {
  return {
    route,
    lease: '4s',
    renewal: '500ms',
    watchHeartbeat: '4s',
    probes: { interval: '500ms', timeout: '5s' },
    // On some dozens of requests a control arm of a twentieth would see none.
    holdback: 0,
    stages: [
      { name: 'assess', minimumSample: 2, window: '1s', deadline: { hold: '10m' }, ...stages.assess },
      { name: 'canary', soak: '2s', ...MOVING, share: 0.3, ...stages.canary },
      { name: 'rolling', soak: '2s', ...MOVING, share: 0.6, ...stages.rolling },
      { name: 'complete', soak: '1s', ...MOVING, ...stages.complete },
    ],
    ...fields,
  };
}

/** A stage that is not left by itself, watched in windows of the given length. */
export function staying(window = '2s'): Fields {
  return { soak: '5m', window, deadline: { hold: '10m' } };
}
