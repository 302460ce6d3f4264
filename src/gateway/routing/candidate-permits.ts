import { SwapList, type SwapListEntry } from '../sockets/swap-list';

/**
 * Why an attempt is cut. `withdrawn`: not sent yet and never to be sent. `emergency`: end it unless its
 * answer is committed. `drained`: its time is over, end it whatever it does.
 */
export type CutCause = 'withdrawn' | 'emergency' | 'drained';

/** Live traffic or a copy of legacy's traffic (shadow). */
export type PermitPurpose = 'live' | 'mirror';

/** One attempt (first, retry or mirror) to send a request to the candidate. */
export interface CandidatePermit {
  /**
   * To be asked in the moment when the bytes go to a candidate socket. True: allowed, and from now on in
   * flight. False: the routing changed since the draw; the permit is closed, serve legacy, and count the
   * request in no arm (it is not the candidate's failure).
   */
  send(): boolean;
  /** The attempt is over or abandoned. */
  close(): void;
  /** Sets the one listener for cuts; called at once when the permit was cut before. */
  onCut(listener: (cause: CutCause) => void): void;
}

/** Every open attempt towards the candidate of one route. */
export class CandidatePermits {
  readonly #allows: (epoch: number, purpose: PermitPurpose) => boolean;
  readonly #open = new SwapList<Permit>();
  readonly #drains = new Set<NodeJS.Timeout>();

  constructor(allows: (epoch: number, purpose: PermitPurpose) => boolean) {
    this.#allows = allows;
  }

  open(epoch: number, purpose: PermitPurpose): CandidatePermit {
    const permit = new Permit(epoch, purpose, this.#open, this.#allows);
    this.#open.add(permit);
    return permit;
  }

  /** Attempts of epochs below the given one that are not sent yet, and that are in flight. */
  countOlder(epoch: number): { unsent: number; inFlight: number } {
    let unsent = 0;
    let inFlight = 0;
    this.#open.each((permit) => {
      if (permit.epoch >= epoch) return;
      if (permit.sent) inFlight += 1;
      else unsent += 1;
    });
    return { unsent, inFlight };
  }

  /** Cuts what is in flight of epochs below the given one. */
  cutInFlight(belowEpoch: number, cause: CutCause): void {
    for (const permit of this.#open.copy()) {
      if (permit.sent && permit.epoch < belowEpoch) permit.cut(cause);
    }
  }

  /** Cuts what is open now once its time is over, whatever it does. */
  cutLater(drainMs: number): void {
    const open = this.#open.copy();
    if (open.length === 0) return;
    const timer = setTimeout(() => {
      this.#drains.delete(timer);
      for (const permit of open) permit.cut('drained');
    }, drainMs);
    timer.unref();
    this.#drains.add(timer);
  }

  /** Cuts every open attempt. */
  cutAll(): void {
    for (const permit of this.#open.copy()) permit.cut('drained');
  }

  /** Tells every unsent attempt that may no longer be sent, so that nobody waits for a socket in vain. */
  withdrawUnsendable(): void {
    for (const permit of this.#open.copy()) {
      if (!permit.sent && !this.#allows(permit.epoch, permit.purpose)) permit.cut('withdrawn');
    }
  }

  /** Stops the timers. */
  close(): void {
    for (const timer of this.#drains) clearTimeout(timer);
  }
}

class Permit implements CandidatePermit, SwapListEntry {
  place = -1;
  sent = false;
  #listener: ((cause: CutCause) => void) | null = null;
  #cause: CutCause | null = null;

  constructor(
    readonly epoch: number,
    readonly purpose: PermitPurpose,
    private readonly registry: SwapList<Permit>,
    private readonly allows: (epoch: number, purpose: PermitPurpose) => boolean,
  ) {}

  send(): boolean {
    if (this.place < 0) return false;
    if (!this.allows(this.epoch, this.purpose)) {
      this.close();
      return false;
    }
    this.sent = true;
    return true;
  }

  close(): void {
    this.registry.remove(this);
    this.#listener = null;
  }

  onCut(listener: (cause: CutCause) => void): void {
    if (this.place < 0) return;
    this.#listener = listener;
    if (this.#cause !== null) listener(this.#cause);
  }

  cut(cause: CutCause): void {
    if (this.place < 0 || this.#cause === 'drained') return;
    this.#cause = cause;
    this.#listener?.(cause);
  }
}
