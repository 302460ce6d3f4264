import type { Payload, PayloadCodec } from '@temporalio/common';

/**
 * Decodes each payload in the events of a history, in place. The SDK decodes what it reads itself, and leaves the events
 * that `fetchHistory` gives as they are.
 */
export async function decodeEvents(events: unknown, codecs: readonly PayloadCodec[]): Promise<void> {
  if (codecs.length === 0) return;
  const found: Payload[] = [];
  collect(events, found);
  await Promise.all(
    found.map(async (payload) => {
      let decoded = payload;
      // As the SDK does: the last codec encoded last.
      for (const codec of [...codecs].reverse()) {
        [decoded = decoded] = await codec.decode([decoded]);
      }
      payload.metadata = decoded.metadata ?? null;
      payload.data = decoded.data ?? null;
    }),
  );
}

function collect(value: unknown, found: Payload[]): void {
  if (typeof value !== 'object' || value === null || value instanceof Uint8Array) return;
  if (isPayload(value)) {
    found.push(value);
    return;
  }
  for (const inner of Object.values(value)) collect(inner, found);
}

function isPayload(value: object): value is Payload {
  const { metadata, data } = value as Payload;
  return (
    typeof metadata === 'object' &&
    metadata !== null &&
    (data == null || data instanceof Uint8Array) &&
    'encoding' in metadata
  );
}
