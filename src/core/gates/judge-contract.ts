import { type AnswerRow, NO_ANSWER_ROW } from '../evidence/answer-row';
import { BREACH_CLASSES } from '../evidence/breach-classes';
import { addRows, NO_ROW } from '../evidence/rate-row';
import { type AnswerGate, stageKind } from '../plan/plan';
import type { Arm } from '../routing/routing';
import { metricVerdict, percentText } from './gate-metric';
import { stratumText } from './judge-rates';
import type { RateEvents, RatioHarm } from './rate-events';
import { judgeRate, type LegacyBefore, timesText } from './rate-ladder';
import { breachEvents, isHandedOver, type JudgingFacts, stageRates } from './stage-rates';
import { ANSWERS, type BreachCount, type MetricVerdict } from './verdict';
import { BREACH_TEXTS } from './verdict-text';

/**
 * Answers with a status of success that break their contract: harm by their ratio, promotion by their difference, as
 * errors. What could not be checked is in neither, and too much of it is `not evaluated`.
 */
export function judgeContract(judged: JudgingFacts): MetricVerdict[] {
  const { stage, rates, evidence } = judged;
  const gate = stage.gates.answers;
  if (gate === undefined) return [];
  const events = breachEvents(evidence, rates);
  const { answers = NO_ANSWER_ROW } = rates.all;
  const { checked, unchecked } = answers;
  const known = checked[0] + checked[2] + unchecked.legacy + unchecked.candidate > 0;
  if (events === null || !known) return [nothingToCheck(judged)];
  const verdict = { ...judgeRate(judged, gateOf(judged, gate, events)), ...detailsOf(answers) };
  if (verdict.harm || isHandedOver(stage)) return [verdict];
  const tooMany = uncheckedText(judged, answers, gate);
  if (tooMany !== null) return [{ ...verdict, outcome: 'not evaluated', sentence: tooMany }];
  if (verdict.outcome !== 'pass' || checked[2] >= gate.minimum) return [verdict];
  const sentence = `${verdict.sentence}; ${checked[2]} of ${gate.minimum} answers of the candidate are checked`;
  return [{ ...verdict, outcome: 'inconclusive', sentence }];
}

function nothingToCheck({ stage, rates: { all } }: JudgingFacts): MetricVerdict {
  const base = { metric: ANSWERS, unit: 'rate', role: 'guardrail and goal' } as const;
  const { rates, answers } = all;
  if (answers !== undefined && rates[0] > 0 && rates[2] > 0) {
    const sentence = 'answers: no request had an answer to check, as with embeddings';
    return metricVerdict({ ...base, outcome: 'not applicable', sentence });
  }
  if (isHandedOver(stage)) {
    const sentence = 'answers: none has been checked, shown only';
    return metricVerdict({ ...base, role: 'report', outcome: 'not applicable', sentence });
  }
  const why = answers === undefined && rates[2] > 0 ? ': gateways of older releases do not look at them' : '';
  return metricVerdict({
    ...base,
    outcome: 'not evaluated',
    sentence: `answers: none has been checked yet${why}`,
  });
}

function gateOf(judged: JudgingFacts, gate: AnswerGate, events: RateEvents) {
  const whole = armRates(judged.rates.all.answers ?? NO_ANSWER_ROW);
  const against = (candidate: number, legacy: number) =>
    `answers that break their contract: ${percentText(candidate)} against ${percentText(legacy)}`;
  return {
    metric: ANSWERS,
    kind: 'answers',
    rollbackRatio: gate.rollbackRatio,
    promotionExcess: gate.promotionExcess,
    events,
    before: beforeOf(judged),
    words: {
      missing: (whose: string) => `answers: none of ${whose} has been checked yet`,
      against: (candidate: number, legacy: number) => {
        const worst = candidate > legacy ? mostlyText(judged.rates.all.answers ?? NO_ANSWER_ROW) : '';
        return `${against(candidate, legacy)}${worst}`;
      },
      clustering: 'breaches',
      harm: (harm: RatioHarm) => {
        const start = harm.since();
        const { rows } = judged.rates;
        const row = rows.segments
          .slice(start)
          .map(({ evidence }) => evidence)
          .reduce(addRows, NO_ROW);
        const since = start === 0 ? whole : armRates(row.answers ?? NO_ANSWER_ROW);
        const from = start === 0 ? '' : ` since window ${(rows.segments[start]?.from ?? 0) + 1}`;
        const mostly = mostlyText(row.answers ?? NO_ANSWER_ROW);
        return {
          against: `${against(since.candidate, since.legacy)}${from}${mostly}`,
          times: stratumText(harm, judged.stage) ?? timesText(since),
        };
      },
    },
  } as const;
}

