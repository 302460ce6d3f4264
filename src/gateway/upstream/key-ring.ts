/** The keys of one provider that requests are spread over: in turn, but for those that rest. */
export class KeyRing {
  readonly #references: readonly string[];
  readonly #restsUntilMs = new Map<string, number>();
  #turn = 0;

  /** References, of which the keys are resolved elsewhere. */
  constructor(references: readonly string[]) {
    this.#references = references;
  }

  get size(): number {
    return this.#references.length;
  }

  /** The key whose turn it is; the one that rests no longer first where all rest. Null without keys. */
  next(nowMs: number): string | null {
    const count = this.#references.length;
    let soonest: string | null = null;
    for (let step = 0; step < count; step += 1) {
      const reference = this.#references[(this.#turn + step) % count] as string;
      const untilMs = this.#restsUntilMs.get(reference) ?? 0;
      if (untilMs <= nowMs) {
        this.#turn = (this.#turn + step + 1) % count;
        return reference;
      }
      if (soonest === null || untilMs < (this.#restsUntilMs.get(soonest) ?? 0)) soonest = reference;
    }
    return soonest;
  }

  /** Leaves a key out of the turn. */
  rest(reference: string, forMs: number, nowMs: number): void {
    this.#restsUntilMs.set(reference, nowMs + forMs);
  }

  /** Whether any key can be used now. */
  isAwake(nowMs: number): boolean {
    return this.#references.some((reference) => (this.#restsUntilMs.get(reference) ?? 0) <= nowMs);
  }
}
