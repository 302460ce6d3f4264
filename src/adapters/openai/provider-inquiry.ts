import type OpenAI from 'openai';
import { APIError } from 'openai';
import { readRateLimits } from '../../assess/rate-limit-headers';
import type { FeatureAnswer, ProviderInquiry } from '../../assess/readiness';
import type { FeatureName } from '../../assess/usage/usage-analysis';
import { NO_RATE_LIMITS } from '../../core/assessment/rate-limits';
import { type ProviderEndpoint, providerClient } from './provider-client';

/** A black square of one pixel. */
const PIXEL =
  'data:image/png;base64,iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR4nGNgYGBgAAAABQABpfZFQAAAAABJRU5ErkJggg==';

const PING = [{ role: 'user' as const, content: 'ping' }];

/** A model that is loaded first may take its time. */
const TIMEOUT_MS = 60_000;

/**
 * Asks a provider what it serves: one request each, never repeated, answers of a few tokens. Throws
 * `UnresolvedSecret`.
 */
export function providerInquiry(
  provider: ProviderEndpoint,
  resolveSecret: (reference: string) => string,
  timeoutMs = TIMEOUT_MS,
): ProviderInquiry {
  const client = providerClient(provider, resolveSecret, timeoutMs);
  return {
    async listModels(signal) {
      try {
        const models: string[] = [];
        const contextLengths = new Map<string, number>();
        for await (const model of client.models.list(within(signal))) {
          models.push(model.id);
          const length = contextLength(model);
          if (length !== null) contextLengths.set(model.id, length);
        }
        return { ok: true, error: null, models, contextLengths };
      } catch (error) {
        signal?.throwIfAborted();
        return { ok: false, error: describe(error), models: null, contextLengths: new Map() };
      }
    },
    async ping(model, requests, signal) {
      const times: number[] = [];
      let rateLimits = NO_RATE_LIMITS;
      try {
        while (times.length < requests) {
          const start = performance.now();
          const { response } = await client.chat.completions
            .create({ model, messages: PING, max_tokens: 1 }, within(signal))
            .withResponse();
          times.push(performance.now() - start);
          rateLimits = readRateLimits(response.headers);
        }
      } catch (error) {
        signal?.throwIfAborted();
        return { p50Ms: null, error: describe(error), rateLimits };
      }
      const p50Ms = times.sort((a, b) => a - b)[Math.floor((times.length - 1) / 2)] ?? null;
      return { p50Ms, error: null, rateLimits };
    },
    async probeFeature(feature, model, signal) {
      try {
        return await probes[feature](client, model, within(signal));
      } catch (error) {
        signal?.throwIfAborted();
        return { supported: isRefusal(error) ? false : null, detail: describe(error) };
      }
    },
  };
}

/** A signal of its own for each request: the client never takes its listener off one that lives on. */
function within(signal: AbortSignal | undefined): { signal?: AbortSignal } {
  return signal === undefined ? {} : { signal: AbortSignal.any([signal]) };
}

/** Where OpenRouter, vLLM, Groq, Mistral and others put what OpenAI's list of models does not have. */
const CONTEXT_FIELDS = [
  'context_length',
  'context_window',
  'max_model_len',
  'max_context_length',
  'max_input_tokens',
];

function contextLength(model: object): number | null {
  const values = CONTEXT_FIELDS.map((field) => (model as Readonly<Record<string, unknown>>)[field]);
  const length = values.find((value) => Number.isSafeInteger(value) && Number(value) > 0);
  return length === undefined ? null : Number(length);
}

type Probe = (client: OpenAI, model: string, options: { signal?: AbortSignal }) => Promise<FeatureAnswer>;

const probes: Readonly<Record<FeatureName, Probe>> = {
  async streaming(client, model, options) {
    const stream = await client.chat.completions.create(
      { model, messages: PING, max_tokens: 1, stream: true },
      options,
    );
    for await (const chunk of stream) if (chunk.choices.length > 0) return yes('streams events');
    return no('the stream ended without an event');
  },
  async tools(client, model, options) {
    const answer = await client.chat.completions.create(
      {
        model,
        messages: [{ role: 'user', content: 'What is the weather in Paris? Use the tool.' }],
        max_tokens: 100,
        tools: [
          {
            type: 'function',
            function: {
              name: 'weather',
              parameters: { type: 'object', properties: { city: { type: 'string' } }, required: ['city'] },
            },
          },
        ],
        tool_choice: { type: 'function', function: { name: 'weather' } },
      },
      options,
    );
    return answer.choices[0]?.message.tool_calls?.length
      ? yes('called the tool')
      : no('accepted tools and called none');
  },
  async jsonSchema(client, model, options) {
    const schema = {
      type: 'object',
      properties: { ok: { type: 'boolean' } },
      required: ['ok'],
      additionalProperties: false,
    };
    const answer = await client.chat.completions.create(
      {
        model,
        messages: [{ role: 'user', content: 'Answer with ok set to true.' }],
        max_tokens: 50,
        response_format: { type: 'json_schema', json_schema: { name: 'answer', strict: true, schema } },
      },
      options,
    );
    const text = answer.choices[0]?.message.content ?? '';
    return isOkDocument(text)
      ? yes('answered by the schema')
      : no('accepted the schema and did not keep to it');
  },
  async vision(client, model, options) {
    await client.chat.completions.create(
      {
        model,
        max_tokens: 5,
        messages: [
          {
            role: 'user',
            content: [
              { type: 'text', text: 'Which colour?' },
              { type: 'image_url', image_url: { url: PIXEL } },
            ],
          },
        ],
      },
      options,
    );
    return yes('accepted an image');
  },
  async embeddings(client, model, options) {
    const answer = await client.embeddings.create(
      // The client would ask for base64, which not every provider knows.
      { model, input: 'ping', encoding_format: 'float' },
      options,
    );
    const size = answer.data[0]?.embedding.length ?? 0;
    return size > 0 ? yes(`${size} dimensions`) : no('answered without a vector');
  },
};

function isOkDocument(text: string): boolean {
  try {
    const value: unknown = JSON.parse(text);
    return value !== null && typeof value === 'object' && typeof (value as { ok?: unknown }).ok === 'boolean';
  } catch {
    return false;
  }
}

/** A refusal of the request itself; anything else (keys, limits, timeouts, their own faults) tells nothing. */
function isRefusal(error: unknown): boolean {
  return error instanceof APIError && [400, 404, 405, 415, 422, 501].includes(error.status ?? 0);
}

/** Status and class only: messages of providers may repeat parts of a key. */
function describe(error: unknown): string {
  if (error instanceof APIError) {
    if (error.status === undefined) return error.name;
    return error.status === 401 || error.status === 403
      ? `status_auth (${error.status})`
      : `status ${error.status}`;
  }
  return error instanceof Error ? error.name : 'unknown failure';
}

function yes(detail: string): FeatureAnswer {
  return { supported: true, detail };
}

function no(detail: string): FeatureAnswer {
  return { supported: false, detail };
}
