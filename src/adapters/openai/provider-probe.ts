import type OpenAI from 'openai';
import { readRateLimits } from '../../assess/rate-limit-headers';
import { digestsIn } from '../../core/assessment/declared-identity';
import { fillerText } from '../../core/assessment/filler-text';
import { NO_RATE_LIMITS, type RateLimits } from '../../core/assessment/rate-limits';
import type {
  Configuration,
  ProviderConfiguration,
  RouteConfiguration,
} from '../../core/configuration/configuration-schema';
import type { Arm } from '../../core/routing/routing';
import type { ProbeKind, ProviderPort } from '../../ports';
import { bodyForProvider, configuredRoute, failureText, Malformed, providerClient } from './provider-client';
import { askProvider, type OwnParameter } from './provider-question';

export interface ProviderProbesOptions {
  readonly configuration: Configuration;
  readonly resolveSecret: (reference: string) => string;
  readonly now: () => number;
}

/**
 * Synthetic requests to both providers of a route through the official client, with what the route renames, drops
 * and sets. Failures are results, never exceptions; only a broken configuration throws.
 */
export function createProviderProbes(options: ProviderProbesOptions): ProviderPort {
  const { configuration, resolveSecret, now } = options;
  const routeOf = (name: string) => configuredRoute(configuration, name);
  const refusals = new Map<string, Map<string, Set<OwnParameter>>>();
  const refusedBy = (provider: string) => {
    const known = refusals.get(provider) ?? new Map<string, Set<OwnParameter>>();
    refusals.set(provider, known);
    return known;
  };
  const clientOf = (route: RouteConfiguration, provider: Arm, timeoutMs: number) =>
    providerClient(
      configuration.providers[route[provider]] as ProviderConfiguration,
      resolveSecret,
      timeoutMs,
    );
  return {
    models: (name) =>
      Object.entries(routeOf(name).models).map(([legacy, { candidate }]) => ({ legacy, candidate })),
    async probe(name, provider, kind, limits) {
      const route = routeOf(name);
      const client = clientOf(route, provider, limits.timeoutMs);
      const startMs = now();
      try {
        // A signal of its own: the client never takes its listener off the one that lives as long as a watch.
        const signal = AbortSignal.any([limits.signal]);
        const purpose = kind === 'embeddings' ? 'embedding' : 'chat';
        const fitted = <T extends object>(body: T): T =>
          bodyForProvider(route, provider, { model: null, purpose }, body);
        const answer = await send({ client, fitted, signal, now }, kind);
        return {
          kind,
          ok: true,
          latencyMs: now() - startMs,
          firstTokenMs: answer.firstTokenAtMs === null ? null : answer.firstTokenAtMs - startMs,
          error: null,
          models: answer.models,
          digests: answer.digests,
          rateLimits: answer.rateLimits,
        };
      } catch (error) {
        const latencyMs = now() - startMs;
        return {
          kind,
          ok: false,
          latencyMs,
          firstTokenMs: null,
          error: failureText(
            error,
            route[provider],
            configuration.providers[route[provider]] as ProviderConfiguration,
          ),
          models: null,
          digests: null,
        };
      }
    },
    async ask(name, provider, question, limits) {
      const route = routeOf(name);
      const client = clientOf(route, provider, limits.timeoutMs);
      const refused = refusedBy(route[provider]);
      return askProvider({ client, route, provider, refused, now }, question, limits.signal);
    },
  };
}

interface Sender {
  readonly client: OpenAI;
  readonly fitted: <T extends object>(body: T) => T;
  readonly signal: AbortSignal;
  readonly now: () => number;
}

interface ProbeReply {
  readonly models: readonly string[] | null;
  readonly digests: Readonly<Record<string, readonly string[]>> | null;
  readonly firstTokenAtMs: number | null;
  readonly rateLimits: RateLimits;
}

const ANSWERED: ProbeReply = {
  models: null,
  digests: null,
  firstTokenAtMs: null,
  rateLimits: NO_RATE_LIMITS,
};

