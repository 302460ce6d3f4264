/** Named parts of what a screen shows, each plain JSON. */
export type Parts = Readonly<Record<string, unknown>>;

export interface FeedOptions {
  /** Reads everything anew; what it throws is left to it to prevent: a rejected read publishes nothing. */
  readonly read: () => Promise<Parts>;
  /** Until the next read, milliseconds; asked after every read. */
  readonly intervalMs: () => number;
  /** How long reading goes on for nobody, milliseconds: a page that is loaded again finds it warm. */
  readonly lingerMs: number;
}

/** Told what changed, as JSON of an object of parts; a part that is gone is null. */
export type FeedListener = (changed: string) => void;

/**
 * One reader of a subject for any number of viewers: it reads while somebody looks, and tells all of them the
 * parts that changed. Whoever joins is told everything first.
 */
export class Feed {
  readonly #options: FeedOptions;
  readonly #listeners = new Set<FeedListener>();
  #parts = new Map<string, string>();
  #hasRead = false;
  #running = false;
  #idleSinceMs: number | null = null;
  #wake: () => void = () => undefined;

  constructor(options: FeedOptions) {
    this.#options = options;
  }

  /** Listens until the returned function is called; what is known already is told at once. */
  subscribe(listener: FeedListener): () => void {
    this.#listeners.add(listener);
    this.#idleSinceMs = null;
    if (this.#hasRead) listener(messageOf(this.#parts));
    if (!this.#running) void this.#run();
    return () => {
      this.#listeners.delete(listener);
      if (this.#listeners.size === 0) this.#idleSinceMs = performance.now();
    };
  }

  /** Reads now rather than at the next turn. */
  nudge(): void {
    this.#wake();
  }

  get isIdle(): boolean {
    return !this.#running && this.#listeners.size === 0;
  }

  /** Stops reading, for good where nobody subscribes again. */
  stop(): void {
    this.#listeners.clear();
    this.#idleSinceMs = Number.NEGATIVE_INFINITY;
    this.#wake();
  }

  async #run(): Promise<void> {
    this.#running = true;
    while (this.#idleSinceMs === null || performance.now() - this.#idleSinceMs < this.#options.lingerMs) {
      const parts = await this.#options.read().catch(() => null);
      if (parts !== null) this.#publish(parts);
      await this.#pause();
    }
    this.#running = false;
  }

  #publish(parts: Parts): void {
    const next = new Map(Object.entries(parts).map(([name, part]) => [name, JSON.stringify(part)]));
    const changed = new Map([...next].filter(([name, json]) => this.#parts.get(name) !== json));
    for (const name of this.#parts.keys()) if (!next.has(name)) changed.set(name, 'null');
    this.#parts = next;
    this.#hasRead = true;
    if (changed.size === 0) return;
    const message = messageOf(changed);
    for (const listener of this.#listeners) listener(message);
  }

  #pause(): Promise<void> {
    return new Promise((resolve) => {
      const timer = setTimeout(resolve, this.#options.intervalMs());
      timer.unref();
      this.#wake = () => {
        clearTimeout(timer);
        resolve();
      };
    });
  }
}

function messageOf(parts: ReadonlyMap<string, string>): string {
  return `{${[...parts].map(([name, json]) => `${JSON.stringify(name)}:${json}`).join(',')}}`;
}
