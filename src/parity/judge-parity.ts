import {
  type MeasureName,
  type MeasureRow,
  type MeasureTally,
  marginOf,
  type ParityProgress,
  type ParityReport,
  type StratumTally,
  type TokenRatio,
  type TokenTally,
  type TriggerTally,
} from '../core/assessment/parity-report';
import type { ParityMargins } from '../core/plan/plan';
import { binomialTail, proportionInterval } from '../core/statistics/clopper-pearson';
import { wholeOf } from './parity-tally';

/** Chance that an equal candidate fails anywhere, over all measures and strata together. */
const ALPHA = 0.05;
/** One of three exchangeable answers stands apart with this chance. */
const ONE_OF_THREE = 1 / 3;
/** More than this part of the prompts unanswered by legacy itself, and nothing passes. */
const SKIPPED_MOST = 0.1;

/** What a run is judged by. */
export interface ParityDemand {
  readonly given: number;
  readonly minimumPrompts: number;
  readonly margins: ParityMargins;
  /** Why not all prompts were sent; null when they were. */
  readonly stopped: string | null;
}

/**
 * Judges what was tallied. A measure fails when the candidate stands apart more often than one of three equal
 * answers would (exact test, alpha divided over all that are tested) and the loss found exceeds the margin. It passes
 * when the whole 95% interval of its loss is within the margin. The run passes when the decisions of all prompts
 * pass, nothing failed, and no measure over all prompts lies beyond its margin.
 */
export function judgeParity(standing: ParityProgress, demand: ParityDemand): ParityReport {
  const whole = wholeOf(standing.strata);
  const tests = [whole, ...Object.values(standing.strata)]
    .map(({ measures }) => Object.keys(measures).length)
    .reduce((sum, count) => sum + count, 0);
  const rowsOf = (tally: StratumTally) => rows(tally, demand.margins, ALPHA / Math.max(1, tests));
  const measures = rowsOf(whole);
  const strata = Object.entries(standing.strata)
    .map(([stratum, tally]) => ({ stratum, prompts: tally.prompts, measures: rowsOf(tally) }))
    .sort((a, b) => (a.stratum < b.stratum ? -1 : 1));
  const prompts = { given: demand.given, compared: whole.prompts, skipped: standing.skipped };
  const verdict = verdictOf({ measures, strata, prompts, demand });
  return {
    ...verdict,
    notes: notesOf(measures, prompts, demand),
    stopped: demand.stopped,
    prompts,
    calls: standing.calls,
    costUsd: standing.costUsd,
    measures,
    strata,
    differing: standing.differing,
    tokens: tokenRatios(whole.tokens, Object.values(standing.strata)),
    digests: { golden: standing.golden, answers: standing.answers },
  };
}

function rows(tally: StratumTally, margins: ParityMargins, alpha: number): MeasureRow[] {
  return (Object.entries(tally.measures) as [MeasureName, MeasureTally][]).map(([measure, sums]) => {
    const row = rowOf(measure, sums, marginOf(measure, margins), alpha);
    return measure === 'tool trigger' ? { ...row, f1: f1Of(tally.trigger) } : row;
  });
}

function rowOf(measure: MeasureName, sums: MeasureTally, margin: number, alpha: number): MeasureRow {
  const { prompts } = sums;
  const self = sums.self / prompts;
  const candidate = sums.candidate / prompts;
  const interval = lossInterval(sums);
  const pValue = binomialTail(sums.candidateApart, sums.apart, ONE_OF_THREE);
  const loss = self - candidate;
  return {
    measure,
    outcome: pValue < alpha && loss > margin ? 'fail' : interval[1] <= margin ? 'pass' : 'inconclusive',
    prompts,
    self,
    candidate,
    loss,
    interval,
    margin,
    pValue,
  };
}

/** What was lost and what was won are bounded apart: exact for scores of 0 and 1, wide for all others. */
function lossInterval({ prompts, lost, won }: MeasureTally): [number, number] {
  const losses = proportionInterval(Math.min(lost, prompts), prompts, 0.05);
  const wins = proportionInterval(Math.min(won, prompts), prompts, 0.05);
  return [Math.max(-1, losses.low - wins.high), Math.min(1, losses.high - wins.low)];
}

/** F1 rises with the part of agreed calls among all calls, which is a proportion: so does its interval. */
function f1Of({ self, candidate }: StratumTally['trigger']): NonNullable<MeasureRow['f1']> {
  const f1 = (part: number) => (2 * part) / (1 + part);
  const part = ({ both, onlyOther, onlyLegacy }: TriggerTally) => {
    const calls = both + onlyOther + onlyLegacy;
    return calls === 0 ? 1 : both / calls;
  };
  const calls = candidate.both + candidate.onlyOther + candidate.onlyLegacy;
  const { low, high } = calls === 0 ? { low: 0, high: 1 } : proportionInterval(candidate.both, calls, 0.05);
  return { self: f1(part(self)), candidate: f1(part(candidate)), interval: [f1(low), f1(high)] };
}

function tokenRatios(all: TokenTally, strata: readonly StratumTally[]): ParityReport['tokens'] {
  const ratioOf = (legacy: keyof TokenTally, candidate: keyof TokenTally): TokenRatio | null => {
    const ratios = strata.flatMap(({ tokens }) =>
      tokens[legacy] > 0 ? [tokens[candidate] / tokens[legacy]] : [],
    );
    if (ratios.length === 0) return null;
    return { ratio: all[candidate] / all[legacy], least: Math.min(...ratios), most: Math.max(...ratios) };
  };
  const input = ratioOf('legacyInput', 'candidateInput');
  const output = ratioOf('legacyOutput', 'candidateOutput');
  return input === null || output === null ? null : { input, output };
}

