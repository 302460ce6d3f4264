import { parseObject } from '../request/request-facts';
import type { Endpoint } from '../request/traffic-class';
import { isError, isFilled, readChoice } from './answer-part';
import type { FinishReason } from './finish-reason';
import { readUsage, type TokenUsage } from './token-usage';

/** What one event of a stream says. */
export interface EventFacts {
  /** Text, reasoning, a tool call: what a caller can use; not a role, a comment or a mere status. */
  readonly content: boolean;
  readonly error: boolean;
  /** Why the answer, or one of its choices, ended; null while it goes on. */
  readonly finish: FinishReason | null;
  readonly usage: TokenUsage | null;
  /** Nothing but usage is in it: the event that `include_usage` adds. */
  readonly usageOnly: boolean;
  readonly objectId: string | null;
  /** Indexes of the choices that are in it, and of those that ended. */
  readonly choices: readonly number[];
  readonly endedChoices: readonly number[];
}

const NO_CHOICES: readonly number[] = [];
const STATUS: EventFacts = {
  content: false,
  error: false,
  finish: null,
  usage: null,
  usageOnly: false,
  objectId: null,
  choices: NO_CHOICES,
  endedChoices: NO_CHOICES,
};
/** What is recognised by its text alone: one more piece of an answer under way. */
export const TOKEN: EventFacts = { ...STATUS, content: true };
const ERROR: EventFacts = { ...STATUS, error: true };

/**
 * Reads an event's data; null when it is not a JSON object. With `byText`, events that bear neither an end, nor
 * usage, nor an error are recognised by their text alone.
 */
export function readEvent(
  endpoint: Endpoint,
  name: string,
  data: string,
  byText: boolean,
): EventFacts | null {
  if (byText && (isChunked(endpoint) ? name === '' && isPlainToken(data) : name.endsWith('.delta'))) {
    return TOKEN;
  }
  const json = parseObject(data);
  return json === null ? null : readEventObject(endpoint, name, json);
}

/** Reads an event whose data has been parsed. */
export function readEventObject(
  endpoint: Endpoint,
  name: string,
  json: Readonly<Record<string, unknown>>,
): EventFacts {
  return isChunked(endpoint) ? readChunk(endpoint, name, json) : readTyped(name, json);
}

function isChunked(endpoint: Endpoint): endpoint is 'chat' | 'completions' {
  return endpoint === 'chat' || endpoint === 'completions';
}

/** A chunk of an answer under way: an object without finish reason, usage or error in it. */
function isPlainToken(data: string): boolean {
  if (data.charCodeAt(0) !== 123 || data.charCodeAt(data.length - 1) !== 125) return false;
  return !hasValue(data, '"finish_reason"') && !hasValue(data, '"usage"') && data.indexOf('"error"') < 0;
}

/**
 * Whether the text holds this key with a value that says something: not null, "" or "null". A key in quotes
 * cannot occur inside of a JSON string, where its quotes would be escaped.
 */
function hasValue(data: string, quotedKey: string): boolean {
  let at = data.indexOf(quotedKey);
  while (at >= 0) {
    let value = at + quotedKey.length;
    while (data.charCodeAt(value) === 32) value += 1;
    if (data.charCodeAt(value) === 58) {
      value += 1;
      while (data.charCodeAt(value) === 32) value += 1;
      if (!data.startsWith('null', value) && !saysNothing(data, value)) return true;
    }
    at = data.indexOf(quotedKey, at + quotedKey.length);
  }
  return false;
}

function saysNothing(data: string, value: number): boolean {
  return data.startsWith('""', value) || data.startsWith('"null"', value);
}

function readChunk(
  endpoint: 'chat' | 'completions',
  name: string,
  json: Readonly<Record<string, unknown>>,
): EventFacts {
  const list: readonly unknown[] = Array.isArray(json['choices']) ? json['choices'] : [];
  const usage = readUsage(json['usage']);
  let error = name === 'error' || isError(json);
  let content = false;
  let finish: FinishReason | null = null;
  const choices: number[] = [];
  const endedChoices: number[] = [];
  for (const part of list) {
    const choice = readChoice(part, endpoint === 'chat' ? 'delta' : 'text');
    if (choice === null) continue;
    choices.push(choice.index);
    content ||= choice.content;
    error ||= choice.error;
    if (choice.finish === null) continue;
    endedChoices.push(choice.index);
    if (finish !== 'other') finish = choice.finish;
  }
  const usageOnly = usage !== null && !error && list.length === 0 && Array.isArray(json['choices']);
  const objectId = typeof json['id'] === 'string' ? json['id'] : null;
  // An error is neither content nor an end, whatever stands beside it.
  if (error) return { ...ERROR, usage, objectId };
  return { content, error, finish, usage, usageOnly, objectId, choices, endedChoices };
}

const TERMINAL = new Set(['response.completed', 'response.incomplete', 'response.cancelled']);
const FAILED = new Set(['error', 'response.failed', 'response.error']);

/** Events that name their type: the Responses API, audio and images. */
function readTyped(name: string, json: Readonly<Record<string, unknown>>): EventFacts {
  const type = typeof json['type'] === 'string' ? json['type'] : name;
  if (FAILED.has(type) || isError(json)) return ERROR;
  if (type.endsWith('.delta') || type.endsWith('.partial_image')) return TOKEN;
  const { response } = json;
  const isObject = typeof response === 'object' && response !== null;
  const usage = readUsage(isObject ? Reflect.get(response, 'usage') : json['usage']);
  const id: unknown = isObject ? Reflect.get(response, 'id') : null;
  const objectId = typeof id === 'string' ? id : null;
  if (TERMINAL.has(type)) {
    if (isObject && Reflect.get(response, 'status') === 'failed') return { ...ERROR, usage, objectId };
    const isEmpty = isObject && isEmptyList(Reflect.get(response, 'output'));
    const finish = type === 'response.completed' && isEmpty ? 'ordinary' : 'other';
    return { ...STATUS, finish, usage, objectId };
  }
  const ends = !type.startsWith('response.') && (type.endsWith('.done') || type.endsWith('.completed'));
  return { ...STATUS, finish: ends ? 'other' : null, usage, objectId };
}

function isEmptyList(value: unknown): boolean {
  return Array.isArray(value) && !isFilled(value);
}
