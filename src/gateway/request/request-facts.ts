import type { Dialect } from '../../core/configuration/dialect';
import type { StickyKey } from '../../core/routing/routing';
import {
  countElements,
  hasElements,
  isString,
  type JsonFields,
  readString,
  spanOf,
} from '../json/json-fields';
import { spaceEnd } from '../json/json-scanner';
import type { ConversationOpening } from './conversation-opening';
import { type ByteSpan, type FieldName, RequestReader } from './request-reader';

/** What a request's body says that matters to the gateway. Nothing of the body itself is kept in it. */
export interface RequestFacts {
  readonly model: string;
  readonly stream: boolean;
  /** `stream` is neither a boolean nor null: some servers refuse that, others take "true" and 1 for true. */
  readonly oddStream: boolean;
  /** How many choices a chat or a completion asks for: `n` for each of its prompts. */
  readonly choices: number;
  /** The caller asked for the usage chunk of a stream itself. */
  readonly wantsUsage: boolean;
  /** It carries assistant turns: a conversation that continues. */
  readonly isContinued: boolean;
  /** A provider runs tools of its own for it, which may act twice when the request is sent twice. */
  readonly usesHostedTools: boolean;
  /** It leans on something that one provider keeps: an earlier response, a conversation, a file. */
  readonly isBoundToState: boolean;
  /** It continues an earlier response. */
  readonly continuesResponse: boolean;
  /** Whether the answer is to be kept, null where the body does not say. */
  readonly store: boolean | null;
  /** What a model has to be able to do. */
  readonly features: Features;
  /** What an answer is judged by; null for a request that asks for text and nothing more. */
  readonly asks: AskedForm | null;
  /** Where the value stands that names the end user, both 0 without one. */
  readonly userStart: number;
  readonly userEnd: number;
  /** Where its conversation begins; null where no user says anything. */
  readonly opening: ConversationOpening | null;
  /** Where the fields of a JSON body are; null for a form, which is never rewritten. */
  readonly fields: JsonFields | null;
}

/** What a request asks of the form of its answer. */
export interface AskedForm {
  /** JSON, of any or of a certain schema. */
  readonly json: boolean;
  /** Tools may be called. */
  readonly tools: boolean;
  /** A tool has to be called. */
  readonly call: boolean;
}

interface Features {
  readonly tools: boolean;
  readonly jsonSchema: boolean;
  readonly vision: boolean;
}

/** A longer one is not the name of any model. */
const MAX_MODEL_BYTES = 1_024;
/** A longer value names no user: hashing it would cost every other caller its turn. */
const MAX_USER_BYTES = 1_024;

const QUOTE = 0x22;
const OPEN_ARRAY = 0x5b;
const OPEN_OBJECT = 0x7b;
/** How values begin: there is one value for each of these letters. */
const TRUE = 0x74;
const FALSE = 0x66;
const NULL = 0x6e;

const reader = new RequestReader();

/** Reads a JSON object with a model, a request of some API; null when the body is anything else. */
export function readFacts(raw: Buffer, dialect: Dialect = 'openai'): RequestFacts | null {
  const facts = reader.scan(raw) ? factsOf(raw, reader, dialect) : null;
  reader.release();
  return facts;
}

/** What a form says: nothing of it but model and stream is read. */
export function formFacts(model: string, stream: boolean): RequestFacts {
  return { ...OF_A_FORM, model, stream };
}

/** A JSON text's object; null for everything that is none. */
export function parseObject(text: string): Record<string, unknown> | null {
  try {
    const parsed: unknown = JSON.parse(text);
    return typeof parsed === 'object' && parsed !== null && !Array.isArray(parsed)
      ? (parsed as Record<string, unknown>)
      : null;
  } catch {
    return null;
  }
}

/** The assignment key of a request by the route's rule, null when it has none. */
export function assignmentKey(
  rule: StickyKey,
  header: string | null,
  raw: Buffer,
  { userStart, userEnd }: RequestFacts,
): string | null {
  if (rule === 'none') return null;
  if (header !== null && header !== '') return header;
  return userEnd === 0 ? null : readString(raw, userStart, userEnd);
}

