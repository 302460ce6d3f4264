import { BadInput } from '../../core/configuration/bad-input';

/** How requests are traced: OpenTelemetry's own environment variables, as its specification names them. */
export interface TraceSettings {
  /** Where spans are sent: OTLP over HTTP. */
  readonly url: string;
  readonly encoding: 'protobuf' | 'json';
  readonly gzip: boolean;
  readonly headers: Readonly<Record<string, string>>;
  readonly resource: Readonly<Record<string, string>>;
  readonly sampler: TraceSampler;
  /** For one export, milliseconds. */
  readonly timeoutMs: number;
  /** How long a span may wait for others, milliseconds. */
  readonly delayMs: number;
  readonly queueMost: number;
  readonly batchMost: number;
}

export interface TraceSampler {
  /** Whether a caller's decision is kept. */
  readonly parentBased: boolean;
  /** The part of the traces that is kept otherwise, 0 to 1. */
  readonly ratio: number;
}

type Environment = Readonly<Record<string, string | undefined>>;

const PROTOCOLS = { 'http/protobuf': 'protobuf', 'http/json': 'json' } as const;

/** Whether spans are to be sent at all: an endpoint is named, and nothing switches it off. */
export function isTraced(env: Environment): boolean {
  if (env['OTEL_SDK_DISABLED']?.toLowerCase() === 'true' || env['OTEL_TRACES_EXPORTER'] === 'none')
    return false;
  return endpointOf(env) !== null;
}

/** Reads the variables; call it only where `isTraced`. Throws `BadInput` that names the variable. */
export function traceSettings(env: Environment, defaults: Readonly<Record<string, string>>): TraceSettings {
  const endpoint = endpointOf(env);
  if (endpoint === null) throw new RangeError('expected an endpoint for traces');
  const protocolName = forTraces('PROTOCOL');
  const protocol = env[protocolName] || 'http/protobuf';
  if (!isKey(protocol, PROTOCOLS)) throw unusable(protocolName, 'http/protobuf or http/json', protocol);
  const compressionName = forTraces('COMPRESSION');
  const compression = env[compressionName] || 'none';
  if (compression !== 'none' && compression !== 'gzip')
    throw unusable(compressionName, 'gzip or none', compression);
  const queueMost = wholeNumber(env, 'OTEL_BSP_MAX_QUEUE_SIZE', 2_048);
  return {
    url: endpoint,
    encoding: PROTOCOLS[protocol],
    gzip: compression === 'gzip',
    headers: {
      ...pairs(env, 'OTEL_EXPORTER_OTLP_HEADERS'),
      ...pairs(env, 'OTEL_EXPORTER_OTLP_TRACES_HEADERS'),
    },
    resource: {
      ...defaults,
      ...pairs(env, 'OTEL_RESOURCE_ATTRIBUTES'),
      ...(env['OTEL_SERVICE_NAME'] ? { 'service.name': env['OTEL_SERVICE_NAME'] } : {}),
    },
    sampler: samplerOf(env),
    timeoutMs: wholeNumber(env, forTraces('TIMEOUT'), 10_000),
    delayMs: wholeNumber(env, 'OTEL_BSP_SCHEDULE_DELAY', 5_000),
    queueMost,
    batchMost: Math.min(wholeNumber(env, 'OTEL_BSP_MAX_EXPORT_BATCH_SIZE', 512), queueMost),
  };

  /** A variable for traces alone goes before the one for all signals. */
  function forTraces(name: string): string {
    const own = `OTEL_EXPORTER_OTLP_TRACES_${name}`;
    return env[own] ? own : `OTEL_EXPORTER_OTLP_${name}`;
  }
}

function endpointOf(env: Environment): string | null {
  const own = env['OTEL_EXPORTER_OTLP_TRACES_ENDPOINT'];
  if (own) return webAddress('OTEL_EXPORTER_OTLP_TRACES_ENDPOINT', own).href;
  const shared = env['OTEL_EXPORTER_OTLP_ENDPOINT'];
  if (!shared) return null;
  const url = webAddress('OTEL_EXPORTER_OTLP_ENDPOINT', shared);
  url.pathname = `${url.pathname.replace(/\/$/, '')}/v1/traces`;
  return url.href;
}

function webAddress(name: string, text: string): URL {
  const url = URL.canParse(text) ? new URL(text) : null;
  if (url !== null && /^https?:$/.test(url.protocol)) return url;
  throw unusable(name, 'an http or https URL such as http://127.0.0.1:4318', text);
}

function samplerOf(env: Environment): TraceSampler {
  const name = env['OTEL_TRACES_SAMPLER'] || 'parentbased_always_on';
  const match = /^(parentbased_)?(always_on|always_off|traceidratio)$/.exec(name);
  if (match === null) {
    const known = 'always_on, always_off or traceidratio, or one of them with parentbased_ before it';
    throw unusable('OTEL_TRACES_SAMPLER', known, name);
  }
  const argument = env['OTEL_TRACES_SAMPLER_ARG'] || '1';
  const ratio = match[2] === 'traceidratio' ? Number(argument) : match[2] === 'always_on' ? 1 : 0;
  if (!(ratio >= 0 && ratio <= 1))
    throw unusable('OTEL_TRACES_SAMPLER_ARG', 'a number from 0 to 1', argument);
  return { parentBased: match[1] !== undefined, ratio };
}

/** `key=value,key2=value2`, percent-encoded; what such a list holds is never shown. */
function pairs(env: Environment, name: string): Record<string, string> {
  const found: Record<string, string> = {};
  for (const pair of (env[name] ?? '').split(',')) {
    if (pair.trim() === '') continue;
    const equals = pair.indexOf('=');
    try {
      if (equals < 1) throw new TypeError('no value');
      found[pair.slice(0, equals).trim()] = decodeURIComponent(pair.slice(equals + 1).trim());
    } catch {
      throw new BadInput(`${name}: expected key=value pairs separated by commas, got one that is not`);
    }
  }
  return found;
}

function wholeNumber(env: Environment, name: string, fallback: number): number {
  const text = env[name];
  if (!text) return fallback;
  const number = Number(text);
  if (Number.isSafeInteger(number) && number > 0) return number;
  throw unusable(name, 'a whole number above 0', text);
}

function isKey<Table extends object>(text: string, table: Table): text is keyof Table & string {
  return Object.hasOwn(table, text);
}

function unusable(name: string, expected: string, got: string): BadInput {
  return new BadInput(`${name}: expected ${expected}, got ${JSON.stringify(got)}`);
}
