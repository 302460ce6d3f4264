import { promisify } from 'node:util';
import { gzip } from 'node:zlib';
import { Agent, request } from 'undici';
import { readRetryAfter } from '../../core/text/retry-after';
import type { Span, SpanEncoding } from './otlp-encoding';
import type { TraceSettings } from './trace-settings';

const compress = promisify(gzip);

/** Statuses after which the specification has a sender try again. */
const LATER: readonly number[] = [429, 502, 503, 504];
const TRIES = 5;
const FIRST_WAIT_MS = 1_000;
const LONGEST_WAIT_MS = 30_000;
/** A gateway that stops waits no longer for a collector. */
const LAST_EXPORT_MS = 2_000;

export interface SpanCounts {
  readonly exported: number;
  /** Not taken because the queue was full. */
  readonly dropped: number;
  /** Refused by the collector, or lost because it did not answer. */
  readonly failed: number;
}

/**
 * Sends spans in batches, one export at a time, and never waits for the collector: what does not fit into the queue is
 * counted and dropped.
 */
export class SpanExport {
  #queue: Buffer[] = [];
  #timer: NodeJS.Timeout | undefined;
  #isSending = false;
  #stopping = false;
  #exported = 0;
  #dropped = 0;
  #failed = 0;
  readonly #agent = new Agent({ connections: 1 });

  constructor(
    private readonly settings: TraceSettings,
    private readonly encoding: SpanEncoding,
    /** Told the first time that an export fails after one that did not. */
    private readonly warn: (message: string) => void,
  ) {}
  #isFailing = false;

  get counts(): SpanCounts {
    return { exported: this.#exported, dropped: this.#dropped, failed: this.#failed };
  }

  add(span: Span): void {
    if (this.#queue.length >= this.settings.queueMost) {
      this.#dropped += 1;
      return;
    }
    this.#queue.push(this.encoding.span(span));
    if (this.#isSending) return;
    if (this.#queue.length >= this.settings.batchMost) void this.#send();
    else this.#timer ??= setTimeout(() => void this.#send(), this.settings.delayMs).unref();
  }

  /** Sends what is left, for two seconds at most. */
  async stop(): Promise<void> {
    this.#stopping = true;
    clearTimeout(this.#timer);
    const last = (async () => {
      while (this.#isSending) await new Promise((resolve) => setTimeout(resolve, 20).unref());
      await this.#send();
    })();
    await Promise.race([last, new Promise((resolve) => setTimeout(resolve, LAST_EXPORT_MS))]);
    this.#failed += this.#queue.length;
    this.#queue = [];
    await this.#agent.destroy().catch(() => undefined);
  }

  async #send(): Promise<void> {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    if (this.#isSending) return;
    this.#isSending = true;
    do {
      const batch = this.#queue.splice(0, this.settings.batchMost);
      if (batch.length > 0) await this.#export(batch);
    } while (this.#queue.length >= this.settings.batchMost || (this.#stopping && this.#queue.length > 0));
    this.#isSending = false;
    if (this.#queue.length > 0)
      this.#timer = setTimeout(() => void this.#send(), this.settings.delayMs).unref();
  }

  /** Tries again where that is of use; whatever happens, it ends. */
  async #export(batch: readonly Buffer[]): Promise<void> {
    for (let tried = 1; ; tried += 1) {
      const outcome = await this.#post(batch);
      if (outcome === 'taken') {
        this.#exported += batch.length;
        this.#isFailing = false;
        return;
      }
      if (!this.#isFailing)
        this.warn(`traces cannot be delivered to ${this.settings.url}: ${outcome.problem}`);
      this.#isFailing = true;
      if (!outcome.later || tried >= TRIES || this.#stopping) {
        this.#failed += batch.length;
        return;
      }
      const waitMs = Math.min(outcome.afterMs ?? FIRST_WAIT_MS * 2 ** (tried - 1), LONGEST_WAIT_MS);
      await new Promise((resolve) => setTimeout(resolve, waitMs).unref());
    }
  }

  async #post(batch: readonly Buffer[]): Promise<'taken' | Refusal> {
    const { url, headers, timeoutMs, gzip: zipped } = this.settings;
    try {
      const plain = this.encoding.request(batch);
      const body = zipped ? await compress(plain) : plain;
      const answer = await request(url, {
        method: 'POST',
        dispatcher: this.#agent,
        headers: {
          ...headers,
          'content-type': this.encoding.contentType,
          ...(zipped ? { 'content-encoding': 'gzip' } : {}),
        },
        body,
        signal: AbortSignal.timeout(timeoutMs),
      });
      await answer.body.dump({ limit: MOST_ANSWER_BYTES, signal: AbortSignal.timeout(timeoutMs) });
      const { statusCode } = answer;
      if (statusCode >= 200 && statusCode < 300) return 'taken';
      const afterMs = readRetryAfter(String(answer.headers['retry-after'] ?? ''), Date.now) ?? 0;
      return {
        problem: `it answers ${statusCode}`,
        later: LATER.includes(statusCode),
        ...(afterMs > 0 ? { afterMs } : {}),
      };
    } catch (error) {
      const { code, name } = error as { code?: string; name?: string };
      return { problem: code ?? name ?? 'no answer', later: true };
    }
  }
}

interface Refusal {
  readonly problem: string;
  readonly later: boolean;
  readonly afterMs?: number;
}

const MOST_ANSWER_BYTES = 65_536;
