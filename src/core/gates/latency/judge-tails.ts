import { sketchQuantile } from '../../evidence/latency-sketch';
import { type StagePlan, stageKind } from '../../plan/plan';
import { detectQuantileExceeds } from '../../statistics/quantile-ratio';
import { evidenceText, metricVerdict, percentText, shownHarm } from '../gate-metric';
import { alphaText, guardrailAlpha, type JudgingFacts } from '../stage-rates';
import type { MetricVerdict } from '../verdict';
import { countedAnswers, type LatencyGroup } from './latency-groups';
import { onCells } from './latency-margin';
import { againstLegacyText, named } from './latency-subject';

const P99 = 0.99;

/** The latencies whose far tail is a guardrail of its own: what hangs for one request of thirty is beyond p95. */
function tailGroups({ gates: { latency } }: StagePlan, groups: readonly LatencyGroup[]): LatencyGroup[] {
  return latency.tailIncrease === undefined ? [] : groups.filter(({ what }) => what !== 'between tokens');
}

/** p99 of each latency against legacy's: harm only. Nothing is said while all is well. */
export function judgeTails(judged: JudgingFacts, groups: readonly LatencyGroup[]): MetricVerdict[] {
  const { stage } = judged;
  const { tailIncrease = 0, ignoreBelowMs: least = 0 } = stage.gates.latency;
  if (stageKind(stage) === 'complete') return [];
  const several = new Set(groups.map(({ model }) => model)).size > 1;
  return tailGroups(stage, groups).flatMap((group) => {
    const { samples, resolution, state, arms, weights } = group;
    const alpha = guardrailAlpha(stage, 'tail', weights.tail);
    const margin = onCells(tailIncrease, resolution.step, Math.ceil);
    const logHarm = detectQuantileExceeds({ p: P99, margin, least, share: stage.share }, state, arms);
    if (logHarm < -Math.log(alpha)) return [];
    const legacy = sketchQuantile(samples.legacy, P99, resolution);
    const candidate = sketchQuantile(samples.candidate, P99, resolution);
    const { metric, text } = named('p99', judged, group, several);
    const against =
      legacy === null || candidate === null
        ? `candidate ${text} is worse`
        : againstLegacyText(text, candidate, legacy);
    return [
      metricVerdict({
        metric,
        unit: 'ms',
        role: 'guardrail',
        n: countedAnswers(group),
        legacy,
        candidate,
        margin: tailIncrease,
        ...shownHarm(logHarm, alpha),
        sentence: `${against}, allowed ${percentText(tailIncrease)}, ${evidenceText(logHarm, alpha)} (${alphaText(judged, alpha)})`,
      }),
    ];
  });
}
