/**
 * What a scan reports, in the order of the bytes. Spans are `[start, end)`, those of strings and keys with their
 * quotes. `depth` counts the containers around: 1 for the members of the outermost object.
 */
export interface JsonVisitor {
  /** A key at any depth. */
  key(start: number, end: number, depth: number, escaped: boolean): void;
  /** A string, number or literal in a watched container. */
  scalar(start: number, end: number, depth: number, escaped: boolean): void;
  /** An object or array in a watched container; true to watch what is in it. */
  open(isObject: boolean, start: number, depth: number): boolean;
  /** The end of what `open` reported. */
  close(end: number, depth: number): void;
}

/** Containers deeper than this are refused, so that nobody who reads what was accepted runs out of stack. */
export const MAX_NESTING = 512;

const QUOTE = 0x22;
const COMMA = 0x2c;
const COLON = 0x3a;
const BACKSLASH = 0x5c;
const OPEN_ARRAY = 0x5b;
const CLOSE_ARRAY = 0x5d;
const OPEN_OBJECT = 0x7b;
const CLOSE_OBJECT = 0x7d;

/** What may come next. */
const VALUE = 0;
const FIRST_VALUE = 1;
const KEY = 2;
const FIRST_KEY = 3;
const AFTER_VALUE = 4;

/** Whether the container at a depth is an object; used within one scan only. */
const isObjectAt = new Uint8Array(MAX_NESTING + 1);

/**
 * Reads one JSON value from `from` on, without building it and without recursion, and returns where it ends; 0
 * when `JSON.parse` would refuse it or it is nested deeper than `MAX_NESTING`. Bytes that are not UTF-8 may stand
 * in strings, as they may after decoding, which replaces them.
 */
export function scanJson(raw: Buffer, from: number, visitor: JsonVisitor): number {
  const { length } = raw;
  const words = length < WORDS_FROM ? null : wordsOf(raw);
  let at = from;
  let depth = 0;
  /** Containers up to this depth are watched. */
  let watched = 0;
  let expected = VALUE;
  for (;;) {
    at = spaceEnd(raw, at);
    if (at >= length) return 0;
    const byte = raw[at] as number;
    if (expected <= FIRST_VALUE) {
      if (byte === OPEN_OBJECT || byte === OPEN_ARRAY) {
        if (depth === MAX_NESTING) return 0;
        const isObject = byte === OPEN_OBJECT;
        if (depth <= watched) watched = visitor.open(isObject, at, depth) ? depth + 1 : depth;
        depth += 1;
        isObjectAt[depth] = isObject ? 1 : 0;
        expected = isObject ? FIRST_KEY : FIRST_VALUE;
        at += 1;
        continue;
      }
      if (byte !== CLOSE_ARRAY || expected === VALUE) {
        const found = byte === QUOTE ? stringEnd(raw, at, words) : plainEnd(raw, at, byte);
        if (found === 0) return 0;
        const end = found < 0 ? -found : found;
        if (depth <= watched) visitor.scalar(at, end, depth, found < 0);
        if (depth === 0) return end;
        at = end;
        expected = AFTER_VALUE;
        continue;
      }
    } else if (expected !== AFTER_VALUE) {
      if (byte === QUOTE) {
        const found = stringEnd(raw, at, words);
        if (found === 0) return 0;
        const end = found < 0 ? -found : found;
        visitor.key(at, end, depth, found < 0);
        at = spaceEnd(raw, end);
        if (raw[at] !== COLON) return 0;
        at += 1;
        expected = VALUE;
        continue;
      }
      if (byte !== CLOSE_OBJECT || expected === KEY) return 0;
    } else if (byte === COMMA) {
      at += 1;
      expected = isObjectAt[depth] === 1 ? KEY : VALUE;
      continue;
    }
    // Only the end of the innermost container is left.
    if (byte !== (isObjectAt[depth] === 1 ? CLOSE_OBJECT : CLOSE_ARRAY)) return 0;
    at += 1;
    depth -= 1;
    if (watched > depth) watched = depth;
    if (depth <= watched) visitor.close(at, depth);
    if (depth === 0) return at;
    expected = AFTER_VALUE;
  }
}

/** Where white space that begins here ends. */
export function spaceEnd(raw: Buffer, from: number): number {
  const { length } = raw;
  let at = from;
  while (at < length) {
    const byte = raw[at] as number;
    if (byte > 0x20 || (byte !== 0x20 && byte !== 0x0a && byte !== 0x0d && byte !== 0x09)) break;
    at += 1;
  }
  return at;
}

