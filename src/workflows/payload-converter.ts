import { defaultPayloadConverter, type Payload, type PayloadConverter } from '@temporalio/common';
import { decode } from '@temporalio/common/lib/encoding';

/** What a payload gives that is not JSON, such as one that a codec made which this worker lacks. */
export const UNREADABLE = 'unreadable';

/**
 * Reads every payload, whatever encoding it claims: thrown here, a signal that cannot be read would fail each
 * workflow task for ever, and the dialog of the Temporal UI offers an encoding (json/protobuf) that the default
 * converter does not know. What is JSON is read as such; anything else becomes a text, which no command is.
 */
export const payloadConverter: PayloadConverter = {
  toPayload: (value) => defaultPayloadConverter.toPayload(value),
  fromPayload<T>(payload: Payload): T {
    try {
      return defaultPayloadConverter.fromPayload(payload);
    } catch {
      // The record of a migration reads its messages by the same rule, so what this gives is sealed there too.
      return (readJson(payload) ?? UNREADABLE) as T;
    }
  },
};

function readJson({ data }: Payload): unknown {
  try {
    return JSON.parse(decode(data ?? new Uint8Array()));
  } catch {
    return undefined;
  }
}
