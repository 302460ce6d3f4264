import { Writer } from 'protobufjs/minimal';

export type AttributeValue = string | number | boolean;
export type Attributes = Readonly<Record<string, AttributeValue>>;

/** One span, before it is encoded; times in milliseconds since 1970. */
export interface Span {
  readonly traceId: string;
  readonly spanId: string;
  readonly parentId: string | null;
  readonly name: string;
  readonly kind: 'internal' | 'server' | 'client';
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

const KINDS = { internal: 1, server: 2, client: 3 } as const;
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
    span: spanBytes,
    request: (spans) => {
      const scopeSpans = Buffer.concat([scopeHead, ...spans]);
      const scopeSpansHead = new Writer().uint32(tag(2, BYTES)).uint32(scopeSpans.length).finish();
      const length = resourceHead.length + scopeSpansHead.length + scopeSpans.length;
      const requestHead = new Writer().uint32(tag(1, BYTES)).uint32(length).finish();
      return Buffer.concat([requestHead, resourceHead, scopeSpansHead, scopeSpans]);
    },
  };
}

/** Texts of callers are cut before they come here, so that no span is longer. */
const SCRATCH = Buffer.allocUnsafe(65_536);

/**
 * A field of `ScopeSpans`. Nearly all attributes of a span are those of the one before, so that they are copied as they
 * were encoded then: with a writer for each of them a span took 17 us, and now 2.
 */
function spanBytes(span: Span): Buffer {
  let at = 0;
  const hex = (field: number, id: string): void => {
    SCRATCH[at] = tag(field, BYTES);
    SCRATCH[at + 1] = id.length / 2;
    at += 2 + SCRATCH.write(id, at + 2, 'hex');
  };
  const copy = (bytes: Uint8Array): void => {
    SCRATCH.set(bytes, at);
    at += bytes.length;
  };
  const time = (field: number, ms: number): void => {
    SCRATCH[at] = tag(field, FIXED64);
    // A double holds nanoseconds since 1970 to within 256 of them.
    const ns = microseconds(ms) * 1_000;
    const high = Math.floor(ns / 2 ** 32);
    SCRATCH.writeUInt32LE(ns - high * 2 ** 32, at + 1);
    SCRATCH.writeUInt32LE(high, at + 5);
    at += 9;
  };
  hex(1, span.traceId);
  hex(2, span.spanId);
  if (span.parentId !== null) hex(4, span.parentId);
  copy(remembered('', span.name, () => textField(5, span.name)));
  SCRATCH[at] = tag(6, VARINT);
  SCRATCH[at + 1] = KINDS[span.kind];
  at += 2;
  time(7, span.startMs);
  time(8, span.endMs);
  for (const key in span.attributes) {
    const value = span.attributes[key] as AttributeValue;
    copy(remembered(key, value, () => attributeField(9, key, value)));
  }
  for (const event of span.events) copy(eventField(event));
  if (span.failed) copy(FAILED);
  const length = new Writer().uint32(tag(2, BYTES)).uint32(at).finish();
  const whole = Buffer.allocUnsafe(length.length + at);
  whole.set(length, 0);
  SCRATCH.copy(whole, length.length, 0, at);
  return whole;
}

const FAILED = new Writer()
  .uint32(tag(15, BYTES))
  .bytes(new Writer().uint32(tag(3, VARINT)).int32(ERROR).finish())
  .finish();

/** Encoded attributes by key and value; a key with more values, such as a count of tokens, keeps the first ones. */
const memory = new Map<string, Map<AttributeValue, Uint8Array>>();
const VALUES_MOST = 500;

function remembered(key: string, value: AttributeValue, encode: () => Uint8Array): Uint8Array {
  let values = memory.get(key);
  if (values === undefined) {
    values = new Map();
    memory.set(key, values);
  }
  const known = values.get(value);
  if (known !== undefined) return known;
  const encoded = encode();
  if (values.size < VALUES_MOST) values.set(value, encoded);
  return encoded;
}

function eventField({ name, atMs, attributes }: Span['events'][number]): Uint8Array {
  const event = new Writer();
  event.uint32(tag(1, FIXED64)).fixed64(microseconds(atMs) * 1_000);
  text(event, 2, name);
  writeAttributes(event, 3, attributes);
  return new Writer().uint32(tag(11, BYTES)).bytes(event.finish()).finish();
}

function textField(field: number, value: string): Uint8Array {
  const writer = new Writer();
  text(writer, field, value);
  return writer.finish();
}

function attributeField(field: number, key: string, value: AttributeValue): Uint8Array {
  return attributesOf(field, { [key]: value });
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

function microseconds(ms: number): number {
  return Math.round(ms * 1_000);
}

function tag(field: number, wireType: number): number {
  return field * 8 + wireType;
}
