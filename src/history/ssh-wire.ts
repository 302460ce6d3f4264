/** Thrown for bytes that are not what SSH writes; `problem` says what was expected. */
export class InvalidSshData extends Error {
  override readonly name = 'InvalidSshData';
}

/** A string of the SSH wire format (RFC 4251, section 5): four bytes of length, big endian, then the bytes. */
export function sshString(value: string | Uint8Array): Buffer {
  const bytes = Buffer.from(value as string);
  return Buffer.concat([uint32(bytes.length), bytes]);
}

/** Four bytes, big endian. */
export function uint32(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE(value);
  return bytes;
}

/** Reads the wire format front to back; every method throws `InvalidSshData` where the bytes end too early. */
export class SshReader {
  #at = 0;
  constructor(private readonly bytes: Buffer) {}

  get isAtEnd(): boolean {
    return this.#at === this.bytes.length;
  }

  take(length: number): Buffer {
    const end = this.#at + length;
    if (end > this.bytes.length) throw new InvalidSshData('expected more bytes: it is cut off');
    const taken = this.bytes.subarray(this.#at, end);
    this.#at = end;
    return taken;
  }

  uint32(): number {
    return this.take(4).readUInt32BE();
  }

  string(): Buffer {
    return this.take(this.uint32());
  }

  text(): string {
    return this.string().toString('utf8');
  }
}

/** The bytes between `-----BEGIN LABEL-----` and `-----END LABEL-----`, or null where there is no such block. */
export function unarmored(text: string, label: string): Buffer | null {
  const lines = text.trim().split(/\r?\n/);
  if (lines[0] !== `-----BEGIN ${label}-----` || lines.at(-1) !== `-----END ${label}-----`) return null;
  const base64 = lines.slice(1, -1).join('');
  return /^[A-Za-z0-9+/=]*$/.test(base64) ? Buffer.from(base64, 'base64') : null;
}

/** Bytes as such a block, with lines as long as OpenSSH writes them. */
export function armored(bytes: Buffer, label: string): string {
  const lines = bytes.toString('base64').match(/.{1,70}/g) ?? [];
  return [`-----BEGIN ${label}-----`, ...lines, `-----END ${label}-----`, ''].join('\n');
}
