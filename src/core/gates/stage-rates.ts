import { NO_ANSWER_ROW } from '../evidence/answer-row';
import { KEY_BUCKETS, mergeKeys } from '../evidence/key-buckets';
import { decodeNumbers } from '../evidence/number-list';
import { addRows, NO_ROW, type RateRow } from '../evidence/rate-row';
import { rateRows, type StageEvidence } from '../evidence/stage/stage-evidence';
import type { WindowCounts } from '../evidence/stage/window-counts';
import type { GuardrailWeights, StagePlan } from '../plan/plan';
import type { DetectorState } from '../statistics/change-detector';
import { deflatedRates } from '../statistics/design-effect';
import type { TwoRates } from '../statistics/rate-difference';
import { FORMER_WEIGHTS } from './alpha-spending';
import { percentText } from './gate-metric';
import { type EventRow, type RateEvents, rateEvents, weighedShare } from './rate-events';
import type { Baseline } from './verdict';

/** Requests of a stage and what came of them, as counted and as independent as they are worth. */
export interface StageRates extends Pick<RateEvents, 'counted' | 'deflated' | 'designEffect'> {
  /** Failures; the fields above are theirs. */
  readonly failures: RateEvents;
  /** Callers who left. */
  readonly left: RateEvents;
  /** The design effect of burn-in and of windows in which the share was not applied as well: what the floor judges. */
  readonly floorDesignEffect: number;
  readonly keys: string | null;
  /** Everything that was counted, and the same by window. */
  readonly all: RateRow;
  readonly rows: DetectorState<RateRow>;
}

/** Reads a stage's rates out of its evidence. */
export function stageRates(stage: StageEvidence): StageRates {
  const rows = rateRows(stage);
  const all = rows.segments.map(({ evidence }) => evidence).reduce(addRows, NO_ROW);
  const keys = clustering(stage, (counts) => counts.keys);
  const failures = eventsOf(rows, keys, ({ rates, strata, expected }) => ({
    numbers: rates,
    strata,
    expected: expected === undefined ? null : { all: expected.failures, strata: expected.strata },
  }));
  const left = eventsOf(rows, keys, ({ rates: [asked, , moved], left: gone, expected }) => ({
    numbers: [asked + gone.legacy, gone.legacy, moved + gone.candidate, gone.candidate],
    strata: [],
    expected: expected === undefined ? null : { all: expected.left, strata: [] },
  }));
  const { counted, deflated, designEffect } = failures;
  return {
    counted,
    deflated,
    designEffect,
    failures,
    left,
    floorDesignEffect:
      stage.floorKeys === undefined ? designEffect : designEffectOf(mergeKeys(stage.floorKeys, keys.whole)),
    keys: keys.whole,
    all,
    rows,
  };
}

/** Answers of a stage that broke their contract; null where nobody has looked at one. */
export function breachEvents(stage: StageEvidence, { rows, all }: StageRates): RateEvents | null {
  if (all.answers === undefined) return null;
  const keys = clustering(stage, (counts) => counts.answerKeys ?? null);
  return eventsOf(rows, keys, ({ strata, answers: own = NO_ANSWER_ROW }) => ({
    numbers: own.checked,
    // What was checked is not kept by stratum: what succeeded stands for it.
    strata: strata.map(([asked, failures, moved, failed], index) => {
      const [legacy, candidate] = own.strata[index] ?? [0, 0];
      return [asked - failures, legacy, moved - failed, candidate] as const;
    }),
    expected: { all: own.expected.breaches, strata: own.expected.strata },
  }));
}

function eventsOf(
  rows: DetectorState<RateRow>,
  { effect, since }: Clustering,
  pick: (row: RateRow) => EventRow,
): RateEvents {
  const picked = {
    windows: rows.windows,
    segments: rows.segments.map(({ from, evidence }) => ({ from, evidence: pick(evidence) })),
  };
  // Keys are kept from fewer starts than rates: those of the next earlier one stand for a start.
  return rateEvents(picked, effect, (from) => since.findLast((one) => one.from <= from)?.effect ?? effect);
}

interface Clustering {
  readonly whole: string | null;
  readonly effect: number;
  readonly since: readonly { readonly from: number; readonly effect: number }[];
}

/** How events cluster by key in the whole stage, and from each start of its windows on, oldest first. */
function clustering(
  { judged: { segments } }: StageEvidence,
  read: (counts: WindowCounts) => string | null,
): Clustering {
  const since: { from: number; effect: number }[] = [];
  let keys: string | null = null;
  for (const { from, evidence } of segments.toReversed()) {
    keys = mergeKeys(read(evidence), keys);
    since.unshift({ from, effect: designEffectOf(keys) });
  }
  return { whole: keys, effect: since[0]?.effect ?? 1, since };
}

/** By how much requests of one key (as `keys` of a window) go together. */
export function designEffectOf(keys: string | null): number {
  return keys === null ? 1 : deflatedRates(keyBuckets(keys)).designEffect;
}

/** Requests and events by key bucket. */
export function keyBuckets(text: string) {
  const keys = decodeNumbers(text);
  const arm = (offset: number) =>
    Array.from({ length: KEY_BUCKETS }, (_, bucket) => {
      const at = 4 * bucket + offset;
      return [bucket, keys[at] ?? 0, keys[at + 1] ?? 0] as const;
    }).filter(([, requests]) => requests > 0);
  return { legacy: arm(0), candidate: arm(2) };
}

/** What a metric of the stage is judged with. */
export interface JudgingFacts {
  readonly stage: StagePlan;
  readonly rates: StageRates;
  readonly evidence: StageEvidence;
  readonly baseline: Baseline | null;
  /** Whether to foresee how many more requests decide: it takes most of an evaluation that does not. */
  readonly foresees: boolean;
}

/** Intervals are for reading: they hold with this chance, whatever decides. */
export const INTERVAL_ALPHA = 0.05;

/** A guardrail's part of the stage's chance of a false rollback, fixed before anything is seen; `part` of its kind's. */
export function guardrailAlpha(
  { alpha: { rollback, weights = FORMER_WEIGHTS } }: Pick<StagePlan, 'alpha'>,
  kind: keyof GuardrailWeights,
  part = 1,
): number {
  return rollback * (weights[kind] ?? 0) * part;
}

/** A guardrail's part of alpha, in words. */
export function alphaText({ stage: { alpha } }: Pick<JudgingFacts, 'stage'>, own: number): string {
  return `${percentText(own / alpha.rollback)} of alpha ${percentText(alpha.rollback)}`;
}

/** Events of requests; null without any. */
export function rateOf({ events, requests }: TwoRates['legacy']): number | null {
  return requests === 0 ? null : events / requests;
}

/** Says that counts were divided, where that is felt. */
export function clusterText(designEffect: number, what: string): string {
  return designEffect < 1.05
    ? ''
    : `, counts divided by ${Number(designEffect.toPrecision(2))} as ${what} cluster by key`;
}

/** Whether what a stage had held back has moved: nothing is left to compare with, and what was is of another time. */
export function isHandedOver({ share, holdback }: Pick<StagePlan, 'share' | 'holdback'>): boolean {
  return share === 1 && holdback !== undefined;
}

/** The candidate's part of the requests, weighed against the plan's while there are few. */
export function realisedShare({ counted: { legacy, candidate } }: StageRates, stage: StagePlan): number {
  return weighedShare(candidate.requests, legacy.requests, stage);
}
