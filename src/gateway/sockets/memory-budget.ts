/** A caller may hold at most this many times what is left free for all. */
const FAIR_PART = 3;
/** The part of a budget that one caller alone may hold. */
export const LARGEST_PART = FAIR_PART / (FAIR_PART + 1);

/**
 * What all requests of a process hold in memory for longer than a moment: bodies, answers that are held back, answers
 * that their callers have not read yet. Each caller's part shrinks as the room does (Choudhury and Hahne, "Dynamic
 * queue length thresholds", 1998): one caller alone gets three quarters, and always leaves room for others.
 */
export class MemoryBudget {
  readonly maximumBytes: number;
  #heldBytes = 0;
  readonly #accounts = new Map<string, MemoryAccount>();

  constructor(maximumBytes: number) {
    this.maximumBytes = maximumBytes;
  }

  get heldBytes(): number {
    return this.#heldBytes;
  }

  /** The account of a team; there is one for each that has called. */
  account(team: string): MemoryAccount {
    let account = this.#accounts.get(team);
    if (account === undefined) {
      account = new MemoryAccount(this, (bytes) => {
        this.#heldBytes += bytes;
      });
      this.#accounts.set(team, account);
    }
    return account;
  }
}

/** The part of a budget that one team holds. */
export class MemoryAccount {
  #heldBytes = 0;

  constructor(
    private readonly budget: MemoryBudget,
    private readonly add: (bytes: number) => void,
  ) {}

  get heldBytes(): number {
    return this.#heldBytes;
  }

  /** Whether as much more may be taken now. */
  hasRoom(bytes: number): boolean {
    const free = this.budget.maximumBytes - this.budget.heldBytes - bytes;
    return this.#heldBytes + bytes <= FAIR_PART * free;
  }

  take(bytes: number): boolean {
    if (!this.hasRoom(bytes)) return false;
    this.hold(bytes);
    return true;
  }

  /** Takes what is in memory already, whether or not there is room for it. */
  hold(bytes: number): void {
    this.#heldBytes += bytes;
    this.add(bytes);
  }

  give(bytes: number): void {
    this.hold(-bytes);
  }
}
