import { latin1 } from '../json/latin1';

/** Shorter texts are no keys, but words such as `none` or `EMPTY` that servers without keys are given. */
const MIN_KEY_BYTES = 8;
const GROUPED_BYTES = 4;
const ASTERISK = 42;

/** Forms that begin alike, so that one search finds them all. */
interface Group {
  readonly beginning: Buffer;
  readonly text: string;
  /** The longest first. */
  readonly forms: readonly Buffer[];
}

/**
 * The keys of one provider, the callers' own included, in every form in which an answer could quote them. In heads
 * and bodies they are replaced by as many asterisks, so that lengths and framing stay as they were.
 */
export class ProviderKeys {
  readonly #groups: readonly Group[];
  readonly #shortest: number;
  readonly #longest: number;
  /** By byte: 1 where it occurs in a key. The end of nearly every event is a byte that does not. */
  readonly #alphabet = new Uint8Array(256);

  constructor(keys: readonly string[]) {
    const texts = [...new Set(keys.flatMap(formsOf))].filter((text) => text.length >= MIN_KEY_BYTES);
    const forms = texts.map((text) => Buffer.from(text)).sort((one, other) => other.length - one.length);
    this.#groups = grouped(forms);
    this.#longest = forms[0]?.length ?? 0;
    this.#shortest = forms.at(-1)?.length ?? 0;
    for (const form of forms) for (const byte of form) this.#alphabet[byte] = 1;
  }

  /** A fresh search over one body; null where there is no key to search for. */
  redactor(): BodyRedactor | null {
    return this.#groups.length === 0 ? null : new BodyRedactor(this);
  }

  /** The value of a header, a character per byte. */
  redactHeader(value: string): string {
    if (value.length < this.#shortest) return value;
    for (const { text } of this.#groups) {
      if (value.includes(text)) return latin1(this.redact(Buffer.from(value, 'latin1')));
    }
    return value;
  }

  /** The very bytes where no key is among them, else a copy. */
  redact(bytes: Buffer): Buffer {
    let redacted = bytes;
    for (const group of this.#groups) {
      let at = redacted.indexOf(group.beginning);
      while (at >= 0) {
        const length = lengthAt(redacted, at, group);
        if (length > 0) {
          if (redacted === bytes) redacted = Buffer.from(bytes);
          redacted.fill(ASTERISK, at, at + length);
        }
        at = redacted.indexOf(group.beginning, at + Math.max(1, length));
      }
    }
    return redacted;
  }

  /** How many bytes at the end could be the beginning of a key. */
  begun(bytes: Buffer): number {
    const alphabet = this.#alphabet;
    let start = bytes.length;
    const first = Math.max(0, start - this.#longest + 1);
    while (start > first && alphabet[bytes[start - 1] as number] === 1) start -= 1;
    for (; start < bytes.length; start++) {
      for (const { forms } of this.#groups) {
        for (const form of forms) if (beginsWithRest(form, bytes, start)) return bytes.length - start;
      }
    }
    return 0;
  }
}

/**
 * Redacts a body piece by piece. Only what could be the beginning of a key is kept back, until the next piece or the
 * end says whether it was one.
 */
export class BodyRedactor {
  readonly #keys: ProviderKeys;
  #begun: Buffer | null = null;

  constructor(keys: ProviderKeys) {
    this.#keys = keys;
  }

  get keepsBack(): boolean {
    return this.#begun !== null;
  }

  push(chunk: Buffer): Buffer {
    const bytes = this.#keys.redact(this.#begun === null ? chunk : Buffer.concat([this.#begun, chunk]));
    const begun = this.#keys.begun(bytes);
    this.#begun = begun === 0 ? null : bytes.subarray(bytes.length - begun);
    return begun === 0 ? bytes : bytes.subarray(0, bytes.length - begun);
  }

  /** What was kept back and turned out to be no key; null when nothing was. */
  end(): Buffer | null {
    const begun = this.#begun;
    this.#begun = null;
    return begun;
  }
}

/**
 * A key as it is, as JSON and URLs write it; of one that carries its scheme (`Basic ...` in a header of its own)
 * also what is behind it, and the user and password that are coded there.
 */
function formsOf(key: string): string[] {
  const forms = [key, encodeURIComponent(key), JSON.stringify(key).slice(1, -1)];
  const [, scheme = '', rest = ''] = /^([A-Za-z]+) +(\S+)$/.exec(key) ?? [];
  if (rest === '') return forms;
  forms.push(rest);
  if (scheme.toLowerCase() !== 'basic') return forms;
  const pair = Buffer.from(rest, 'base64').toString();
  return [...forms, pair, pair.slice(pair.indexOf(':') + 1)];
}

function grouped(forms: readonly Buffer[]): Group[] {
  const byBeginning = new Map<string, Buffer[]>();
  for (const form of forms) {
    const beginning = form.toString('latin1', 0, GROUPED_BYTES);
    const group = byBeginning.get(beginning);
    if (group === undefined) byBeginning.set(beginning, [form]);
    else group.push(form);
  }
  return [...byBeginning.values()].map((group) => {
    const beginning = commonBeginning(group);
    return { beginning, text: latin1(beginning), forms: group };
  });
}

function commonBeginning(forms: readonly Buffer[]): Buffer {
  const [first = Buffer.alloc(0)] = forms;
  let length = first.length;
  for (const form of forms) {
    while (form.compare(first, 0, length, 0, Math.min(length, form.length)) !== 0) length -= 1;
  }
  return first.subarray(0, length);
}

/** The length of the longest form that stands there, 0 when none does. */
function lengthAt(bytes: Buffer, at: number, { forms }: Group): number {
  for (const form of forms) {
    const end = at + form.length;
    if (end <= bytes.length && form.compare(bytes, at, end) === 0) return form.length;
  }
  return 0;
}

function beginsWithRest(form: Buffer, bytes: Buffer, start: number): boolean {
  const length = bytes.length - start;
  if (length >= form.length) return false;
  for (let index = 0; index < length; index++) if (form[index] !== bytes[start + index]) return false;
  return true;
}
