import { type FileHandle, open, stat } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';

const CHUNK_BYTES = 1_048_576;
/** Of a longer line only this much is shown: a file without line ends must not fill memory. */
const LINE_BYTES = 1_048_576;
const NEWLINE = 0x0a;
const LOOK_EVERY_MS = 300;

interface LogEnd {
  /** In the order of the file. */
  readonly lines: readonly string[];
  /** What stands after the last line end; it may still be written. */
  readonly unfinished: string;
  /** Where that begins, bytes. */
  readonly wholeBytes: number;
}

/** The last lines of a file that `passes` lets through, at most `count`. Reads from the end: a log may be larger than memory. */
export async function readLogEnd(
  log: FileHandle,
  count: number,
  passes: (line: string) => boolean,
): Promise<LogEnd> {
  const lines: string[] = [];
  const later = new LineTail();
  let unfinished: string | null = null;
  let wholeBytes = 0;
  for (let end = (await log.stat()).size; end > 0 && lines.length < count; ) {
    const start = Math.max(0, end - CHUNK_BYTES);
    const chunk = await readAt(log, start, end - start);
    let to = chunk.length;
    for (let at = chunk.lastIndexOf(NEWLINE); at >= 0 && lines.length < count; ) {
      const line = later.after(chunk.subarray(at + 1, to));
      if (unfinished === null) {
        unfinished = line;
        wholeBytes = start + at + 1;
      } else if (line !== '' && passes(line)) lines.push(line);
      to = at;
      at = at === 0 ? -1 : chunk.lastIndexOf(NEWLINE, at - 1);
    }
    later.prepend(chunk.subarray(0, to));
    end = start;
  }
  // What stands before the first line end is a line as well, unless there was enough behind it.
  const first = later.after(Buffer.alloc(0));
  if (unfinished === null) unfinished = first;
  else if (lines.length < count && first !== '' && passes(first)) lines.push(first);
  return { lines: lines.reverse(), unfinished, wholeBytes };
}

/** Each whole line that is written from `fromBytes` on, also after the file was truncated or another took its name. */
export async function* followLog(
  path: string,
  log: FileHandle,
  fromBytes: number,
  onChange: (what: string) => void,
): AsyncGenerator<string> {
  let file = log;
  let at = fromBytes;
  const begun = new LineHead();
  try {
    for (;;) {
      const { size, ino, dev } = await file.stat();
      if (size < at) {
        onChange(`${path} was truncated: reading it from its beginning`);
        at = 0;
        begun.clear();
      }
      at = yield* readOn(file, at, begun);
      const named = await stat(path).catch(() => null);
      if (named !== null && (named.ino !== ino || named.dev !== dev)) {
        const next = await open(path).catch(() => null);
        if (next !== null) {
          // Whoever rotates a log writes on to the old file for a moment.
          await sleep(LOOK_EVERY_MS);
          yield* readOn(file, at, begun);
          await file.close();
          onChange(`${path} is another file now: reading that`);
          file = next;
          at = 0;
          begun.clear();
          continue;
        }
      }
      await sleep(LOOK_EVERY_MS);
    }
  } finally {
    await file.close();
  }
}

/** What stands from `from` on, to the end; gives where that is. */
async function* readOn(file: FileHandle, from: number, begun: LineHead): AsyncGenerator<string, number> {
  for (let at = from; ; ) {
    const chunk = await readAt(file, at, CHUNK_BYTES);
    if (chunk.length === 0) return at;
    at += chunk.length;
    yield* begun.lines(chunk);
  }
}

/** A log that may not be there yet; `onWait` says so, once. */
export async function openWhenThere(path: string, onWait: () => void): Promise<FileHandle> {
  for (let waited = false; ; waited = true) {
    try {
      return await open(path);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
      if (!waited) onWait();
      await sleep(LOOK_EVERY_MS);
    }
  }
}

async function readAt(file: FileHandle, at: number, length: number): Promise<Buffer> {
  const { buffer, bytesRead } = await file.read(Buffer.alloc(length), 0, length, at);
  return buffer.subarray(0, bytesRead);
}

/** A log that was truncated under a writer that does not append begins with zeros up to where the writer was. */
function withoutHole(part: Buffer): Buffer {
  const at = part.findIndex((byte) => byte !== 0);
  return at < 0 ? part.subarray(part.length) : part.subarray(at);
}

/** The end of a line whose beginning stands in a chunk that is read later. */
class LineTail {
  #parts: Buffer[] = [];

  prepend(part: Buffer): void {
    this.#parts.unshift(withoutHole(part));
    // Of what is too long the beginning stays.
    const all = this.#parts.reduce((sum, { length }) => sum + length, 0);
    if (all > LINE_BYTES) this.#parts = [Buffer.concat(this.#parts).subarray(0, LINE_BYTES)];
  }

  /** The whole line, given its beginning; then nothing is kept. */
  after(beginning: Buffer): string {
    const line = withoutHole(Buffer.concat([beginning, ...this.#parts])).subarray(0, LINE_BYTES);
    this.#parts = [];
    return line.toString('utf8');
  }
}

/** The beginning of a line whose end is not written yet. */
class LineHead {
  #parts: Buffer[] = [];
  #bytes = 0;

  clear(): void {
    this.#parts = [];
    this.#bytes = 0;
  }

  *lines(chunk: Buffer): Generator<string> {
    let from = 0;
    for (let at = chunk.indexOf(NEWLINE); at >= 0; at = chunk.indexOf(NEWLINE, from)) {
      const line = Buffer.concat([...this.#parts, this.#next(chunk.subarray(from, at))]).subarray(
        0,
        LINE_BYTES,
      );
      this.clear();
      from = at + 1;
      if (line.length > 0) yield line.toString('utf8');
    }
    if (this.#bytes >= LINE_BYTES) return;
    const rest = this.#next(chunk.subarray(from));
    this.#parts.push(rest);
    this.#bytes += rest.length;
  }

  #next(part: Buffer): Buffer {
    return this.#bytes === 0 ? withoutHole(part) : part;
  }
}
