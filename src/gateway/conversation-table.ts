import type { Side } from '../core/routing';
import { keyHash } from './key-statistics';

/** Which side a key's newest conversation began on, and under which epoch. */
export interface BegunConversation {
  readonly side: Side;
  readonly epoch: number;
}

/**
 * The newest conversation of each key. Keys that were not used while `capacity` others were are forgotten; at most
 * twice as many are held. Two maps that only grow take the place of one in use order, from which every request
 * would remove an entry to put it in again: that makes a large map anew again and again.
 */
export class ConversationTable {
  readonly #capacity: number;
  #recent = new Map<number, BegunConversation>();
  #earlier = new Map<number, BegunConversation>();

  constructor(capacity = 50_000) {
    this.#capacity = capacity;
  }

  begin(key: string, conversation: BegunConversation): void {
    this.#use(keyHash(key), conversation);
  }

  /** The conversation recorded for a key, null when none is known. */
  find(key: string): BegunConversation | null {
    const hash = keyHash(key);
    const recent = this.#recent.get(hash);
    if (recent !== undefined) return recent;
    const earlier = this.#earlier.get(hash);
    if (earlier === undefined) return null;
    this.#use(hash, earlier);
    return earlier;
  }

  #use(hash: number, conversation: BegunConversation): void {
    if (this.#recent.size >= this.#capacity && !this.#recent.has(hash)) {
      this.#earlier = this.#recent;
      this.#recent = new Map();
    }
    this.#recent.set(hash, conversation);
  }
}
