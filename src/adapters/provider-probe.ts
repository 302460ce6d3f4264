import OpenAI, { APIConnectionError, APIConnectionTimeoutError, APIError, APIUserAbortError } from 'openai';
import type { Configuration, ProviderConfiguration } from '../core/configuration-schema';
import type { FailureClass } from '../core/evidence';
import type { Side } from '../core/routing';
import { InvalidDocument } from '../core/schema-parts';
import type { ProbeKind, ProbeResult, ProviderPort } from '../ports';

/** Sent with every probe, so that a provider's own log tells probes from users. */
export const PROBE_HEADER = 'x-cutover-probe';

export interface ProviderProbesOptions {
  readonly configuration: Configuration;
  readonly resolveSecret: (reference: string) => string;
  readonly now: () => number;
}

/**
 * Synthetic requests to both providers of a route through the official client: models list, one tiny completion,
 * one tiny stream, embeddings. Failures are results, never exceptions; only a broken configuration throws.
 */
export function createProviderProbes(options: ProviderProbesOptions): ProviderPort {
  const { configuration, resolveSecret, now } = options;
  const routeOf = (name: string) => {
    const route = configuration.routes[name];
    if (route !== undefined) return route;
    const known = Object.keys(configuration.routes).join(', ');
    throw new InvalidDocument('the configuration', [
      { path: 'routes', message: `expected a route "${name}", got only ${known}` },
    ]);
  };
  return {
    models: (name) =>
      Object.entries(routeOf(name).models).map(([legacy, { candidate }]) => ({ legacy, candidate })),
    async probe(name, side, kind, limits) {
      const route = routeOf(name);
      const provider = configuration.providers[route[side]] as ProviderConfiguration;
      const client = clientOf(provider, resolveSecret, limits.timeoutMs);
      const model = modelOf(route.models, side);
      const startMs = now();
      try {
        // A signal of its own: the client never takes its listener off the one that lives as long as a watch.
        const signal = AbortSignal.any([limits.signal]);
        const answer = await send(client, kind, model, signal, now);
        return {
          kind,
          ok: true,
          latencyMs: now() - startMs,
          firstTokenMs: answer.firstTokenAtMs === null ? null : answer.firstTokenAtMs - startMs,
          error: null,
          models: answer.models,
        };
      } catch (error) {
        return failed(kind, now() - startMs, error);
      }
    },
  };
}

interface Answer {
  readonly models: readonly string[] | null;
  readonly firstTokenAtMs: number | null;
}

async function send(
  client: OpenAI,
  kind: ProbeKind,
  model: string,
  signal: AbortSignal,
  now: () => number,
): Promise<Answer> {
  const ping = { model, messages: [{ role: 'user' as const, content: 'ping' }], max_tokens: 1 };
  switch (kind) {
    case 'models': {
      const models: string[] = [];
      for await (const { id } of client.models.list({ signal })) models.push(id);
      return { models, firstTokenAtMs: null };
    }
    case 'plain': {
      const answer = await client.chat.completions.create(ping, { signal });
      if (!Array.isArray(answer.choices) || answer.choices.length === 0) throw new Malformed('no choices');
      return { models: null, firstTokenAtMs: null };
    }
    case 'stream': {
      let firstTokenAtMs: number | null = null;
      let finished = false;
      for await (const chunk of await client.chat.completions.create({ ...ping, stream: true }, { signal })) {
        firstTokenAtMs ??= now();
        if (chunk.choices?.[0]?.finish_reason != null) finished = true;
      }
      if (!finished) throw new Malformed('the stream ended without a finish reason');
      return { models: null, firstTokenAtMs };
    }
    case 'embeddings': {
      const answer = await client.embeddings.create({ model, input: 'ping' }, { signal });
      if (!Array.isArray(answer.data) || answer.data.length === 0) throw new Malformed('no embedding');
      return { models: null, firstTokenAtMs: null };
    }
    default:
      return kind satisfies never;
  }
}

class Malformed extends Error {
  override readonly name = 'Malformed';
}

/** Class and status only: messages of providers may carry addresses, and history keeps them for ever. */
function failed(kind: ProbeKind, latencyMs: number, error: unknown): ProbeResult {
  const { failure, detail } = classify(error);
  return {
    kind,
    ok: false,
    latencyMs,
    firstTokenMs: null,
    error: detail === '' ? failure : `${failure} (${detail})`,
    models: null,
  };
}

function classify(error: unknown): { failure: FailureClass; detail: string } {
  if (error instanceof Malformed) return { failure: 'malformed', detail: error.message };
  if (error instanceof APIUserAbortError) return { failure: 'timeout', detail: 'stopped' };
  if (error instanceof APIConnectionTimeoutError) return { failure: 'timeout', detail: '' };
  if (error instanceof APIConnectionError) return { failure: 'connect', detail: codeOf(error) };
  if (error instanceof APIError && typeof error.status === 'number') {
    const detail = `status ${error.status}`;
    if ([401, 402, 403].includes(error.status)) return { failure: 'status_auth', detail };
    if (error.status === 429) return { failure: 'status_429', detail };
    return { failure: error.status >= 500 ? 'status_5xx' : 'status_4xx', detail };
  }
  if (error instanceof APIError) return { failure: 'error_event', detail: '' };
  return { failure: 'malformed', detail: error instanceof SyntaxError ? 'no JSON' : codeOf(error) };
}

function codeOf(error: unknown): string {
  for (let cause: unknown = error; cause instanceof Error; cause = cause.cause) {
    const { code } = cause as NodeJS.ErrnoException;
    if (typeof code === 'string') return code;
  }
  return '';
}

/** `maxRetries` is 0: Temporal and the probe loop retry, and a retried probe would hide what it looks for. */
function clientOf(
  provider: ProviderConfiguration,
  resolveSecret: (reference: string) => string,
  timeoutMs: number,
): OpenAI {
  const { auth } = provider;
  const defaultHeaders: Record<string, string | null> = { ...provider.headers, [PROBE_HEADER]: '1' };
  const defaultQuery: Record<string, string> = { ...provider.query };
  let apiKey = 'none';
  if (auth === undefined) defaultHeaders['authorization'] = null;
  else if ('bearer' in auth) apiKey = resolveSecret(auth.bearer);
  else {
    defaultHeaders['authorization'] = null;
    if ('header' in auth) defaultHeaders[auth.header] = resolveSecret(auth.key);
    else defaultQuery[auth.query] = resolveSecret(auth.key);
  }
  return new OpenAI({
    baseURL: provider.baseUrl,
    apiKey,
    organization: null,
    project: null,
    defaultHeaders,
    defaultQuery,
    maxRetries: 0,
    timeout: timeoutMs,
    logLevel: 'off',
  });
}

function modelOf(models: Configuration['routes'][string]['models'], side: Side): string {
  const [first] = Object.entries(models);
  if (first === undefined) return 'none';
  return side === 'legacy' ? first[0] : first[1].candidate;
}
