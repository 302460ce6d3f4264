import { latin1 } from '../json/latin1';
import { SparseJson, type SparseObject } from '../json/sparse-json';
import { lengthOf } from '../request/long-body';
import { parseObject } from '../request/request-facts';
import type { Endpoint } from '../request/traffic-class';
import { isError, isFilled, readChoice } from './answer-part';
import { readUsage, type TokenUsage } from './token-usage';

/** What is wrong with an answer that came under a status of success. */
export interface AnswerFault {
  readonly kind: 'malformed' | 'error_event' | 'truncated';
  readonly why: string;
}

/** What a complete plain answer says. */
export interface PlainFacts {
  /** Null when nothing is wrong with it. */
  readonly fault: AnswerFault | null;
  readonly usage: TokenUsage | null;
  readonly objectId: string | null;
}

/** Of a longer answer no objects are made: they could take thirty times its room. */
const PARSED_BYTES = 65_536;

/** Reads the JSON body of an answer of status 2xx, which came in pieces; `choices` is how many were asked for. */
export function readPlain(endpoint: Endpoint, pieces: readonly Buffer[], choices: number): PlainFacts {
  const json = lengthOf(pieces) <= PARSED_BYTES ? parseObject(textOf(pieces)) : readSparse(pieces);
  return readPlainObject(endpoint, json, choices);
}

function textOf(pieces: readonly Buffer[]): string {
  const [first] = pieces;
  return (pieces.length === 1 && first !== undefined ? first : Buffer.concat(pieces)).toString('utf8');
}

function readSparse(pieces: readonly Buffer[]): SparseObject | null {
  const sparse = new SparseJson();
  for (const piece of pieces) sparse.push(latin1(piece));
  return sparse.end();
}

/** The same for a body that has been parsed; null for one that is not a JSON object. */
export function readPlainObject(
  endpoint: Endpoint,
  json: Readonly<Record<string, unknown>> | null,
  choices: number,
): PlainFacts {
  if (json === null) {
    const fault = malformed('expected a JSON object, got something else or a part of one');
    return { fault, usage: null, objectId: null };
  }
  return {
    fault: isError(json)
      ? { kind: 'error_event', why: 'an error under a status of success' }
      : faultOf(endpoint, json, choices),
    usage: readUsage(json['usage']),
    objectId: typeof json['id'] === 'string' ? json['id'] : null,
  };
}

function faultOf(
  endpoint: Endpoint,
  json: Readonly<Record<string, unknown>>,
  choices: number,
): AnswerFault | null {
  switch (endpoint) {
    case 'chat':
      return choicesFault(json['choices'], 'message', choices);
    case 'completions':
      return choicesFault(json['choices'], 'text', choices);
    case 'responses':
      return responseFault(json);
    case 'images':
      return isFilledList(json['data']) ? null : malformed('expected images in data, got none');
    case 'moderations':
      return isFilledList(json['results']) ? null : malformed('expected results, got none');
    case 'transcript':
      return typeof json['text'] === 'string' ? null : malformed('expected a text, got none');
    case 'speech':
      return malformed('expected audio, got JSON');
    case 'json':
    case 'opaque':
      return null;
  }
}

function choicesFault(list: unknown, holder: 'message' | 'text', asked: number): AnswerFault | null {
  if (!Array.isArray(list) || list.length === 0) return malformed('expected choices, got none');
  let content = false;
  for (const part of list) {
    const choice = readChoice(part, holder);
    if (choice === null) continue;
    if (choice.error) return { kind: 'error_event', why: 'an error in a choice' };
    content ||= choice.content || choice.finish === 'other';
  }
  if (!content) return { kind: 'truncated', why: 'an answer without any content' };
  if (list.length >= asked) return null;
  return { kind: 'truncated', why: `expected ${asked} choices, got ${list.length}` };
}

function responseFault(json: Readonly<Record<string, unknown>>): AnswerFault | null {
  const { status, output } = json;
  if (status === 'failed') return { kind: 'error_event', why: 'a response that failed' };
  if (!Array.isArray(output)) return malformed('expected an output, got none');
  if (status !== 'completed' || isFilled(output)) return null;
  return { kind: 'truncated', why: 'an answer without any content' };
}

function isFilledList(value: unknown): boolean {
  return Array.isArray(value) && value.length > 0;
}

function malformed(why: string): AnswerFault {
  return { kind: 'malformed', why };
}
