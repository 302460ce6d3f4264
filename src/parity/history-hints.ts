import {
  type HistoryRepair,
  historyRepairs,
  repaired,
  repairText,
} from '../core/assessment/handover-conversation';
import type { Question, Reply } from '../core/assessment/question';
import type { Arm } from '../core/routing/routing';

/** Asks a provider once more; null where that could not be paid for or used. */
type AskAgain = (provider: Arm, question: Question) => Promise<Reply | null>;

/**
 * Which rules would make a conversation pass that a provider refuses, for what another one added to it. Each is tried
 * once, by asking as the rule would have it.
 */
export class HistoryHints {
  readonly #tried = new Map<string, string | null>();

  /** In one line each, for a reader. */
  get texts(): string[] {
    return [...this.#tried.values()].filter((text) => text !== null);
  }

  /** Looks at a refused question; how many times it was asked again. */
  async look(provider: Arm, question: Question, reply: Reply, askAgain: AskAgain): Promise<number> {
    if (question.kind !== 'chat' || reply.ok || reply.failure !== 'status_4xx') return 0;
    const repairs = historyRepairs(question.messages);
    const key = JSON.stringify([provider, repairs]);
    if (repairs.length === 0 || this.#tried.has(key)) return 0;
    this.#tried.set(key, null);
    let asked = 0;
    for (const repair of repairs) {
      const again = await askAgain(provider, { ...question, messages: repaired(question.messages, repair) });
      if (again === null) break;
      asked += 1;
      if (!again.ok) continue;
      this.#tried.set(key, hintText(provider, repair));
      break;
    }
    return asked;
  }
}

function hintText(provider: Arm, repair: HistoryRepair): string {
  const [who, rules] =
    provider === 'legacy'
      ? (['legacy', 'legacyParameters'] as const)
      : (['the candidate', 'parameters'] as const);
  return `${who} refuses conversations with what another provider added, and accepts them ${repairText(repair, rules)}`;
}
