import type { RequestFacts } from '../request/request-facts';
import type { Attempt } from '../upstream/attempt';
import type { Provider } from '../upstream/provider';
import type { FinishedCall } from './finished-call';
import { type AttributeValue, jsonEncoding, protobufEncoding, type Span } from './otlp-encoding';
import { type SpanCounts, SpanExport } from './span-export';
import { isSampled, randomHex, takeTraceContext, traceparent } from './trace-context';
import { type TraceSettings, traceSettings } from './trace-settings';

/** Traces the requests of one process. */
export interface Tracing {
  begin(forward: readonly string[]): RequestTrace;
  readonly counts: SpanCounts;
  /** Sends what is left, for two seconds at most. */
  stop(): Promise<void>;
}

interface Clocks {
  readonly now: () => number;
  readonly wallNow: () => number;
}

/**
 * Starts the export of spans by OpenTelemetry's variables. Throws `BadInput` that names the variable.
 *
 * @public loaded by `require` in `open-tracing.ts`
 */
export function startTracing(options: {
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly gateway: string;
  readonly version: string;
  readonly clocks: Clocks;
  readonly warn: (message: string) => void;
}): Tracing {
  const { env, gateway, version, clocks, warn } = options;
  const settings = traceSettings(env, {
    ...{ 'service.name': 'cutover-gateway', 'service.version': version, 'service.instance.id': gateway },
    ...{
      'telemetry.sdk.name': 'cutover',
      'telemetry.sdk.language': 'nodejs',
      'telemetry.sdk.version': version,
    },
  });
  const origin = { resource: settings.resource, scope: { name: 'cutover.gateway', version } };
  const encoding = settings.encoding === 'json' ? jsonEncoding(origin) : protobufEncoding(origin);
  const spans = new SpanExport(settings, encoding, warn);
  return {
    begin: (forward) => new RequestTrace(forward, settings, spans, clocks),
    get counts() {
      return spans.counts;
    },
    stop: () => spans.stop(),
  };
}

/** What a call says of itself. */
interface TracedCall extends FinishedCall {
  readonly facts: Pick<RequestFacts, 'model'> | null;
  readonly operation: string;
  readonly record: FinishedCall['record'] & { readonly answering: Attempt | null };
  modelAskedOf(provider: Provider): string | null;
}

type MutableAttributes = Record<string, AttributeValue>;

/** An attempt that has ended, until its request has. */
interface EndedAttempt {
  readonly attempt: Attempt;
  readonly purpose: string;
}

/**
 * The spans of one request: one of the gateway, whose parent is the caller's, and one for each provider that was asked,
 * which that provider is told as its parent. They hold names, numbers and outcomes; no texts and no keys.
 */
export class RequestTrace {
  readonly #traceId: string;
  readonly #spanId = randomHex(8);
  readonly #parentId: string | null;
  readonly #sampled: boolean;
  readonly #rest: readonly string[];
  readonly #ended: EndedAttempt[] = [];
  #finished: TracedCall | null = null;

  constructor(
    forward: readonly string[],
    settings: TraceSettings,
    private readonly spans: SpanExport,
    private readonly clocks: Clocks,
  ) {
    const { caller, rest } = takeTraceContext(forward);
    const { parentBased, ratio } = settings.sampler;
    this.#traceId = caller?.traceId ?? randomHex(16);
    this.#parentId = caller?.spanId ?? null;
    this.#sampled = caller !== null && parentBased ? caller.sampled : isSampled(this.#traceId, ratio);
    this.#rest = rest;
  }

