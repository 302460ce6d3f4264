import { parseObject } from './request-facts';
import { readUsage, type TokenUsage } from './token-usage';
import type { Endpoint } from './traffic-class';

export type StreamedUsage = TokenUsage;

/** What one event of a stream says. */
export interface EventFacts {
  /** Text, reasoning, a tool call: what a caller can use; not a role, a comment or a mere status. */
  readonly content: boolean;
  readonly error: boolean;
  /** Why the answer ended, null while it goes on. */
  readonly finish: string | null;
  readonly usage: TokenUsage | null;
  /** Nothing but usage is in it: the event that `include_usage` adds. */
  readonly usageOnly: boolean;
  readonly objectId: string | null;
}

const TOKEN: EventFacts = {
  content: true,
  error: false,
  finish: null,
  usage: null,
  usageOnly: false,
  objectId: null,
};
const STATUS: EventFacts = { ...TOKEN, content: false };

/**
 * Reads an event's data; null when it is no JSON object. Once content has been seen, events that bear
 * neither an end, nor usage, nor an error are told by their text alone.
 */
export function readEvent(
  endpoint: Endpoint,
  name: string,
  data: string,
  afterContent: boolean,
): EventFacts | null {
  if (endpoint === 'chat' || endpoint === 'completions') {
    if (afterContent && isPlainToken(data)) return TOKEN;
    const json = parseObject(data);
    return json === null ? null : readChunk(endpoint, name, json);
  }
  if (afterContent && name.endsWith('.delta')) return TOKEN;
  const json = parseObject(data);
  return json === null ? null : readTyped(name, json);
}

/** A chunk of an answer under way: an object without finish reason, usage or error in it. */
function isPlainToken(data: string): boolean {
  if (data.charCodeAt(0) !== 123 || data.charCodeAt(data.length - 1) !== 125) return false;
  return !hasValue(data, '"finish_reason"') && !hasValue(data, '"usage"') && data.indexOf('"error"') < 0;
}

/**
 * Whether the text holds this key with another value than null. A key in quotes cannot occur inside of a
 * JSON string, where its quotes would be escaped.
 */
function hasValue(data: string, quotedKey: string): boolean {
  let at = data.indexOf(quotedKey);
  while (at >= 0) {
    let value = at + quotedKey.length;
    while (data.charCodeAt(value) === 32) value += 1;
    if (data.charCodeAt(value) === 58) {
      value += 1;
      while (data.charCodeAt(value) === 32) value += 1;
      if (!data.startsWith('null', value)) return true;
    }
    at = data.indexOf(quotedKey, at + quotedKey.length);
  }
  return false;
}

function readChunk(endpoint: Endpoint, name: string, json: Record<string, unknown>): EventFacts {
  const choices: unknown[] = Array.isArray(json['choices']) ? json['choices'] : [];
  const usage = readUsage(json['usage']);
  let content = false;
  let finish: string | null = null;
  for (const choice of choices) {
    if (typeof choice !== 'object' || choice === null) continue;
    const reason: unknown = Reflect.get(choice, 'finish_reason');
    if (typeof reason === 'string') finish = reason;
    content ||=
      endpoint === 'chat' ? hasContent(Reflect.get(choice, 'delta')) : isFilled(Reflect.get(choice, 'text'));
  }
  return {
    content,
    error: name === 'error' || isFilled(json['error']),
    finish,
    usage,
    usageOnly: usage !== null && choices.length === 0 && Array.isArray(json['choices']),
    objectId: typeof json['id'] === 'string' ? json['id'] : null,
  };
}

function hasContent(delta: unknown): boolean {
  if (typeof delta !== 'object' || delta === null) return false;
  return Object.entries(delta).some(([key, value]) => key !== 'role' && isFilled(value));
}

function isFilled(value: unknown): boolean {
  if (value === null || value === undefined || value === '' || value === false) return false;
  return !(Array.isArray(value) && value.length === 0);
}

const TERMINAL = new Set(['response.completed', 'response.incomplete', 'response.cancelled']);

/** Events that name their type: the Responses API, audio and images. */
function readTyped(name: string, json: Record<string, unknown>): EventFacts {
  const type = typeof json['type'] === 'string' ? json['type'] : name;
  if (type === 'error' || type === 'response.failed' || (type === '' && isFilled(json['error']))) {
    return { ...STATUS, error: true };
  }
  if (type.endsWith('.delta') || type.endsWith('.partial_image')) return TOKEN;
  const response = json['response'];
  const isObject = typeof response === 'object' && response !== null;
  const usage = readUsage(isObject ? Reflect.get(response, 'usage') : json['usage']);
  const id: unknown = isObject ? Reflect.get(response, 'id') : null;
  const finish = TERMINAL.has(type)
    ? type
    : type.startsWith('response.') || !(type.endsWith('.done') || type.endsWith('.completed'))
      ? null
      : type;
  return { ...STATUS, finish, usage, objectId: typeof id === 'string' ? id : null };
}
