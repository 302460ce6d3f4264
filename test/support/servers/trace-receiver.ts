import { createServer, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { gunzipSync } from 'node:zlib';
import { parse } from 'protobufjs';

/** Of opentelemetry-proto 1.5, written out from its files: what a trace holds. */
const PROTO = `
  syntax = "proto3";
  message ExportTraceServiceRequest { repeated ResourceSpans resource_spans = 1; }
  message ResourceSpans { Resource resource = 1; repeated ScopeSpans scope_spans = 2; }
  message Resource { repeated KeyValue attributes = 1; }
  message ScopeSpans { InstrumentationScope scope = 1; repeated Span spans = 2; }
  message InstrumentationScope { string name = 1; string version = 2; }
  message Span {
    bytes trace_id = 1; bytes span_id = 2; string trace_state = 3; bytes parent_span_id = 4;
    string name = 5; int32 kind = 6; fixed64 start_time_unix_nano = 7; fixed64 end_time_unix_nano = 8;
    repeated KeyValue attributes = 9; repeated Event events = 11; Status status = 15; fixed32 flags = 16;
    message Event { fixed64 time_unix_nano = 1; string name = 2; repeated KeyValue attributes = 3; }
  }
  message Status { string message = 2; int32 code = 3; }
  message KeyValue { string key = 1; AnyValue value = 2; }
  message AnyValue { oneof value { string string_value = 1; bool bool_value = 2; int64 int_value = 3; double double_value = 4; } }
`;
const REQUEST = parse(PROTO).root.lookupType('ExportTraceServiceRequest');

export interface ReceivedSpan {
  readonly traceId: string;
  readonly spanId: string;
  readonly parentSpanId: string;
  readonly name: string;
  readonly kind: number;
  readonly startNs: number;
  readonly endNs: number;
  readonly attributes: Readonly<Record<string, unknown>>;
  readonly events: readonly {
    readonly name: string;
    readonly attributes: Readonly<Record<string, unknown>>;
  }[];
  readonly failed: boolean;
  readonly resource: Readonly<Record<string, unknown>>;
}

/** A collector of traces by OTLP over HTTP, in both encodings; `answer` says how it answers. */
export interface TraceReceiver {
  readonly url: string;
  readonly spans: ReceivedSpan[];
  /** What came as it came, unzipped. */
  readonly bodies: Buffer[];
  readonly headers: NodeJS.Dict<string | string[]>[];
  answer: (response: ServerResponse) => void;
  /** Waits until spans with these names have come. */
  until(names: readonly string[]): Promise<void>;
  stop(): Promise<void>;
}

const WAIT_MS = 20_000;

export async function startTraceReceiver(): Promise<TraceReceiver> {
  const spans: ReceivedSpan[] = [];
  const bodies: Buffer[] = [];
  const headers: NodeJS.Dict<string | string[]>[] = [];
  const server = createServer((request, response) => {
    const pieces: Buffer[] = [];
    request.on('data', (piece: Buffer) => pieces.push(piece));
    request.on('error', () => undefined);
    request.on('end', () => {
      const sent = Buffer.concat(pieces);
      const body = request.headers['content-encoding'] === 'gzip' ? gunzipSync(sent) : sent;
      bodies.push(body);
      headers.push(request.headers);
      if (request.url === '/v1/traces') spans.push(...decoded(body, request.headers['content-type'] ?? ''));
      receiver.answer(response);
    });
  });
  server.on('connection', (socket) => socket.on('error', () => undefined));
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const receiver: TraceReceiver = {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    ...{ spans, bodies, headers },
    answer: (response) => void response.end('{}'),
    async until(names) {
      for (const endMs = performance.now() + WAIT_MS; ; await sleep(20)) {
        const left = spans.map(({ name }) => name);
        const missing = names.filter((name) => {
          const at = left.indexOf(name);
          if (at >= 0) left.splice(at, 1);
          return at < 0;
        });
        if (missing.length === 0) return;
        if (performance.now() > endMs) throw new Error(`expected the spans ${missing}, got ${left}`);
      }
    },
    stop: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
  return receiver;
}

interface WireValue {
  readonly stringValue?: string;
  readonly boolValue?: boolean;
  readonly intValue?: string | number;
  readonly doubleValue?: number;
}
interface WireSpan {
  readonly traceId: string | Uint8Array;
  readonly spanId: string | Uint8Array;
  readonly parentSpanId?: string | Uint8Array;
  readonly name: string;
  readonly kind: number;
  readonly startTimeUnixNano: string | number;
  readonly endTimeUnixNano: string | number;
  readonly attributes: WirePair[];
  readonly events?: { readonly name: string; readonly attributes: WirePair[] }[];
  readonly status?: { readonly code?: number };
}
type WirePair = { readonly key: string; readonly value: WireValue };

function decoded(body: Buffer, contentType: string): ReceivedSpan[] {
  if (!['application/json', 'application/x-protobuf'].includes(contentType)) {
    throw new Error(`expected an encoding of OTLP, got ${contentType}`);
  }
  const message =
    contentType === 'application/json'
      ? JSON.parse(body.toString('utf8'))
      : REQUEST.toObject(REQUEST.decode(body), { longs: Number });
  const { resourceSpans } = message as {
    resourceSpans: { resource: { attributes: WirePair[] }; scopeSpans: { spans: WireSpan[] }[] }[];
  };
  return resourceSpans.flatMap(({ resource, scopeSpans }) =>
    scopeSpans.flatMap((scope) => scope.spans.map((span) => spanOf(span, values(resource.attributes)))),
  );
}

function spanOf(span: WireSpan, resource: Readonly<Record<string, unknown>>): ReceivedSpan {
  return {
    ...{ name: span.name, kind: span.kind, resource },
    ...{ traceId: hex(span.traceId), spanId: hex(span.spanId), parentSpanId: hex(span.parentSpanId ?? '') },
    ...{ startNs: Number(span.startTimeUnixNano), endNs: Number(span.endTimeUnixNano) },
    attributes: values(span.attributes),
    events: (span.events ?? []).map(({ name, attributes }) => ({ name, attributes: values(attributes) })),
    failed: span.status?.code === 2,
  };
}

function values(pairs: readonly WirePair[] = []): Record<string, unknown> {
  return Object.fromEntries(
    pairs.map(({ key, value }) => [
      key,
      value.stringValue ??
        value.boolValue ??
        (value.intValue === undefined ? value.doubleValue : Number(value.intValue)),
    ]),
  );
}

function hex(id: string | Uint8Array): string {
  return typeof id === 'string' ? id : Buffer.from(id).toString('hex');
}
