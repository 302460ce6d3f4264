import type { Arm } from '../../core/routing/routing';
import { keyHash } from '../evidence/key-statistics';

/** At which provider a key's newest conversation began, as processes say it to each other, and under which epoch. */
export interface BegunConversation {
  readonly side: Arm;
  readonly epoch: number;
}

/**
 * The newest conversation of each key. Keys that were not used while `capacity` others were are forgotten; at most
 * twice as many are held. Two maps that only grow take the place of one in use order, from which every request
 * would remove an entry to put it in again: that makes a large map anew again and again.
 */
export class ConversationTable {
  readonly #capacity: number;
  readonly #announce: ((hash: number, conversation: BegunConversation) => void) | null;
  #recent = new Map<number, BegunConversation>();
  #earlier = new Map<number, BegunConversation>();

  /** `announce` is called with each conversation that begins here, for other processes to adopt. */
  constructor(
    capacity = 50_000,
    announce: ((hash: number, conversation: BegunConversation) => void) | null = null,
  ) {
    this.#capacity = capacity;
    this.#announce = announce;
  }

  begin(key: string, conversation: BegunConversation): void {
    const hash = keyHash(key);
    this.#use(hash, conversation);
    this.#announce?.(hash, conversation);
  }

  /** Takes a conversation that began in another process, by the hash of its key. */
  adopt(hash: number, conversation: BegunConversation): void {
    this.#use(hash, conversation);
  }

  /** All that is known, older ones first. */
  entries(): [number, BegunConversation][] {
    return [...this.#earlier, ...this.#recent];
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
