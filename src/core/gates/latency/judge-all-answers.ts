import { sketchQuantile } from '../../evidence/latency-sketch';
import { stageKind } from '../../plan/plan';
import type { Arm } from '../../routing/routing';
import { detectQuantilesExceed } from '../../statistics/quantile-ratio';
import { TOGETHER_WEIGHT } from '../alpha-spending';
import {
  eValueOf,
  evidenceText,
  metricVerdict,
  millisecondsText,
  percentText,
  shownHarm,
  worseText,
} from '../gate-metric';
import { alphaText, guardrailAlpha, type JudgingFacts } from '../stage-rates';
import type { MetricVerdict } from '../verdict';
import { countedAnswers, judgedQuantile, type LatencyGroup } from './latency-groups';
import { harmClaim } from './latency-margin';
import { LATENCY_NAMES } from './latency-subject';

/**
 * p95 of all answers as one process, for harm: what slows every model down is seen about as soon as with one model. It has
 * seven tenths of what latencies may spend. `shapes` are the answers of each shape, models together: a request is drawn for an arm
 * whatever its model, so both arms have the same mix of them. Nothing before both arms have answers of one shape.
 */
export function judgeAllAnswers(judged: JudgingFacts, shapes: readonly LatencyGroup[]): MetricVerdict[] {
  const { stage } = judged;
  const p = judgedQuantile(stage);
  const gate = stage.gates.latency;
  const [first] = shapes;
  const seen = shapes.flatMap((group) => quantilesOf(group, p));
  if (stageKind(stage) === 'complete' || first === undefined || seen.length === 0) return [];
  const alpha = guardrailAlpha(stage, 'latency', TOGETHER_WEIGHT);
  const parts = shapes.map(({ arms, resolution }) => ({
    claim: harmClaim(stage, gate, p, resolution.step),
    arms,
  }));
  const logHarm = detectQuantilesExceed(parts, first.state);
  const counts = shapes.map(countedAnswers);
  const total = (arm: Arm) => counts.reduce((sum, each) => sum + each[arm], 0);
  const quantiles = seen.map(
    ({ what, legacy, candidate }) =>
      `${LATENCY_NAMES[what]} ${millisecondsText(candidate)} against ${millisecondsText(legacy)} (${worseText(candidate / legacy - 1)})`,
  );
  const name = `p${100 * p}`;
  return [
    metricVerdict({
      metric: `${name} of all answers`,
      unit: 'ms',
      role: 'guardrail',
      n: { legacy: total('legacy'), candidate: total('candidate') },
      margin: gate.rollbackIncrease,
      ...(logHarm >= -Math.log(alpha)
        ? shownHarm(logHarm, alpha)
        : { outcome: 'not applicable', eValue: eValueOf(logHarm), threshold: 1 / alpha }),
      sentence: `candidate ${name} ${quantiles.join(', ')}: allowed ${percentText(gate.rollbackIncrease)}, together ${evidenceText(logHarm, alpha)} (${alphaText(judged, alpha)})`,
    }),
  ];
}

function quantilesOf({ what, samples, resolution }: LatencyGroup, p: number) {
  const [legacy, candidate] = [samples.legacy, samples.candidate].map((histogram) =>
    sketchQuantile(histogram, p, resolution),
  ) as [number | null, number | null];
  return legacy === null || candidate === null ? [] : [{ what, legacy, candidate }];
}
