import type { z } from 'zod';
import { DAY_MS, MINUTE_MS } from '../text/duration';
import { type CohortGate, formatShare, type StagePlan } from './plan';
import { checkCohort, checkMirror, SHADOW } from './plan-checks';
import type { StageInput } from './schema/stage-schema';
import {
  answerDefaults,
  cohortDefaults,
  type Profile,
  type ResolvedStage,
  shadowDefaults,
} from './stage-defaults';

/** What is held back at legacy in the last stage; less than the stage before leaves there. */
export function resolveHoldback(
  said: number | undefined,
  stages: readonly StageInput[],
  { shares, holdback }: Profile,
  context: z.core.$RefinementCtx,
): number {
  const before = stages.at(-2);
  const left = Number((1 - (before?.share ?? shares[before?.name ?? ''] ?? 0)).toPrecision(12));
  if (said === undefined) return Math.min(holdback, left / 2);
  if (said >= left) {
    context.addIssue({
      code: 'custom',
      path: ['holdback'],
      message: `expected less than the ${formatShare(left)} that "${before?.name}" leaves at legacy, got ${formatShare(said)}`,
    });
  }
  return said;
}

/** A stage of the plan file with what its profile says where the file says nothing. */
export function resolveStage(
  stage: StageInput,
  index: number,
  {
    profile: { shares, defaults: defaultsAt },
    holdback,
    cohortShare,
  }: { readonly profile: Profile; readonly holdback: number; readonly cohortShare: number },
  context: z.core.$RefinementCtx,
): ResolvedStage {
  const isShadow = stage.mirror !== undefined || stage.name === SHADOW;
  checkCohort(stage, index, context);
  const share = stage.only === undefined ? (stage.share ?? (isShadow ? 0 : shares[stage.name])) : cohortShare;
  if (share === undefined) {
    context.addIssue({
      code: 'custom',
      path: ['stages', index, 'share'],
      message: `expected a share for the stage "${stage.name}": only ${Object.keys(shares).join(', ')} have one by default`,
    });
  }
  const mirror = checkMirror(stage, index, context);
  const defaults =
    stage.only !== undefined
      ? cohortDefaults()
      : mirror === undefined
        ? defaultsAt(share ?? 0, holdback)
        : shadowDefaults();
  const soakMs = stage.soak ?? defaults.soakMs;
  const holdMs = stage.deadline?.hold ?? defaults.deadline.holdMs;
  const rollbackMs =
    stage.deadline?.rollback !== undefined ? stage.deadline.rollback : defaults.deadline.rollbackMs;
  if (rollbackMs !== null && rollbackMs < holdMs) {
    context.addIssue({
      code: 'custom',
      path: ['stages', index, 'deadline', 'rollback'],
      message: 'expected a later time than hold',
    });
  }
  if (share === 0 && soakMs > 0 && mirror === undefined) {
    context.addIssue({
      code: 'custom',
      path: ['stages', index, 'soak'],
      message: 'expected no soak at share 0: nothing is served there',
    });
  }
  if (holdMs <= soakMs) {
    context.addIssue({
      code: 'custom',
      path: ['stages', index, 'deadline', 'hold'],
      message: 'expected a longer time than the soak',
    });
  }
  const windowMs = stage.window ?? Math.max(MINUTE_MS, soakMs / 48);
  if (windowMs < 500) {
    context.addIssue({
      code: 'custom',
      path: ['stages', index, 'window'],
      message: 'expected at least 500ms',
    });
  }
  const burnIn = {
    timeMs: stage.burnIn?.time ?? defaults.burnIn.timeMs,
    requests: stage.burnIn?.requests ?? defaults.burnIn.requests,
  };
  const gates = stage.gates ?? {};
  const minimumSample = stage.minimumSample ?? defaults.minimumSample;
  const errors = given(defaults.gates.errors, gates.errors);
  return {
    name: stage.name,
    share: share ?? Number.NaN,
    ...(holdback > 0 ? { holdback } : {}),
    ...(mirror === undefined ? {} : { mirror, maxCostUsd: stage.maxCostUsd ?? Number.NaN }),
    ...(stage.only === undefined ? {} : { only: stage.only }),
    ...(stage.ramp === undefined ? {} : { ramp: { step: stage.ramp.step, everyMs: stage.ramp.every } }),
    soakMs,
    windowMs,
    minimumSample,
    minimumKeys: stage.minimumKeys ?? defaults.minimumKeys,
    burnIn,
    deadline: { holdMs, rollbackMs },
    gates: {
      errors,
      ...(gates.answers === null
        ? {}
        : { answers: given(answerDefaults(errors, minimumSample), gates.answers) }),
      latency: given(defaults.gates.latency, gates.latency),
      interToken: given(defaults.gates.interToken, gates.interToken),
      ...(gates.cost === undefined ? {} : { cost: gates.cost }),
      ...(gates.outputTokens === undefined ? {} : { outputTokens: gates.outputTokens }),
      leavers: given(defaults.gates.leavers, gates.leavers),
      shed: given(defaults.gates.shed, gates.shed),
      sampleRatio: given(defaults.gates.sampleRatio, gates.sampleRatio),
      ...(stage.only === undefined ? {} : { cohort: cohortGate(gates.cohort) }),
      floor: given(defaults.gates.floor, gates.floor),
      probes: given(defaults.gates.probes, gates.probes),
    },
    ...approvalOf(stage.approval),
    ...(stage.effects === undefined ? {} : { effects: stage.effects }),
    ...(stage.confirm === undefined ? {} : { confirm: stage.confirm }),
  };
}

const COHORT_SUCCESS = 0.97;
const COHORT_BREACHES = 0.05;

function cohortGate(said: NonNullable<StageInput['gates']>['cohort']): CohortGate {
  return {
    success: said?.success ?? COHORT_SUCCESS,
    breaches: said?.breaches ?? COHORT_BREACHES,
    p95Ms: said?.p95 ?? null,
    firstTokenP95Ms: said?.firstTokenP95 ?? null,
  };
}

function approvalOf(asked: StageInput['approval']): Pick<StagePlan, 'approval'> {
  if (asked === undefined || asked === false) return {};
  const { expires = DAY_MS, onExpiry = 'hold' } = asked === true ? {} : asked;
  return { approval: { expiresMs: expires, onExpiry } };
}

/** Defaults, replaced where the plan says something. */
function given<T extends object>(
  defaults: T,
  said: { readonly [K in keyof T]?: T[K] | undefined } | undefined,
): T {
  const fields = Object.entries(said ?? {}).filter(([, value]) => value !== undefined);
  return { ...defaults, ...Object.fromEntries(fields) };
}
