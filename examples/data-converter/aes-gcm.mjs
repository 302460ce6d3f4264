// Encrypts what Temporal keeps of migrations by AES-256-GCM. Use it with every worker, command and page:
//   export CUTOVER_CODEC_KEYS="2026-11:$(openssl rand -base64 32)"
//   export CUTOVER_DATA_CONVERTER=/path/to/aes-gcm.mjs
// The first key encrypts, all decrypt: put a new one first, and keep the old one as long as Temporal keeps histories.
// Payloads look as those of Temporal's own samples do, so that their codec servers can read them.
import { createCipheriv, createDecipheriv, randomBytes } from 'node:crypto';
import protobuf from '@temporalio/proto';

const { Payload } = protobuf.temporal.api.common.v1;
const ENCODING = 'binary/encrypted';
const NONCE_BYTES = 12;
const TAG_BYTES = 16;

const keys = new Map(
  (process.env.CUTOVER_CODEC_KEYS ?? '').split(',').flatMap((entry) => {
    const [id, base64] = entry.split(':');
    const key = Buffer.from(base64 ?? '', 'base64');
    return id && key.length === 32 ? [[id, key]] : [];
  }),
);
const [current] = keys;
if (current === undefined) throw new Error('expected CUTOVER_CODEC_KEYS="ID:BASE64" with keys of 32 bytes');

export const payloadCodecs = [
  {
    encode: async (payloads) => payloads.map(encrypted),
    decode: async (payloads) =>
      payloads.map((payload) => (isEncrypted(payload) ? decrypted(payload) : payload)),
  },
];

function encrypted(payload) {
  const [id, key] = current;
  const nonce = randomBytes(NONCE_BYTES);
  const cipher = createCipheriv('aes-256-gcm', key, nonce);
  const text = Buffer.concat([cipher.update(Payload.encode(payload).finish()), cipher.final()]);
  return {
    metadata: { encoding: Buffer.from(ENCODING), 'encryption-key-id': Buffer.from(id) },
    data: Buffer.concat([nonce, text, cipher.getAuthTag()]),
  };
}

function decrypted({ metadata, data }) {
  const id = Buffer.from(metadata['encryption-key-id'] ?? []).toString();
  const key = keys.get(id);
  if (key === undefined) throw new Error(`expected the key "${id}" in CUTOVER_CODEC_KEYS`);
  const bytes = Buffer.from(data);
  const decipher = createDecipheriv('aes-256-gcm', key, bytes.subarray(0, NONCE_BYTES));
  decipher.setAuthTag(bytes.subarray(-TAG_BYTES));
  const text = bytes.subarray(NONCE_BYTES, -TAG_BYTES);
  return Payload.decode(Buffer.concat([decipher.update(text), decipher.final()]));
}

function isEncrypted({ metadata }) {
  return Buffer.from(metadata?.encoding ?? []).toString() === ENCODING;
}
