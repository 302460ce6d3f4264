import { addedFields, plainMessages } from '../core/assessment/handover-conversation';
import type { Message, Question, Reply } from '../core/assessment/question';
import type { Side } from '../core/routing/routing';

/** Asks a provider once more; null where that could not be paid for or used. */
type AskAgain = (side: Side, question: Question) => Promise<Reply | null>;

/**
 * Which rules would make a conversation pass that a provider refuses, for what another one added to its assistant
 * messages. Each is tried once, by asking without those fields.
 */
export class HistoryHints {
  readonly #tried = new Map<string, string | null>();

  /** In one line each, for a reader. */
  get texts(): string[] {
    return [...this.#tried.values()].filter((text) => text !== null);
  }

  /** Looks at a refused question; how many times it was asked again. */
  async look(side: Side, question: Question, reply: Reply, askAgain: AskAgain): Promise<number> {
    if (question.kind !== 'chat' || reply.ok || reply.failure !== 'status_4xx') return 0;
    const added = addedFields(question.messages.filter(isAssistant));
    const key = `${side} ${added.join()}`;
    if (added.length === 0 || this.#tried.has(key)) return 0;
    this.#tried.set(key, null);
    const messages = question.messages.flatMap((message) =>
      isAssistant(message) ? plainMessages([message]) : [message],
    );
    const again = await askAgain(side, { ...question, messages });
    if (again?.ok === true) this.#tried.set(key, hintText(side, added));
    return again === null ? 0 : 1;
  }
}

function isAssistant({ role }: Message): boolean {
  return role === 'assistant';
}

function hintText(side: Side, added: readonly string[]): string {
  const who = side === 'legacy' ? 'legacy' : 'the candidate';
  const rules = side === 'legacy' ? 'legacyParameters' : 'parameters';
  const named = added.map((field) => `"${field}"`).join(', ');
  return `${who} refuses conversations with ${named} in assistant messages and accepts them without (${rules}: {history: {drop: [${added.join(', ')}]}})`;
}
