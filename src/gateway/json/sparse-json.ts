/** What is kept of a JSON object: the names that decide, with everything else known only as there or empty. */
export type SparseObject = { [name: string]: unknown };

/** Containers of these names are kept; of others only whether they are empty lists. */
const KEPT_CONTAINERS = new Set([
  'choices',
  'container',
  'content',
  'content_block',
  'delta',
  'error',
  'incomplete_details',
  'input_tokens_details',
  'item',
  'message',
  'output',
  'prompt_tokens_details',
  'response',
  'usage',
]);
/** What stands for a container that was not kept. */
const SOME_OBJECT: object = Object.freeze({});
const SOME_LIST: readonly unknown[] = Object.freeze([true]);
const EMPTY_LIST: readonly unknown[] = Object.freeze([]);
const MAX_KEPT_VALUES = 4_096;
const MAX_KEPT_STRING = 512;
const MAX_DEPTH = 1_024;
const MAX_LITERAL = 1_024;
const LITERAL = /^(?:true|false|null|-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?)$/;
const HEX = /[0-9a-fA-F]/;

const QUOTE = 34;
const COMMA = 44;
const COLON = 58;
const OPEN_LIST = 91;
const BACKSLASH = 92;
const CLOSE_LIST = 93;
const OPEN_OBJECT = 123;
const CLOSE_OBJECT = 125;

/** What may come next. */
type NextToken = 'value' | 'first item' | 'first key' | 'key' | 'colon' | 'next' | 'nothing';

interface Level {
  readonly list: boolean;
  /** Null when nothing of it is kept. */
  readonly kept: SparseObject | unknown[] | null;
  filled: boolean;
  /** The name under which the next value is kept. */
  key: string;
}

/**
 * Reads a JSON object of any length piece by piece, as strictly as JSON.parse, in memory that does not grow
 * with it: of what the gateway asks answers for it keeps names, short texts and numbers, of the rest only
 * whether it is there. Texts are bytes as latin1.
 */
export class SparseJson {
  #expected: NextToken = 'value';
  #malformed = false;
  #root: unknown;
  readonly #levels: Level[] = [];
  #keptValues = 0;
  /** The string or literal that is under way; a string is cut at its limit. */
  #token = '';
  #within: 'structure' | 'string' | 'escape' | 'hex' | 'literal' = 'structure';
  #hexDigits = 0;

  /** Takes the next part of the text, from one place to another. */
  push(text: string, from = 0, to = text.length): void {
    let at = from;
    while (at < to && !this.#malformed) {
      switch (this.#within) {
        case 'structure':
          at = this.#structure(text, at);
          break;
        case 'string':
          at = this.#string(text, at, to);
          break;
        case 'escape':
          at = this.#escape(text, at);
          break;
        case 'hex':
          at = this.#hex(text, at);
          break;
        case 'literal':
          at = this.#literal(text, at, to);
      }
    }
  }

  /** What was kept of the object that has been read; null when it is anything else, or not complete. */
  end(): SparseObject | null {
    if (this.#within === 'literal') this.#endLiteral();
    return this.#malformed || this.#expected !== 'nothing' ? null : this.begun;
  }

  /** The object as far as it has come; null before it began. */
  get begun(): SparseObject | null {
    const root = this.#root;
    return typeof root === 'object' && root !== null && !Array.isArray(root) ? (root as SparseObject) : null;
  }

  #structure(text: string, at: number): number {
    const code = text.charCodeAt(at);
    if (code === 32 || code === 10 || code === 13 || code === 9) return at + 1;
    switch (this.#expected) {
      case 'first item':
        if (code === CLOSE_LIST) return this.#close(at);
        return this.#value(code, at);
      case 'value':
        return this.#value(code, at);
      case 'first key':
        if (code === CLOSE_OBJECT) return this.#close(at);
        return this.#beginKey(code, at);
      case 'key':
        return this.#beginKey(code, at);
      case 'colon':
        if (code !== COLON) return this.#fail(at);
        this.#expected = 'value';
        return at + 1;
      case 'next':
        return this.#next(code, at);
      case 'nothing':
        return this.#fail(at);
    }
  }

