import type OpenAI from 'openai';
import { APIError } from 'openai';
import type { Answer, AnswerUsage, Message, Question, Reply, ToolCall } from '../../core/assessment/question';
import type { RouteConfiguration } from '../../core/configuration/configuration-schema';
import type { Arm } from '../../core/routing/routing';
import { bodyForProvider, classifyFailure, Malformed, modelAtProvider } from './provider-client';

/** Whom to ask, and how this provider's requests look. */
export interface ProviderToAsk {
  readonly client: OpenAI;
  readonly route: RouteConfiguration;
  readonly provider: Arm;
  /** Our own parameters that this provider refused before, by model: they are not sent again. */
  readonly refused: Map<string, Set<OwnParameter>>;
  /** Monotonic milliseconds. */
  readonly now: () => number;
}

/** Any number, but always the same: answers are to differ by provider, not by draw. */
const SEED = 1;

type Body = Readonly<Record<string, unknown>>;

/** What we add to a prompt, in the order in which it is given up. */
const OWN_PARAMETERS = ['max_tokens', 'temperature', 'seed', 'max_completion_tokens'] as const;
export type OwnParameter = (typeof OWN_PARAMETERS)[number];

/**
 * Sends one question, with temperature 0 and a seed where the provider takes them: a refusal that names one of our
 * own parameters is answered by asking again without it. Never throws for what the provider does.
 */
export async function askProvider(
  asked: ProviderToAsk,
  question: Question,
  signal: AbortSignal,
): Promise<Reply> {
  const startMs = asked.now();
  try {
    const { answer, usage } =
      question.kind === 'chat'
        ? await chat(asked, question, AbortSignal.any([signal]))
        : await embed(asked, question, AbortSignal.any([signal]));
    return { ok: true, answer, usage, latencyMs: asked.now() - startMs };
  } catch (error) {
    const { failure, text, status } = classifyFailure(error);
    return { ok: false, failure, error: text, status, latencyMs: asked.now() - startMs };
  }
}

interface AnswerWithUsage {
  readonly answer: Answer;
  readonly usage: AnswerUsage | null;
}

async function chat(
  { client, route, provider, refused }: ProviderToAsk,
  question: Question & { kind: 'chat' },
  signal: AbortSignal,
): Promise<AnswerWithUsage> {
  const { name: model } = modelAtProvider(route, provider, question);
  const known = refused.get(model) ?? new Set();
  refused.set(model, known);
  const fixed: Body = {
    messages: question.messages,
    ...(question.tools === null ? {} : { tools: question.tools }),
    ...(question.toolChoice == null ? {} : { tool_choice: question.toolChoice }),
    ...(question.responseFormat === null ? {} : { response_format: question.responseFormat }),
  };
  for (;;) {
    const asked = { model: question.model, purpose: 'chat' } as const;
    const own = ownParameters(question.maxTokens, known);
    const body = bodyForProvider(route, provider, asked, { ...fixed, ...own });
    try {
      const completion = await client.chat.completions.create(
        body as unknown as OpenAI.Chat.Completions.ChatCompletionCreateParamsNonStreaming,
        { signal },
      );
      return { answer: chatAnswer(completion), usage: usageOf(completion.usage) };
    } catch (error) {
      const named = parameterRefused(own, error);
      if (named === null) throw error;
      known.add(named);
    }
  }
}

function ownParameters(maxTokens: number, refused: ReadonlySet<OwnParameter>): Body {
  const wanted: Readonly<Record<OwnParameter, unknown>> = {
    max_tokens: maxTokens,
    temperature: 0,
    seed: SEED,
    // Newer models take this name only.
    max_completion_tokens: refused.has('max_tokens') ? maxTokens : undefined,
  };
  const sent = OWN_PARAMETERS.filter((name) => !refused.has(name) && wanted[name] !== undefined);
  return Object.fromEntries(sent.map((name) => [name, wanted[name]]));
}

/** Our own parameter that a refusal names; null when it is about something else. */
function parameterRefused(own: Body, error: unknown): OwnParameter | null {
  if (!(error instanceof APIError) || (error.status !== 400 && error.status !== 422)) return null;
  const said = `${error.param ?? ''} ${error.message}`;
  return OWN_PARAMETERS.find((name) => name in own && said.includes(name)) ?? null;
}

function chatAnswer(completion: OpenAI.Chat.Completions.ChatCompletion): Answer {
  const choice = Array.isArray(completion?.choices) ? completion.choices[0] : undefined;
  const message = choice?.message as (Message & { content?: unknown; refusal?: unknown }) | undefined;
  if (choice === undefined || typeof message !== 'object' || message === null) {
    throw new Malformed('no choices');
  }
  const { content, refusal } = message;
  return {
    kind: 'chat',
    text: typeof content === 'string' ? content : '',
    refusal: typeof refusal === 'string' && refusal !== '' ? refusal : null,
    finishReason: typeof choice.finish_reason === 'string' ? choice.finish_reason : null,
    toolCalls: toolCallsOf(message['tool_calls']),
    message,
  };
}

function toolCallsOf(calls: unknown): ToolCall[] {
  if (!Array.isArray(calls)) return [];
  return calls.map((call: { id?: unknown; function?: { name?: unknown; arguments?: unknown } }) => {
    const { name, arguments: given } = call?.function ?? {};
    return {
      id: typeof call?.id === 'string' ? call.id : '',
      name: typeof name === 'string' ? name : '',
      arguments: typeof given === 'string' ? given : JSON.stringify(given ?? null),
    };
  });
}

async function embed(
  { client, route, provider }: ProviderToAsk,
  question: Question & { kind: 'embedding' },
  signal: AbortSignal,
): Promise<AnswerWithUsage> {
  const body = bodyForProvider(
    route,
    provider,
    { model: question.model, purpose: 'embedding' },
    { model: '', input: [...question.inputs], encoding_format: 'float' as const },
  );
  const answer = await client.embeddings.create(body, { signal });
  const vectors = Array.isArray(answer?.data) ? answer.data.map(({ embedding }) => embedding) : [];
  if (vectors.length !== question.inputs.length || !vectors.every(isVector)) {
    throw new Malformed(`expected ${question.inputs.length} vectors, got ${vectors.length}`);
  }
  return { answer: { kind: 'embedding', vectors }, usage: usageOf(answer.usage) };
}

function isVector(value: unknown): value is number[] {
  return Array.isArray(value) && value.length > 0 && value.every(Number.isFinite);
}

/** Tokens as a provider reports them; null where any of it is no count. */
function usageOf(usage: unknown): AnswerUsage | null {
  if (typeof usage !== 'object' || usage === null) return null;
  const read = (name: string) => Reflect.get(usage, name) as unknown;
  const details = read('prompt_tokens_details');
  const cached = typeof details === 'object' && details !== null ? Reflect.get(details, 'cached_tokens') : 0;
  const inputTokens = read('prompt_tokens');
  const outputTokens = read('completion_tokens') ?? 0;
  if (!isCount(inputTokens) || !isCount(outputTokens)) return null;
  return { inputTokens, outputTokens, cachedTokens: isCount(cached) ? Math.min(cached, inputTokens) : 0 };
}

function isCount(value: unknown): value is number {
  return typeof value === 'number' && Number.isSafeInteger(value) && value >= 0;
}
