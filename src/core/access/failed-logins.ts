/** What is logged of a wrong key or token: never the key. */
export interface FailedLogin {
  readonly listener: string;
  readonly address: string;
  /** From this address in this minute. */
  readonly failures: number;
  /** Failures, of whatever address, that got no line of their own since the last one. */
  readonly unlogged: number;
}

const WINDOW_MS = 60_000;
/** Of one address in a window; beyond it the answer is 429. */
const MOST_FAILURES = 20;
const MOST_ADDRESSES = 1_024;
/** Of all addresses together in a window. */
const MOST_LINES = 30;

/**
 * Counts failed logins of one listener by address. A right key is served at any time, whatever others behind the same
 * address have sent: a worker that may not speak to its gateways could not roll back.
 */
export class FailedLogins {
  /** Since the start. */
  count = 0;
  readonly #listener: string;
  readonly #now: () => number;
  readonly #log: (failure: FailedLogin) => void;
  /** The oldest window first, and forgotten first when there are too many. */
  readonly #windows = new Map<string, { readonly endMs: number; failures: number }>();
  #linesEndMs = 0;
  #lines = 0;
  #unlogged = 0;

  constructor(options: {
    readonly listener: string;
    /** Monotonic milliseconds. */
    readonly now: () => number;
    readonly log: (failure: FailedLogin) => void;
  }) {
    this.#listener = options.listener;
    this.#now = options.now;
    this.#log = options.log;
  }

  /** Counts one; seconds until the address may try again, null while it is below the limit. */
  add(remoteAddress: string | undefined): number | null {
    const nowMs = this.#now();
    const address = networkOf(remoteAddress ?? 'unknown');
    const window = this.#windowOf(address, nowMs);
    window.failures += 1;
    this.count += 1;
    this.#unlogged += 1;
    if (window.failures === 1 || window.failures === MOST_FAILURES + 1) {
      this.#write(address, window.failures, nowMs);
    }
    return window.failures <= MOST_FAILURES ? null : Math.ceil((window.endMs - nowMs) / 1_000);
  }

  #windowOf(address: string, nowMs: number) {
    const known = this.#windows.get(address);
    if (known !== undefined && known.endMs > nowMs) return known;
    const window = { endMs: nowMs + WINDOW_MS, failures: 0 };
    this.#windows.delete(address);
    this.#windows.set(address, window);
    const oldest = this.#windows.keys().next().value;
    if (this.#windows.size > MOST_ADDRESSES && oldest !== undefined) this.#windows.delete(oldest);
    return window;
  }

  #write(address: string, failures: number, nowMs: number): void {
    if (nowMs >= this.#linesEndMs) {
      this.#linesEndMs = nowMs + WINDOW_MS;
      this.#lines = 0;
    }
    if (this.#lines >= MOST_LINES) return;
    this.#lines += 1;
    const unlogged = this.#unlogged - 1;
    this.#unlogged = 0;
    this.#log({ listener: this.#listener, address, failures, unlogged });
  }
}

/** One line of text for logs that take no fields. */
export function failedLoginText({ listener, address, failures, unlogged }: FailedLogin): string {
  const more = unlogged === 0 ? '' : `; ${unlogged} more were not logged`;
  return `A login failed at the ${listener} listener from ${address}, ${failures} in this minute${more}`;
}

/** Whoever has one address of an IPv6 network has 2^64 of them. */
function networkOf(address: string): string {
  if (!address.includes(':')) return address;
  if (address.startsWith('::ffff:')) return address.slice(7);
  const [head = '', tail = ''] = address.split('::');
  if (head === '') return address;
  const [first, last] = [head.split(':'), tail === '' ? [] : tail.split(':')];
  const zeros = Array(Math.max(0, 8 - first.length - last.length)).fill('0');
  return `${[...first, ...zeros, ...last].slice(0, 4).join(':')}::/64`;
}
