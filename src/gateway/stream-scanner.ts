import { latin1 } from './latin1';
import { type EventFacts, readEvent, type StreamedUsage } from './stream-event';
import type { Endpoint } from './traffic-class';

/** Longer events are passed on unread, and are never the usage event. */
const MAX_EVENT_LENGTH = 1_048_576;
const MAX_GAPS = 4_096;
const LF = 10;
const CR = 13;
const SPACE = 32;
const NOTHING = Buffer.alloc(0);

/**
 * Reads a stream of server-sent events on the side. `push` returns the bytes to pass on: the very chunk that
 * came in, unless the usage event that the gateway itself asked for has to be taken out; then only whole
 * events are passed on, because the beginning of an event can still turn out to be that one.
 */
export class StreamScanner {
  /** Monotonic time of the first content-bearing event, null before it. */
  firstContentMs: number | null = null;
  /** The stream said that its answer is complete: a finish reason, a terminal event, or [DONE]. */
  finished = false;
  /** It ended for another reason than `stop`, so an answer without content is credible. */
  finishedOddly = false;
  errorEvent = false;
  malformed = false;
  usage: StreamedUsage | null = null;
  /** Id of the object that the stream makes, where it can be asked for later. */
  objectId: string | null = null;
  /** Milliseconds between content events. */
  readonly gapsMs: number[] = [];

  readonly #endpoint: Endpoint;
  #removesUsage: boolean;
  /** The beginning of an event whose end has not come. */
  #carry = '';
  #skipsToBoundary = false;
  #lastContentMs = 0;

  constructor(endpoint: Endpoint, removesUsage: boolean) {
    this.#endpoint = endpoint;
    this.#removesUsage = removesUsage;
  }

  /** Whether anything has come that a caller can use: the point of no return. */
  get hasContent(): boolean {
    return this.firstContentMs !== null || this.finishedOddly;
  }

  /** Whether the stream may end here without having been cut. */
  get mayEnd(): boolean {
    return this.finished || this.#endpoint === 'media' || this.#endpoint === 'json';
  }

  push(chunk: Buffer, nowMs: number): Buffer {
    const text = this.#carry === '' ? latin1(chunk) : this.#carry + latin1(chunk);
    let searchFrom = Math.max(0, this.#carry.length - 3);
    let eventStart = 0;
    let keptFrom = 0;
    let kept = '';
    let dropped = false;
    for (;;) {
      const lineEnd = text.indexOf('\n', searchFrom);
      if (lineEnd < 0) break;
      const next = boundaryAfter(text, lineEnd, eventStart);
      if (next === 0) {
        searchFrom = lineEnd + 1;
        continue;
      }
      if (this.#event(text, eventStart, lineEnd, nowMs)) {
        kept += text.slice(keptFrom, eventStart);
        keptFrom = next;
        dropped = true;
      }
      eventStart = next;
      searchFrom = next;
    }
    const carriedBefore = this.#carry.length;
    this.#carry = eventStart === 0 ? text : text.slice(eventStart);
    if (!this.#removesUsage) {
      this.#limitCarry();
      return chunk;
    }
    if (this.#carry.length > MAX_EVENT_LENGTH) {
      this.#removesUsage = false;
      this.#limitCarry();
      return Buffer.from(kept + text.slice(keptFrom), 'latin1');
    }
    if (!dropped && carriedBefore === 0 && this.#carry === '') return chunk;
    return Buffer.from(kept + text.slice(keptFrom, eventStart), 'latin1');
  }

  /** The stream is over: reads the last event if nothing ended it, and returns what was held back. */
  end(nowMs: number): Buffer {
    const rest = this.#carry;
    this.#carry = '';
    if (rest === '') return NOTHING;
    const drops = this.#event(rest, 0, rest.length, nowMs);
    return this.#removesUsage && !drops ? Buffer.from(rest, 'latin1') : NOTHING;
  }

  #limitCarry(): void {
    if (this.#carry.length <= MAX_EVENT_LENGTH) return;
    this.#carry = this.#carry.slice(-3);
    this.#skipsToBoundary = true;
  }

  /** Reads the event between two places; true when it is to be taken out. */
  #event(text: string, start: number, end: number, nowMs: number): boolean {
    if (this.#skipsToBoundary) {
      this.#skipsToBoundary = false;
      return false;
    }
    let name = '';
    let data: string | null = null;
    let lineStart = start;
    while (lineStart < end) {
      let lineEnd = text.indexOf('\n', lineStart);
      if (lineEnd < 0 || lineEnd > end) lineEnd = end;
      const stop = text.charCodeAt(lineEnd - 1) === CR ? lineEnd - 1 : lineEnd;
      if (text.startsWith('data:', lineStart)) {
        const from = lineStart + (text.charCodeAt(lineStart + 5) === SPACE ? 6 : 5);
        data = data === null ? text.slice(from, stop) : `${data}\n${text.slice(from, stop)}`;
      } else if (text.startsWith('event:', lineStart)) {
        name = text.slice(lineStart + 6, stop).trim();
      }
      lineStart = lineEnd + 1;
    }
    if (data === null) return false;
    if (data === '[DONE]') {
      this.finished = true;
      return false;
    }
    const facts = readEvent(this.#endpoint, name, data, this.firstContentMs !== null);
    if (facts === null) {
      this.malformed = true;
      return false;
    }
    this.#take(facts, nowMs);
    return facts.usageOnly && this.#removesUsage;
  }

  #take(facts: EventFacts, nowMs: number): void {
    if (facts.error) this.errorEvent = true;
    if (facts.finish !== null) {
      this.finished = true;
      if (facts.finish !== 'stop') this.finishedOddly = true;
    }
    if (facts.usage !== null) this.usage = facts.usage;
    if (facts.objectId !== null) this.objectId = facts.objectId;
    if (!facts.content) return;
    if (this.firstContentMs === null) this.firstContentMs = nowMs;
    else if (this.gapsMs.length < MAX_GAPS) this.gapsMs.push(nowMs - this.#lastContentMs);
    this.#lastContentMs = nowMs;
  }
}

/** Where the next event begins when a line that ends here ends its event, else 0. */
function boundaryAfter(text: string, lineEnd: number, eventStart: number): number {
  if (lineEnd === eventStart || (lineEnd === eventStart + 1 && text.charCodeAt(eventStart) === CR)) {
    return lineEnd + 1;
  }
  const next = text.charCodeAt(lineEnd + 1);
  if (next === LF) return lineEnd + 2;
  if (next === CR && text.charCodeAt(lineEnd + 2) === LF) return lineEnd + 3;
  return 0;
}
