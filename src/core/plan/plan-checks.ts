import type { z } from 'zod';
import { formatDuration } from '../text/duration';
import { formatShare, judgedShare, type StagePlan } from './plan';
import { MOST_RAMP_STEPS, rampStepCount, shareBefore } from './ramp';
import type { StageInput } from './schema/stage-schema';
import type { ResolvedStage } from './stage-defaults';

/** What a stage with `only` has besides, and where it may stand. */
export function checkCohort(
  { name, only, share, mirror, ramp, gates }: StageInput,
  index: number,
  context: z.core.$RefinementCtx,
): void {
  const issue = (path: readonly string[], message: string) =>
    context.addIssue({ code: 'custom', path: ['stages', index, ...path], message });
  if (only === undefined) {
    if (gates?.cohort !== undefined) {
      issue(
        ['gates', 'cohort'],
        `expected only in a stage with \`only\`: "${name}" serves whom its share draws, got bounds of a cohort`,
      );
    }
    return;
  }
  if (share !== undefined) {
    issue(
      ['share'],
      `expected no share together with \`only\`: everybody else stays at legacy, got ${formatShare(share)}`,
    );
  }
  if (mirror !== undefined) issue(['mirror'], 'expected no mirror together with `only`, got one');
  if (ramp !== undefined)
    issue(['ramp'], 'expected no ramp together with `only`, which raises no share, got one');
  if (index === 0) issue(['only'], 'expected the first stage to move nothing, got one that serves a cohort');
}

/** The name of the stage that copies; others may as well. */
export const SHADOW = 'shadow';

/** What a stage copies; it needs a bound on what that costs, and serves nobody by the candidate. */
export function checkMirror(
  { name, mirror, maxCostUsd, share }: StageInput,
  index: number,
  context: z.core.$RefinementCtx,
): number | undefined {
  const issue = (field: string, message: string) =>
    context.addIssue({ code: 'custom', path: ['stages', index, field], message });
  if (mirror === undefined && name === SHADOW && (share ?? 0) === 0) {
    issue('mirror', "expected the part of legacy's requests to copy, such as 5%");
  }
  if (mirror === undefined && maxCostUsd !== undefined) {
    issue('maxCostUsd', 'expected only together with `mirror`, which it bounds');
  }
  if (mirror === undefined) return undefined;
  if (mirror === 0) issue('mirror', 'expected a part above 0, such as 5%');
  if (maxCostUsd === undefined) {
    issue('maxCostUsd', 'expected what the copies may cost, USD, such as 5: mirror needs a bound');
  }
  if ((share ?? 0) !== 0) {
    issue('share', `expected no share together with \`mirror\`: the candidate serves nobody, got ${share}`);
  }
  if (index !== 1) issue('mirror', 'expected `mirror` in the second stage, after the one that assesses');
  return mirror;
}

/** A judge needs pairs of answers, which only a stage that copies has. */
export function checkJudge(stages: readonly ResolvedStage[], context: z.core.$RefinementCtx): void {
  if (stages.some(({ mirror }) => mirror !== undefined)) return;
  context.addIssue({
    code: 'custom',
    path: ['judge'],
    message:
      'expected a stage with mirror, such as {name: shadow, mirror: 5%, maxCostUsd: 5}, whose pairs of answers it judges, got none',
  });
}

/** Whether shares rise, from nothing to everything. */
export function checkOrder(stages: readonly ResolvedStage[], context: z.core.$RefinementCtx): void {
  const issue = (index: number, field: string, message: string) =>
    context.addIssue({ code: 'custom', path: ['stages', index, field], message });
  stages.forEach((stage, index) => {
    if (stages.findIndex((other) => other.name === stage.name) !== index) {
      issue(index, 'name', `expected names that differ, got "${stage.name}" twice`);
    }
    const before = stages[index - 1];
    const copies = stage.mirror !== undefined && stage.share === 0;
    if (before !== undefined && stage.only !== undefined && stage.share <= before.share) {
      issue(
        index,
        'only',
        `expected a stage with \`only\` before the percentages, got it after "${before.name}"`,
      );
    } else if (before !== undefined && stage.share <= before.share && !copies) {
      issue(
        index,
        'share',
        `expected more than the ${before.share} of "${before.name}" before it, got ${stage.share}`,
      );
    }
  });
  if (stages[0]?.share !== 0)
    issue(0, 'share', `expected the first stage to move nothing (share 0), got ${stages[0]?.share}`);
  const last = stages.length - 1;
  if (stages[last]?.share !== 1)
    issue(last, 'share', `expected the last stage to move everything (share 1), got ${stages[last]?.share}`);
}

/** Whether each ramp has a distance to go, in steps that are neither none nor too many, before its stage is held. */
export function checkRamps(stages: readonly ResolvedStage[], context: z.core.$RefinementCtx): void {
  for (const [index, stage] of stages.entries()) {
    const { name, ramp, only, share, soakMs, deadline } = stage;
    // A ramp beside a cohort has been refused already.
    if (ramp === undefined || only !== undefined) continue;
    const issue = (path: readonly string[], message: string) =>
      context.addIssue({ code: 'custom', path: ['stages', index, ...path], message });
    const from = shareBefore({ stages: stages as readonly StagePlan[] }, index);
    const to = judgedShare(stage);
    if (!(share > 0)) {
      issue(
        ['ramp'],
        `expected no ramp in "${name}", which raises nothing, got one at share ${formatShare(share)}`,
      );
      continue;
    }
    if (!(ramp.step > 0)) {
      issue(['ramp', 'step'], 'expected a step above 0%, such as 5%, got 0%');
      continue;
    }
    if (!(ramp.step < to - from)) {
      const distance = formatShare(to - from);
      issue(
        ['ramp', 'step'],
        `expected less than the ${distance} from ${formatShare(from)} to ${formatShare(to)}, got ${formatShare(ramp.step)}`,
      );
      continue;
    }
    const steps = rampStepCount({ from, to, step: ramp.step });
    if (steps > MOST_RAMP_STEPS) {
      issue(
        ['ramp', 'step'],
        `expected at most ${MOST_RAMP_STEPS} steps from ${formatShare(from)} to ${formatShare(to)}, got ${steps}`,
      );
      continue;
    }
    const takesMs = (steps - 1) * ramp.everyMs;
    if (deadline.holdMs > soakMs && deadline.holdMs <= takesMs + soakMs) {
      issue(
        ['deadline', 'hold'],
        `expected a longer time than the ramp of ${formatDuration(takesMs)} and the soak of ${formatDuration(soakMs)} together, got ${formatDuration(deadline.holdMs)}`,
      );
    }
  }
}
