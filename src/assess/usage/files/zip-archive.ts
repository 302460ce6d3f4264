import { readFile, stat } from 'node:fs/promises';
import { createInflateRaw } from 'node:zlib';
import { BadInput } from '../../../core/configuration/bad-input';
import { UnpackingLimit } from './unpacking-limit';

/** An export is a few files of a few thousand rows, and all of it is held in memory. */
const MAX_ARCHIVE_BYTES = 67_108_864;

/** A file of a zip archive. */
export interface ZipEntry {
  readonly name: string;
  readonly bytes: Buffer;
}

/**
 * The files of a small zip archive whose names end with `.csv`; throws `BadInput` when it is damaged,
 * encrypted, or unpacks to too much. Follows APPNOTE.TXT 6.3 without Zip64.
 */
export async function readZip(path: string): Promise<ZipEntry[]> {
  const { size } = await stat(path);
  if (size > MAX_ARCHIVE_BYTES)
    throw new BadInput(`${path} has ${size} bytes, expected an export below 64 MiB`);
  const archive = await readFile(path);
  const end = archive.lastIndexOf(Buffer.from('PK\x05\x06', 'latin1'));
  if (end < 0 || end + 22 > archive.length)
    throw new BadInput(`${path} is a damaged zip: it has no directory`);
  const entries: ZipEntry[] = [];
  const limit = new UnpackingLimit(path, 'held');
  let at = archive.readUInt32LE(end + 16);
  for (let left = archive.readUInt16LE(end + 10); left > 0; left -= 1) {
    if (at + 46 > archive.length || archive.readUInt32LE(at) !== 0x02014b50) {
      throw new BadInput(`${path} is a damaged zip: its directory ends early`);
    }
    const nameBytes = archive.readUInt16LE(at + 28);
    const name = archive.toString('utf8', at + 46, at + 46 + nameBytes);
    if (/\.csv$/i.test(name)) {
      entries.push({ name, bytes: await entryBytes(archive, at, `${path}:${name}`, limit) });
    }
    at += 46 + nameBytes + archive.readUInt16LE(at + 30) + archive.readUInt16LE(at + 32);
  }
  if (entries.length === 0) throw new BadInput(`${path} holds no .csv file`);
  return entries;
}

async function entryBytes(archive: Buffer, at: number, name: string, limit: UnpackingLimit): Promise<Buffer> {
  const flags = archive.readUInt16LE(at + 8);
  const method = archive.readUInt16LE(at + 10);
  const packed = archive.readUInt32LE(at + 20);
  const claimed = archive.readUInt32LE(at + 24);
  const header = archive.readUInt32LE(at + 42);
  if ((flags & 1) !== 0) throw new BadInput(`${name} is encrypted; extract it first`);
  if (header + 30 > archive.length || archive.readUInt32LE(header) !== 0x04034b50) {
    throw new BadInput(`${name} is damaged: it does not start where the directory says`);
  }
  const start = header + 30 + archive.readUInt16LE(header + 26) + archive.readUInt16LE(header + 28);
  const data = archive.subarray(start, start + packed);
  if (data.length !== packed) throw new BadInput(`${name} is cut short`);
  if (method !== STORED && method !== DEFLATED) {
    throw new BadInput(`${name} is packed by method ${method}; extract it first`);
  }
  // What the directory claims is held against what comes out, never taken for it.
  const parts: Buffer[] = [];
  let length = 0;
  for await (const part of method === STORED ? [data] : inflated(data, name)) {
    // Of the archive as a whole: entries that share their bytes unpack to more than all of it together could.
    limit.count(part.length, archive.length);
    length += part.length;
    parts.push(part);
  }
  if (length !== claimed) {
    throw new BadInput(`${name} does not have the ${claimed} bytes that its directory claims`);
  }
  return Buffer.concat(parts);
}

const STORED = 0;
const DEFLATED = 8;

async function* inflated(data: Buffer, name: string): AsyncGenerator<Buffer> {
  const inflate = createInflateRaw();
  inflate.end(data);
  try {
    yield* inflate;
  } catch (cause) {
    throw new BadInput(`${name} is damaged and cannot be extracted`, { cause });
  }
}
