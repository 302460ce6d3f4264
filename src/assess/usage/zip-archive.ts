import { readFile, stat } from 'node:fs/promises';
import { inflateRawSync } from 'node:zlib';

const MAX_ARCHIVE_BYTES = 268_435_456;
const MAX_FILE_BYTES = 1_073_741_824;

/** A file of a zip archive. */
export interface ZipEntry {
  readonly name: string;
  readonly bytes: Buffer;
}

/**
 * The files of a small zip archive whose names end with `.csv`; throws a RangeError when it is damaged,
 * encrypted, or holds more than a gigabyte. Follows APPNOTE.TXT 6.3 without Zip64.
 */
export async function readZip(path: string): Promise<ZipEntry[]> {
  const { size } = await stat(path);
  if (size > MAX_ARCHIVE_BYTES)
    throw new RangeError(`${path} has ${size} bytes, expected an export below 256 MiB`);
  const archive = await readFile(path);
  const end = archive.lastIndexOf(Buffer.from('PK\x05\x06', 'latin1'));
  if (end < 0 || end + 22 > archive.length)
    throw new RangeError(`${path} is a damaged zip: it has no directory`);
  const entries: ZipEntry[] = [];
  let budget = MAX_FILE_BYTES;
  let at = archive.readUInt32LE(end + 16);
  for (let left = archive.readUInt16LE(end + 10); left > 0; left -= 1) {
    if (at + 46 > archive.length || archive.readUInt32LE(at) !== 0x02014b50) {
      throw new RangeError(`${path} is a damaged zip: its directory ends early`);
    }
    const nameBytes = archive.readUInt16LE(at + 28);
    const name = archive.toString('utf8', at + 46, at + 46 + nameBytes);
    if (/\.csv$/i.test(name)) {
      const bytes = entryBytes(archive, at, `${path}:${name}`, budget);
      budget -= bytes.length;
      entries.push({ name, bytes });
    }
    at += 46 + nameBytes + archive.readUInt16LE(at + 30) + archive.readUInt16LE(at + 32);
  }
  if (entries.length === 0) throw new RangeError(`${path} holds no .csv file`);
  return entries;
}

function entryBytes(archive: Buffer, at: number, name: string, budget: number): Buffer {
  const flags = archive.readUInt16LE(at + 8);
  const method = archive.readUInt16LE(at + 10);
  const packed = archive.readUInt32LE(at + 20);
  const claimed = archive.readUInt32LE(at + 24);
  const header = archive.readUInt32LE(at + 42);
  if ((flags & 1) !== 0) throw new RangeError(`${name} is encrypted; extract it first`);
  if (header + 30 > archive.length || archive.readUInt32LE(header) !== 0x04034b50) {
    throw new RangeError(`${name} is damaged: it does not start where the directory says`);
  }
  const start = header + 30 + archive.readUInt16LE(header + 26) + archive.readUInt16LE(header + 28);
  const data = archive.subarray(start, start + packed);
  if (data.length !== packed || claimed > budget) {
    throw new RangeError(`${name} is cut short, or larger than a gigabyte when extracted`);
  }
  try {
    // The bound holds whatever the directory claims.
    const bytes = method === 0 ? data : inflateRawSync(data, { maxOutputLength: Math.max(1, claimed) });
    if (bytes.length === claimed && (method === 0 || method === 8)) return Buffer.from(bytes);
  } catch (cause) {
    throw new RangeError(`${name} is damaged and cannot be extracted`, { cause });
  }
  throw new RangeError(`${name} does not have the ${claimed} bytes that its directory claims`);
}
