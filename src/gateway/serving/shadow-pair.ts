import type { BreachClass } from '../../core/evidence/breach-classes';
import type { FailureClass } from '../../core/evidence/evidence';
import type { RatioAspect } from '../../core/evidence/pair-counts';
import type { Judgement } from '../contract/judge-answer';

/** One answer of a pair. */
export interface ShadowAnswer {
  /** Null where there was an answer; `rejected` is a refusal (4xx). */
  readonly failure: FailureClass | null;
  /** What was found of the answer; null where nothing is to be found, as for failures. */
  readonly judgement: Judgement | null;
  /** To the first token of a stream, to the end of a plain answer. */
  readonly answerMs: number | null;
  /** As the provider counted; null where it did not. */
  readonly outputTokens: number | null;
  readonly costUsd: number | null;
  /** How it ended and what it holds, in one word; null where it was not read. */
  readonly decision: string | null;
}

/** Why only the candidate's answer of a pair was bad. */
type LossClass = FailureClass | BreachClass;

/** What legacy answered to a request beside what the candidate answered to its copy. */
export interface ComparedPair {
  readonly answers: 'lost' | 'won' | 'tied' | 'unchecked';
  /** What the candidate's answer broke, where only that was bad. */
  readonly lostBy: LossClass | null;
  /** How many times as much the candidate took; null where one of both is not known. */
  readonly ratios: Readonly<Record<RatioAspect, number | null>>;
  /** Null where both may well differ: neither JSON nor temperature 0 was asked for. */
  readonly decisions: 'alike' | 'different' | null;
}

/** Compares a pair; `isExact` where the same is asked of both, as with JSON or temperature 0. */
export function comparePair(legacy: ShadowAnswer, candidate: ShadowAnswer, isExact: boolean): ComparedPair {
  const [was, is] = [standingOf(legacy), standingOf(candidate)];
  const bothAnswered = legacy.failure === null && candidate.failure === null;
  const ratio = (read: (answer: ShadowAnswer) => number | null) => {
    const [before, now] = [read(legacy), read(candidate)];
    return bothAnswered && before !== null && now !== null && before > 0 ? now / before : null;
  };
  const isUnchecked = was === 'unchecked' || is === 'unchecked';
  const isLost = was === 'good' && is !== 'good';
  const isWon = was !== 'good' && is === 'good';
  return {
    answers: isUnchecked ? 'unchecked' : isLost ? 'lost' : isWon ? 'won' : 'tied',
    lostBy: isUnchecked || !isLost ? null : (is as LossClass),
    ratios: {
      latency: ratio(({ answerMs }) => answerMs),
      outputTokens: ratio(({ outputTokens }) => outputTokens),
      cost: ratio(({ costUsd }) => costUsd),
    },
    decisions:
      !isExact || !bothAnswered || legacy.decision === null || candidate.decision === null
        ? null
        : legacy.decision === candidate.decision
          ? 'alike'
          : 'different',
  };
}

function standingOf({ failure, judgement }: ShadowAnswer): 'good' | 'unchecked' | LossClass {
  if (judgement !== null && judgement !== 'kept' && judgement !== 'unchecked') return judgement;
  if (failure !== null) return failure;
  return judgement === 'unchecked' ? 'unchecked' : 'good';
}
