/** The last keys that were sent, so that an attempt that only lost its answer to us does not repeat a message. */
export class SentKeys {
  readonly #keys = new Set<string>();

  constructor(private readonly most = 10_000) {}

  /** Runs `send` unless it succeeded before for this key; says whether it ran. */
  async once(key: string, send: () => Promise<unknown>): Promise<boolean> {
    if (this.#keys.has(key)) return false;
    await send();
    this.#keys.add(key);
    if (this.#keys.size > this.most) this.#keys.delete(this.#keys.values().next().value as string);
    return true;
  }
}
