import { Worker } from 'node:worker_threads';

/** Why a thread gave no answer, in one line. */
export interface NoAnswer {
  readonly unanswered: string;
}

export interface DeadlinedThreadOptions {
  /** A module that posts `THREAD_READY` once it is loaded, and then one message per question. */
  readonly file: string;
  /** For one question. */
  readonly deadlineMs: number;
}

/** The first message of a thread. */
export const THREAD_READY = 'ready';
/** Loading takes long on a machine that is busy, and says nothing of a question. */
const START_MS = 30_000;
const MEMORY_MB = 256;

/**
 * A thread for what may never end, such as a pattern from outside that backtracks: whatever becomes of a question,
 * its caller hears of it by the deadline. A thread that does not answer in time is killed, and the next question gets
 * a fresh one. It sees neither the environment nor the arguments of this process.
 */
export class DeadlinedThread<Question, Answer> {
  readonly #options: DeadlinedThreadOptions;
  #thread: Worker | null = null;

  constructor(options: DeadlinedThreadOptions) {
    this.#options = options;
  }

  /**
   * Asks one question; the next may be asked when it has been answered. Throws when the thread does not start.
   * `given` are buffers that the thread gets as they are: they are gone here.
   */
  async ask(question: Question, given: readonly ArrayBuffer[] = []): Promise<Answer | NoAnswer> {
    const { deadlineMs } = this.#options;
    const thread = await this.#running();
    const answer = await answerOf<Answer>(thread, deadlineMs, () => thread.postMessage(question, [...given]));
    if (isUnanswered(answer)) await this.stop();
    return answer;
  }

  /** Ends the thread; the next question starts another. */
  async stop(): Promise<void> {
    const thread = this.#thread;
    this.#thread = null;
    await thread?.terminate();
  }

  async #running(): Promise<Worker> {
    if (this.#thread !== null) return this.#thread;
    const thread = new Worker(this.#options.file, {
      ...{ env: {}, argv: [], execArgv: [] },
      resourceLimits: { maxOldGenerationSizeMb: MEMORY_MB },
    });
    // A process that waits for nothing else may end.
    thread.unref();
    this.#thread = thread;
    // What a thread says while it is being killed must not end this process.
    thread.on('error', () => {});
    const ready = await answerOf<typeof THREAD_READY>(thread, START_MS, () => {});
    if (typeof ready === 'object') {
      await this.stop();
      throw new Error(`the thread that checks schemas did not start: ${ready.unanswered}`);
    }
    return thread;
  }
}

/** Whether a thread gave no answer. */
export function isUnanswered(answer: unknown): answer is NoAnswer {
  return typeof answer === 'object' && answer !== null && 'unanswered' in answer;
}

function answerOf<Answer>(thread: Worker, deadlineMs: number, ask: () => void): Promise<Answer | NoAnswer> {
  return new Promise((resolve) => {
    const end = (answer: Answer | NoAnswer) => {
      clearTimeout(timer);
      thread.off('message', end).off('error', failed).off('exit', ended);
      resolve(answer);
    };
    const failed = (error: Error) => end({ unanswered: `the schema could not be run: ${error.message}` });
    const ended = () => end({ unanswered: 'the thread that checks schemas ended' });
    const late = () => end({ unanswered: `the schema was not done within ${deadlineMs / 1_000} s` });
    const timer = setTimeout(late, deadlineMs);
    thread.on('message', end).on('error', failed).on('exit', ended);
    ask();
  });
}
