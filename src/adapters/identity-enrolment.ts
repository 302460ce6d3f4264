import type { IdentityReply } from '../core/identity/identity-audit';
import {
  FIXED_TEXTS,
  type IdentityQuestion,
  QUESTION_SET,
  SAMPLED_QUESTIONS,
} from '../core/identity/identity-questions';
import type { IdentityReference, ReferenceAnswers } from '../core/identity/identity-reference';
import { referenceDigest } from '../core/identity/identity-reference-schema';
import type { AskableModel } from './identity-files';
import { systemClock } from './system-clock';

export interface EnrolmentOptions {
  /** Answers to each sampled question. */
  readonly samples: number;
  /** Calls at a time. */
  readonly concurrency: number;
  readonly timeoutMs: number;
  readonly declared: string | null;
  readonly now: Date;
  readonly signal: AbortSignal;
  /** Called after each answer. */
  readonly progress: (answers: number, all: number) => void;
}

/** Thrown when a model does not answer in a way that a reference could rest on; the message says what is missing. */
export class EnrolmentProblem extends Error {
  override readonly name = 'EnrolmentProblem';
}

type Usable = IdentityReply & { readonly ok: true };

/** Asks a model at its original for everything that a reference holds. Throws `EnrolmentProblem`. */
export async function enrolModel(model: AskableModel, options: EnrolmentOptions): Promise<IdentityReference> {
  const { samples, declared, now, timeoutMs, signal } = options;
  const fixed = FIXED_TEXTS.map((_, index): IdentityQuestion => ({ kind: 'fixed', index }));
  const sampled = SAMPLED_QUESTIONS.flatMap((_, index) =>
    Array.from({ length: samples }, (): IdentityQuestion => ({ kind: 'sampled', index })),
  );
  const all = fixed.length + sampled.length;
  let answers = 0;
  const ask = async (question: IdentityQuestion): Promise<Usable> => {
    const reply = await askPatiently(model, question, options);
    answers += 1;
    options.progress(answers, all);
    return reply;
  };
  // Whatever is missing shows at the first ones, before the many are paid for.
  const counted = await pooled(fixed, options.concurrency, ask);
  const tokens = counted.map(({ inputTokens }) => inputTokens);
  if (!tokens.every((count) => count !== null)) {
    throw new EnrolmentProblem(
      'expected usage.prompt_tokens in every answer, but some had none: a reference needs token counts',
    );
  }
  const replies = await pooled(sampled, options.concurrency, ask);
  const empty = replies.filter(({ word }) => word === '').length;
  if (empty > replies.length / 2) {
    throw new EnrolmentProblem(
      `expected a word in most answers, got none in ${empty} of ${replies.length}: a model whose reasoning uses up the length of its answers cannot be enrolled`,
    );
  }
  const reference = {
    questionSet: QUESTION_SET,
    provider: model.provider,
    model: model.model,
    enrolledAt: now.toISOString(),
    declared,
    fixed: tokens,
    answers: SAMPLED_QUESTIONS.map((_, index) =>
      partedAnswers(replies.slice(index * samples, (index + 1) * samples).map(({ word }) => word)),
    ),
    reasons: [...counted, ...replies].some(({ reasons }) => reasons),
    contextTokens: await model.contextTokens({ timeoutMs, signal }),
  };
  return { ...reference, digest: referenceDigest(reference) };
}

/** Two of five answers say what is usual, the others are compared with. */
function partedAnswers(words: readonly string[]): ReferenceAnswers {
  const isLearned = (index: number) => index % 5 < 2;
  return {
    learned: countsOf(words.filter((_, index) => isLearned(index))),
    compared: countsOf(words.filter((_, index) => !isLearned(index))),
  };
}

function countsOf(words: readonly string[]): Record<string, number> {
  const counts = new Map<string, number>();
  for (const word of words) counts.set(word, (counts.get(word) ?? 0) + 1);
  return Object.fromEntries([...counts].sort(([a, times], [b, more]) => more - times || (a < b ? -1 : 1)));
}

const TRIES = 4;
const PAUSE_MS = 1_000;

/** A provider that is busy for a moment is asked again; what it refuses stays refused. */
async function askPatiently(
  model: AskableModel,
  question: IdentityQuestion,
  { timeoutMs, signal }: EnrolmentOptions,
): Promise<Usable> {
  for (let tried = 1; ; tried += 1) {
    const reply = await model.ask(question, { timeoutMs, signal });
    signal.throwIfAborted();
    if (reply.ok) return reply;
    if (tried === TRIES || /status_(auth|4xx)/.test(reply.problem)) {
      throw new EnrolmentProblem(`${model.provider} cannot be enrolled: ${reply.problem}`);
    }
    await systemClock.sleep(PAUSE_MS * tried, signal);
  }
}

async function pooled<T, R>(
  items: readonly T[],
  concurrency: number,
  work: (item: T) => Promise<R>,
): Promise<R[]> {
  const results = new Array<R>(items.length);
  let next = 0;
  const take = async (): Promise<void> => {
    for (let index = next++; index < items.length; index = next++) {
      results[index] = await work(items[index] as T);
    }
  };
  await Promise.all(Array.from({ length: Math.min(concurrency, items.length) }, take));
  return results;
}
