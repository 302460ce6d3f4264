import { pointsText } from '../core/gates/gate-metric';
import { formatShare, type StagePlan, stageKind } from '../core/plan/plan';
import { SPENDING_MEASURES, type SpendingMeasure } from '../core/plan/spending-gate';
import { formatDuration } from '../core/text/duration';

/** What a stage's gates are, in a few words each. */
export interface PlannedGates {
  /** Beyond each of these it is rolled back. */
  readonly harm: readonly string[];
  /** Within all of these it is promoted. */
  readonly promotion: readonly string[];
}

/** The gates by which a stage of a plan is judged: of arms, of pairs, or of a cohort alone. */
export function plannedGates(stage: StagePlan): PlannedGates {
  if (stage.mirror !== undefined) return gatesOfPairs(stage);
  if (stage.only !== undefined) return gatesOfCohort(stage);
  // Before anything is moved nothing but probes is judged, and those have no margins.
  return stageKind(stage) === 'assess' ? { harm: [], promotion: [] } : gatesOfArms(stage);
}

function gatesOfArms({ gates, outcomes = [] }: StagePlan): PlannedGates {
  const { errors, answers, latency, floor } = gates;
  const p = `p${100 * (latency.quantile ?? 0.95)}`;
  return {
    harm: [
      `errors x${errors.rollbackRatio}`,
      ...(answers === undefined ? [] : [`answers x${answers.rollbackRatio}`]),
      `${p} +${formatShare(latency.rollbackIncrease)}`,
      `success under ${formatShare(floor.success)}`,
      ...spendings(gates, ({ rollbackIncrease }) => rollbackIncrease),
      ...outcomes.map(({ name, harm }) => `${name} worse by ${pointsText(harm)}`),
    ],
    promotion: [
      `errors +${formatShare(errors.promotionExcess)}`,
      ...(answers === undefined ? [] : [`answers +${formatShare(answers.promotionExcess)}`]),
      ...increase(p, latency.promotionIncrease),
      ...spendings(gates, ({ promotionIncrease }) => promotionIncrease),
      ...outcomes.flatMap(({ name, promotion }) =>
        promotion === null ? [] : [`${name} worse by ${pointsText(promotion)}`],
      ),
    ],
  };
}

function gatesOfPairs({ gates, judge }: StagePlan): PlannedGates {
  const { errors, answers, latency } = gates;
  const halfBeyond = (what: string, part: number) => `half of the pairs ${what} by ${formatShare(part)}`;
  return {
    harm: [
      'more pairs lost than won',
      halfBeyond('slower', latency.rollbackIncrease),
      ...SPENDING_MEASURES.flatMap((measure) => {
        const gate = gates[measure];
        return gate === undefined ? [] : [halfBeyond(PAIR_WORDS[measure], gate.rollbackIncrease)];
      }),
      ...(judge === undefined ? [] : [`${pointsText(judge.harm)} more lost than won by ${judge.model}`]),
    ],
    promotion: [
      `${pointsText((answers ?? errors).promotionExcess)} more pairs lost than won`,
      ...(judge === undefined ? [] : [`at least ${judge.minimum} pairs judged by ${judge.model}`]),
    ],
  };
}

const PAIR_WORDS: Readonly<Record<SpendingMeasure, string>> = {
  cost: 'more expensive',
  outputTokens: 'longer',
};

function gatesOfCohort({ gates: { cohort } }: StagePlan): PlannedGates {
  if (cohort === undefined) return { harm: [], promotion: [] };
  const bounds = [
    `success under ${formatShare(cohort.success)}`,
    `contract broken by ${formatShare(cohort.breaches)}`,
    ...(cohort.p95Ms === null ? [] : [`p95 ${formatDuration(cohort.p95Ms)}`]),
    ...(cohort.firstTokenP95Ms === null
      ? []
      : [`p95 to first token ${formatDuration(cohort.firstTokenP95Ms)}`]),
  ];
  return { harm: bounds, promotion: ['the same bounds'] };
}

function spendings(
  gates: StagePlan['gates'],
  read: (gate: NonNullable<StagePlan['gates'][SpendingMeasure]>) => number | null,
): string[] {
  return SPENDING_MEASURES.flatMap((measure) => {
    const gate = gates[measure];
    const what = measure === 'cost' ? 'cost' : 'output tokens';
    return gate === undefined ? [] : increase(`p${100 * gate.quantile} of ${what}`, read(gate));
  });
}

function increase(what: string, part: number | null): string[] {
  return part === null ? [] : [`${what} +${formatShare(part)}`];
}
