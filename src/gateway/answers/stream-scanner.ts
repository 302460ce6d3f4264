import { latin1 } from '../json/latin1';
import { parseObject } from '../request/request-facts';
import type { Endpoint } from '../request/traffic-class';
import { AnswerGist } from './answer-gist';
import { type EventFacts, TOKEN } from './event-facts';
import { NOTHING_HELD, REASONING } from './holdings';
import { LongEvent } from './long-event';
import { type AnswerFault, hasGist } from './plain-answer';
import { bearsOnlyText, readEvent, readEventObject } from './stream-event';
import { REASONING_TEXT, TokenShape } from './token-shape';
import { type TokenUsage, together } from './token-usage';

/** Longer events are read piece by piece, so that they take no memory of their length. */
const MAX_EVENT_LENGTH = 65_536;
const MAX_GAPS = 4_096;
const LF = 10;
const CR = 13;
const SPACE = 32;
const NOTHING = Buffer.alloc(0);

export interface ScannerOptions {
  readonly endpoint: Endpoint;
  /** The usage event was asked for by the gateway, and is taken out again. */
  readonly removesUsage: boolean;
  /** How many choices were asked for. */
  readonly choices: number;
  /** How much of an event may be kept back, in bytes, while it can still turn out to be the usage event. */
  readonly maxHeldBytes: number;
  /** Keeps what the answer says, to be judged by what was asked of it; null where nothing was. */
  readonly kept: KeptStream | null;
}

/** Takes the events of a stream whose texts are to be judged. */
export interface KeptStream {
  /** An event's data, in UTF-16. */
  addEvent(json: Readonly<Record<string, unknown>>): void;
  /** An event that is too long to be kept, and what is known of it; null when it was not a JSON object. */
  addLongEvent(json: Readonly<Record<string, unknown>> | null): void;
}

/**
 * Reads a stream of server-sent events on the side. `push` returns the bytes to pass on: the very chunk that
 * came in, unless the usage event that the gateway itself asked for has to be taken out; then the beginning of
 * an event is kept back while it can still turn out to be that one.
 */
export class StreamScanner {
  /** Monotonic time of the first content-bearing event, null before it. */
  firstContentMs: number | null = null;
  errorEvent = false;
  malformed = false;
  usage: TokenUsage | null = null;
  /** Id of the object that the stream makes, where it can be asked for later. */
  objectId: string | null = null;
  /** Milliseconds between content events. */
  readonly gapsMs: number[] = [];
  /** What the answer comes to; null of endpoints whose answers are not judged by what they hold. */
  readonly gist: AnswerGist | null;

  readonly #options: ScannerOptions;
  /** The beginning of an event whose end has not come, unless it is long. */
  #carry = '';
  #long: LongEvent | null = null;
  /** What is kept back of the long event. */
  #longHeld = '';
  /** The long event has shown, or has to be taken, to be another than the usage event. */
  #longIsPassed = false;
  #lastContentMs = 0;
  readonly #shape = new TokenShape();
  /** [DONE] came. */
  #done = false;
  #ended = false;
  /** It ended for another reason than being done, so an answer without content is credible. */
  #endedOddly = false;
  /** Indexes of choices; read only where more than one was asked for. */
  readonly #choices = new Set<number>();
  readonly #endedChoices = new Set<number>();

  constructor(options: ScannerOptions) {
    this.#options = options;
    this.gist = hasGist(options.endpoint) ? new AnswerGist(options.choices) : null;
  }

  /** Whether anything has come that a caller can use: the point of no return. */
  get hasContent(): boolean {
    return this.firstContentMs !== null || this.#endedOddly;
  }

  /** Whether the stream may end here without having been cut. */
  get mayEnd(): boolean {
    return this.#done || this.#isFinished || !NEEDS_END.has(this.#options.endpoint);
  }

  /** The answer is complete, and nothing is in it that a caller could use. */
  get isEmpty(): boolean {
    if (this.errorEvent || this.malformed || !this.mayEnd) return false;
    return this.gist !== null && this.gist.holds === NOTHING_HELD;
  }

