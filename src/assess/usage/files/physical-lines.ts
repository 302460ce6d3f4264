import { createReadStream } from 'node:fs';
import { createGunzip } from 'node:zlib';
import { BadInput } from '../../../core/configuration/bad-input';
import { UnpackingLimit } from './unpacking-limit';

/** How many lines that are not blank a text file has, and the bytes of the longest. */
export async function measureLines(path: string, gzip: boolean): Promise<{ lines: number; longest: number }> {
  const file = createReadStream(path, { highWaterMark: 1_048_576 });
  let lines = 0;
  let longest = 0;
  let length = 0;
  const end = () => {
    if (length > 0) lines += 1;
    longest = Math.max(longest, length);
    length = 0;
  };
  for await (const chunk of gzip ? file.pipe(createGunzip()) : file) {
    const bytes = chunk as Buffer;
    let start = 0;
    for (let at = bytes.indexOf(0x0a); at >= 0; at = bytes.indexOf(0x0a, start)) {
      length += at - start - (at > start && bytes[at - 1] === 0x0d ? 1 : 0);
      end();
      start = at + 1;
    }
    length += bytes.length - start;
  }
  end();
  return { lines, longest };
}

const QUOTE = 0x22;

/**
 * The lines, from 1, on which some records of a CSV file begin; records count from 1 after the header, without blank
 * lines and without `unread` lines, which the reader left out. Stops reading after the last of them.
 */
export async function linesOfRecords(
  path: string,
  gzip: boolean,
  records: ReadonlySet<number>,
  unread: ReadonlySet<number>,
): Promise<Map<number, number>> {
  const found = new Map<number, number>();
  const file = createReadStream(path, { highWaterMark: 1_048_576 });
  const at = { line: 1, start: 1, record: -1, quoted: false, filled: false };
  try {
    for await (const chunk of gzip ? file.pipe(createGunzip()) : file) {
      for (const byte of chunk as Buffer) {
        if (byte === QUOTE) at.quoted = !at.quoted;
        if (byte !== 0x0a) {
          if (byte !== 0x0d) at.filled = true;
          continue;
        }
        at.line += 1;
        if (at.quoted) continue;
        if (at.filled && !unread.has(at.start)) at.record += 1;
        if (at.filled && records.has(at.record) && !found.has(at.record)) found.set(at.record, at.start);
        if (found.size === records.size) return found;
        at.start = at.line;
        at.filled = false;
      }
    }
  } finally {
    file.destroy();
  }
  // The last line may have no end.
  if (at.filled && !unread.has(at.start) && records.has(at.record + 1)) found.set(at.record + 1, at.start);
  return found;
}

/**
 * Unpacks a gzip file without keeping it; throws `BadInput` when it is damaged or unpacks to too much. `held` is for
 * a file that is then read into memory as a whole.
 */
export async function checkGzip(
  path: string,
  signal?: AbortSignal,
  use: 'streamed' | 'held' = 'streamed',
): Promise<void> {
  const file = createReadStream(path, { highWaterMark: 262_144 });
  const limit = new UnpackingLimit(path, use);
  let packed = 0;
  file.on('data', (chunk) => {
    packed += chunk.length;
  });
  try {
    for await (const chunk of file.pipe(createGunzip({ chunkSize: 262_144 }))) {
      signal?.throwIfAborted();
      limit.count((chunk as Buffer).length, packed);
    }
  } catch (error) {
    if (error instanceof BadInput || signal?.aborted === true) throw error;
    throw new BadInput(`${path} is damaged gzip`, { cause: error });
  } finally {
    file.destroy();
  }
}
