import type { Side } from '../core/routing';
import { keyHash } from './key-statistics';

/** Which side a key's newest conversation began on, and under which epoch. */
export interface BegunConversation {
  readonly side: Side;
  readonly epoch: number;
}

/** The newest conversation of each key; least recently used keys are forgotten beyond the capacity. */
export class ConversationTable {
  readonly #capacity: number;
  readonly #begun = new Map<number, BegunConversation>();

  constructor(capacity = 100_000) {
    this.#capacity = capacity;
  }

  begin(key: string, conversation: BegunConversation): void {
    const hash = keyHash(key);
    this.#begun.delete(hash);
    this.#begun.set(hash, conversation);
    if (this.#begun.size > this.#capacity) {
      const oldest = this.#begun.keys().next().value;
      if (oldest !== undefined) this.#begun.delete(oldest);
    }
  }

  /** The conversation recorded for a key, null when none is known. */
  find(key: string): BegunConversation | null {
    const hash = keyHash(key);
    const found = this.#begun.get(hash);
    if (found === undefined) return null;
    this.#begun.delete(hash);
    this.#begun.set(hash, found);
    return found;
  }
}
