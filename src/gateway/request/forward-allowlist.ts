import type { Configuration } from '../../core/configuration/configuration-schema';

/** Names of the headers (lower case) and query parameters of callers that are passed on to providers. */
export interface ForwardAllowlist {
  readonly headers: ReadonlySet<string>;
  readonly query: ReadonlySet<string>;
}

/** SDKs describe themselves and their retries with headers that begin so. */
const SDK_PREFIX = 'x-stainless-';

/**
 * What providers need of a caller's headers, besides those that `request-head.ts` reads itself. Everything else may
 * say who calls or open something of the caller's, so it stays here unless the configuration names it.
 */
const NEEDED_HEADERS = [
  'accept',
  'anthropic-beta',
  'anthropic-version',
  'content-encoding',
  'idempotency-key',
  'openai-beta',
  'openai-safety-identifier',
  'traceparent',
  'tracestate',
  'user-agent',
  'x-client-request-id',
  // Files and other contents are fetched in parts and only where they changed.
  'if-match',
  'if-modified-since',
  'if-none-match',
  'if-range',
  'if-unmodified-since',
  'range',
  // Handshakes of WebSockets. Without extensions frames are not compressed, and can be searched for keys.
  'sec-websocket-key',
  'sec-websocket-protocol',
  'sec-websocket-version',
];

/** The query parameters of OpenAI's API and of Anthropic's. `api-version` is not among them: a provider's own query has it. */
const API_PARAMETERS = [
  'after',
  'before',
  'beta',
  'call_id',
  'deployment',
  'filter',
  'include',
  'include_obfuscation',
  'intent',
  'limit',
  'metadata',
  'model',
  'name',
  'order',
  'order_by',
  'purpose',
  'run_id',
  'starting_after',
  'status',
  'stream',
  'user',
  'variant',
];

/** What at least one provider gets. */
export function forwardingOf(configuration: Configuration): ForwardAllowlist {
  const providers = Object.values(configuration.providers);
  return {
    headers: new Set([
      ...NEEDED_HEADERS,
      ...lowerCase([
        ...configuration.headers.forward,
        ...providers.flatMap(({ forward }) => forward.headers),
      ]),
    ]),
    query: new Set([
      ...API_PARAMETERS,
      ...configuration.query.forward,
      ...providers.flatMap(({ forward }) => forward.query),
    ]),
  };
}

/** What other providers get and this one does not. */
export function withheldFrom(name: string, configuration: Configuration): ForwardAllowlist {
  const providers = Object.entries(configuration.providers);
  const own = configuration.providers[name]?.forward ?? { headers: [], query: [] };
  const ownHeaders = new Set([
    ...NEEDED_HEADERS,
    ...lowerCase(configuration.headers.forward.concat(own.headers)),
  ]);
  const ownQuery = new Set([...API_PARAMETERS, ...configuration.query.forward, ...own.query]);
  return {
    headers: new Set(
      lowerCase(providers.flatMap(([, { forward }]) => forward.headers)).filter(
        (header) => !ownHeaders.has(header),
      ),
    ),
    query: new Set(
      providers.flatMap(([, { forward }]) => forward.query).filter((parameter) => !ownQuery.has(parameter)),
    ),
  };
}

/** Whether a header of a caller is passed on; `name` in lower case. */
export function isForwarded(name: string, { headers }: ForwardAllowlist): boolean {
  return headers.has(name) || name.startsWith(SDK_PREFIX);
}

/** The part of a query whose parameters have one of these names; with `except`, the part whose names are others. */
export function queryOf(query: string, names: ReadonlySet<string>, except = false): string {
  if (query === '') return '';
  return query
    .split('&')
    .filter((pair) => !pair.includes(';') && names.has(parameterName(pair)) !== except)
    .join('&');
}

/** `include` of `include[]=x` and of `include%5B0%5D=x`. */
function parameterName(pair: string): string {
  const equals = pair.indexOf('=');
  const name = unescaped(equals < 0 ? pair : pair.slice(0, equals));
  const bracket = name.indexOf('[');
  return bracket < 0 ? name : name.slice(0, bracket);
}

function unescaped(text: string): string {
  if (!text.includes('%')) return text;
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

function lowerCase(names: readonly string[]): string[] {
  return names.map((name) => name.toLowerCase());
}
