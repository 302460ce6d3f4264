import type { LatencyQuantile, StagePlan } from '../../plan/plan';
import { GAMMA } from '../../statistics/histogram';
import type { QuantileMargin } from '../../statistics/quantile-ratio';
import type { JudgingFacts } from '../stage-rates';
import type { LatencyGroup } from './latency-groups';

/** The bounds of a latency; between tokens nothing is a goal. */
export function gatesOf({ stage }: JudgingFacts, { what }: LatencyGroup) {
  const { latency, interToken } = stage.gates;
  return what === 'between tokens' ? { ...interToken, promotionIncrease: null } : latency;
}

/** What would be harm in a latency. */
export function harmClaim(
  { share }: Pick<StagePlan, 'share'>,
  {
    rollbackIncrease,
    ignoreBelowMs = 0,
  }: Pick<StagePlan['gates']['latency'], 'rollbackIncrease' | 'ignoreBelowMs'>,
  p: LatencyQuantile,
  step: number,
): QuantileMargin {
  return { p, margin: onCells(rollbackIncrease, step, Math.ceil), least: ignoreBelowMs, share };
}

/** A margin on whole cells, so that counts at both ends are exact: rounded up for harm, down for promotion. */
export function onCells(margin: number, step: number, round: (cells: number) => number): number {
  return GAMMA ** (round(Math.log(1 + margin) / Math.log(GAMMA) / step) * step) - 1;
}
