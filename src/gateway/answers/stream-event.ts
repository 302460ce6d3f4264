import { parseObject } from '../request/request-facts';
import type { Endpoint } from '../request/traffic-class';
import { type ChoiceFacts, isError, readChoice } from './answer-part';
import { ERROR, type EventFacts, pieceOf, STATUS, TOKEN } from './event-facts';
import type { FinishReason } from './finish-reason';
import { deltaHoldings, itemHoldings, NOTHING_HELD, outputHoldings } from './holdings';
import { messagePieceByText, readMessageEvent } from './message-event';
import { closingQuote } from './token-shape';
import { readUsage } from './token-usage';

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
  if (byText) {
    if (endpoint === 'messages') {
      const piece = messagePieceByText(name, data);
      if (piece !== null) return piece;
    } else if (isChunked(endpoint)) {
      if (name === '' && isPlainToken(data)) return TOKEN;
    } else if (name.endsWith('.delta')) return pieceOf(deltaHoldings(name));
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
  if (endpoint === 'messages') return readMessageEvent(name, json);
  return isChunked(endpoint) ? readChunk(endpoint, name, json) : readTyped(name, json);
}

function isChunked(endpoint: Endpoint): endpoint is 'chat' | 'completions' {
  return endpoint === 'chat' || endpoint === 'completions';
}

/** Whether a text is all that the only choice of a chunk brings. Quotes within a text are escaped, so these are keys. */
export function bearsOnlyText(data: string): boolean {
  const from = data.indexOf(ONLY_TEXT) + ONLY_TEXT.length;
  if (from < ONLY_TEXT.length) return false;
  const to = closingQuote(data, from);
  return to > from && data.charCodeAt(to + 1) === CLOSING_BRACE;
}

const ONLY_TEXT = '"choices":[{"index":0,"delta":{"content":"';
const OPENING_BRACE = 123;
const CLOSING_BRACE = 125;

/** A chunk of an answer under way: an object without finish reason, usage or error in it. */
function isPlainToken(data: string): boolean {
  if (data.charCodeAt(0) !== OPENING_BRACE || data.charCodeAt(data.length - 1) !== CLOSING_BRACE)
    return false;
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
  let holds = NOTHING_HELD;
  let finish: FinishReason | null = null;
  const choices: ChoiceFacts[] = [];
  for (const part of list) {
    const choice = readChoice(part, endpoint === 'chat' ? 'delta' : 'text');
    if (choice === null) continue;
    choices.push(choice);
    holds |= choice.holds;
    error ||= choice.error;
    if (choice.finish !== null && finish !== 'other') finish = choice.finish;
  }
  const usageOnly = usage !== null && !error && list.length === 0 && Array.isArray(json['choices']);
  const objectId = typeof json['id'] === 'string' ? json['id'] : null;
  // An error is neither content nor an end, whatever stands beside it.
  if (error) return { ...ERROR, usage, objectId };
  const content = holds !== NOTHING_HELD;
  return { content, holds, error, finish, usage, usageOnly, objectId, choices, answer: json };
}

const TERMINAL = new Set(['response.completed', 'response.incomplete', 'response.cancelled']);
const FAILED = new Set(['error', 'response.failed', 'response.error']);

/** Events that name their type: the Responses API, audio and images. */
function readTyped(name: string, json: Readonly<Record<string, unknown>>): EventFacts {
  const type = typeof json['type'] === 'string' ? json['type'] : name;
  if (FAILED.has(type) || isError(json)) return ERROR;
  if (type.endsWith('.delta') || type.endsWith('.partial_image')) return pieceOf(deltaHoldings(type));
  const response = objectIn(json['response']);
  const usage = readUsage(response === null ? json['usage'] : response['usage']);
  const id = response?.['id'];
  const objectId = typeof id === 'string' ? id : null;
  if (TERMINAL.has(type)) {
    if (response?.['status'] === 'failed') return { ...ERROR, usage, objectId };
    const holds = outputHoldings(response?.['output']);
    const isEmpty = Array.isArray(response?.['output']) && holds === NOTHING_HELD;
    const finish = type === 'response.completed' && isEmpty ? 'ordinary' : 'other';
    return { ...STATUS, finish, usage, objectId, answer: response };
  }
  const ends = !type.startsWith('response.') && (type.endsWith('.done') || type.endsWith('.completed'));
  const holds = type === 'response.output_item.done' ? itemHoldings(json['item']) : NOTHING_HELD;
  return { ...STATUS, holds, finish: ends ? 'other' : null, usage, objectId, answer: response };
}

function objectIn(value: unknown): Readonly<Record<string, unknown>> | null {
  return typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : null;
}
