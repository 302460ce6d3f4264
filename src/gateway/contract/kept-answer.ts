import type { KeptStream } from '../answers/stream-scanner';
import type { Endpoint } from '../request/traffic-class';
import type { MemoryAccount } from '../sockets/memory-budget';
import type { SaidChoice } from './judge-answer';
import { readOutput } from './read-choices';
import { fieldsOf, listOf } from './read-contract';
import { StreamedChoices } from './streamed-choices';
import { StreamedMessage } from './streamed-message';

/** More of one answer is not kept: it is left unchecked. */
const MAX_BYTES = 1_048_576;
/** What a piece of text takes besides its characters. */
const PIECE_BYTES = 48;

/** What an answer says, as the thread that judges it takes it: a plain body as it came, or the choices of a stream. */
export type KeptText =
  | { readonly body: Uint8Array<ArrayBuffer> }
  | { readonly choices: readonly SaidChoice[] };

/** Keeps what one answer says until it is judged, on its caller's account; gives it up where there is no room. */
export class KeptAnswer implements KeptStream {
  readonly #account: MemoryAccount;
  readonly #endpoint: Endpoint;
  #bytes = 0;
  #isLost = false;
  #body: Buffer[] = [];
  readonly #choices: StreamedChoices | StreamedMessage;
  /** The items of a response by their place; its pieces are in none of them until they are complete. */
  #items = new Map<unknown, Readonly<Record<string, unknown>>>();
  #isStream = false;

  constructor(account: MemoryAccount, endpoint: Endpoint) {
    this.#account = account;
    this.#endpoint = endpoint;
    this.#choices = endpoint === 'messages' ? new StreamedMessage() : new StreamedChoices();
  }

  /** Takes a piece of a plain answer's body. */
  addBody(piece: Buffer): void {
    // A copy: the piece may be a small part of what was read from the socket at once.
    if (this.#take(piece.length)) this.#body.push(Buffer.from(piece));
  }

  addEvent(json: Readonly<Record<string, unknown>>): void {
    this.#isStream = true;
    if (this.#isLost) return;
    if (this.#endpoint === 'responses') this.#addItems(json);
    else if (!this.#take(this.#choices.add(json) + PIECE_BYTES)) this.#choices.clear();
  }

  /** All that counts of a response comes item by item; the events that are long repeat more than that. */
  addLongEvent(json: Readonly<Record<string, unknown>> | null): void {
    this.#isStream = true;
    const repeats = this.#endpoint === 'responses' && json !== null && json['type'] !== ITEM_DONE;
    if (!repeats) this.release();
  }

  /** It was given up: too long, no room, or not to be had. */
  get isLost(): boolean {
    return this.#isLost;
  }

  /** What was kept; null when it was given up, or when a response's stream did not say its items in full. */
  get text(): KeptText | null {
    if (this.#isLost) return null;
    if (!this.#isStream) {
      const body = new Uint8Array(this.#bytes);
      let at = 0;
      for (const piece of this.#body) {
        body.set(piece, at);
        at += piece.length;
      }
      return { body };
    }
    if (this.#endpoint !== 'responses') return { choices: this.#choices.said };
    return this.#items.size === 0 ? null : { choices: [readOutput([...this.#items.values()])] };
  }

  /** Lets go of all of it. */
  release(): void {
    this.#account.give(this.#bytes);
    this.#bytes = 0;
    this.#isLost = true;
    this.#body = [];
    this.#choices.clear();
    this.#items = new Map();
  }

  /** The last event of a response repeats all items; before it each comes once it is complete. */
  #addItems(json: Readonly<Record<string, unknown>>): void {
    const item = json['type'] === ITEM_DONE ? fieldsOf(json['item']) : null;
    if (item !== null && isSaid(item) && this.#take(sizeOf(item)))
      this.#items.set(json['output_index'], item);
    const output = listOf(fieldsOf(json['response'])?.['output']).filter(isSaid);
    if (output.length === 0 || this.#items.size > 0) return;
    if (this.#take(output.reduce((sum, each) => sum + sizeOf(each), 0))) {
      output.forEach((each, index) => {
        this.#items.set(index, each);
      });
    }
  }

  #take(bytes: number): boolean {
    if (this.#isLost) return false;
    if (this.#bytes + bytes <= MAX_BYTES && this.#account.take(bytes)) {
      this.#bytes += bytes;
      return true;
    }
    this.release();
    return false;
  }
}

const ITEM_DONE = 'response.output_item.done';

function isSaid({ type }: Readonly<Record<string, unknown>>): boolean {
  return type === 'message' || (typeof type === 'string' && type.endsWith('_call'));
}

function sizeOf(item: Readonly<Record<string, unknown>>): number {
  return JSON.stringify(item).length + PIECE_BYTES;
}
