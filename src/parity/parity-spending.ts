import { costOf, type Rates } from '../core/assessment/prices';
import type { Question, Reply } from '../core/assessment/question';

/** Keeps a run under its cap: a call is let go only while what it may cost is left. */
export class ParitySpending {
  #spentUsd: number;
  #reservedUsd = 0;

  constructor(
    private readonly maxUsd: number | null,
    spentUsd: number,
  ) {
    this.#spentUsd = spentUsd;
  }

  get spentUsd(): number {
    return this.#spentUsd;
  }

  /** Sets aside what a call may cost at most; false when that is not left. */
  reserve(mostUsd: number): boolean {
    if (this.maxUsd !== null && this.#spentUsd + this.#reservedUsd + mostUsd > this.maxUsd) return false;
    this.#reservedUsd += mostUsd;
    return true;
  }

  /** Turns a reservation into what the call did cost. */
  settle(reservedUsd: number, costUsd: number): void {
    this.#reservedUsd -= reservedUsd;
    this.#spentUsd += costUsd;
  }

  /** Counts what was paid before. */
  add(costUsd: number): void {
    this.#spentUsd += costUsd;
  }
}

/** What a text and its answer may cost at most, in dollars: no tokenizer makes more tokens of a text than it has bytes. */
export function mostCost(rates: Rates, asked: object, outputTokens: number): number {
  const inputTokens = Buffer.byteLength(JSON.stringify(asked));
  return costOf(rates, { inputTokens, cachedTokens: 0, outputTokens });
}

/** The same of a question: as long an answer as it allows. */
export function mostCostOf(rates: Rates | null, question: Question): number {
  if (rates === null) return 0;
  return mostCost(rates, question, question.kind === 'chat' ? question.maxTokens : 0);
}

/** What a reply cost, in dollars; the most where the provider does not say, nothing for a request that it refused. */
export function costOfReply(rates: Rates | null, question: Question, reply: Reply): number {
  if (rates === null) return 0;
  if (!reply.ok)
    return reply.failure === 'timeout' || reply.failure === 'reset' ? mostCostOf(rates, question) : 0;
  return reply.usage === null ? mostCostOf(rates, question) : costOf(rates, reply.usage);
}
