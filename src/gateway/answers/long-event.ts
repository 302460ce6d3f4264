import { SparseJson, type SparseObject } from '../json/sparse-json';

const CR = 13;
const SPACE = 32;
const MAX_FIELD = 8;
const MAX_NAME = 256;
const DONE = '[DONE]';

/** Reads one server-sent event of any length piece by piece; its text is bytes as latin1. */
export class LongEvent {
  hasData = false;
  readonly #json = new SparseJson();
  #name = '';
  /** The beginning of the data, as far as it could be `[DONE]`. */
  #dataStart = '';
  /** The field of the line under way, up to its colon; cut, because longer ones are none of ours. */
  #field = '';
  #within: 'field' | 'value start' | 'value' = 'field';
  #lineLength = 0;
  #startsWithReturn = false;

  get name(): string {
    return this.#name.trim();
  }

  get isDone(): boolean {
    return this.#dataStart === DONE;
  }

  /** What is known of the data's JSON object so far; null before it began. */
  get begun(): SparseObject | null {
    return this.#json.begun;
  }

  /** What the data of the complete event said; null when it was not a JSON object. */
  end(): SparseObject | null {
    return this.#json.end();
  }

  /** Takes text from a place on; returns where the next event begins, or -1 when this one goes on. */
  push(text: string, from: number): number {
    let at = from;
    for (;;) {
      const lineEnd = text.indexOf('\n', at);
      if (lineEnd < 0) {
        this.#line(text, at, text.length);
        return -1;
      }
      this.#line(text, at, lineEnd);
      at = lineEnd + 1;
      if (this.#lineLength === 0 || (this.#lineLength === 1 && this.#startsWithReturn)) return at;
      this.#endLine();
    }
  }

  #endLine(): void {
    // The end of a line between two lines of data is white space to JSON.
    if (this.#field === 'data') this.#json.push('\n');
    this.#field = '';
    this.#within = 'field';
    this.#lineLength = 0;
  }

  /** A part of one line, without its end. */
  #line(text: string, from: number, to: number): void {
    let at = from;
    if (at === to) return;
    if (this.#lineLength === 0) this.#startsWithReturn = text.charCodeAt(at) === CR;
    this.#lineLength += to - at;
    if (this.#within === 'field') {
      const colon = text.indexOf(':', at);
      const end = colon < 0 || colon >= to ? to : colon;
      if (this.#field.length <= MAX_FIELD) this.#field += text.slice(at, Math.min(end, at + MAX_FIELD + 1));
      if (end === to) return;
      at = end + 1;
      this.#within = 'value start';
      if (this.#field === 'data') this.hasData = true;
      if (this.#field === 'event') this.#name = '';
    }
    if (this.#within === 'value start' && at < to) {
      this.#within = 'value';
      if (text.charCodeAt(at) === SPACE) at += 1;
    }
    if (at < to) this.#value(text, at, to);
  }

  #value(text: string, from: number, to: number): void {
    if (this.#field === 'data') {
      if (this.#dataStart.length <= DONE.length) {
        const start = text.slice(from, Math.min(to, from + DONE.length + 1));
        this.#dataStart += start.endsWith('\r') ? start.slice(0, -1) : start;
      }
      this.#json.push(text, from, to);
    } else if (this.#field === 'event' && this.#name.length < MAX_NAME) {
      this.#name += text.slice(from, Math.min(to, from + MAX_NAME));
    }
  }
}
