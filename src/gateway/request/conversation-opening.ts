import { hash } from 'node:crypto';
import { isString } from '../json/json-fields';
import { type JsonVisitor, scanJson } from '../json/json-scanner';
import type { ByteSpan } from './request-reader';

/** Where a conversation begins in the body of each of its requests. */
export interface ConversationOpening {
  /** What stands above it: instructions or a system message; empty without any. */
  readonly system: ByteSpan;
  /** What its user says first. */
  readonly user: ByteSpan;
  /** Messages in the request; they only become more while a conversation lasts. */
  readonly messages: number;
}

/** Of a longer text only its beginning and its end are hashed, this many bytes of each. */
const PART_BYTES = 2_048;
const MAX_PIECES = 64;

/**
 * A hash of what a conversation's system and user said first, texts and pictures; null where the user said nothing.
 * Whether a text stands alone or in parts, and where prompts are to be cached, makes no difference.
 */
export function openingKey(raw: Buffer, { system, user }: ConversationOpening): string | null {
  const reader = new OpeningReader(raw);
  if (system.end !== 0) reader.read(system);
  reader.pieces.push(BETWEEN);
  const before = reader.pieces.length;
  reader.read(user);
  return reader.pieces.length === before ? null : hash('sha256', Buffer.concat(reader.pieces), 'hex');
}

/** No byte of a JSON text: what a system says is not mistaken for what a user says. */
const BETWEEN = Buffer.from([0]);

/** Collects the strings of a content, but not those that say what kind of part they are in. */
class OpeningReader implements JsonVisitor {
  readonly pieces: Buffer[] = [];
  #isKind = false;

  constructor(private readonly raw: Buffer) {}

  /** A text has been found already, however long it is. */
  read({ start, end }: ByteSpan): void {
    if (this.raw[start] === QUOTE) this.scalar(start, end, 0);
    else scanJson(this.raw, start, this);
  }

  key(start: number, end: number): void {
    this.#isKind = isString(this.raw, start, end, 'type') || isString(this.raw, start, end, 'ttl');
  }

  scalar(start: number, end: number, depth: number): void {
    if (this.raw[start] !== QUOTE || end - start === 2 || (depth > 1 && this.#isKind)) return;
    if (this.pieces.length >= MAX_PIECES) return;
    const text = this.raw.subarray(start + 1, end - 1);
    if (text.length <= 2 * PART_BYTES) this.pieces.push(text);
    else this.pieces.push(text.subarray(0, PART_BYTES), text.subarray(-PART_BYTES));
  }

  open(): boolean {
    return true;
  }

  close(): void {}
}

const QUOTE = 0x22;
