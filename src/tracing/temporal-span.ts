import type { ReadableSpan } from '@opentelemetry/sdk-trace-base';
import type { SerializableSpan } from '@temporalio/interceptors-opentelemetry';
import type { AttributeValue, Span } from '../gateway/telemetry/otlp-encoding';

/** A span that ended: of an activity, or of a workflow, whose spans are copied out of its sandbox. */
export type EndedSpan = ReadableSpan | SerializableSpan;

const FAILED = 2;
const MOST_CHARACTERS = 256;

/**
 * A span as it is sent. Of an exception it keeps the type alone: messages may hold addresses, reasons and names, which
 * stand in Temporal behind its own access and codec.
 */
export function sentSpan(span: EndedSpan, ids: Readonly<Record<string, string>>): Span {
  const { traceId, spanId } = typeof span.spanContext === 'function' ? span.spanContext() : span.spanContext;
  const thrown = span.events.find(({ name }) => name === 'exception')?.attributes?.['exception.type'];
  const given = { ...span.attributes, ...ids, ...(thrown === undefined ? {} : { 'error.type': thrown }) };
  const attributes: Record<string, AttributeValue> = {};
  for (const [name, value] of Object.entries(given)) {
    if (typeof value === 'string') attributes[name] = shortened(value);
    else if (typeof value === 'number' || typeof value === 'boolean') attributes[name] = value;
  }
  return {
    ...{ traceId, spanId, parentId: span.parentSpanId ?? null },
    ...{ name: shortened(span.name), kind: 'internal' },
    ...{ startMs: milliseconds(span.startTime), endMs: milliseconds(span.endTime) },
    ...{ attributes, events: [], failed: span.status.code === FAILED },
  };
}

/** Seconds and nanoseconds since 1970. */
function milliseconds([seconds, nanoseconds]: readonly [number, number]): number {
  return seconds * 1_000 + nanoseconds / 1e6;
}

/** A signal may have any name. */
function shortened(text: string): string {
  return text.length > MOST_CHARACTERS ? text.slice(0, MOST_CHARACTERS) : text;
}
