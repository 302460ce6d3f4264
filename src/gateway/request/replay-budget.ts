/**
 * Allowance for work that is done twice: each request earns `ratio` of one, up to `burst`. It keeps a failing
 * candidate from doubling the work (and the bill) of all its traffic.
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

  get isLeft(): boolean {
    return this.#allowance >= 1 - 1e-9; // ten tenths are not quite one
  }

  /** Takes one; false when none is left. */
  spend(): boolean {
    if (!this.isLeft) return false;
    this.#allowance -= 1;
    return true;
  }

  /** Takes one that turned out to be needless after it was done, into debt if need be. */
  charge(): void {
    this.#allowance = Math.max(-this.burst, this.#allowance - 1);
  }
}