interface ParityMeasures {
  readonly measures: readonly MeasureRow[];
  readonly strata: ParityReport['strata'];
  readonly prompts: ParityReport['prompts'];
  readonly demand: ParityDemand;
}

function verdictOf(judged: ParityMeasures): Pick<ParityReport, 'outcome' | 'sentence'> {
  const { measures, strata, prompts, demand } = judged;
  const decisions = measures.find(({ measure }) => measure === 'decisions');
  const everywhere = measures.filter(({ outcome }) => outcome === 'fail');
  const told = new Set(everywhere.map(({ measure }) => measure));
  const failed = [
    ...everywhere.map((row) => rowSentence(row)),
    ...strata.flatMap(({ stratum, measures: own }) =>
      own
        .filter(({ measure, outcome }) => outcome === 'fail' && !told.has(measure))
        .map((row) => rowSentence(row, stratum)),
    ),
  ];
  if (failed.length > 0) {
    const more = failed.length > 2 ? `; and ${failed.length - 2} more` : '';
    return { outcome: 'fail', sentence: `${failed.slice(0, 2).join('; ')}${more}` };
  }
  const inconclusive = (sentence: string) => ({ outcome: 'inconclusive' as const, sentence });
  if (decisions === undefined) {
    const why = demand.stopped ?? 'legacy itself did not answer';
    return inconclusive(`none of ${prompts.given} golden prompts could be compared: ${why}`);
  }
  if (demand.stopped !== null) {
    return inconclusive(`${prompts.compared} of ${prompts.given} prompts compared: ${demand.stopped}`);
  }
  if (prompts.skipped > SKIPPED_MOST * prompts.given) {
    return inconclusive(
      `legacy itself left ${prompts.skipped} of ${prompts.given} prompts unanswered, at most ${points(SKIPPED_MOST)}% allowed`,
    );
  }
  if (prompts.compared < demand.minimumPrompts) {
    return inconclusive(`${prompts.compared} prompts compared, at least ${demand.minimumPrompts} needed`);
  }
  if (decisions.outcome !== 'pass') {
    const more = promptsToPass(decisions);
    const advice = more === null ? '' : `; about ${more} more prompts would decide`;
    return inconclusive(`${rowSentence(decisions)}: not shown to be within the margin${advice}`);
  }
  const beyond = measures.find(({ loss, margin }) => loss > margin);
  if (beyond !== undefined) return inconclusive(`${rowSentence(beyond)}: too few prompts to be sure`);
  return { outcome: 'pass', sentence: `${prompts.compared} prompts compared: ${rowSentence(decisions)}` };
}

const WHAT: Readonly<Record<MeasureName, string>> = {
  decisions: "decisions that match legacy's",
  answered: 'prompts answered',
  'finish reason': "finish reasons that match legacy's",
  truncation: 'answers not cut short',
  'tool trigger': 'tools called where legacy calls them',
  'tool schema': 'tool calls that keep to the schema',
  'tool arguments': "tool calls with legacy's arguments",
  json: 'answers that are JSON',
  'json schema': 'answers that keep to the schema',
  'json fields': "fields equal to legacy's",
  refusal: "refusals that match legacy's",
  language: "answers in legacy's language",
  similarity: "similarity to legacy's texts",
  length: "length close to that of legacy's texts",
  embedding: "cosine similarity to legacy's embeddings",
};

/** A row in words: `tools called as legacy calls them: 82% against 98% of legacy itself, 16 points less (margin 10)`. */
function rowSentence(row: MeasureRow, stratum?: string): string {
  const where = stratum === undefined ? '' : ` in ${stratum}`;
  const change =
    Math.abs(points(row.loss)) < 0.1
      ? 'no less'
      : `${points(Math.abs(row.loss))} points ${row.loss > 0 ? 'less' : 'more'}`;
  return `${WHAT[row.measure]}${where}: ${points(row.candidate)}% against ${points(row.self)}% of legacy itself, ${change} (${row.prompts} prompts, margin ${points(row.margin)} points)`;
}

const PROMPTS_ASKED_MOST = 20_000;

/** How many more prompts would pass if they went as those so far; null where none would. */
function promptsToPass({ prompts, loss, margin, interval }: MeasureRow): number | null {
  if (loss >= margin) return null;
  // The half width of an interval falls with the root of the prompts.
  const needed = Math.ceil(prompts * ((interval[1] - loss) / (margin - loss)) ** 2);
  return needed > PROMPTS_ASKED_MOST ? null : Math.max(1, needed - prompts);
}

function notesOf(
  measures: readonly MeasureRow[],
  prompts: ParityReport['prompts'],
  demand: ParityDemand,
): string[] {
  const blind = measures
    .filter(({ outcome, measure }) => outcome === 'inconclusive' && measure !== 'decisions')
    .map(
      ({ measure, prompts: count, interval }) =>
        `${measure} (${count} prompts, up to ${points(interval[1])} points)`,
    );
  return [
    ...(blind.length === 0
      ? []
      : [`too few prompts to exclude a loss beyond the margin: ${blind.join(', ')}`]),
    ...(prompts.skipped === 0
      ? []
      : [
          `${prompts.skipped} prompts excluded: legacy itself did not answer them twice, or a schema could not judge an answer in time`,
        ]),
    ...(demand.stopped === null ? [] : [demand.stopped]),
  ];
}

function points(part: number): number {
  return Number((part * 100).toFixed(1));
}
