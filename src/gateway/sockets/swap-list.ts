/** An entry of a `SwapList`, which keeps the entry's own place in it. */
export interface SwapListEntry {
  /** -1 while it is in no list; written by the list alone. */
  place: number;
}

/**
 * Entries that come and go with every request, in an array: the last one takes the place of one that leaves. A
 * `Set` in this role is made anew every few hundred requests, and what its old tables hold survives young
 * collections: they took nine times as long (measured). An entry is in at most one list.
 */
export class SwapList<Entry extends SwapListEntry> {
  readonly #entries: Entry[] = [];

  get size(): number {
    return this.#entries.length;
  }

  /** Expects an entry that is in no list. */
  add(entry: Entry): void {
    entry.place = this.#entries.length;
    this.#entries.push(entry);
  }

  /** Does nothing when the entry has left already. */
  remove(entry: Entry): void {
    const { place } = entry;
    if (place < 0) return;
    const last = this.#entries.pop() as Entry;
    if (last !== entry) {
      this.#entries[place] = last;
      last.place = place;
    }
    entry.place = -1;
  }

  /**
   * Visits each entry. Any of them may leave meanwhile: one that has left is not visited any more, one that took
   * a place may be visited twice, and one that comes may be missed.
   */
  each(visit: (entry: Entry) => void): void {
    for (let place = this.#entries.length - 1; place >= 0; place -= 1) {
      const entry = this.#entries[place];
      if (entry !== undefined) visit(entry);
    }
  }

  /** The entries as they are now. */
  copy(): Entry[] {
    return this.#entries.slice();
  }
}
