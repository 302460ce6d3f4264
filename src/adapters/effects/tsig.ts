import { createHmac, timingSafeEqual } from 'node:crypto';
import { name as nameCodec } from 'dns-packet';
import { EffectProblem } from '../../core/effects/effect-problem';

declare module 'dns-packet' {
  /** Exported, but missing in the package's types. */
  const name: { encode(text: string): Buffer; decode(message: Buffer, offset: number): string };
}

/** Transaction signatures of DNS messages (RFC 8945), of one message each way. */

export interface TsigKey {
  readonly name: string;
  readonly algorithm: 'hmac-sha256' | 'hmac-sha384' | 'hmac-sha512';
  readonly secret: Buffer;
}

const TYPE_TSIG = 250;
const CLASS_ANY = 255;
const FUDGE_S = 300;
const HEADER_BYTES = 12;
const COUNTS = [4, 6, 8, 10] as const;

/** The errors that a TSIG record itself carries. */
const ERRORS: Readonly<Record<number, string>> = {
  16: 'BADSIG: the server has a different secret',
  17: 'BADKEY: the server knows no key with this name and algorithm, or the key is not allowed to do this',
  18: 'BADTIME: the clocks differ',
  22: 'BADTRUNC: the server wants a longer signature',
};

/** The message with its signature appended, and the MAC that the answer's signature covers. */
export function signMessage(message: Buffer, key: TsigKey, nowMs: number): { signed: Buffer; mac: Buffer } {
  const variables = { timeS: Math.floor(nowMs / 1_000), fudgeS: FUDGE_S, error: 0, other: Buffer.alloc(0) };
  const mac = macOf([message, variablesOf(key, variables)], key);
  const rdata = Buffer.concat([
    wireName(key.algorithm),
    timeAndFudge(variables),
    uint16(mac.length),
    mac,
    message.subarray(0, 2),
    uint16(0),
    uint16(0),
  ]);
  const head = Buffer.alloc(8);
  head.writeUInt16BE(TYPE_TSIG, 0);
  head.writeUInt16BE(CLASS_ANY, 2);
  const signed = Buffer.concat([message, wireName(key.name), head, uint16(rdata.length), rdata]);
  signed.writeUInt16BE(signed.readUInt16BE(10) + 1, 10);
  return { signed, mac };
}

/**
 * The answer without its signature, once that is seen to be the server's. An answer without one that fits is nobody's:
 * throws `EffectProblem` with what the server says is wrong.
 */
export function verifiedAnswer(answer: Buffer, key: TsigKey, requestMac: Buffer, nowMs: number): Buffer {
  const start = signatureStart(answer);
  if (start === null) throw new EffectProblem('the server answered without a signature', false);
  const record = readSignature(answer, start);
  const reason = ERRORS[record.error] ?? (record.error === 0 ? null : `TSIG error ${record.error}`);
  const message = Buffer.from(answer.subarray(0, start));
  message.writeUInt16BE(message.readUInt16BE(10) - 1, 10);
  record.originalId.copy(message, 0);
  const expected = macOf([uint16(requestMac.length), requestMac, message, variablesOf(key, record)], key);
  const signed =
    record.name === key.name.toLowerCase().replace(/\.$/, '') &&
    record.algorithm === key.algorithm &&
    record.mac.length === expected.length &&
    timingSafeEqual(record.mac, expected);
  // A server that cannot verify us cannot sign either (RFC 8945, 5.3.2): what it says explains, and is not believed.
  if (reason !== null) throw new EffectProblem(`the server refused our signature: ${reason}`, false);
  if (!signed)
    throw new EffectProblem('the signature of the answer does not match: it is not from the server', false);
  if (Math.abs(nowMs / 1_000 - record.timeS) > record.fudgeS) {
    throw new EffectProblem('the signature of the answer is of another time: the clocks differ', true);
  }
  return message;
}

interface SignatureVariables {
  readonly timeS: number;
  readonly fudgeS: number;
  readonly error: number;
  readonly other: Buffer;
}

/** RFC 8945, 4.3.3: what is signed of the record itself. */
function variablesOf(key: TsigKey, variables: SignatureVariables): Buffer {
  const classAndTtl = Buffer.alloc(6);
  classAndTtl.writeUInt16BE(CLASS_ANY, 0);
  return Buffer.concat([
    wireName(key.name.toLowerCase()),
    classAndTtl,
    wireName(key.algorithm),
    timeAndFudge(variables),
    uint16(variables.error),
    uint16(variables.other.length),
    variables.other,
  ]);
}

/** Where the TSIG record begins: it is the last one of the message; null when that is another record. */
function signatureStart(message: Buffer): number | null {
  const [questions = 0, ...records] = COUNTS.map((offset) => message.readUInt16BE(offset));
  let offset = HEADER_BYTES;
  for (let i = 0; i < questions; i++) offset = nameEnd(message, offset) + 4;
  let last: number | null = null;
  for (let i = records.reduce((sum, count) => sum + count, 0); i > 0; i--) {
    last = offset;
    const fixed = nameEnd(message, offset);
    offset = fixed + 10 + message.readUInt16BE(fixed + 8);
  }
  if (last === null || records[2] === 0 || offset !== message.length) return null;
  return message.readUInt16BE(nameEnd(message, last)) === TYPE_TSIG ? last : null;
}

function readSignature(
  message: Buffer,
  start: number,
): SignatureVariables & { name: string; algorithm: string; mac: Buffer; originalId: Buffer } {
  const data = nameEnd(message, start) + 10;
  const algorithmEnd = nameEnd(message, data);
  const macStart = algorithmEnd + 10;
  const macEnd = macStart + message.readUInt16BE(macStart - 2);
  const otherStart = macEnd + 6;
  return {
    name: nameCodec.decode(message, start).toLowerCase(),
    algorithm: nameCodec.decode(message, data).toLowerCase(),
    timeS: message.readUIntBE(algorithmEnd, 6),
    fudgeS: message.readUInt16BE(algorithmEnd + 6),
    mac: message.subarray(macStart, macEnd),
    originalId: message.subarray(macEnd, macEnd + 2),
    error: message.readUInt16BE(macEnd + 2),
    other: message.subarray(otherStart, otherStart + message.readUInt16BE(otherStart - 2)),
  };
}

/** The offset after a name: its labels, or a pointer (RFC 1035, 4.1.4). */
function nameEnd(message: Buffer, start: number): number {
  let offset = start;
  for (;;) {
    const length = message.readUInt8(offset);
    if (length === 0) return offset + 1;
    if (length >= 0xc0) return offset + 2;
    offset += length + 1;
  }
}

function macOf(parts: readonly Buffer[], { algorithm, secret }: TsigKey): Buffer {
  const hmac = createHmac(algorithm.replace('hmac-', ''), secret);
  for (const part of parts) hmac.update(part);
  return hmac.digest();
}

function timeAndFudge({ timeS, fudgeS }: Pick<SignatureVariables, 'timeS' | 'fudgeS'>): Buffer {
  const buffer = Buffer.alloc(8);
  buffer.writeUIntBE(timeS, 0, 6);
  buffer.writeUInt16BE(fudgeS, 6);
  return buffer;
}

function wireName(text: string): Buffer {
  return nameCodec.encode(text);
}

function uint16(value: number): Buffer {
  const buffer = Buffer.alloc(2);
  buffer.writeUInt16BE(value);
  return buffer;
}
