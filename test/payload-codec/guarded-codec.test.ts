import type { Payload, PayloadCodec } from '@temporalio/common';
import { guardedCodec } from '../../src/payload-codec/guarded-codec';

const plain = (text: string): Payload => ({
  metadata: { encoding: Buffer.from('json/plain') },
  data: Buffer.from(JSON.stringify(text)),
});

const sealed = (key: string, text: string): Payload => ({
  metadata: { encoding: Buffer.from('binary/sealed'), key: Buffer.from(key) },
  data: Buffer.from(text),
});

/** Opens what was sealed with the key `right`. */
const codec: PayloadCodec = {
  encode: async (payloads) => payloads.map(({ data }) => sealed('right', Buffer.from(data ?? []).toString())),
  decode: async (payloads) =>
    payloads.map((payload) => {
      if (payload.metadata?.['key'] === undefined) return payload;
      if (Buffer.from(payload.metadata['key']).toString() !== 'right') throw new Error('another key');
      return plain(Buffer.from(payload.data ?? []).toString());
    }),
};

it('fails as long as nothing was decoded, since then its key may be the wrong one', async () => {
  const guarded = guardedCodec(codec, '/codec.mjs');
  const failure = 'the data converter /codec.mjs failed to decode a payload: another key';
  await expect(guarded.decode([sealed('wrong', 'a')])).rejects.toThrow(failure);
  // A payload that was never encoded proves nothing of the key.
  await guarded.decode([plain('b')]);
  await expect(guarded.decode([sealed('wrong', 'a')])).rejects.toThrow(failure);
});

it('passes on what it cannot decode once it has decoded something', async () => {
  const guarded = guardedCodec(codec, '/codec.mjs');
  expect(await guarded.decode([sealed('right', 'a')])).toEqual([plain('a')]);
  const foreign = sealed('wrong', 'b');
  expect(await guarded.decode([foreign, sealed('right', 'c')])).toEqual([foreign, plain('c')]);
});

it.each([
  ['throws', () => Promise.reject(new Error('no key service')), 'no key service'],
  ['gives fewer', async () => [], 'expected 1 payloads from it, got 0'],
  [
    'gives something else',
    async () => 'text' as never,
    'expected 1 payloads from it, got a value of type string',
  ],
])('says whose failure it is when encoding %s', async (_what, encode, reason) => {
  const guarded = guardedCodec({ ...codec, encode }, '/codec.mjs');
  await expect(guarded.encode([plain('a')])).rejects.toThrow(
    `the data converter /codec.mjs failed to encode a payload: ${reason}`,
  );
});