/** Legacy's breaches in the stage before; null where that stage did not count any. */
function beforeOf({ baseline }: JudgingFacts): LegacyBefore | null {
  if (baseline?.breachRate === undefined) return null;
  const { before } = baseline;
  const counted = before === undefined ? null : breachEvents(before, stageRates(before));
  return { rate: baseline.breachRate, ...(counted === null ? {} : { counted: counted.deflated.legacy }) };
}

function armRates({ checked: [asked, breaches, moved, broken] }: AnswerRow): Record<Arm, number> {
  return { legacy: asked === 0 ? 0 : breaches / asked, candidate: moved === 0 ? 0 : broken / moved };
}

/** `, mostly tool arguments outside their schema (5% against 0.1%)`: the class that grew most; empty where none grew. */
function mostlyText({ checked, classes }: AnswerRow): string {
  const part = (count: number | undefined, of: number) => (of === 0 ? 0 : (count ?? 0) / of);
  const grown = BREACH_CLASSES.map((name, at) => {
    const [legacy, candidate] = [
      part(classes.legacy[at], checked[0]),
      part(classes.candidate[at], checked[2]),
    ];
    return { name, legacy, candidate };
  }).toSorted((a, b) => b.candidate - b.legacy - (a.candidate - a.legacy));
  const [most] = grown;
  if (most === undefined || most.candidate <= most.legacy) return '';
  return `, mostly ${BREACH_TEXTS[most.name]} (${percentText(most.candidate)} against ${percentText(most.legacy)})`;
}

/** That more of an arm's answers could not be checked than the plan allows; null where it is not so. */
function uncheckedText(
  judged: JudgingFacts,
  { checked, unchecked }: AnswerRow,
  gate: AnswerGate,
): string | null {
  const part = (ours: number, not: number) => (ours + not === 0 ? 0 : not / (ours + not));
  const legacy = part(checked[0], unchecked.legacy);
  const candidate = part(checked[2], unchecked.candidate);
  const alone = stageKind(judged.stage) === 'complete';
  if (candidate <= gate.maxUnchecked && (alone || legacy <= gate.maxUnchecked)) return null;
  const whose = alone
    ? `${percentText(candidate)} of the candidate's`
    : `${percentText(candidate)} of the candidate's and ${percentText(legacy)} of legacy's`;
  return `answers: ${whose} could not be checked, at most ${percentText(gate.maxUnchecked)} (too long, no time, or a gateway of an older release)`;
}

/** Breaches by class where there are some, and what could not be checked. */
function detailsOf({ classes, unchecked }: AnswerRow): Pick<MetricVerdict, 'breaches' | 'unchecked'> {
  const breaches = BREACH_CLASSES.flatMap((name, at): BreachCount[] => {
    const [legacy, candidate] = [classes.legacy[at] ?? 0, classes.candidate[at] ?? 0];
    return legacy + candidate === 0 ? [] : [{ class: name, legacy, candidate }];
  });
  return {
    ...(breaches.length === 0 ? {} : { breaches }),
    ...(unchecked.legacy + unchecked.candidate === 0 ? {} : { unchecked }),
  };
}
