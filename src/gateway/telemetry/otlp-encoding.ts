import { Writer } from 'protobufjs/minimal';

export type AttributeValue = string | number | boolean;
export type Attributes = Readonly<Record<string, AttributeValue>>;

/** One span, before it is encoded; times in milliseconds since 1970. */
export interface Span {
  readonly traceId: string;
  readonly spanId: string;
  readonly parentId: string | null;
  readonly name: string;
  readonly kind: 'server' | 'client';
  readonly startMs: number;
  readonly endMs: number;
  readonly attributes: Attributes;
  readonly events: readonly {
    readonly name: string;
    readonly atMs: number;
    readonly attributes: Attributes;
  }[];
  readonly failed: boolean;
}

/** What every request says of its sender. */
export interface SpanOrigin {
  readonly resource: Attributes;
  readonly scope: { readonly name: string; readonly version: string };
}

/** Spans are encoded one by one as they end, so that no batch holds up the event loop. */
export interface SpanEncoding {
  readonly contentType: string;
  span(span: Span): Buffer;
  /** One request with the spans of a batch. */
  request(spans: readonly Buffer[]): Buffer;
}

const KINDS = { server: 2, client: 3 } as const;
const ERROR = 2;

export function jsonEncoding({ resource, scope }: SpanOrigin): SpanEncoding {
  const head = `{"resourceSpans":[{"resource":{"attributes":${JSON.stringify(jsonAttributes(resource))}},"scopeSpans":[{"scope":${JSON.stringify(scope)},"spans":[`;
  const comma = Buffer.from(',');
  return {
    contentType: 'application/json',
    span: (span) =>
      Buffer.from(
        JSON.stringify({
          traceId: span.traceId,
          spanId: span.spanId,
          ...(span.parentId === null ? {} : { parentSpanId: span.parentId }),
          name: span.name,
          kind: KINDS[span.kind],
          startTimeUnixNano: `${microseconds(span.startMs)}000`,
          endTimeUnixNano: `${microseconds(span.endMs)}000`,
          attributes: jsonAttributes(span.attributes),
          events: span.events.map(({ name, atMs, attributes }) => ({
            timeUnixNano: `${microseconds(atMs)}000`,
            name,
            attributes: jsonAttributes(attributes),
          })),
          status: span.failed ? { code: ERROR } : {},
        }),
      ),
    request: (spans) =>
      Buffer.concat([
        Buffer.from(head),
        ...spans.flatMap((span, at) => (at === 0 ? [span] : [comma, span])),
        Buffer.from(']}]}]}'),
      ]),
  };
}

function jsonAttributes(attributes: Attributes): object[] {
  return Object.entries(attributes).map(([key, value]) => ({
    key,
    value:
      typeof value === 'string'
        ? { stringValue: value }
        : typeof value === 'boolean'
          ? { boolValue: value }
          : Number.isSafeInteger(value)
            ? { intValue: `${value}` }
            : { doubleValue: value },
  }));
}

// Tags are field numbers and wire types of opentelemetry.proto.trace.v1 and common.v1.
const BYTES = 2;
const VARINT = 0;
const FIXED64 = 1;

export function protobufEncoding({ resource, scope }: SpanOrigin): SpanEncoding {
  const scopeBytes = new Writer();
  text(scopeBytes, 1, scope.name);
  text(scopeBytes, 2, scope.version);
  const head = new Writer();
  head.uint32(tag(1, BYTES)).bytes(attributesOf(1, resource));
  const scopeHead = new Writer().uint32(tag(1, BYTES)).bytes(scopeBytes.finish()).finish();
  const resourceHead = head.finish();
  return {
    contentType: 'application/x-protobuf',
    span: (span) => {
      const bytes = spanBytes(span);
      return Buffer.from(new Writer().uint32(tag(2, BYTES)).bytes(bytes).finish());
    },
    request: (spans) => {
      const scopeSpans = Buffer.concat([scopeHead, ...spans]);
      const scopeSpansHead = new Writer().uint32(tag(2, BYTES)).uint32(scopeSpans.length).finish();
      const length = resourceHead.length + scopeSpansHead.length + scopeSpans.length;
      const requestHead = new Writer().uint32(tag(1, BYTES)).uint32(length).finish();
      return Buffer.concat([requestHead, resourceHead, scopeSpansHead, scopeSpans]);
    },
  };
}

function spanBytes(span: Span): Uint8Array {
  const writer = new Writer();
  writer.uint32(tag(1, BYTES)).bytes(Buffer.from(span.traceId, 'hex'));
  writer.uint32(tag(2, BYTES)).bytes(Buffer.from(span.spanId, 'hex'));
  if (span.parentId !== null) writer.uint32(tag(4, BYTES)).bytes(Buffer.from(span.parentId, 'hex'));
  text(writer, 5, span.name);
  writer.uint32(tag(6, VARINT)).int32(KINDS[span.kind]);
  nanoseconds(writer, 7, span.startMs);
  nanoseconds(writer, 8, span.endMs);
  writeAttributes(writer, 9, span.attributes);
  for (const { name, atMs, attributes } of span.events) {
    const event = new Writer();
    nanoseconds(event, 1, atMs);
    text(event, 2, name);
    writeAttributes(event, 3, attributes);
    writer.uint32(tag(11, BYTES)).bytes(event.finish());
  }
  if (span.failed)
    writer.uint32(tag(15, BYTES)).bytes(new Writer().uint32(tag(3, VARINT)).int32(ERROR).finish());
  return writer.finish();
}

function attributesOf(field: number, attributes: Attributes): Uint8Array {
  const writer = new Writer();
  writeAttributes(writer, field, attributes);
  return writer.finish();
}

function writeAttributes(writer: Writer, field: number, attributes: Attributes): void {
  for (const [key, value] of Object.entries(attributes)) {
    const any = new Writer();
    if (typeof value === 'string') text(any, 1, value);
    else if (typeof value === 'boolean') any.uint32(tag(2, VARINT)).bool(value);
    else if (Number.isSafeInteger(value)) any.uint32(tag(3, VARINT)).int64(value);
    else any.uint32(tag(4, FIXED64)).double(value);
    const pair = new Writer();
    text(pair, 1, key);
    pair.uint32(tag(2, BYTES)).bytes(any.finish());
    writer.uint32(tag(field, BYTES)).bytes(pair.finish());
  }
}

function text(writer: Writer, field: number, value: string): void {
  writer.uint32(tag(field, BYTES)).string(value);
}

/** A double holds nanoseconds since 1970 to within 256 of them. */
function nanoseconds(writer: Writer, field: number, ms: number): void {
  writer.uint32(tag(field, FIXED64)).fixed64(microseconds(ms) * 1_000);
}

function microseconds(ms: number): number {
  return Math.round(ms * 1_000);
}

function tag(field: number, wireType: number): number {
  return field * 8 + wireType;
}