/** Bytes that stand for themselves in a string: all but quotes, backslashes and control characters. */
const isPlain = Uint8Array.from({ length: 256 }, (_, byte) =>
  byte >= 0x20 && byte !== QUOTE && byte !== BACKSLASH ? 1 : 0,
);

/** From this many plain bytes on a string is read by words of four. */
const LONG_STRING = 32;
/** Shorter bodies are not worth their words. */
const WORDS_FROM = 4_096;

/** The whole words of four bytes that lie in some bytes. */
interface Words {
  readonly all: Int32Array;
  /** Where the first word begins. */
  readonly start: number;
}

function wordsOf(raw: Buffer): Words {
  const start = -raw.byteOffset & 3;
  return { all: new Int32Array(raw.buffer, raw.byteOffset + start, (raw.length - start) >>> 2), start };
}

/** Where the string ends whose opening quote is at `start`: negative when it holds escapes, 0 when unsound. */
function stringEnd(raw: Buffer, start: number, words: Words | null): number {
  const { length } = raw;
  let at = start + 1;
  let isEscaped = false;
  for (;;) {
    const short = words === null ? length : Math.min(length, nextWord(words, at + LONG_STRING));
    while (at < short && isPlain[raw[at] as number] === 1) at += 1;
    if (at >= length) return 0;
    if (at === short && words !== null) at = plainWordsEnd(words, at);
    const byte = raw[at];
    if (byte === QUOTE) return isEscaped ? -(at + 1) : at + 1;
    if (byte === BACKSLASH) {
      isEscaped = true;
      at = escapeEnd(raw, at);
      if (at === 0) return 0;
    } else if (byte === undefined || byte < 0x20) return 0;
  }
}

function nextWord({ start }: Words, at: number): number {
  return start + ((at - start + 3) & ~3);
}

/** Skips words without a quote, backslash or control character, from where a word begins. */
function plainWordsEnd({ all, start }: Words, from: number): number {
  const { length } = all;
  let index = (from - start) >>> 2;
  while (index < length) {
    const word = all[index] as number;
    // A byte that is below 33 once its second bit is turned over is a control character or a quote.
    const turned = word ^ 0x02020202;
    const slashes = word ^ 0x5c5c5c5c;
    const hits = ((turned - 0x21212121) & ~turned) | ((slashes - 0x01010101) & ~slashes);
    if ((hits & 0x80808080) !== 0) break;
    index += 1;
  }
  return start + index * 4;
}

/** Where an escape ends whose backslash is at `at`; 0 when it is not one of JSON's. */
function escapeEnd(raw: Buffer, at: number): number {
  switch (raw[at + 1]) {
    case QUOTE:
    case BACKSLASH:
    case 0x2f: // /
    case 0x62: // b
    case 0x66: // f
    case 0x6e: // n
    case 0x72: // r
    case 0x74: // t
      return at + 2;
    case 0x75: // u
      for (let digit = at + 2; digit < at + 6; digit += 1) if (!isHex(raw[digit])) return 0;
      return at + 6;
    default:
      return 0;
  }
}

function isHex(byte: number | undefined): boolean {
  if (byte === undefined) return false;
  return (byte >= 0x30 && byte <= 0x39) || ((byte | 0x20) >= 0x61 && (byte | 0x20) <= 0x66);
}

/** Where a number, `true`, `false` or `null` ends; 0 when it is none of them. */
function plainEnd(raw: Buffer, at: number, first: number): number {
  if (first === 0x74) return textEnd(raw, at, 'true');
  if (first === 0x66) return textEnd(raw, at, 'false');
  if (first === 0x6e) return textEnd(raw, at, 'null');
  let from = first === 0x2d ? at + 1 : at;
  const leading = raw[from];
  from = leading === 0x30 ? from + 1 : digitsEnd(raw, from);
  if (from === 0) return 0;
  if (raw[from] === 0x2e) from = digitsEnd(raw, from + 1);
  if (from === 0) return 0;
  const exponent = raw[from];
  if (exponent === 0x65 || exponent === 0x45) {
    const sign = raw[from + 1];
    from = digitsEnd(raw, sign === 0x2b || sign === 0x2d ? from + 2 : from + 1);
  }
  return from;
}

/** Where digits end, of which there has to be one; else 0. */
function digitsEnd(raw: Buffer, from: number): number {
  const { length } = raw;
  let at = from;
  while (at < length) {
    const byte = raw[at] as number;
    if (byte < 0x30 || byte > 0x39) break;
    at += 1;
  }
  return at === from ? 0 : at;
}

function textEnd(raw: Buffer, at: number, text: string): number {
  for (let index = 0; index < text.length; index += 1) {
    if (raw[at + index] !== text.charCodeAt(index)) return 0;
  }
  return at + text.length;
}
