import type { LoadedState, StoredState } from './record-file';

/** Where a route's state is kept over a restart. */
export interface StateKeeper {
  load(): LoadedState;
  /** Resolves once this state or a newer one is kept; rejects with the system's error. */
  save(state: StoredState): Promise<void>;
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

/** A route's state in memory, and the effort to have the same on the disk. */
export class DurableState {
  readonly #options: DurableStateOptions;
  #current: StoredState;
  #lastAsked: StoredState | null = null;
  #durable = true;
  #complained = false;
  #retryTimer: NodeJS.Timeout | null = null;
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

  /** False while the disk is known to lag behind memory. */
  get durable(): boolean {
    return this.#durable;
  }

  /** Changes memory only; `keep` follows. */
  change(next: StoredState): void {
    this.#current = next;
  }

  /** Keeps what memory holds; when the disk refuses or is slow, answers false and tries on. */
  async keep(): Promise<boolean> {
    this.#durable = await this.#save(this.#current);
    if (!this.#durable) this.#retryLater();
    return this.#durable;
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
        taken();
        return true;
      }
    }
  }

  close(): void {
    this.#closed = true;
    if (this.#retryTimer !== null) clearTimeout(this.#retryTimer);
  }

  async #save(state: StoredState): Promise<boolean> {
    this.#lastAsked = state;
    let timer: NodeJS.Timeout | undefined;
    const patience = new Promise<string>((resolve) => {
      const { patienceMs } = this.#options;
      timer = setTimeout(() => resolve(`the disk did not answer within ${patienceMs} ms`), patienceMs);
    });
    const written = this.#options.keeper.save(state).then(
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
      void this.keep();
    }, RETRY_MS);
    this.#retryTimer.unref();
  }
}