/** The lower-case name of the header that a rule reads, null when it reads none. */
export function stickyHeader(rule: StickyKey): string | null {
  return rule.startsWith('header:') ? rule.slice('header:'.length).toLowerCase() : null;
}

function factsOf(raw: Buffer, read: RequestReader, dialect: Dialect): RequestFacts | null {
  if (read.first('model') !== QUOTE) return null;
  const modelEnd = read.end('model');
  if (modelEnd - read.start('model') > MAX_MODEL_BYTES) return null;
  const user = dialect === 'anthropic' ? userOfMetadata(raw, read) : userOf(read);
  const continuesResponse = isFilledText(read, 'previous_response_id');
  const store = read.first('store');
  return {
    model: modelName(raw, read.start('model'), modelEnd),
    stream: read.first('stream') === TRUE,
    oddStream: isSet(read, 'stream') && read.first('stream') !== TRUE && read.first('stream') !== FALSE,
    choices: choicesOf(raw, read),
    wantsUsage: innerFirst(raw, read, 'stream_options', 'include_usage') === TRUE,
    isContinued: read.hasAssistantTurns,
    usesHostedTools:
      isSet(read, 'web_search_options') || read.hasHostedTools || hasListed(raw, read, 'mcp_servers'),
    isBoundToState:
      read.namesFiles ||
      continuesResponse ||
      read.first('background') === TRUE ||
      isSet(read, 'conversation') ||
      namesContainer(raw, read) ||
      innerFirst(raw, read, 'prompt', 'id') === QUOTE,
    continuesResponse,
    store: store === TRUE ? true : store === FALSE ? false : null,
    features: featuresOf(raw, read),
    asks: asksOf(raw, read),
    userStart: user?.start ?? 0,
    userEnd: user?.end ?? 0,
    opening: openingOf(read),
    fields: read.fields,
  };
}

function openingOf({ system, firstUser, messages }: RequestReader): ConversationOpening | null {
  return firstUser.end === 0 ? null : { system: { ...system }, user: { ...firstUser }, messages };
}

/** A longer number is not one of choices. */
const MAX_CHOICES_DIGITS = 4;

function choicesOf(raw: Buffer, read: RequestReader): number {
  const hasN = read.first('n') !== 0 && read.end('n') - read.start('n') <= MAX_CHOICES_DIGITS;
  const n = hasN ? Number(raw.toString('latin1', read.start('n'), read.end('n'))) : 1;
  const each = Number.isInteger(n) && n > 1 ? n : 1;
  return read.first('prompt') === 0 ? each : each * promptsAt(raw, read.start('prompt'));
}

/** How many prompts a completion has: a list of numbers is one, of tokens. */
function promptsAt(raw: Buffer, start: number): number {
  if (!hasElements(raw, start)) return 1;
  const first = raw[spaceEnd(raw, start + 1)] as number;
  return first === QUOTE || first === OPEN_ARRAY ? countElements(raw, start) : 1;
}

let lastModel = '';

/** Nearly always the same as the last time, which costs less than making the text again. */
function modelName(raw: Buffer, start: number, end: number): string {
  if (!isString(raw, start, end, lastModel)) lastModel = readString(raw, start, end);
  return lastModel;
}

const USER_FIELDS: readonly FieldName[] = ['safety_identifier', 'user', 'prompt_cache_key'];

function userOf(read: RequestReader): ByteSpan | null {
  const name = USER_FIELDS.find(
    (field) => isFilledText(read, field) && read.end(field) - read.start(field) <= MAX_USER_BYTES,
  );
  return name === undefined ? null : { start: read.start(name), end: read.end(name) };
}

function userOfMetadata(raw: Buffer, read: RequestReader): ByteSpan | null {
  const span = read.first('metadata') === 0 ? null : spanOf(raw, read.start('metadata'), 'user_id');
  if (span === null || raw[span.start] !== QUOTE) return null;
  const length = span.end - span.start;
  return length > 2 && length <= MAX_USER_BYTES ? span : null;
}

/** Whether it works on in a container that a provider has kept. */
function namesContainer(raw: Buffer, read: RequestReader): boolean {
  return read.first('container') === QUOTE || innerFirst(raw, read, 'container', 'id') === QUOTE;
}

