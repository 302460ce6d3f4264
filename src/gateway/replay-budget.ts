/**
 * Allowance for replays after ambiguous failures: each request earns `ratio` of a replay, up to `burst`.
 * It keeps a failing candidate from doubling the work (and the bill) of all its traffic.
 */
export class ReplayBudget {
  #allowance: number;

  constructor(
    private readonly ratio: number,
    private readonly burst: number,
  ) {
    this.#allowance = burst;
  }

  /** One request came in. */
  earn(): void {
    this.#allowance = Math.min(this.burst, this.#allowance + this.ratio);
  }

  /** Takes one replay; false when none is left. */
  spend(): boolean {
    if (this.#allowance < 1 - 1e-9) return false; // ten tenths are not quite one
    this.#allowance -= 1;
    return true;
  }
}