  /** What is wrong with a stream that ends here, null when nothing is. */
  get fault(): AnswerFault | null {
    const { endpoint, choices } = this.#options;
    if (this.errorEvent) {
      const why = this.hasContent ? 'an error event in mid-stream' : 'an error as the first event';
      return { kind: 'error_event', why };
    }
    if (this.malformed && (this.mayEnd || !this.hasContent)) {
      return { kind: 'malformed', why: 'an event that is not a JSON object' };
    }
    if (endpoint === 'json') return null;
    if (!this.hasContent) return { kind: 'truncated', why: 'the stream ended before any content' };
    if (!this.mayEnd) return { kind: 'truncated', why: 'the stream ended without its end' };
    if (choices > 1 && (!this.#isFinished || this.#choices.size < choices)) {
      const why = `expected ${choices} complete choices, got ${this.#endedChoices.size}`;
      return { kind: 'truncated', why };
    }
    return null;
  }

  push(chunk: Buffer, nowMs: number): Buffer {
    const { removesUsage } = this.#options;
    const carried = this.#carry.length;
    const text = carried === 0 ? latin1(chunk) : this.#carry + latin1(chunk);
    let eventStart = 0;
    let keptFrom = 0;
    let kept = '';
    let changed = carried > 0;
    if (this.#long !== null) {
      eventStart = this.#long.push(text, 0);
      kept = this.#passLong(text, eventStart, nowMs);
      if (eventStart < 0) return removesUsage ? Buffer.from(kept, 'latin1') : chunk;
      keptFrom = eventStart;
      changed = true;
    }
    let searchFrom = Math.max(eventStart, carried - 3);
    for (;;) {
      const lineEnd = text.indexOf('\n', searchFrom);
      if (lineEnd < 0) break;
      const next = boundaryAfter(text, lineEnd, eventStart);
      if (next === 0) {
        searchFrom = lineEnd + 1;
        continue;
      }
      let drops = false;
      if (next - eventStart > MAX_EVENT_LENGTH) drops = this.#longEvent(text, eventStart, nowMs);
      else if (searchFrom === eventStart && this.#shape.matches(text, eventStart, lineEnd)) {
        this.#countContent(nowMs);
      } else drops = this.#event(text, eventStart, lineEnd, nowMs);
      if (drops) {
        kept += text.slice(keptFrom, eventStart);
        keptFrom = next;
        changed = true;
      }
      eventStart = next;
      searchFrom = next;
    }
    this.#carry = eventStart === 0 ? text : text.slice(eventStart);
    const before = text.slice(keptFrom, eventStart);
    let begun = '';
    if (this.#carry.length > MAX_EVENT_LENGTH) {
      const long = this.#carry;
      this.#carry = '';
      this.#long = new LongEvent();
      this.#longIsPassed = false;
      this.#long.push(long, 0);
      begun = this.#passLong(long, -1, nowMs);
      changed = true;
    }
    if (!removesUsage || (!changed && this.#carry === '')) return chunk;
    return Buffer.from(kept + before + begun, 'latin1');
  }

  /** The stream is over: reads the last event if nothing ended it, and returns what was held back. */
  end(nowMs: number): Buffer {
    const rest = this.#long === null ? this.#carry : this.#longHeld;
    const drops =
      this.#long !== null ? this.#endLong(nowMs) : rest !== '' && this.#event(rest, 0, rest.length, nowMs);
    this.#carry = '';
    this.#longHeld = '';
    return rest !== '' && this.#options.removesUsage && !drops ? Buffer.from(rest, 'latin1') : NOTHING;
  }

  get #isFinished(): boolean {
    if (this.#options.choices <= 1 || this.#endedChoices.size === 0) return this.#ended || this.#done;
    return this.#endedChoices.size >= this.#choices.size;
  }

  /**
   * Takes a part of the long event, whose end is at `next` unless that is negative, and returns what is to be
   * passed on of it now.
   */
  #passLong(text: string, next: number, nowMs: number): string {
    const long = this.#long as LongEvent;
    const held = this.#longHeld + (next < 0 ? text : text.slice(0, next));
    this.#longHeld = '';
    if (next >= 0) return this.#endLong(nowMs) ? '' : held;
    if (!this.#options.removesUsage) return '';
    const choices = long.begun?.['choices'];
    this.#longIsPassed ||=
      (Array.isArray(choices) && choices.length > 0) || held.length > this.#options.maxHeldBytes;
    if (this.#longIsPassed) return held;
    this.#longHeld = held;
    return '';
  }

  /** The long event is complete; true when it is to be taken out. */
  #endLong(nowMs: number): boolean {
    const long = this.#long as LongEvent;
    this.#long = null;
    return this.#takeLong(long, nowMs) && !this.#longIsPassed;
  }

  /** Reads a long event that came in one piece; true when it is to be taken out. */
  #longEvent(text: string, start: number, nowMs: number): boolean {
    const long = new LongEvent();
    long.push(text, start);
    return this.#takeLong(long, nowMs);
  }

  #takeLong(long: LongEvent, nowMs: number): boolean {
    if (!long.hasData) return false;
    if (long.isDone) {
      this.#done = true;
      return false;
    }
    const json = long.end();
    this.#options.kept?.addLongEvent(json);
    return this.#take(json === null ? null : readEventObject(this.#options.endpoint, long.name, json), nowMs);
  }

  /** Reads the event between two places; true when it is to be taken out. */
  #event(text: string, start: number, end: number, nowMs: number): boolean {
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
      this.#done = true;
      return false;
    }
    if (this.#options.kept !== null)
      return this.#take(this.#keepEvent(this.#options.kept, name, data), nowMs);
    const facts = this.#read(name, data);
    if (facts === TOKEN) this.#shape.learn(text, start, end);
    else if (facts !== null && this.#isReasoning(facts)) this.#shape.learn(text, start, end, REASONING_TEXT);
    return this.#take(facts, nowMs);
  }

  #read(name: string, data: string): EventFacts | null {
    const { endpoint, choices } = this.#options;
    // Which choice a piece belongs to is not in its text alone, nor is whether it is more than reasoning.
    const isKnown = this.gist === null || this.gist.isUsable || endpoint === 'responses';
    const byText = this.firstContentMs !== null ? isKnown : this.gist?.model != null && bearsOnlyText(data);
    return readEvent(endpoint, name, data, byText && choices <= 1);
  }