function isFilledText(read: RequestReader, name: FieldName): boolean {
  return read.first(name) === QUOTE && read.end(name) - read.start(name) > 2;
}

/** Whether a field is there with another value than null. */
function isSet(read: RequestReader, name: FieldName): boolean {
  const first = read.first(name);
  return first !== 0 && first !== NULL;
}

/** The first byte of a value inside of a field that is an object; 0 where there is none. */
function innerFirst(raw: Buffer, read: RequestReader, name: FieldName, inner: string): number {
  const span = read.first(name) === 0 ? null : spanOf(raw, read.start(name), inner);
  return span === null ? 0 : (raw[span.start] as number);
}

function featuresOf(raw: Buffer, read: RequestReader): Features {
  const tools = hasTools(raw, read);
  const jsonSchema = jsonForm(raw, read) === 'json_schema';
  const vision = read.hasImages;
  if (!tools && !jsonSchema && !vision) return NO_FEATURES;
  return { tools, jsonSchema, vision };
}

function asksOf(raw: Buffer, read: RequestReader): AskedForm | null {
  const tools = hasTools(raw, read);
  const json = jsonForm(raw, read) !== null;
  return tools || json ? { json, tools, call: tools && asksForCall(raw, read) } : null;
}

function hasTools(raw: Buffer, read: RequestReader): boolean {
  return hasListed(raw, read, 'tools') || hasListed(raw, read, 'functions');
}

function hasListed(raw: Buffer, read: RequestReader, name: FieldName): boolean {
  return read.first(name) !== 0 && hasElements(raw, read.start(name));
}

/** Whether a tool has to be called: any, a certain one, or one of some. */
function asksForCall(raw: Buffer, read: RequestReader): boolean {
  if (read.first('function_call') === OPEN_OBJECT) return true;
  const start = read.start('tool_choice');
  if (read.first('tool_choice') === QUOTE) {
    const end = read.end('tool_choice');
    return isString(raw, start, end, 'required') || isString(raw, start, end, 'any');
  }
  if (read.first('tool_choice') !== OPEN_OBJECT) return false;
  const type = spanOf(raw, start, 'type');
  if (type !== null && ['auto', 'none'].some((name) => isString(raw, type.start, type.end, name)))
    return false;
  if (type === null || !isString(raw, type.start, type.end, 'allowed_tools')) return true;
  const inner = spanOf(raw, start, 'allowed_tools');
  const mode = spanOf(raw, inner?.start ?? start, 'mode');
  return mode !== null && isString(raw, mode.start, mode.end, 'required');
}

/** In which form JSON is asked for; null where it is not. */
function jsonForm(raw: Buffer, read: RequestReader): 'json_object' | 'json_schema' | null {
  const ofChat = read.first('response_format') === 0 ? null : jsonFormAt(raw, read.start('response_format'));
  if (ofChat !== null) return ofChat;
  for (const holder of ['text', 'output_config'] as const) {
    const format = read.first(holder) === 0 ? null : spanOf(raw, read.start(holder), 'format');
    if (format !== null) return jsonFormAt(raw, format.start);
  }
  return read.first('output_format') === 0 ? null : jsonFormAt(raw, read.start('output_format'));
}

function jsonFormAt(raw: Buffer, at: number): 'json_object' | 'json_schema' | null {
  const type = spanOf(raw, at, 'type');
  if (type === null) return null;
  if (isString(raw, type.start, type.end, 'json_schema')) return 'json_schema';
  return isString(raw, type.start, type.end, 'json_object') ? 'json_object' : null;
}

const NO_FEATURES: Features = { tools: false, jsonSchema: false, vision: false };

const OF_A_FORM: RequestFacts = {
  model: '',
  stream: false,
  oddStream: false,
  choices: 1,
  wantsUsage: true,
  isContinued: false,
  usesHostedTools: false,
  isBoundToState: false,
  continuesResponse: false,
  store: null,
  features: NO_FEATURES,
  asks: null,
  userStart: 0,
  userEnd: 0,
  opening: null,
  fields: null,
};
