import type { JudgePlan } from '../plan/judge/judge-plan';

/** The plan's judge as one gateway gets it, with `usd`: what this gateway may spend under this epoch. */
export interface JudgeOrder extends Pick<JudgePlan, 'provider' | 'model' | 'sample'> {
  readonly rubric?: string | undefined;
  readonly usd: number;
}

/** Whether two records have the same judged in the same way; absent: nothing is. */
export function sameJudge(a: JudgeOrder | undefined, b: JudgeOrder | undefined): boolean {
  if (a === undefined || b === undefined) return a === b;
  return (
    a.provider === b.provider &&
    a.model === b.model &&
    a.rubric === b.rubric &&
    a.sample === b.sample &&
    a.usd === b.usd
  );
}
