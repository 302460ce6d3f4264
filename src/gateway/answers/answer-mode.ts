import type { AttemptOptions } from '../upstream/attempt-options';
import { type Failure, statusFailure } from '../upstream/failure';
import type { AnswerHead } from './answer-head';
import type { AnswerFault } from './plain-answer';

/** How an answer is read on the side: not at all, as one JSON object, as events, or as its first byte decides. */
export type ReadMode = 'nothing' | 'object' | 'events' | 'first byte';

/** How an answer is read, and what is wrong with it by its head alone. */
export interface AnswerMode {
  readonly reading: ReadMode;
  readonly fault: AnswerFault | null;
}

const UNREAD: AnswerMode = { reading: 'nothing', fault: null };
const OBJECT: AnswerMode = { reading: 'object', fault: null };
const EVENTS: AnswerMode = { reading: 'events', fault: null };
const FIRST_BYTE: AnswerMode = { reading: 'first byte', fault: null };

/** How an answer is read by its head. Both arms are judged by it; only what follows from a fault differs. */
export function answerMode(status: number, head: AnswerHead, options: AttemptOptions): AnswerMode {
  const { reads, method, streams, mayStream, endpoint } = options;
  if (!reads) return UNREAD;
  if (isBodiless(status, method)) {
    return method === 'POST' ? faulty(`status ${status} to a request for an answer`) : UNREAD;
  }
  if (status >= 300 || head.coded) return UNREAD;
  const { contentType } = head;
  if (contentType.startsWith('text/event-stream')) {
    const isWanted = streams || mayStream || endpoint === 'speech' || endpoint === 'json';
    return isWanted ? EVENTS : { ...EVENTS, fault: malformed('expected a plain answer, got a stream') };
  }
  if (contentType.startsWith('text/html') && endpoint !== 'json') return wrongType('an answer', contentType);
  if (streams && endpoint !== 'speech') return FIRST_BYTE;
  if (contentType.includes('json')) return OBJECT;
  return isOtherThanJson(endpoint, contentType) ? UNREAD : wrongType('JSON', contentType);
}

/** A redirect, which is never passed on: clients follow it with key and prompt, to wherever it leads. */
export function redirectFailure(status: number): Failure | null {
  return status >= 300 && status < 400 && status !== 304 ? statusFailure(status) : null;
}

/** Whether an answer has no body whatever its headers say (RFC 9110, 6.4.1). */
export function isBodiless(status: number, method: string): boolean {
  return status === 204 || status === 205 || status === 304 || method === 'HEAD';
}

/** What the first byte that is not blank says of an answer to a request for a stream; null for blanks alone. */
export function readingByFirstByte(chunk: Buffer): 'object' | 'events' | null {
  for (const byte of chunk) {
    if (byte > SPACE) return FIELD_STARTS.has(byte) ? 'events' : 'object';
  }
  return null;
}

const SPACE = 32;
/** How a line of an event stream can begin: a comment, or data, event, id, retry. */
const FIELD_STARTS = new Set([...':deir'].map((character) => character.charCodeAt(0)));

function isOtherThanJson(endpoint: AttemptOptions['endpoint'], contentType: string): boolean {
  if (endpoint === 'speech') return !contentType.startsWith('text/');
  return endpoint === 'transcript' || endpoint === 'json' || endpoint === 'opaque';
}

function wrongType(expected: string, contentType: string): AnswerMode {
  return faulty(`expected ${expected}, got content type "${contentType.slice(0, 60)}"`);
}

function faulty(why: string): AnswerMode {
  return { reading: 'nothing', fault: malformed(why) };
}

function malformed(why: string): AnswerFault {
  return { kind: 'malformed', why };
}
