import { FieldsReader, isString, readString } from '../json/json-fields';
import { scanJson, spaceEnd } from '../json/json-scanner';

/** Keys that the gateway looks for; where one stands here is its number. */
const NAMES = [
  'model',
  'stream',
  'stream_options',
  'safety_identifier',
  'user',
  'prompt_cache_key',
  'messages',
  'input',
  'tools',
  'functions',
  'tool_choice',
  'function_call',
  'response_format',
  'text',
  'web_search_options',
  'background',
  'previous_response_id',
  'conversation',
  'prompt',
  'store',
  'n',
  'role',
  'content',
  'type',
  'system',
  'instructions',
  'metadata',
  'output_config',
  'output_format',
  'container',
  'mcp_servers',
] as const;

export type FieldName = (typeof NAMES)[number];

const NUMBERS = Object.fromEntries(NAMES.map((name, number) => [name, number])) as Record<FieldName, number>;
const { messages: MESSAGES, input: INPUT, tools: TOOLS, role: ROLE, content: CONTENT, type: TYPE } = NUMBERS;
const { system: SYSTEM_FIELD, instructions: INSTRUCTIONS } = NUMBERS;
const UNKNOWN = -1;

const BY_LENGTH: readonly (readonly number[])[] = Array.from({ length: 24 }, (_, length) =>
  NAMES.flatMap((name, number) => (name.length === length ? [number] : [])),
);

/** What the elements of `messages`, `input` and `tools` are. */
const ASSISTANT = 1;
const IMAGE = 2;
const HOSTED = 4;
const USER = 8;
const SYSTEM = 16;
const ROLES = ASSISTANT | USER | SYSTEM;

/** Where a value stands; both 0 without one. */
export interface ByteSpan {
  start: number;
  end: number;
}

/**
 * Finds the fields of a request in one pass over its bytes. One reader serves all requests, since a scan leaves
 * nothing unfinished: what it found is valid until the next one. Of fields that come twice the last one counts,
 * as for `JSON.parse`.
 */
export class RequestReader extends FieldsReader {
  /** A key names a file or a vector store, at whatever depth. */
  namesFiles = false;
  /** The content of the first user message, or an input that is a text. */
  readonly firstUser: ByteSpan = { start: 0, end: 0 };
  /** What stands above it: instructions, or the content of the first system message. */
  readonly system: ByteSpan = { start: 0, end: 0 };
  /** Elements of `messages` and `input`. */
  messages = 0;
  #raw: Buffer = Buffer.alloc(0);
  readonly #starts = new Int32Array(NAMES.length);
  readonly #ends = new Int32Array(NAMES.length);
  /** What the elements of each array are, by its field. */
  readonly #kinds = new Uint8Array(NAMES.length);
  #field = UNKNOWN;
  /** An object in one of the three arrays is open; then its key, and what it is so far. */
  #inElement = false;
  #elementKey = UNKNOWN;
  #elementKind = 0;
  readonly #content: ByteSpan = { start: 0, end: 0 };
  /** An object in the `content` of such an object is open; then its key. */
  #inPart = false;
  #partKey = UNKNOWN;
  #partIsImage = false;

  /** Whether a body is one sound JSON object that is neither too deep nor has too many fields. */
  scan(raw: Buffer): boolean {
    this.fields = [];
    this.overflows = false;
    this.namesFiles = false;
    this.messages = 0;
    clear(this.firstUser);
    clear(this.system);
    this.#raw = raw;
    this.#starts.fill(0);
    this.#kinds.fill(0);
    this.#inElement = false;
    this.#inPart = false;
    const from = spaceEnd(raw, 0);
    const end = raw[from] === 0x7b ? scanJson(raw, from, this) : 0;
    return end !== 0 && spaceEnd(raw, end) === raw.length && !this.overflows;
  }

  /** Lets go of the body. */
  release(): void {
    this.fields = [];
    this.#raw = NOTHING;
  }

