import { DeadlinedThread, isUnanswered } from '../schemas/deadlined-thread';
import type { SchemaAnswer, SchemaQuestion } from './schema-thread';
import { SCHEMA_THREAD } from './schema-thread-file';

/** Whether a value keeps to a schema; `unchecked` says why that is not known. */
export type SchemaVerdict = 'kept' | 'broken' | { readonly unchecked: string };

/** One question: enough for any schema in earnest, and a pattern such as `^(a+)+$` would take years. */
const DEADLINE_MS = 2_000;

/**
 * Compiles and runs the JSON Schemas of golden files in a thread: their patterns come from outside, and one that
 * backtracks without end would stop everything else. A thread that does not answer in time is killed, and the next
 * question gets a fresh one. Questions are answered one after the other.
 */
export class SchemaChecks {
  readonly #thread: DeadlinedThread<SchemaQuestion, SchemaAnswer>;
  #last: Promise<unknown> = Promise.resolve();

  constructor(deadlineMs = DEADLINE_MS) {
    this.#thread = new DeadlinedThread({ file: SCHEMA_THREAD, deadlineMs });
  }

  /** Why a schema cannot be used, in one line; null when it can. */
  async problemOf(schema: object): Promise<string | null> {
    const found = await this.ask({ schema: JSON.stringify(schema), value: null });
    return 'unchecked' in found ? found.unchecked : found.problem;
  }

  /** Whether a value keeps to a schema that `problemOf` finds no fault with. */
  async check(schema: object, value: unknown): Promise<SchemaVerdict> {
    const found = await this.ask({ schema: JSON.stringify(schema), value: JSON.stringify(value) });
    if ('unchecked' in found) return found;
    if (found.problem !== null) return { unchecked: found.problem };
    return found.keeps ? 'kept' : 'broken';
  }

  /** Ends the thread. */
  async close(): Promise<void> {
    await this.#last;
    await this.#thread.stop();
  }

  private ask(question: SchemaQuestion): Promise<Answer> {
    const answer = this.#last.then(() => this.#answer(question));
    this.#last = answer.catch(() => {});
    return answer;
  }

  async #answer(question: SchemaQuestion): Promise<Answer> {
    const answer = await this.#thread.ask(question);
    return isUnanswered(answer) ? { unchecked: answer.unanswered } : answer;
  }
}

type Answer = SchemaAnswer | { readonly unchecked: string };
