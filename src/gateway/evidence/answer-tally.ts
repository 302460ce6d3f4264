import type { BreachClass } from '../../core/evidence/breach-classes';
import { BREACH_CLASSES } from '../../core/evidence/breach-classes';
import type { AnswerCounts, AnswerEnd, EchoedModel } from '../../core/evidence/evidence';
import type { Judgement } from '../contract/judge-answer';

/** What was found of one answer. */
export interface SeenAnswer {
  readonly judgement: Judgement;
  /** Null when the answer was not read. */
  readonly end: AnswerEnd | null;
  /** As the answer names it. */
  readonly model: string | null;
  readonly fingerprint: string | null;
}

/** The class that an answer breaches; null when it keeps to its contract or could not be checked. */
export function breachOf({ judgement }: SeenAnswer): BreachClass | null {
  return judgement === 'kept' || judgement === 'unchecked' ? null : judgement;
}

const ENDS: readonly AnswerEnd[] = [
  ...(['stop', 'length', 'content_filter', 'tool_calls', 'refusal', 'other', 'nothing'] as const),
];
/** Echoed models that get counters of their own: those that are seen first. */
const NAMED_AT_MOST = 8;
const OTHER_MODELS = 'other';
/** What a model's name may be; anything else a provider writes there is counted as `other`. */
const MODEL_NAME = /^[\x21-\x7e]{1,128}$/;

/** Counts of answers of one arm, kind and stratum; they only grow. */
export class AnswerTally {
  #checked = 0;
  #unchecked = 0;
  #breaches = new Float64Array(BREACH_CLASSES.length);
  #ends = new Float64Array(ENDS.length);
  #fingerprintChanges = 0;
  #echoed = new Map<string, number>();

  /** `isNewFingerprint`: another one than the answer before. */
  add(answer: SeenAnswer, isNewFingerprint: boolean): void {
    const { judgement, end, model } = answer;
    if (judgement === 'unchecked') this.#unchecked += 1;
    else {
      this.#checked += 1;
      if (judgement !== 'kept') count(this.#breaches, BREACH_CLASSES.indexOf(judgement), 1);
    }
    if (end !== null) count(this.#ends, ENDS.indexOf(end), 1);
    if (isNewFingerprint) this.#fingerprintChanges += 1;
    if (model !== null) this.#echo(model, 1);
  }

  /** Adds what another process has counted. */
  merge(answers: AnswerCounts, echoed: readonly EchoedModel[], fingerprintChanges: number): void {
    this.#checked += answers.checked;
    this.#unchecked += answers.unchecked;
    BREACH_CLASSES.forEach((name, index) => {
      count(this.#breaches, index, answers.breaches[name] ?? 0);
    });
    ENDS.forEach((name, index) => {
      count(this.#ends, index, answers.ends[name] ?? 0);
    });
    for (const { model, count } of echoed) this.#echo(model, count);
    this.#fingerprintChanges += fingerprintChanges;
  }

  copy(): AnswerTally {
    const copy = new AnswerTally();
    copy.#checked = this.#checked;
    copy.#unchecked = this.#unchecked;
    copy.#breaches = this.#breaches.slice();
    copy.#ends = this.#ends.slice();
    copy.#fingerprintChanges = this.#fingerprintChanges;
    copy.#echoed = new Map(this.#echoed);
    return copy;
  }

  /** What was counted after an earlier copy. */
  since(earlier: AnswerTally): {
    readonly answers: AnswerCounts;
    readonly echoed: readonly EchoedModel[];
    readonly fingerprintChanges: number;
  } {
    return {
      answers: {
        checked: this.#checked - earlier.#checked,
        unchecked: this.#unchecked - earlier.#unchecked,
        breaches: grown(BREACH_CLASSES, this.#breaches, earlier.#breaches),
        ends: grown(ENDS, this.#ends, earlier.#ends),
      },
      echoed: [...this.#echoed]
        .map(([model, count]) => ({ model, count: count - (earlier.#echoed.get(model) ?? 0) }))
        .filter(({ count }) => count > 0)
        .sort((a, b) => b.count - a.count),
      fingerprintChanges: this.#fingerprintChanges - earlier.#fingerprintChanges,
    };
  }

  #echo(model: string, times: number): void {
    const held = this.#echoed.get(model);
    if (held !== undefined) this.#echoed.set(model, held + times);
    else if (this.#echoed.size < NAMED_AT_MOST && MODEL_NAME.test(model)) this.#echoed.set(model, times);
    else this.#echoed.set(OTHER_MODELS, (this.#echoed.get(OTHER_MODELS) ?? 0) + times);
  }
}

/**
 * The last fingerprint of each stratum. As with latencies, a process goes on from one epoch, or one report to the
 * primary, to the next.
 */
export class LastFingerprints {
  readonly #last = new Map<string, string>();

  /** Whether an answer's fingerprint is another one than that of the answer before. */
  changes(stratum: string, fingerprint: string | null): boolean {
    if (fingerprint === null) return false;
    const last = this.#last.get(stratum);
    const now = fingerprint.length > MOST_OF_IT ? fingerprint.slice(0, MOST_OF_IT) : fingerprint;
    if (last === now) return false;
    this.#last.set(stratum, now);
    return last !== undefined;
  }
}

const MOST_OF_IT = 128;

function count(counts: Float64Array, index: number, times: number): void {
  counts[index] = (counts[index] as number) + times;
}

function grown<K extends string>(
  names: readonly K[],
  now: Float64Array,
  before: Float64Array,
): Partial<Record<K, number>> {
  const counts: Partial<Record<K, number>> = {};
  names.forEach((name, index) => {
    const times = (now[index] as number) - (before[index] as number);
    if (times > 0) counts[name] = times;
  });
  return counts;
}
