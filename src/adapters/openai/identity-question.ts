import type OpenAI from 'openai';
import { APIError } from 'openai';
import type { IdentityReply } from '../../core/identity/identity-audit';
import {
  ANSWER_TOKENS,
  answerWord,
  type IdentityQuestion,
  questionText,
} from '../../core/identity/identity-questions';
import { classifyFailure } from './provider-client';

/** Whom a question goes to, and how requests to it look. */
export interface QuestionedModel {
  readonly client: OpenAI;
  /** A request's body as this provider gets it. */
  readonly fitted: <T extends object>(body: T) => T;
  /** Whether the provider has refused `max_tokens` and takes the newer name. */
  readonly newNames: { current: boolean };
}

/** Asks one question as an application would: nothing in the request says that it is a test. Never throws for what the provider does. */
export async function askIdentity(
  { client, fitted, newNames }: QuestionedModel,
  question: IdentityQuestion,
  signal: AbortSignal,
): Promise<IdentityReply> {
  const most = ANSWER_TOKENS[question.kind];
  for (;;) {
    const body = fitted({
      model: '',
      messages: [{ role: 'user' as const, content: questionText(question) }],
      temperature: 1,
      ...(newNames.current ? { max_completion_tokens: most } : { max_tokens: most }),
    });
    try {
      const answer = await client.chat.completions.create(
        body as OpenAI.Chat.Completions.ChatCompletionCreateParamsNonStreaming,
        { signal: AbortSignal.any([signal]) },
      );
      return replyOf(answer);
    } catch (error) {
      if (!newNames.current && refuses(error, 'max_tokens')) newNames.current = true;
      else return { ok: false, problem: problemOf(error) };
    }
  }
}

function replyOf(answer: OpenAI.Chat.Completions.ChatCompletion): IdentityReply {
  const message = Array.isArray(answer?.choices) ? answer.choices[0]?.message : undefined;
  if (typeof message !== 'object' || message === null)
    return { ok: false, problem: 'answers have no choices' };
  const tokens: unknown = answer.usage?.prompt_tokens;
  return {
    ok: true,
    model: nameOf(answer.model),
    fingerprint: nameOf(answer.system_fingerprint),
    inputTokens: isCount(tokens) ? tokens : null,
    word: answerWord(typeof message.content === 'string' ? message.content : ''),
    reasons: reasons(message, answer.usage),
  };
}

/** Where providers put reasoning: vLLM and DeepSeek, OpenRouter, and OpenAI, which only counts it. */
function reasons(message: object, usage: OpenAI.CompletionUsage | undefined): boolean {
  const said = ['reasoning_content', 'reasoning'].some((field) => {
    const text: unknown = Reflect.get(message, field);
    return typeof text === 'string' && text !== '';
  });
  return said || (usage?.completion_tokens_details?.reasoning_tokens ?? 0) > 0;
}

const NAME_MOST = 100;

function nameOf(value: unknown): string | null {
  return typeof value === 'string' && value !== '' ? value.slice(0, NAME_MOST) : null;
}

function isCount(value: unknown): value is number {
  return typeof value === 'number' && Number.isSafeInteger(value) && value > 0;
}

function refuses(error: unknown, parameter: string): boolean {
  if (!(error instanceof APIError) || (error.status !== 400 && error.status !== 422)) return false;
  return `${error.param ?? ''} ${error.message}`.includes(parameter);
}

/** Class and status only, besides what people have to know: messages of providers may carry addresses. */
function problemOf(error: unknown): string {
  const { text } = classifyFailure(error);
  return refuses(error, 'temperature')
    ? `temperature 1 is refused (${text}), so the distribution of answers cannot be compared`
    : `it does not answer: ${text}`;
}
