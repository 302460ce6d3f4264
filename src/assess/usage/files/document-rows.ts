import { createReadStream, createWriteStream } from 'node:fs';
import { pipeline } from 'node:stream/promises';
import { createGunzip } from 'node:zlib';
import { BadInput } from '../../../core/configuration/bad-input';

const [QUOTE, BACKSLASH, COMMA, COLON, NEWLINE, RETURN, BLANK] = [0x22, 0x5c, 0x2c, 0x3a, 0x0a, 0x0d, 0x20];
const [OPEN_LIST, CLOSE_LIST, OPEN_OBJECT, CLOSE_OBJECT] = [0x5b, 0x5d, 0x7b, 0x7d];
/** How deep the values of the document are, and the elements of a list among them. */
const [VALUE_DEPTH, ELEMENT_DEPTH] = [1, 2];

/** Where in a JSON file the elements of one list are. */
export interface RowsPlace {
  readonly path: string;
  readonly gzip: boolean;
  /** The key of the document whose list holds the rows. */
  readonly key: string;
}

/**
 * Writes the elements of a document's list one a line, without holding the document in memory. They are copied as
 * they are: whether each is JSON is for its reader. Throws `BadInput` for a document that ends before it is closed.
 */
export async function writeDocumentRows(
  { path, gzip, key }: RowsPlace,
  target: string,
  signal?: AbortSignal,
): Promise<void> {
  const file = createReadStream(path, { highWaterMark: 1_048_576 });
  const bytes: AsyncIterable<Buffer> = gzip ? file.pipe(createGunzip()) : file;
  const splitter = new RowSplitter(key);
  try {
    await pipeline(
      (async function* rows() {
        for await (const chunk of bytes) {
          signal?.throwIfAborted();
          yield splitter.split(chunk);
        }
      })(),
      createWriteStream(target),
    );
  } finally {
    file.destroy();
  }
  if (!splitter.closed) throw new BadInput(`${path} is cut short: its JSON is not closed`);
}

/** Follows strings and depth byte by byte; keeps what is within the list and ends a line where an element ends. */
class RowSplitter {
  private depth = 0;
  private quoted = false;
  private escaped = false;
  private inRows = false;
  /** The latest string among the document's own, and the key whose value follows. */
  private text: number[] = [];
  private key = '';

  constructor(private readonly wanted: string) {}

  /** Whether everything that was opened has been closed. */
  get closed(): boolean {
    return this.depth === 0 && !this.quoted;
  }

  split(chunk: Buffer): Buffer {
    const kept = Buffer.allocUnsafe(chunk.length);
    let length = 0;
    for (const byte of chunk) {
      const keeps = this.inRows;
      const out = this.quoted ? this.inString(byte) : this.between(byte);
      if (keeps) kept[length++] = out;
    }
    return kept.subarray(0, length);
  }

  private inString(byte: number): number {
    if (this.escaped) this.escaped = false;
    else if (byte === BACKSLASH) this.escaped = true;
    else if (byte === QUOTE) this.quoted = false;
    if (this.quoted && this.depth === VALUE_DEPTH && this.text.length <= this.wanted.length)
      this.text.push(byte);
    return byte;
  }

  /** Takes a byte outside of strings and gives what is written in its place. */
  private between(byte: number): number {
    switch (byte) {
      case QUOTE:
        this.quoted = true;
        this.text = [];
        return byte;
      case OPEN_LIST:
      case OPEN_OBJECT:
        if (byte === OPEN_LIST && this.depth === VALUE_DEPTH && this.key === this.wanted) this.inRows = true;
        this.depth += 1;
        return byte;
      case CLOSE_LIST:
      case CLOSE_OBJECT:
        this.depth -= 1;
        if (this.depth !== VALUE_DEPTH || !this.inRows) return byte;
        this.inRows = false;
        return NEWLINE;
      case COMMA:
        if (this.depth === VALUE_DEPTH) this.key = '';
        return this.depth === ELEMENT_DEPTH ? NEWLINE : byte;
      case COLON:
        if (this.depth === VALUE_DEPTH) this.key = Buffer.from(this.text).toString('utf8');
        return byte;
      case NEWLINE:
      case RETURN:
        return BLANK;
      default:
        return byte;
    }
  }
}
