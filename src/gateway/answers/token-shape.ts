/** Keys whose text comes piece by piece in the chunks of a chat or a completion, as they stand before that text. */
const BEFORE_TEXT: readonly string[] = [
  '"content":"',
  '"text":"',
  '"arguments":"',
  '"reasoning_content":"',
  '"reasoning":"',
];
/** The same for reasoning alone: until something else has come, what is more than reasoning has to be seen. */
export const REASONING_TEXT: readonly string[] = ['"reasoning_content":"', '"reasoning":"'];
/** Streams whose chunks differ in more than one text are read without a shape after this many attempts in a row. */
const MAX_ATTEMPTS = 8;
const BACKSLASH = 92;

/**
 * What the chunks of one stream have in common: most differ from the one before in a single text. Two comparisons
 * then say of a chunk what a search for each key that matters would say, at a sixth of its cost (measured).
 */
export class TokenShape {
  #before = '';
  #after = '';
  #attempts = 0;

  /** Whether an event of one line is like the one that was learned, but for what stands in that JSON string. */
  matches(text: string, start: number, end: number): boolean {
    const before = this.#before;
    if (before === '') return false;
    const from = start + before.length;
    const to = end - this.#after.length;
    // Without a quote between the two, nothing in there is a key.
    if (text.indexOf('"', from) !== to) return false;
    if (text.slice(start, from) !== before || text.slice(to, end) !== this.#after) return false;
    this.#attempts = 0;
    return true;
  }

  /** Takes an event for the shape of those that follow, if it has such a text. */
  learn(text: string, start: number, end: number, keys = BEFORE_TEXT): void {
    if (this.#attempts === MAX_ATTEMPTS) return;
    this.#attempts += 1;
    const event = text.slice(start, end);
    for (const key of keys) {
      const at = event.indexOf(key);
      if (at < 0) continue;
      const from = at + key.length;
      const to = closingQuote(event, from);
      if (to < 0) return;
      this.#before = event.slice(0, from);
      this.#after = event.slice(to);
      return;
    }
  }
}

/** Where the JSON string ends whose contents begin here, negative when it does not. */
export function closingQuote(text: string, from: number): number {
  let quote = text.indexOf('"', from);
  while (quote >= 0 && isEscaped(text, quote)) quote = text.indexOf('"', quote + 1);
  return quote;
}

function isEscaped(text: string, at: number): boolean {
  let first = at;
  while (text.charCodeAt(first - 1) === BACKSLASH) first -= 1;
  return (at - first) % 2 === 1;
}
