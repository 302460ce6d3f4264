import type { BreachClass } from '../evidence/breach-classes';
import { formatShare } from '../plan/plan';
import { percentText, pointsText } from './gate-metric';
import type { GateVerdict, MetricUnit, MetricVerdict } from './verdict';

type SaidVerdict = Pick<GateVerdict, 'outcome' | 'sentence' | 'burnIn' | 'lowPower'>;

/** What a verdict says in a word or two; a pass on little traffic has words of its own, and so has burn-in without harm. */
export function outcomeText({ outcome, burnIn, lowPower }: Omit<SaidVerdict, 'sentence'>): string {
  if (burnIn && outcome !== 'fail') return 'burn-in';
  return outcome === 'pass' && lowPower !== undefined ? 'pass, low power' : outcome;
}

/**
 * A verdict's word and sentence as of now. After the last stage nothing is promoted any more, so nobody is to wait for
 * the end of a burn-in.
 */
export function verdictTexts(
  verdict: SaidVerdict,
  isHandover: boolean,
): { readonly word: string; readonly sentence: string } {
  return isHandover && verdict.burnIn && verdict.outcome === 'inconclusive'
    ? { word: 'watched', sentence: 'floor and probes hold; nothing else is judged in the handover' }
    : { word: outcomeText(verdict), sentence: verdict.sentence };
}

const REACHED: readonly (readonly [RegExp, string])[] = [
  [/^(\d+) of (\d+) candidate requests$/, '$1 candidate requests, $2 needed'],
  [/^about (\d+) of (\d+) keys of the candidate$/, 'about $1 keys of the candidate, $2 needed'],
];

/** A metric's sentence; of a count that was reached "1998 of 50" would say the opposite of enough. */
export function metricSentence({ outcome, sentence }: MetricVerdict): string {
  if (outcome !== 'pass') return sentence;
  return REACHED.reduce((text, [count, said]) => text.replace(count, said), sentence);
}

const OPENING =
  /^\S+(?: at \S+)? (?:is (?:not within its limits|inconclusive|not evaluated|in burn-in)|passes(?:, low power)?): (.*)$/;

/** A verdict as of now in one line, which says once what it came to. */
export function verdictLine(verdict: SaidVerdict, isHandover: boolean): string {
  const { word, sentence } = verdictTexts(verdict, isHandover);
  const [, rest = sentence] = OPENING.exec(sentence) ?? [];
  return `${word}: ${rest}`;
}

/** The numbers of one metric as people read them; empty where there is none. */
export interface MetricTexts {
  readonly n: string;
  readonly legacy: string;
  readonly candidate: string;
  readonly estimate: string;
  readonly interval: string;
  readonly evidence: string;
  readonly margin: string;
  readonly more: string;
}

/** Writes a metric's numbers in its unit. */
export function metricTexts(metric: MetricVerdict): MetricTexts {
  const { unit, n, legacy, candidate, margin } = metric;
  // Verdicts that an earlier version recorded have fewer numbers.
  const { estimate = null, interval = null, eValue = null, threshold = null, moreRequests = null } = metric;
  const of = (value: number | null) => (value === null ? '' : valueText(unit, value));
  const change = (value: number | null) => (value === null ? '' : changeText(unit, value));
  return {
    n: `${n.legacy.toLocaleString('en-US')} / ${n.candidate.toLocaleString('en-US')}`,
    legacy: of(legacy),
    candidate: of(candidate),
    estimate: change(estimate),
    interval: interval === null ? '' : `${change(interval[0]) || '-∞'} to ${change(interval[1]) || '∞'}`,
    evidence:
      eValue === null ? '' : `${shortText(eValue)}${threshold === null ? '' : ` of ${shortText(threshold)}`}`,
    margin: marginText(metric, margin),
    more: moreRequests === null ? '' : moreRequests.toLocaleString('en-US'),
  };
}

function valueText(unit: MetricUnit, value: number): string {
  switch (unit) {
    case 'rate':
      return percentText(value);
    case 'ms':
      return `${value >= 10 ? Math.round(value).toLocaleString('en-US') : value} ms`;
    case 'usd':
      return `$${value}`;
    default:
      return Number.isInteger(value) ? value.toLocaleString('en-US') : String(value);
  }
}

/** Rates differ by points, everything else by a part of legacy's value. */
function changeText(unit: MetricUnit, value: number): string {
  const sign = value > 0 ? '+' : '';
  return unit === 'rate' || unit === 'p-value'
    ? `${sign}${pointsText(value).replace(/ points?$/, ' pt')}`
    : `${sign}${formatShare(value)}`;
}

function marginText({ metric, unit }: MetricVerdict, margin: number | null): string {
  if (margin === null) return '';
  if (unit === 'rate' && metric !== 'floor') return changeText(unit, margin);
  if (unit === 'ms' || unit === 'usd' || unit === 'tokens') return changeText(unit, margin);
  return valueText(unit, margin);
}

function shortText(value: number): string {
  if (value >= 1e6) return '1,000,000+';
  return value < 100 ? String(Number(value.toPrecision(2))) : Math.round(value).toLocaleString('en-US');
}

/** What each way of breaking a contract is called. */
export const BREACH_TEXTS: Readonly<Record<BreachClass, string>> = {
  empty: 'empty answers',
  reasoning_only: 'nothing but reasoning',
  cut: 'answers cut at their token limit',
  content_filter: 'filtered content',
  refusal: 'refusals',
  json_unparsed: 'JSON that does not parse',
  json_schema: 'JSON outside its schema',
  tool_unknown: 'calls of unknown tools',
  tool_unparsed: 'tool arguments that do not parse',
  tool_schema: 'tool arguments outside their schema',
  tool_missing: 'required tools that were not called',
};

/** One class of breaches, or what could not be checked, as people read it. */
export interface BreachText {
  readonly what: string;
  readonly legacy: string;
  readonly candidate: string;
}

/** The answers of a metric by what they broke, the most frequent first, and what could not be checked. */
export function breachTexts({ n, breaches = [], unchecked }: MetricVerdict): BreachText[] {
  const part = (count: number, of: number) => (of === 0 ? '' : percentText(count / of));
  const sorted = breaches.toSorted((a, b) => b.candidate + b.legacy - (a.candidate + a.legacy));
  const rows = sorted.map(({ class: name, legacy, candidate }) => ({
    what: BREACH_TEXTS[name],
    legacy: part(legacy, n.legacy),
    candidate: part(candidate, n.candidate),
  }));
  if (unchecked === undefined) return rows;
  const { legacy, candidate } = unchecked;
  return [
    ...rows,
    {
      what: 'could not be checked',
      legacy: part(legacy, n.legacy + legacy),
      candidate: part(candidate, n.candidate + candidate),
    },
  ];
}