  /** The first byte of a field's value, 0 when the body does not have the field. */
  first(name: FieldName): number {
    const start = this.#starts[NUMBERS[name]] as number;
    return start === 0 ? 0 : (this.#raw[start] as number);
  }

  start(name: FieldName): number {
    return this.#starts[NUMBERS[name]] as number;
  }

  end(name: FieldName): number {
    return this.#ends[NUMBERS[name]] as number;
  }

  get hasAssistantTurns(): boolean {
    return (((this.#kinds[MESSAGES] as number) | (this.#kinds[INPUT] as number)) & ASSISTANT) !== 0;
  }

  get hasImages(): boolean {
    return (((this.#kinds[MESSAGES] as number) | (this.#kinds[INPUT] as number)) & IMAGE) !== 0;
  }

  get hasHostedTools(): boolean {
    return ((this.#kinds[TOOLS] as number) & HOSTED) !== 0;
  }

  override key(start: number, end: number, depth: number, escaped: boolean): void {
    super.key(start, end, depth, escaped);
    if (!this.namesFiles) this.namesFiles = namesFile(this.#raw, start, end, escaped);
    if (depth === 1) {
      this.#field = this.#number(start, end, escaped);
      if (this.#field !== UNKNOWN) this.#kinds[this.#field] = 0;
      if (this.#field === MESSAGES || this.#field === INPUT) this.#beginMessages();
    } else if (depth === 3 && this.#inElement) {
      this.#elementKey = this.#number(start, end, escaped);
      if (this.#elementKey === ROLE) this.#elementKind &= ~ROLES;
      else if (this.#elementKey === CONTENT) {
        this.#elementKind &= ~IMAGE;
        clear(this.#content);
      } else if (this.#elementKey === TYPE) this.#elementKind &= ~HOSTED;
    } else if (depth === 5 && this.#inPart) {
      this.#partKey = this.#number(start, end, escaped);
      if (this.#partKey === TYPE) this.#partIsImage = false;
    }
  }

  override scalar(start: number, end: number, depth: number): void {
    super.scalar(start, end, depth);
    const raw = this.#raw;
    if (depth === 1) this.#found(start, end);
    else if (depth === 2) this.messages += this.#field === TOOLS ? 0 : 1;
    else if (depth === 3 && this.#inElement) {
      if (this.#elementKey === ROLE) this.#elementKind |= roleAt(raw, start, end);
      else if (this.#elementKey === CONTENT) put(this.#content, start, end);
      else if (this.#elementKey === TYPE && raw[start] === 0x22) {
        if (!isCallersTool(raw, start, end)) this.#elementKind |= HOSTED;
      }
    } else if (depth === 5 && this.#inPart && this.#partKey === TYPE) {
      this.#partIsImage =
        isString(raw, start, end, 'image_url') ||
        isString(raw, start, end, 'input_image') ||
        isString(raw, start, end, 'image');
    }
  }

  override open(isObject: boolean, start: number, depth: number): boolean {
    super.open(isObject, start, depth);
    switch (depth) {
      case 0:
        return true;
      case 1:
        this.#found(start, 0);
        return !isObject && (this.#field === MESSAGES || this.#field === INPUT || this.#field === TOOLS);
      case 2:
        this.#inElement = isObject;
        this.#elementKind = 0;
        clear(this.#content);
        if (this.#field !== TOOLS) this.messages += 1;
        return isObject;
      case 3:
        if (isObject || this.#elementKey !== CONTENT) return false;
        put(this.#content, start, 0);
        return true;
      case 4:
        this.#inPart = isObject;
        this.#partIsImage = false;
        return isObject;
      default:
        return false;
    }
  }

  override close(end: number, depth: number): void {
    super.close(end, depth);
    if (depth === 1) {
      if (this.#field !== UNKNOWN) this.#ends[this.#field] = end;
      if (this.#field === SYSTEM_FIELD || this.#field === INSTRUCTIONS) this.system.end = end;
    } else if (depth === 3 && this.#content.start !== 0 && this.#content.end === 0) this.#content.end = end;
    else if (depth === 2 && this.#inElement) {
      this.#inElement = false;
      this.#takeMessage();
      this.#kinds[this.#field] = (this.#kinds[this.#field] as number) | this.#elementKind;
    } else if (depth === 4 && this.#inPart) {
      this.#inPart = false;
      if (this.#partIsImage) this.#elementKind |= IMAGE;
    }
  }

  #found(start: number, end: number): void {
    if (this.#field === UNKNOWN) return;
    this.#starts[this.#field] = start;
    this.#ends[this.#field] = end;
    if (this.#field === SYSTEM_FIELD || this.#field === INSTRUCTIONS) put(this.system, start, end);
    if (this.#field === INPUT && this.#raw[start] === 0x22) put(this.firstUser, start, end);
  }

  /** Of messages that come twice the last ones count. */
  #beginMessages(): void {
    this.messages = 0;
    clear(this.firstUser);
  }

  /** A message is complete: the first of a user, or what a system said before it, is where a conversation begins. */
  #takeMessage(): void {
    if (this.firstUser.end !== 0 || this.#field === TOOLS) return;
    const { start, end } = this.#content;
    if ((this.#elementKind & USER) !== 0) put(this.firstUser, start, end);
    else if ((this.#elementKind & SYSTEM) !== 0 && this.system.end === 0) put(this.system, start, end);
  }

  #number(start: number, end: number, escaped: boolean): number {
    const raw = this.#raw;
    if (escaped) return NAMES.indexOf(readString(raw, start, end) as FieldName);
    const candidates = BY_LENGTH[end - start - 2];
    if (candidates === undefined) return UNKNOWN;
    for (const number of candidates) {
      if (isString(raw, start, end, NAMES[number] as string)) return number;
    }
    return UNKNOWN;
  }
}

const NOTHING = Buffer.alloc(0);

function clear(span: ByteSpan): void {
  put(span, 0, 0);
}

function put(span: ByteSpan, start: number, end: number): void {
  span.start = start;
  span.end = end;
}

/** Whether callers run tools of a type themselves; what is not known may act at a provider. */
function isCallersTool(raw: Buffer, start: number, end: number): boolean {
  if (isString(raw, start, end, 'function') || isString(raw, start, end, 'custom')) return true;
  return end - start <= MAX_TYPE_BYTES && DATED_TOOL.test(readString(raw, start, end));
}

const MAX_TYPE_BYTES = 64;
/** Anthropic's tools for clients, such as `bash_20250124`. */
const DATED_TOOL = /^(?:bash|text_editor|computer|computer_toolset|memory|browser|browser_toolset)_\d{8}$/;

function roleAt(raw: Buffer, start: number, end: number): number {
  if (isString(raw, start, end, 'user')) return USER;
  if (isString(raw, start, end, 'assistant')) return ASSISTANT;
  return isString(raw, start, end, 'system') || isString(raw, start, end, 'developer') ? SYSTEM : 0;
}

const FILE = 'file_id';
const VECTOR_STORE = 'vector_store_id';

/** Whether a key begins with the name of a file's or a vector store's id; there are plurals. */
function namesFile(raw: Buffer, start: number, end: number, escaped: boolean): boolean {
  if (escaped) {
    const key = readString(raw, start, end);
    return key.startsWith(FILE) || key.startsWith(VECTOR_STORE);
  }
  const first = raw[start + 1];
  if (first === 0x66) return isString(raw, start, Math.min(end, start + 2 + FILE.length), FILE);
  if (first !== 0x76) return false;
  return isString(raw, start, Math.min(end, start + 2 + VECTOR_STORE.length), VECTOR_STORE);
}
