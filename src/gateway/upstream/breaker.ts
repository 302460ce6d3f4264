export interface BreakerSettings {
  readonly consecutiveFailures: number;
  readonly failureRatio: number;
  readonly minimumRequests: number;
  /** Milliseconds over which the ratio is taken. */
  readonly window: number;
  /** Milliseconds that it stays open at first; doubles up to `openMax`. */
  readonly open: number;
  readonly openMax: number;
}

const SLICES = 10;

/**
 * The reflex of one provider: opens after failures in a row or a high ratio of them, lets one trial through
 * when its time is over, closes on success and doubles its time on failure.
 */
export class Breaker {
  readonly #settings: BreakerSettings;
  readonly #requests = new Float64Array(SLICES);
  readonly #failures = new Float64Array(SLICES);
  #slice = 0;
  #inARow = 0;
  #openUntilMs = 0;
  #openForMs: number;
  #state: 'closed' | 'open' | 'trial' = 'closed';

  constructor(settings: BreakerSettings) {
    this.#settings = settings;
    this.#openForMs = settings.open;
  }

  get isOpen(): boolean {
    return this.#state !== 'closed';
  }

  /** Whether a request could be sent now, without making it the trial. */
  wouldAdmit(nowMs: number): boolean {
    return this.#state === 'closed' || nowMs >= this.#openUntilMs;
  }

  /** Whether a request may be sent; the first one after the open time becomes the trial. */
  admits(nowMs: number): boolean {
    if (!this.wouldAdmit(nowMs)) return false;
    if (this.#state === 'closed') return true;
    this.#state = 'trial';
    // A trial that never reports back is followed by another one after the same time.
    this.#openUntilMs = nowMs + this.#openForMs;
    return true;
  }

  succeeded(nowMs: number): void {
    this.#inARow = 0;
    if (this.#state === 'open') return;
    if (this.#state === 'trial') this.#close();
    this.#advance(nowMs);
    this.#add(this.#requests);
  }

  failed(nowMs: number): void {
    if (this.#state === 'open') return;
    if (this.#state === 'trial') {
      this.#openForMs = Math.min(this.#openForMs * 2, this.#settings.openMax);
      this.#trip(nowMs);
      return;
    }
    this.#inARow += 1;
    this.#advance(nowMs);
    this.#add(this.#requests);
    this.#add(this.#failures);
    if (this.#inARow >= this.#settings.consecutiveFailures || this.#ratioReached()) this.#trip(nowMs);
  }

  #trip(nowMs: number): void {
    this.#state = 'open';
    this.#openUntilMs = nowMs + this.#openForMs;
  }

  #close(): void {
    this.#state = 'closed';
    this.#openForMs = this.#settings.open;
    this.#requests.fill(0);
    this.#failures.fill(0);
  }

  #ratioReached(): boolean {
    const requests = this.#requests.reduce((sum, count) => sum + count, 0);
    const failures = this.#failures.reduce((sum, count) => sum + count, 0);
    return requests >= this.#settings.minimumRequests && failures / requests >= this.#settings.failureRatio;
  }

  #advance(nowMs: number): void {
    const slice = Math.floor(nowMs / (this.#settings.window / SLICES));
    if (slice === this.#slice) return;
    for (let passed = Math.max(this.#slice + 1, slice - SLICES + 1); passed <= slice; passed += 1) {
      this.#requests[passed % SLICES] = 0;
      this.#failures[passed % SLICES] = 0;
    }
    this.#slice = slice;
  }

  #add(counts: Float64Array): void {
    const index = this.#slice % SLICES;
    counts[index] = (counts[index] ?? 0) + 1;
  }
}
