import type { CallerConfiguration } from '../../core/configuration/configuration-schema';
import { MINUTE_MS } from '../../core/text/duration';
import type { TokenUsage } from '../answers/token-usage';
import type { GatewayError } from '../request/gateway-error';

type LimitSettings = NonNullable<CallerConfiguration['limits']>;

/** Which limit of a caller is reached. */
export type CallerLimit = 'requests' | 'tokens' | 'concurrent';

/** Why a request is refused, and what its answer says besides. */
export interface LimitRefusal {
  readonly error: GatewayError;
  /** Flat list. */
  readonly headers: readonly string[];
}

/** What a caller has used since it was last said: requests, tokens, and how many more run. */
export interface LimitSpending {
  readonly requests: number;
  readonly tokens: number;
  readonly running: number;
}

/** How a caller stands, for a process that starts. */
export interface LimitLevels {
  readonly requests: number;
  readonly tokens: number;
  readonly running: number;
}

/** What a token takes in a request body, for the estimate before a provider has counted. */
const BYTES_A_TOKEN = 4;
/** A picture in a body is many bytes and few tokens: no estimate takes more than this part of a minute's tokens. */
const LARGEST_ESTIMATE = 0.1;
/** For a place among requests that run, nobody knows when one is free. */
const CONCURRENT_RETRY_MS = 1_000;

/** The limits of one caller: each a minute's allowance that fills steadily, and a number of requests at once. */
export class CallerLimits {
  readonly #team: string;
  #requests: Bucket | null;
  #tokens: Bucket | null;
  #concurrent: number;
  /** Called when something was used, for other processes to know; null where there are none. */
  readonly #spent: (() => void) | null;
  readonly refusals: Record<CallerLimit, number> = { requests: 0, tokens: 0, concurrent: 0 };
  #running = 0;
  #unsaid = { requests: 0, tokens: 0, running: 0 };

  constructor(team: string, settings: LimitSettings, spent: (() => void) | null = null) {
    const { requestsPerMinute, tokensPerMinute, concurrent } = settings;
    this.#team = team;
    this.#requests = requestsPerMinute === undefined ? null : new Bucket(requestsPerMinute);
    this.#tokens = tokensPerMinute === undefined ? null : new Bucket(tokensPerMinute);
    this.#concurrent = concurrent ?? Number.POSITIVE_INFINITY;
    this.#spent = spent;
  }

  /** Other limits from now on; what was used of the former ones, and what runs, counts on. */
  change(settings: LimitSettings, nowMs: number): void {
    this.#requests = changed(this.#requests, settings.requestsPerMinute, nowMs);
    this.#tokens = changed(this.#tokens, settings.tokensPerMinute, nowMs);
    this.#concurrent = settings.concurrent ?? Number.POSITIVE_INFINITY;
  }

