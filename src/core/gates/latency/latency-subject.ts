import { POOLED_MODEL } from '../../evidence/stage/latency-measures';
import { millisecondsText, worseText } from '../gate-metric';
import type { JudgingFacts } from '../stage-rates';
import { judgedQuantile, type LatencyGroup } from './latency-groups';

export const LATENCY_NAMES = {
  total: 'of plain answers',
  'first token': 'to first token',
  'between tokens': 'between tokens',
} as const;

export interface Subject {
  readonly metric: string;
  readonly text: string;
}

export function latencySubject(judged: JudgingFacts, group: LatencyGroup, several: boolean): Subject {
  return named(`p${100 * judgedQuantile(judged.stage)}`, judged, group, several);
}

export function named(
  quantile: string,
  { evidence: { pooled: names } }: JudgingFacts,
  { what, model, pooled }: LatencyGroup,
  several: boolean,
): Subject {
  const name = `${quantile} ${LATENCY_NAMES[what]}`;
  if (!several) return { metric: name, text: name };
  const others = names.length === 0 ? 'small models' : names.slice(0, 3).join(', ');
  const named = names.length > 3 ? `${others} and ${names.length - 3} more` : others;
  return pooled
    ? { metric: `${name}, ${POOLED_MODEL}`, text: `${name} (pooled: ${named})` }
    : { metric: `${name}, ${model}`, text: `${name} (${model})` };
}

/** What a latency is at the candidate and at legacy, and how much worse that is. */
export function againstLegacyText(text: string, candidateMs: number, legacyMs: number): string {
  const worse = worseText(candidateMs / legacyMs - 1);
  return `candidate ${text} ${millisecondsText(candidateMs)} against ${millisecondsText(legacyMs)}: ${worse}`;
}
