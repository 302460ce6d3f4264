/** What a live connection tells: everything that is known, and which parts have changed just now. */
export type LiveListener = (parts: Readonly<Record<string, unknown>>, changed: ReadonlySet<string>) => void;

export type ConnectionState = 'connecting' | 'live' | 'lost';

/** A subject as the server streams it; parts that did not change are kept. */
export class Live {
  #source: EventSource | null = null;
  #parts: Record<string, unknown> = {};

  constructor(
    private readonly onState: (state: ConnectionState) => void,
    private readonly onStranger: () => void,
  ) {}

  /** Follows another subject from now on. */
  follow(event: 'list' | 'migration', query: string, listener: LiveListener): void {
    this.close();
    this.#parts = {};
    this.onState('connecting');
    const source = new EventSource(`/api/live${query}`);
    this.#source = source;
    let isFirst = true;
    source.addEventListener('open', () => {
      // After every connection the server tells everything first.
      isFirst = true;
      this.onState('live');
    });
    source.addEventListener(event, ({ data }: MessageEvent<string>) => {
      const told = JSON.parse(data) as Record<string, unknown>;
      const gone = isFirst ? Object.keys(this.#parts).filter((name) => !(name in told)) : [];
      isFirst = false;
      for (const [name, part] of Object.entries(told)) {
        if (part === null) delete this.#parts[name];
        else this.#parts[name] = part;
      }
      for (const name of gone) delete this.#parts[name];
      listener(this.#parts, new Set([...Object.keys(told), ...gone]));
    });
    source.addEventListener('error', () => {
      this.onState('lost');
      // A stream that was refused is not tried again by the browser: the session may be over.
      if (source.readyState === EventSource.CLOSED) void this.#refused(event, query, listener);
    });
  }

  close(): void {
    this.#source?.close();
    this.#source = null;
  }

  async #refused(event: 'list' | 'migration', query: string, listener: LiveListener): Promise<void> {
    const refused = this.#source;
    const status = await fetch('/api/session', { method: 'GET' }).then(
      (answer) => answer.status,
      () => 0,
    );
    if (status === 401 || status === 403) return this.onStranger();
    setTimeout(() => {
      if (this.#source === refused) this.follow(event, query, listener);
    }, 2_000);
  }
}
