import { deflateRawSync } from 'node:zlib';

/** A zip archive with one deflated file; `entries` names it so many times over the same bytes, as zip bombs do. */
export function zipOf(name: string, content: Buffer, entries = 1): Buffer {
  const data = deflateRawSync(content, { level: 9 });
  const file = Buffer.from(name, 'utf8');
  const local = Buffer.alloc(30);
  local.writeUInt32LE(0x04034b50, 0);
  local.writeUInt16LE(8, 8);
  local.writeUInt16LE(file.length, 26);
  const central = Buffer.alloc(46);
  central.writeUInt32LE(0x02014b50, 0);
  central.writeUInt16LE(8, 10);
  central.writeUInt32LE(data.length, 20);
  central.writeUInt32LE(content.length, 24);
  central.writeUInt16LE(file.length, 28);
  const end = Buffer.alloc(22);
  end.writeUInt32LE(0x06054b50, 0);
  end.writeUInt16LE(entries, 10);
  end.writeUInt32LE(30 + file.length + data.length, 16);
  const directory = Array.from({ length: entries }, () => Buffer.concat([central, file]));
  return Buffer.concat([local, file, data, ...directory, end]);
}
