import { type JsonVisitor, scanJson, spaceEnd } from '../json/json-scanner';

const MAX_IDS = 64;
const MAX_VISITED = 2_000;
const MAX_DEPTH = 6;
const MAX_ID_BYTES = 256;
const ID = /^[A-Za-z][A-Za-z0-9]{0,31}[-_][A-Za-z0-9_-]{1,200}$/;

/** Whether a text looks like the id of something that a provider keeps. */
export function isId(text: string): boolean {
  return ID.test(text);
}

/** The strings in a JSON body that look like ids, within bounds; none where it is not sound JSON. */
export function bodyIds(raw: Buffer): string[] {
  const reader = new IdReader(raw);
  return scanJson(raw, spaceEnd(raw, 0), reader) === 0 ? [] : reader.ids;
}

class IdReader implements JsonVisitor {
  readonly ids: string[] = [];
  #visited = 0;

  constructor(private readonly raw: Buffer) {}

  key(): void {}

  close(): void {}

  open(_isObject: boolean, _start: number, depth: number): boolean {
    this.#visited += 1;
    return depth < MAX_DEPTH && this.#visited <= MAX_VISITED;
  }

  scalar(start: number, end: number, _depth: number, escaped: boolean): void {
    this.#visited += 1;
    if (escaped || end - start > MAX_ID_BYTES || this.raw[start] !== 0x22) return;
    if (this.#visited > MAX_VISITED || this.ids.length >= MAX_IDS) return;
    const text = this.raw.toString('latin1', start + 1, end - 1);
    if (isId(text)) this.ids.push(text);
  }
}
