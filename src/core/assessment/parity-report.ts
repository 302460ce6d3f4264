import type { ParityMargins } from '../plan/plan';
import type { Finding } from './finding';

/** What golden prompts showed; `report` is brief, and null when there was nothing to compare. */
export interface ParityFindings {
  readonly findings: readonly Finding[];
  readonly report: ParityReport | null;
}

/** What is compared between answers to one prompt. */
export type MeasureName =
  | 'decisions'
  | 'answered'
  | 'finish reason'
  | 'truncation'
  | 'tool trigger'
  | 'tool schema'
  | 'tool arguments'
  | 'json'
  | 'json schema'
  | 'json fields'
  | 'refusal'
  | 'language'
  | 'similarity'
  | 'length'
  | 'embedding';

/** Sums of one measure over prompts: mergeable, plain JSON. */
export interface MeasureTally {
  readonly prompts: number;
  /** Sum of legacy's score against itself, each 0 to 1. */
  readonly self: number;
  /** Sum of the candidate's score against legacy. */
  readonly candidate: number;
  /** Sum of what the candidate lost, and of what it won, over the prompts where it did. */
  readonly lost: number;
  readonly won: number;
  /** Prompts where one of the three answers is worse or farther off than the other two, and where it is the candidate's. */
  readonly apart: number;
  readonly candidateApart: number;
}

/** Calls of tools as legacy's first answer has them: hits, too many, too few. */
export interface TriggerTally {
  readonly both: number;
  readonly onlyOther: number;
  readonly onlyLegacy: number;
}

/** Tokens of the same prompts as each provider counts them; legacy's are the mean of its two answers. */
export interface TokenTally {
  readonly legacyInput: number;
  readonly legacyOutput: number;
  readonly candidateInput: number;
  readonly candidateOutput: number;
}

/** The candidate's tokens for one of legacy's: over all prompts, and the least and the most of any stratum. */
export interface TokenRatio {
  readonly ratio: number;
  readonly least: number;
  readonly most: number;
}

/** What was found over some prompts of one stratum. */
export interface StratumTally {
  readonly prompts: number;
  readonly measures: Readonly<Partial<Record<MeasureName, MeasureTally>>>;
  /** Legacy's second answer and the candidate's, each against legacy's first. */
  readonly trigger: { readonly self: TriggerTally; readonly candidate: TriggerTally };
  readonly tokens: TokenTally;
}

/** How far a run is: what a later attempt needs where the file of answers is not at hand. */
export interface ParityProgress {
  /** SHA-256 of the prompts, in hexadecimal, so that a changed file starts anew. */
  readonly golden: string;
  readonly strata: Readonly<Record<string, StratumTally>>;
  /** One bit a prompt in file order, in hexadecimal digits: whether it is in the tallies. */
  readonly done: string;
  /** Prompts that legacy itself did not answer twice. */
  readonly skipped: number;
  /** Calls that were answered, and dollars as far as prices are known. */
  readonly calls: number;
  readonly costUsd: number;
  /** Ids of prompts where the candidate stands apart, and in what; the first of them. */
  readonly differing: readonly { readonly id: string; readonly what: string }[];
  /** SHA-256 over the answers so far, in hexadecimal. */
  readonly answers: string;
}

/** One measure of a parity report, over all prompts or a stratum. */
export interface MeasureRow {
  readonly measure: MeasureName;
  readonly outcome: 'pass' | 'fail' | 'inconclusive';
  readonly prompts: number;
  /** Means, 0 to 1. */
  readonly self: number;
  readonly candidate: number;
  /** Self minus candidate, and where it lies with 95% confidence. */
  readonly loss: number;
  readonly interval: readonly [low: number, high: number];
  readonly margin: number;
  /** Chance that an equal candidate would stand apart so often. */
  readonly pValue: number;
  /** F1 of calling a tool, with 95% intervals; only for the tool trigger. */
  readonly f1?: {
    readonly self: number;
    readonly candidate: number;
    readonly interval: readonly [low: number, high: number];
  };
}

/** What a parity run found: plain JSON, digests in place of answers. */
export interface ParityReport {
  readonly outcome: 'pass' | 'fail' | 'inconclusive';
  readonly sentence: string;
  /** What a reader should know besides: what could not have been seen, what was left out. */
  readonly notes: readonly string[];
  /** Why not all prompts were sent; null when they were. */
  readonly stopped: string | null;
  readonly prompts: { readonly given: number; readonly compared: number; readonly skipped: number };
  readonly calls: number;
  readonly costUsd: number;
  readonly measures: readonly MeasureRow[];
  readonly strata: readonly {
    readonly stratum: string;
    readonly prompts: number;
    readonly measures: readonly MeasureRow[];
  }[];
  readonly differing: ParityProgress['differing'];
  /** Null where a provider does not count. */
  readonly tokens: { readonly input: TokenRatio; readonly output: TokenRatio } | null;
  readonly digests: { readonly golden: string; readonly answers: string };
}

/** The measures that are decisions: they make up the flip rate. */
export const DECISIONS: readonly MeasureName[] = [
  'answered',
  'finish reason',
  'truncation',
  'tool trigger',
  'tool schema',
  'json',
  'json schema',
  'refusal',
  'language',
];

/** The margin of a measure. */
export function marginOf(measure: MeasureName, margins: ParityMargins): number {
  switch (measure) {
    case 'tool arguments':
      return margins.toolArguments;
    case 'json fields':
      return margins.jsonFields;
    case 'similarity':
      return margins.similarity;
    case 'length':
      return margins.length;
    case 'embedding':
      return margins.embedding;
    default:
      return margins.decisions;
  }
}

const STRATA_MOST = 12;

/** A report small enough for a workflow's history: of the strata that differ most what failed, else their flip rates. */
export function briefReport(report: ParityReport): ParityReport {
  const strata = report.strata.flatMap((stratum) => {
    const row =
      stratum.measures.find(({ outcome }) => outcome === 'fail') ??
      stratum.measures.find(({ measure }) => measure === 'decisions');
    return row === undefined ? [] : [{ ...stratum, measures: [rounded(row)] }];
  });
  const lossOf = ({ measures: [row] }: (typeof strata)[number]) => row?.loss ?? 0;
  return {
    ...report,
    sentence: report.sentence.slice(0, 500),
    notes: report.notes.slice(0, 3).map((note) => note.slice(0, 200)),
    measures: report.measures.map(rounded),
    strata: strata.sort((a, b) => lossOf(b) - lossOf(a)).slice(0, STRATA_MOST),
    differing: report.differing.slice(0, 8).map(({ id, what }) => ({ id, what: what.slice(0, 60) })),
  };
}

function rounded(row: MeasureRow): MeasureRow {
  const short = (value: number) => Number(value.toPrecision(4));
  return {
    ...row,
    self: short(row.self),
    candidate: short(row.candidate),
    loss: short(row.loss),
    interval: [short(row.interval[0]), short(row.interval[1])],
    pValue: short(row.pValue),
  };
}
