import { latin1 } from '../json/latin1';
import { SparseJson, type SparseObject } from '../json/sparse-json';
import { lengthOf } from '../request/long-body';
import { parseObject } from '../request/request-facts';
import type { Endpoint } from '../request/traffic-class';
import { AnswerGist } from './answer-gist';
import { isError, readChoice } from './answer-part';
import { readEnd, readFinishReason } from './finish-reason';
import { blocksHoldings, NOTHING_HELD } from './holdings';
import { containerOf } from './message-event';
import { readMessageUsage, readUsage, type TokenUsage } from './token-usage';

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
  /** Null of endpoints whose answers are not judged by what they hold, and of what is an error. */
  readonly gist: AnswerGist | null;
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
    const fault = malformed('expected a JSON object, got something else or only part of one');
    return { fault, usage: null, objectId: null, gist: null };
  }
  const gist = hasGist(endpoint) ? new AnswerGist(choices) : null;
  const fault: AnswerFault | null = isError(json)
    ? { kind: 'error_event', why: 'an error under a status of success' }
    : faultOf(endpoint, json, choices, gist);
  gist?.takeNames(json);
  return {
    fault,
    usage: endpoint === 'messages' ? readMessageUsage(json['usage']) : readUsage(json['usage']),
    objectId:
      endpoint === 'messages' ? containerOf(json) : typeof json['id'] === 'string' ? json['id'] : null,
    gist: fault?.kind === 'error_event' ? null : gist,
  };
}

/** Whether answers of an endpoint are judged by what they hold. */
export function hasGist(endpoint: Endpoint): boolean {
  return JUDGED.has(endpoint);
}

const JUDGED: ReadonlySet<Endpoint> = new Set(['chat', 'completions', 'responses', 'messages']);

function faultOf(
  endpoint: Endpoint,
  json: Readonly<Record<string, unknown>>,
  choices: number,
  gist: AnswerGist | null,
): AnswerFault | null {
  switch (endpoint) {
    case 'chat':
      return choicesFault(json['choices'], 'message', choices, gist);
    case 'completions':
      return choicesFault(json['choices'], 'text', choices, gist);
    case 'responses':
      return responseFault(json, gist);
    case 'messages':
      return messageFault(json, gist);
    case 'token_count':
      return typeof json['input_tokens'] === 'number' ? null : malformed('expected input_tokens, got none');
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

function choicesFault(
  list: unknown,
  holder: 'message' | 'text',
  asked: number,
  gist: AnswerGist | null,
): AnswerFault | null {
  if (!Array.isArray(list) || list.length === 0) return malformed('expected choices, got none');
  let content = false;
  for (const part of list) {
    const choice = readChoice(part, holder);
    if (choice === null) continue;
    if (choice.error) return { kind: 'error_event', why: 'an error in a choice' };
    gist?.takeChoice(choice);
    content ||= choice.holds !== NOTHING_HELD || choice.finish === 'other';
  }
  if (!content) return EMPTY;
  if (list.length >= asked) return null;
  return { kind: 'truncated', why: `expected ${asked} choices, got ${list.length}` };
}

function messageFault(json: Readonly<Record<string, unknown>>, gist: AnswerGist | null): AnswerFault | null {
  const { content, stop_reason: reason } = json;
  if (!Array.isArray(content)) return malformed('expected content, got none');
  const holds = blocksHoldings(content);
  const finish = readFinishReason(reason);
  if (finish === 'failed') return { kind: 'error_event', why: 'a message that failed' };
  gist?.takeChoice({ index: 0, holds, error: false, finish, end: readEnd(reason) });
  return holds === NOTHING_HELD && finish !== 'other' ? EMPTY : null;
}

function responseFault(json: Readonly<Record<string, unknown>>, gist: AnswerGist | null): AnswerFault | null {
  const { status, output } = json;
  if (status === 'failed') return { kind: 'error_event', why: 'a response that failed' };
  if (!Array.isArray(output)) return malformed('expected an output, got none');
  gist?.takeResponse(json);
  return status === 'completed' && gist?.holds === NOTHING_HELD ? EMPTY : null;
}

const EMPTY: AnswerFault = { kind: 'truncated', why: 'an answer without any content' };

function isFilledList(value: unknown): boolean {
  return Array.isArray(value) && value.length > 0;
}

function malformed(why: string): AnswerFault {
  return { kind: 'malformed', why };
}