  /** The headers that a provider gets from the caller, with this trace in place of the caller's. */
  headers(): string[] {
    return ['traceparent', traceparent(this.#traceId, randomHex(8), this.#sampled), ...this.#rest];
  }

  attemptEnded(attempt: Attempt, purpose: string): void {
    if (!this.#sampled) return;
    if (this.#finished === null) this.#ended.push({ attempt, purpose });
    // One that legacy was faster than ends later than its request.
    else this.spans.add(this.#attemptSpan(this.#finished, { attempt, purpose }));
  }

  /** Sends the spans of the request. */
  finished(call: TracedCall): void {
    if (!this.#sampled || this.#finished !== null) return;
    this.#finished = call;
    for (const ended of this.#ended) this.spans.add(this.#attemptSpan(call, ended));
    this.spans.add(this.#requestSpan(call));
  }

  // Attributes are set one after the other: objects that are spread took a third of the time of a span.

  #requestSpan(call: TracedCall): Span {
    const { facts, record } = call;
    const { outcome, arm, firstTokenMs, failover, servedBy } = record;
    const wallMs = this.#wallMs();
    const method = call.request.method ?? 'GET';
    const status = call.response.statusCode;
    const attributes: MutableAttributes = {
      'http.request.method': method,
      'url.path': shortened(`/v1${call.path}`),
      'http.response.status_code': status,
      'cutover.route': call.route.name,
      'cutover.team': call.caller.team,
      'cutover.traffic_class': call.traffic.class,
      'cutover.epoch': record.epoch,
      'cutover.outcome': outcome,
    };
    if (arm !== null) attributes['cutover.arm'] = arm;
    if (failover !== null) attributes['cutover.failover'] = failover;
    if (firstTokenMs !== null) attributes['cutover.first_token_ms'] = Math.round(firstTokenMs);
    if (servedBy !== null) attributes['gen_ai.provider.name'] = servedBy.name;
    if (outcome !== 'success') attributes['error.type'] = outcome;
    if (facts !== null) setModels(attributes, call, facts.model, true);
    return {
      traceId: this.#traceId,
      spanId: this.#spanId,
      parentId: this.#parentId,
      name: facts === null ? method : `${call.operation} ${shortened(facts.model)}`,
      kind: 'server',
      startMs: call.startedMs + wallMs,
      endMs: (call.endedMs ?? this.clocks.now()) + wallMs,
      attributes,
      events: this.#ended.filter(isAnother).map((another) => eventOf(another, failover, wallMs)),
      failed: status >= 500 || (outcome !== 'success' && outcome !== 'aborted'),
    };
  }

  #attemptSpan(call: TracedCall, { attempt, purpose }: EndedAttempt): Span {
    const { options, failure, status } = attempt;
    const { provider, headers, method } = options;
    const wallMs = this.#wallMs();
    const model = call.modelAskedOf(provider);
    const { host, port } = addressOf(provider);
    const attributes: MutableAttributes = {
      'http.request.method': method,
      'gen_ai.provider.name': provider.name,
      'server.address': host,
      'server.port': port,
      'cutover.purpose': purpose,
    };
    if (status !== 0) attributes['http.response.status_code'] = status;
    if (failure !== null) attributes['error.type'] = failure.kind;
    if (model !== null) setModels(attributes, call, model, call.record.answering === attempt);
    return {
      traceId: this.#traceId,
      spanId: sentSpanId(headers) ?? randomHex(8),
      parentId: this.#spanId,
      name: model === null ? method : `${call.operation} ${shortened(model)}`,
      kind: 'client',
      startMs: attempt.startedMs + wallMs,
      endMs: attempt.endedMs + wallMs,
      attributes,
      events: [],
      failed: failure !== null,
    };
  }

  /** What is added to a time of the monotonic clock. */
  #wallMs(): number {
    return this.clocks.wallNow() - this.clocks.now();
  }
}

/** An attempt after the one that the draw, or the kind of request, asked for. */
function isAnother({ purpose }: EndedAttempt): boolean {
  return ANOTHER.has(purpose);
}

const ANOTHER: ReadonlySet<string> = new Set([
  'failover',
  'hedge',
  'routing changed',
  'without usage option',
]);

function eventOf(
  { attempt, purpose }: EndedAttempt,
  failover: string | null,
  wallMs: number,
): Span['events'][number] {
  const attributes: MutableAttributes = { 'gen_ai.provider.name': attempt.options.provider.name };
  if (failover !== null) attributes['cutover.failover'] = failover;
  return { name: `cutover.${purpose.replaceAll(' ', '_')}`, atMs: attempt.startedMs + wallMs, attributes };
}

interface Address {
  readonly host: string;
  readonly port: number;
}

const addresses = new WeakMap<Provider, Address>();

function addressOf(provider: Provider): Address {
  const known = addresses.get(provider);
  if (known !== undefined) return known;
  const { hostname, port, protocol } = new URL(provider.configuration.baseUrl);
  const found = { host: hostname, port: port === '' ? (protocol === 'https:' ? 443 : 80) : Number(port) };
  addresses.set(provider, found);
  return found;
}

function setModels(attributes: MutableAttributes, call: TracedCall, model: string, answered: boolean): void {
  attributes['gen_ai.operation.name'] = call.operation;
  attributes['gen_ai.request.model'] = shortened(model);
  if (!answered) return;
  const { usage, answering } = call.record;
  const said = answering?.gist?.model ?? null;
  if (said !== null) attributes['gen_ai.response.model'] = shortened(said);
  if (usage === null) return;
  attributes['gen_ai.usage.input_tokens'] = usage.input;
  attributes['gen_ai.usage.output_tokens'] = usage.output;
  if (usage.cached > 0) attributes['gen_ai.usage.cache_read.input_tokens'] = usage.cached;
  if (usage.written > 0) attributes['gen_ai.usage.cache_creation.input_tokens'] = usage.written;
}

/** Of the header that `headers` made; a provider's own configured one may have replaced it. */
function sentSpanId(headers: readonly string[]): string | null {
  const at = headers.indexOf('traceparent');
  return at < 0 ? null : (headers[at + 1] ?? '').slice(36, 52) || null;
}

/** Callers and providers may call a model anything. */
function shortened(text: string): string {
  return text.length > 256 ? text.slice(0, 256) : text;
}
