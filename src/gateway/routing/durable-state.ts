import type { LoadedState, StoredState } from './record-file';

/** Where a route's state is kept over a restart. */
export interface StateKeeper {
  load(): LoadedState;
  /** Resolves once this state or a newer one is kept; rejects with the system's error. */
  save(state: StoredState): Promise<void>;
  /** Rejects with the system's error where a state could not be kept now; changes nothing that is kept. */
  probe(): Promise<void>;
}

export interface DurableStateOptions {
  readonly keeper: StateKeeper;
  readonly route: string;
  /** Told once of a damaged file, and once each time that the disk begins to refuse. */
  readonly warn: (message: string) => void;
  /** How long an answer waits for the disk, milliseconds. */
  readonly patienceMs: number;
}

const NOTHING_STORED: StoredState = { highestEpoch: 0, record: null, kill: null, withdrawn: false };

const RETRY_MS = 1_000;
/** How often a disk that takes everything is asked whether it still would. */
const PROBE_EVERY_MS = 30_000;

/** A route's state in memory, and the effort to have the same on the disk. */
export class DurableState {
  readonly #options: DurableStateOptions;
  #current: StoredState;
  #lastAsked: StoredState | null = null;
  #durable = true;
  /** The disk holds an older state than memory; it may also be known to refuse before there is anything to keep. */
  #isBehind = false;
  #complained = false;
  #retryTimer: NodeJS.Timeout | null = null;
  #probeTimer: NodeJS.Timeout | null = null;
  #closed = false;

  constructor(options: DurableStateOptions) {
    this.#options = options;
    const loaded = options.keeper.load();
    if (loaded.kind === 'damaged') options.warn(loaded.message);
    this.#current = loaded.kind === 'sound' ? loaded.state : NOTHING_STORED;
  }

  get current(): StoredState {
    return this.#current;
  }

  /** False while the disk is known to lag behind memory, or to refuse what it will be given. */
  get durable(): boolean {
    return this.#durable;
  }

  /** Changes memory only; `keep` follows. */
  change(next: StoredState): void {
    this.#current = next;
  }

  /** Keeps what memory holds; when the disk refuses or is slow, answers false and tries on. */
  async keep(): Promise<boolean> {
    const isKept = await this.#save(this.#current);
    this.#durable = isKept;
    this.#isBehind = !isKept;
    if (!isKept) this.#retryLater();
    return isKept;
  }

  /** Asks the disk whether it would keep a state, now and every half a minute: a raise that it refuses comes too late to say so. */
  async watchDisk(): Promise<void> {
    await this.#probe();
    if (this.#closed) return;
    this.#probeTimer = setInterval(() => void this.#probe(), PROBE_EVERY_MS);
    this.#probeTimer.unref();
  }

  /**
   * Has a state on the disk before memory takes it and `taken` is called; true when it is there and nothing
   * older was written after it. False when the disk refused or memory changed meanwhile: it is not taken.
   */
  async keepFirst(next: StoredState, taken: () => void): Promise<boolean> {
    const before = this.#current;
    for (;;) {
      const saved = await this.#save(next);
      if (!saved || this.#current !== before) {
        // The refused state may have reached the disk all the same: what memory holds must follow it there.
        void this.keep();
        return false;
      }
      if (this.#lastAsked === next) {
        this.#current = next;
        this.#durable = true;
        this.#isBehind = false;
        taken();
        return true;
      }
    }
  }

  close(): void {
    this.#closed = true;
    if (this.#retryTimer !== null) clearTimeout(this.#retryTimer);
    if (this.#probeTimer !== null) clearInterval(this.#probeTimer);
  }

  /** What is behind already is asked by writing it. */
  async #probe(): Promise<void> {
    if (this.#isBehind || this.#closed) return;
    const takes = await this.#patiently(this.#options.keeper.probe());
    if (this.#isBehind) return;
    this.#durable = takes;
    if (!takes) this.#retryLater();
  }

  #save(state: StoredState): Promise<boolean> {
    this.#lastAsked = state;
    return this.#patiently(this.#options.keeper.save(state));
  }

  /** Whether the disk did its work in time; the log hears of the first failure. */
  async #patiently(work: Promise<void>): Promise<boolean> {
    let timer: NodeJS.Timeout | undefined;
    const patience = new Promise<string>((resolve) => {
      const { patienceMs } = this.#options;
      timer = setTimeout(() => resolve(`the disk did not answer within ${patienceMs} ms`), patienceMs);
    });
    const written = work.then(
      () => null,
      (error: unknown) => String(error),
    );
    const problem = await Promise.race([written, patience]);
    clearTimeout(timer);
    if (problem !== null && !this.#complained) {
      this.#options.warn(`The routing record of route ${this.#options.route} cannot be kept: ${problem}`);
    }
    this.#complained = problem !== null;
    return problem === null;
  }

  #retryLater(): void {
    if (this.#retryTimer !== null || this.#closed) return;
    this.#retryTimer = setTimeout(() => {
      this.#retryTimer = null;
      void (this.#isBehind ? this.keep() : this.#probe());
    }, RETRY_MS);
    this.#retryTimer.unref();
  }
}