  /** Reads an event whose text is kept: bytes are decoded first, as escapes stand for more than a byte. */
  #keepEvent(kept: KeptStream, name: string, data: string): EventFacts | null {
    const json = parseObject(BEYOND_ASCII.test(data) ? Buffer.from(data, 'latin1').toString('utf8') : data);
    if (json === null) return null;
    kept.addEvent(json);
    return readEventObject(this.#options.endpoint, name, json);
  }

  /** A piece of reasoning alone, in a stream that has brought nothing else so far. */
  #isReasoning({ holds, finish, usage, answer }: EventFacts): boolean {
    if (holds !== REASONING || finish !== null || usage !== null || answer === null) return false;
    return this.#options.choices <= 1;
  }

  /** Takes what an event says, null for one that is not a JSON object; true when it is to be taken out. */
  #take(facts: EventFacts | null, nowMs: number): boolean {
    if (facts === null) {
      this.malformed = true;
      return false;
    }
    if (facts.error) this.errorEvent = true;
    if (facts.finish !== null) {
      this.#ended = true;
      if (facts.finish === 'other') this.#endedOddly = true;
    }
    if (facts.usage !== null)
      this.usage = this.usage === null ? facts.usage : together(this.usage, facts.usage);
    if (facts.objectId !== null) this.objectId = facts.objectId;
    if (this.#options.choices > 1) {
      for (const { index, finish } of facts.choices) {
        this.#choices.add(index);
        if (finish !== null) this.#endedChoices.add(index);
      }
    }
    if (this.gist !== null) takeGist(this.gist, facts);
    if (facts.content) this.#countContent(nowMs);
    return facts.usageOnly && this.#options.removesUsage;
  }

  #countContent(nowMs: number): void {
    if (this.firstContentMs === null) this.firstContentMs = nowMs;
    else if (this.gapsMs.length < MAX_GAPS) this.gapsMs.push(nowMs - this.#lastContentMs);
    this.#lastContentMs = nowMs;
  }
}

const BEYOND_ASCII = /[\x80-\xff]/;

function takeGist(gist: AnswerGist, { answer, choices, holds, finish }: EventFacts): void {
  if (answer !== null && gist.model === null) gist.takeNames(answer);
  for (const choice of choices) gist.takeChoice(choice);
  if (choices.length === 0) {
    gist.hold(holds);
    if (finish !== null && answer !== null) gist.takeResponse(answer);
  }
}

/** Endpoints whose streams say that they are complete. */
const NEEDS_END: ReadonlySet<Endpoint> = new Set(['chat', 'completions', 'responses', 'messages', 'speech']);

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