async function send({ client, fitted, signal, now }: Sender, kind: ProbeKind): Promise<ProbeReply> {
  switch (kind) {
    case 'models': {
      const models: string[] = [];
      const digests = new Map<string, readonly string[]>();
      for await (const entry of client.models.list({ signal })) {
        models.push(entry.id);
        const stated = digestsIn(entry);
        if (stated.length > 0) digests.set(entry.id, stated);
      }
      return { ...ANSWERED, models, digests: Object.fromEntries(digests) };
    }
    case 'plain': {
      const { data, response } = await client.chat.completions
        .create(fitted(chat('ping', 1)), { signal })
        .withResponse();
      return { ...completed(data), rateLimits: readRateLimits(response.headers) };
    }
    case 'stream': {
      let firstTokenAtMs: number | null = null;
      let finished = false;
      const body = fitted({ ...chat('ping', 1), stream: true as const });
      for await (const chunk of await client.chat.completions.create(body, { signal })) {
        firstTokenAtMs ??= now();
        if (chunk.choices?.[0]?.finish_reason != null) finished = true;
      }
      if (!finished) throw new Malformed('the stream ended without a finish reason');
      return { ...ANSWERED, firstTokenAtMs };
    }
    case 'embeddings': {
      // The client would ask for base64, which not every provider knows.
      const body = fitted({ model: '', input: 'ping', encoding_format: 'float' as const });
      const answer = await client.embeddings.create(body, { signal });
      if (!Array.isArray(answer.data) || answer.data.length === 0) throw new Malformed('no embedding');
      return ANSWERED;
    }
    case 'tools': {
      const body = fitted({ ...chat('Note the number 7 with the tool.', 200), ...NOTE_TOOL });
      return calledTool(await client.chat.completions.create(body, { signal }));
    }
    case 'jsonSchema': {
      const body = fitted({ ...chat('Answer with ok set to true.', 100), ...OK_FORMAT });
      return kept(await client.chat.completions.create(body, { signal }));
    }
    case 'longContext': {
      const prompt = `${fillerText(LONG_CONTEXT_WORDS)}\n\nAnswer with the word yes.`;
      return completed(await client.chat.completions.create(fitted(chat(prompt, 1)), { signal }));
    }
    default:
      return kind satisfies never;
  }
}

/** About 8,000 tokens: beyond what small deployments are started with, cheap enough to send now and then. */
const LONG_CONTEXT_WORDS = 6_000;

type Completion = OpenAI.Chat.Completions.ChatCompletion;

function chat(content: string, maxTokens: number) {
  return { model: '', messages: [{ role: 'user' as const, content }], max_tokens: maxTokens };
}

const NOTE_TOOL = {
  tools: [
    {
      type: 'function' as const,
      function: {
        name: 'note',
        description: 'Notes a number.',
        parameters: { type: 'object', properties: { number: { type: 'integer' } }, required: ['number'] },
      },
    },
  ],
  tool_choice: { type: 'function' as const, function: { name: 'note' } },
};

const OK_FORMAT = {
  response_format: {
    type: 'json_schema' as const,
    json_schema: {
      name: 'answer',
      strict: true,
      schema: {
        type: 'object',
        properties: { ok: { type: 'boolean' } },
        required: ['ok'],
        additionalProperties: false,
      },
    },
  },
};

function completed(answer: Completion): ProbeReply {
  if (!Array.isArray(answer.choices) || answer.choices.length === 0) throw new Malformed('no choices');
  return ANSWERED;
}

function calledTool(answer: Completion): ProbeReply {
  completed(answer);
  const call = answer.choices[0]?.message?.tool_calls?.[0];
  if (call?.type !== 'function') throw new Malformed('the tool was not called');
  if (typeof parsed(call.function.arguments) !== 'object') throw new Malformed('arguments that are not JSON');
  return ANSWERED;
}

function kept(answer: Completion): ProbeReply {
  completed(answer);
  const value = parsed(answer.choices[0]?.message?.content ?? '');
  if (typeof value !== 'object' || value === null || typeof Reflect.get(value, 'ok') !== 'boolean') {
    throw new Malformed('an answer that does not keep to the JSON schema');
  }
  return ANSWERED;
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