  /** What a body of so many bytes is taken for until its tokens are counted. */
  estimate(bytes: number): number {
    if (this.#tokens === null) return 0;
    const most = this.#tokens.capacity * LARGEST_ESTIMATE;
    return Math.max(1, Math.floor(Math.min(bytes / BYTES_A_TOKEN, most)));
  }

  /** Takes a request of so many tokens, 0 for one that uses no model; null when it may run, and then `end` follows. */
  begin(tokens: number, nowMs: number): LimitRefusal | null {
    if (this.#running >= this.#concurrent) return this.#refuse('concurrent', CONCURRENT_RETRY_MS, nowMs, 1);
    const requestsMs = this.#requests?.waitMs(1, nowMs) ?? 0;
    if (requestsMs > 0) return this.#refuse('requests', requestsMs, nowMs, 1);
    const tokensMs = tokens === 0 ? 0 : (this.#tokens?.waitMs(tokens, nowMs) ?? 0);
    if (tokensMs > 0) return this.#refuse('tokens', tokensMs, nowMs, tokens);
    this.#spend(1, tokens, 1);
    return null;
  }

  /** The request is over; what it was taken for is replaced by what was counted, where it was counted. */
  end(estimated: number, usage: TokenUsage | null): void {
    const counted = usage === null || this.#tokens === null ? estimated : usage.input + usage.output;
    this.#spend(0, counted - estimated, -1);
  }

  /** Takes what other processes of the gateway have let through. */
  add({ requests, tokens, running }: LimitSpending, nowMs: number): void {
    this.#requests?.level(nowMs);
    this.#requests?.spend(requests);
    this.#tokens?.level(nowMs);
    this.#tokens?.spend(tokens);
    this.#running += running;
  }

  /** What was used here since the last time, null when nothing was. */
  takeSpending(): LimitSpending | null {
    const { requests, tokens, running } = this.#unsaid;
    if (requests === 0 && tokens === 0 && running === 0) return null;
    this.#unsaid = { requests: 0, tokens: 0, running: 0 };
    return { requests, tokens, running };
  }

  levels(nowMs: number): LimitLevels {
    return {
      requests: this.#requests?.level(nowMs) ?? 0,
      tokens: this.#tokens?.level(nowMs) ?? 0,
      running: this.#running,
    };
  }

  /** Begins where another process stands. */
  restore({ requests, tokens, running }: LimitLevels, nowMs: number): void {
    this.#requests?.set(requests, nowMs);
    this.#tokens?.set(tokens, nowMs);
    this.#running = running;
  }

  #spend(requests: number, tokens: number, running: number): void {
    this.#requests?.spend(requests);
    this.#tokens?.spend(tokens);
    this.#running += running;
    if (this.#spent === null) return;
    this.#unsaid.requests += requests;
    this.#unsaid.tokens += tokens;
    this.#unsaid.running += running;
    this.#spent();
  }

  #refuse(limit: CallerLimit, waitMs: number, nowMs: number, requested: number): LimitRefusal {
    this.refusals[limit] += 1;
    const wait = Math.ceil(waitMs);
    const message = `Rate limit reached for ${this.#team} on ${this.#reached(limit, nowMs)}, Requested ${requested}. Please try again in ${duration(wait)}.`;
    return {
      error: {
        ...{ status: 429, type: limit === 'tokens' ? 'tokens' : 'requests', code: 'rate_limit_exceeded' },
        ...{ message, retryAfterS: Math.ceil(wait / 1_000) },
      },
      headers: [
        ...['retry-after-ms', `${wait}`],
        ...rateHeaders('requests', this.#requests, nowMs),
        ...rateHeaders('tokens', this.#tokens, nowMs),
      ],
    };
  }

  #reached(limit: CallerLimit, nowMs: number): string {
    switch (limit) {
      case 'requests':
        return `requests per min (RPM): ${used(this.#requests, nowMs)}`;
      case 'tokens':
        return `tokens per min (TPM): ${used(this.#tokens, nowMs)}`;
      case 'concurrent':
        return `concurrent requests: Limit ${this.#concurrent}, Used ${this.#running}`;
    }
  }
}

function changed(bucket: Bucket | null, perMinute: number | undefined, nowMs: number): Bucket | null {
  if (perMinute === undefined) return null;
  const next = new Bucket(perMinute);
  // What was used of the last minute stays used.
  if (bucket !== null) next.set(perMinute - (bucket.capacity - bucket.level(nowMs)), nowMs);
  return next;
}

/** An allowance that fills from empty to its capacity in a minute. */
class Bucket {
  #level: number;
  #atMs: number | null = null;

  constructor(readonly capacity: number) {
    this.#level = capacity;
  }

  /** Below 0 where more was used than was taken before. */
  level(nowMs: number): number {
    const passedMs = Math.max(0, nowMs - (this.#atMs ?? nowMs));
    this.#level = Math.min(this.capacity, this.#level + (passedMs * this.capacity) / MINUTE_MS);
    this.#atMs = nowMs;
    return this.#level;
  }

  /** How long until so much can be taken, milliseconds; 0 when it can be now. */
  waitMs(amount: number, nowMs: number): number {
    const missing = amount - this.level(nowMs);
    // A minute's last part is not quite whole in floating point.
    return missing <= 1e-9 ? 0 : (missing * MINUTE_MS) / this.capacity;
  }

  spend(amount: number): void {
    this.#level = Math.min(this.capacity, this.#level - amount);
  }

  set(level: number, nowMs: number): void {
    this.#level = level;
    this.#atMs = nowMs;
  }
}

function used(bucket: Bucket | null, nowMs: number): string {
  if (bucket === null) return '';
  return `Limit ${bucket.capacity}, Used ${Math.ceil(bucket.capacity - bucket.level(nowMs))}`;
}

function rateHeaders(what: 'requests' | 'tokens', bucket: Bucket | null, nowMs: number): string[] {
  if (bucket === null) return [];
  const remaining = Math.max(0, Math.floor(bucket.level(nowMs)));
  return [
    ...[`x-ratelimit-limit-${what}`, `${bucket.capacity}`],
    ...[`x-ratelimit-remaining-${what}`, `${remaining}`],
    ...[`x-ratelimit-reset-${what}`, duration(Math.ceil(bucket.waitMs(bucket.capacity, nowMs)))],
  ];
}

/** As OpenAI writes it: `120ms`, `1.5s`, `1m0.5s`. */
function duration(ms: number): string {
  if (ms < 1_000) return `${ms}ms`;
  const minutes = Math.floor(ms / MINUTE_MS);
  return `${minutes > 0 ? `${minutes}m` : ''}${(ms % MINUTE_MS) / 1_000}s`;
}
