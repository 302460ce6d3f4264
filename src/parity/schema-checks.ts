import { Worker } from 'node:worker_threads';
import type { SchemaAnswer, SchemaQuestion } from './schema-thread';
import { SCHEMA_THREAD } from './schema-thread-file';

/** Whether a value keeps to a schema; `unchecked` says why that is not known. */
export type Kept = 'kept' | 'broken' | { readonly unchecked: string };

/** One question: enough for any schema in earnest, and a pattern such as `^(a+)+$` would take years. */
const DEADLINE_MS = 2_000;
/** Loading the validator takes long on a machine that is busy, and says nothing of a schema. */
const START_MS = 30_000;
const MEMORY_MB = 256;

/**
 * Compiles and runs the JSON Schemas of golden files in a thread: their patterns come from outside, and one that
 * backtracks without end would stop everything else. A thread that does not answer in time is killed, and the next
 * question gets a fresh one. Questions are answered one after the other.
 */
export class SchemaChecks {
  #thread: Worker | null = null;
  #last: Promise<unknown> = Promise.resolve();

  constructor(private readonly deadlineMs = DEADLINE_MS) {}

  /** Why a schema cannot be used, in one line; null when it can. */
  async problemOf(schema: object): Promise<string | null> {
    const found = await this.ask({ schema: JSON.stringify(schema), value: null });
    return 'unchecked' in found ? found.unchecked : found.problem;
  }

  /** Whether a value keeps to a schema that `problemOf` finds no fault with. */
  async check(schema: object, value: unknown): Promise<Kept> {
    const found = await this.ask({ schema: JSON.stringify(schema), value: JSON.stringify(value) });
    if ('unchecked' in found) return found;
    if (found.problem !== null) return { unchecked: found.problem };
    return found.keeps ? 'kept' : 'broken';
  }

  /** Ends the thread. */
  async close(): Promise<void> {
    await this.#last;
    await this.#stop();
  }

  private ask(question: SchemaQuestion): Promise<Answer> {
    const answer = this.#last.then(async () => this.#answer(await this.#running(), question));
    this.#last = answer.catch(() => {});
    return answer;
  }

  async #running(): Promise<Worker> {
    if (this.#thread !== null) return this.#thread;
    const thread = new Worker(SCHEMA_THREAD, { resourceLimits: { maxOldGenerationSizeMb: MEMORY_MB } });
    this.#thread = thread;
    // What a thread says while it is being killed must not end this process.
    thread.on('error', () => {});
    const ready = await answerOf(thread, { schema: '{}', value: null }, START_MS);
    if ('unchecked' in ready) {
      await this.#stop();
      throw new Error(`the thread that checks schemas did not start: ${ready.unchecked}`);
    }
    return thread;
  }

  async #answer(thread: Worker, question: SchemaQuestion) {
    const answer = await answerOf(thread, question, this.deadlineMs);
    if ('unchecked' in answer) await this.#stop();
    return answer;
  }

  async #stop(): Promise<void> {
    const thread = this.#thread;
    this.#thread = null;
    await thread?.terminate();
  }
}

type Answer = SchemaAnswer | { readonly unchecked: string };

function answerOf(thread: Worker, question: SchemaQuestion, deadlineMs: number): Promise<Answer> {
  return new Promise((resolve) => {
    const end = (answer: Answer) => {
      clearTimeout(timer);
      thread.off('message', end).off('error', failed).off('exit', ended);
      resolve(answer);
    };
    const failed = (error: Error) => end({ unchecked: `the schema could not be run: ${error.message}` });
    const ended = () => end({ unchecked: 'the thread that checks schemas ended' });
    const late = () => end({ unchecked: `the schema was not done within ${deadlineMs / 1_000} s` });
    const timer = setTimeout(late, deadlineMs);
    thread.on('message', end).on('error', failed).on('exit', ended);
    thread.postMessage(question);
  });
}
