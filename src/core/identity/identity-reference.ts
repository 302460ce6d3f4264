/** What a model showed when it was asked at its original: the numbers that a candidate is held against. */
export interface IdentityReference {
  readonly questionSet: number;
  /** Whom it was asked of, as the configuration then named it, and as what. */
  readonly provider: string;
  readonly model: string;
  readonly enrolledAt: string;
  /** A digest of the weights as somebody declared it, `sha256:` and hex; null: none. */
  readonly declared: string | null;
  /** Input tokens of `FIXED_TEXTS`, in their order. */
  readonly fixed: readonly number[];
  /** By `SAMPLED_QUESTIONS`, in their order. */
  readonly answers: readonly ReferenceAnswers[];
  /** Whether answers came with reasoning. */
  readonly reasons: boolean;
  /** The context in tokens, where the list of models says it; null: it does not. */
  readonly contextTokens: number | null;
  /** SHA-256 of all of the above as canonical JSON, `sha256:` and hex. */
  readonly digest: string;
}

/**
 * How often each answer came. One part says which answers are usual, the other is what answers are compared with: the
 * test holds only where the order of strangeness does not depend on what is compared.
 */
export interface ReferenceAnswers {
  readonly learned: Readonly<Record<string, number>>;
  readonly compared: Readonly<Record<string, number>>;
}

/** Answers that have a class of their own; behind them those that were seldom seen, and those never seen. */
const OWN_CLASSES = 6;

/** How many classes there are, from the most usual answer to those never seen. */
export const ANSWER_CLASSES = OWN_CLASSES + 2;

/** How strange an answer is, by what was learned: 0 is the most usual. */
export function strangenessOf(answers: ReferenceAnswers, word: string): number {
  return ranked(answers).strangeness.get(word) ?? OWN_CLASSES + 1;
}

/** The compared answers by class. */
export function comparedCounts(answers: ReferenceAnswers): readonly number[] {
  return ranked(answers).counts;
}

interface RankedAnswers {
  readonly strangeness: ReadonlyMap<string, number>;
  readonly counts: readonly number[];
}

/** A reference is read once and asked for every answer. */
const RANKED = new WeakMap<ReferenceAnswers, RankedAnswers>();

function ranked(answers: ReferenceAnswers): RankedAnswers {
  const known = RANKED.get(answers) ?? rank(answers);
  RANKED.set(answers, known);
  return known;
}

function rank({ learned, compared }: ReferenceAnswers): RankedAnswers {
  // Equal counts in one order always, whoever asks.
  const words = Object.entries(learned).sort(([a, times], [b, more]) => more - times || (a < b ? -1 : 1));
  const strangeness = new Map(words.map(([word], index) => [word, Math.min(index, OWN_CLASSES)]));
  const counts = new Array<number>(ANSWER_CLASSES).fill(0);
  for (const [word, times] of Object.entries(compared)) {
    const at = strangeness.get(word) ?? OWN_CLASSES + 1;
    counts[at] = (counts[at] ?? 0) + times;
  }
  return { strangeness, counts };
}

/** How many answers of a reference are compared with, over all questions. */
export function comparedAnswers({ answers }: Pick<IdentityReference, 'answers'>): number {
  return answers.reduce(
    (sum, { compared }) => sum + Object.values(compared).reduce((all, times) => all + times, 0),
    0,
  );
}

/** The first twelve digits of a digest, for people. */
export function shortDigest(digest: string): string {
  return digest.slice(0, 'sha256:'.length + 12);
}
