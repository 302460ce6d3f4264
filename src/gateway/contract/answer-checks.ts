import { createHash } from 'node:crypto';
import { DeadlinedThread, isUnanswered } from '../../schemas/deadlined-thread';
import type { MemoryAccount } from '../sockets/memory-budget';
import type { ContractQuestion } from './contract-thread';
import { CONTRACT_THREAD } from './contract-thread-file';
import type { Judgement } from './judge-answer';
import type { KeptAnswer } from './kept-answer';

/** One answer that waits for its judgement. */
export interface AnswerCheck {
  /** By which it is judged, on the caller's account. */
  readonly contract: Buffer;
  /** The check's own from now on. */
  readonly answer: KeptAnswer;
  readonly account: MemoryAccount;
  /** Called once, at once where there is no room. */
  readonly done: (judgement: Judgement) => void;
}

/** Enough for a schema in earnest; a pattern such as `^(a+)+$` would take years. */
const DEADLINE_MS = 1_000;
const WAITING_AT_MOST = 256;
/** A contract that took too long is not tried again for this long, nor is a thread that does not start. */
const SET_ASIDE_MS = 60_000;
const SET_ASIDE_AT_MOST = 256;

/**
 * Judges answers by the schemas of their requests, one after the other in a thread with a deadline. Nobody waits for
 * it: what it has no time or room for is unchecked.
 */
export class AnswerChecks {
  readonly #now: () => number;
  readonly #defect: (error: unknown) => void;
  readonly #thread = new DeadlinedThread<ContractQuestion, Judgement>({
    file: CONTRACT_THREAD,
    deadlineMs: DEADLINE_MS,
  });
  #waiting: AnswerCheck[] = [];
  #isAsking = false;
  #isClosed = false;
  #notBeforeMs = Number.NEGATIVE_INFINITY;
  /** Digests of contracts that took too long, and until when they are set aside; the oldest first. */
  readonly #setAside = new Map<string, number>();

  /** `defect` hears of a thread that does not start, and of what `done` throws. */
  constructor(now: () => number, defect: (error: unknown) => void) {
    this.#now = now;
    this.#defect = defect;
  }

  check(check: AnswerCheck): void {
    const hasRoom = !this.#isClosed && this.#waiting.length < WAITING_AT_MOST;
    if (!hasRoom || this.#now() < this.#notBeforeMs || this.#isSetAside(check.contract)) {
      this.#end(check, 'unchecked');
      return;
    }
    this.#waiting.push(check);
    if (!this.#isAsking) void this.#ask();
  }

  /** Ends the thread; what waits is unchecked. */
  async close(): Promise<void> {
    this.#isClosed = true;
    const waiting = this.#waiting;
    this.#waiting = [];
    for (const check of waiting) this.#end(check, 'unchecked');
    await this.#thread.stop();
  }

  async #ask(): Promise<void> {
    this.#isAsking = true;
    for (let check = this.#waiting.shift(); check !== undefined; check = this.#waiting.shift()) {
      this.#end(check, await this.#judge(check));
    }
    this.#isAsking = false;
  }

  #end({ contract, answer, account, done }: AnswerCheck, judgement: Judgement): void {
    answer.release();
    account.give(contract.length);
    try {
      done(judgement);
    } catch (error) {
      this.#defect(error);
    }
  }

  async #judge({ contract: json, answer }: AnswerCheck): Promise<Judgement> {
    const { text } = answer;
    if (text === null || this.#now() < this.#notBeforeMs || this.#isSetAside(json)) return 'unchecked';
    const contract = new Uint8Array(json);
    try {
      const given = 'body' in text ? [contract.buffer, text.body.buffer] : [contract.buffer];
      const found = await this.#thread.ask({ contract, answer: text }, given);
      if (!isUnanswered(found)) return found;
      if (!this.#isClosed) this.#putAside(json);
    } catch (error) {
      this.#notBeforeMs = this.#now() + SET_ASIDE_MS;
      this.#defect(error);
    }
    return 'unchecked';
  }

  #putAside(contract: Buffer): void {
    this.#setAside.set(digestOf(contract), this.#now() + SET_ASIDE_MS);
    if (this.#setAside.size <= SET_ASIDE_AT_MOST) return;
    const [oldest] = this.#setAside.keys();
    if (oldest !== undefined) this.#setAside.delete(oldest);
  }

  #isSetAside(contract: Buffer): boolean {
    if (this.#setAside.size === 0) return false;
    const digest = digestOf(contract);
    const untilMs = this.#setAside.get(digest);
    if (untilMs === undefined) return false;
    if (this.#now() < untilMs) return true;
    this.#setAside.delete(digest);
    return false;
  }
}

function digestOf(contract: Buffer): string {
  return createHash('sha256').update(contract).digest('base64');
}