  #next(code: number, at: number): number {
    const { list } = this.#levels.at(-1) as Level;
    if (code === (list ? CLOSE_LIST : CLOSE_OBJECT)) return this.#close(at);
    if (code !== COMMA) return this.#fail(at);
    this.#expected = list ? 'value' : 'key';
    return at + 1;
  }

  #beginKey(code: number, at: number): number {
    if (code !== QUOTE) return this.#fail(at);
    this.#expected = 'key';
    this.#begin('string');
    return at + 1;
  }

  #value(code: number, at: number): number {
    this.#expected = 'value';
    if (code === OPEN_OBJECT || code === OPEN_LIST) return this.#open(code === OPEN_LIST, at);
    if (code === QUOTE) {
      this.#begin('string');
      return at + 1;
    }
    this.#begin('literal');
    return at;
  }

  #open(list: boolean, at: number): number {
    const parent = this.#levels.at(-1);
    if (this.#levels.length >= MAX_DEPTH) return this.#fail(at);
    const isKept =
      parent === undefined ||
      (parent.kept !== null && (parent.list || KEPT_CONTAINERS.has(parent.key)) && this.#hasRoom());
    // Without a prototype `__proto__` is a name as any other.
    const kept = isKept ? (list ? [] : (Object.create(null) as SparseObject)) : null;
    if (kept !== null) this.#put(kept);
    this.#levels.push({ list, kept, filled: false, key: '' });
    this.#expected = list ? 'first item' : 'first key';
    return at + 1;
  }

  #close(at: number): number {
    const { kept, filled, list } = this.#levels.pop() as Level;
    if (kept === null) this.#put(list ? (filled ? SOME_LIST : EMPTY_LIST) : SOME_OBJECT);
    this.#expected = this.#levels.length === 0 ? 'nothing' : 'next';
    return at + 1;
  }

  /** Keeps a value, where its container is kept. */
  #put(value: unknown): void {
    const level = this.#levels.at(-1);
    this.#expected = level === undefined ? 'nothing' : 'next';
    if (level === undefined) {
      this.#root = value;
      return;
    }
    level.filled = true;
    const { kept } = level;
    if (kept === null || !this.#hasRoom()) return;
    this.#keptValues += 1;
    if (Array.isArray(kept)) kept.push(value);
    else kept[level.key] = value;
  }

  #hasRoom(): boolean {
    return this.#keptValues < MAX_KEPT_VALUES;
  }

  #begin(within: 'string' | 'literal'): void {
    this.#within = within;
    this.#token = '';
  }

  #string(text: string, at: number, to: number): number {
    STRING_RUN.lastIndex = at;
    STRING_RUN.test(text);
    const end = Math.min(STRING_RUN.lastIndex, to);
    this.#keep(text, at, end);
    if (end === to) return to;
    const code = text.charCodeAt(end);
    if (code === QUOTE) this.#endString();
    else if (code === BACKSLASH) {
      this.#keep(text, end, end + 1);
      this.#within = 'escape';
    } else return this.#fail(end);
    return end + 1;
  }

  #escape(text: string, at: number): number {
    const character = text.charAt(at);
    if (!'"\\/bfnrtu'.includes(character)) return this.#fail(at);
    this.#keep(text, at, at + 1);
    this.#within = character === 'u' ? 'hex' : 'string';
    this.#hexDigits = 0;
    return at + 1;
  }

  #hex(text: string, at: number): number {
    if (!HEX.test(text.charAt(at))) return this.#fail(at);
    this.#keep(text, at, at + 1);
    this.#hexDigits += 1;
    if (this.#hexDigits === 4) this.#within = 'string';
    return at + 1;
  }

  /** Adds to the string under way what fits under its limit. */
  #keep(text: string, from: number, to: number): void {
    if (this.#token.length < MAX_KEPT_STRING) {
      this.#token += text.slice(from, Math.min(to, from + MAX_KEPT_STRING));
    }
  }

  #endString(): void {
    this.#within = 'structure';
    const text = unescaped(this.#token);
    this.#token = '';
    if (this.#expected === 'value') this.#put(text);
    else {
      (this.#levels.at(-1) as Level).key = text;
      this.#expected = 'colon';
    }
  }

  #literal(text: string, at: number, to: number): number {
    LITERAL_RUN.lastIndex = at;
    LITERAL_RUN.test(text);
    const end = Math.min(LITERAL_RUN.lastIndex, to);
    this.#token += text.slice(at, end);
    if (this.#token.length > MAX_LITERAL) return this.#fail(at);
    if (end < to) this.#endLiteral();
    return end;
  }

  #endLiteral(): void {
    this.#within = 'structure';
    if (LITERAL.test(this.#token)) this.#put(JSON.parse(this.#token));
    else this.#malformed = true;
  }

  #fail(at: number): number {
    this.#malformed = true;
    return at;
  }
}

/** Everything that may stand in a string as it is: no quote, backslash or control character. */
const STRING_RUN = /[ !#-[\]-\xff]*/y;
const LITERAL_RUN = /[-+.0-9a-zA-Z]*/y;

/** A string's value; one that was cut keeps its escapes, as nobody looks at its end. */
function unescaped(raw: string): string {
  if (!raw.includes('\\')) return raw;
  try {
    return JSON.parse(`"${raw}"`) as string;
  } catch {
    return raw;
  }
}
