import type OpenAI from 'openai';
import { APIError } from 'openai';
import type { AnswerUsage } from '../../core/assessment/question';
import { classifyFailure } from './provider-client';

/** What a judge answered, and what that took; a failure is a reply. */
export type JudgeReply =
  | { readonly ok: true; readonly text: string; readonly usage: AnswerUsage | null }
  | { readonly ok: false; readonly error: string };

/** Room for a few words of JSON, and for a model that reasons before. */
export const JUDGE_TOKENS = 1_000;

/** Parameters of ours, in the order in which they are given up where a provider refuses one. */
const OWN = ['temperature', 'response_format', 'max_tokens'] as const;

/** Asks a judge once; a refusal that names a parameter of ours is answered by asking without it. */
export async function askJudge(
  {
    client,
    model,
    refused,
  }: { readonly client: OpenAI; readonly model: string; readonly refused: Set<string> },
  messages: readonly { readonly role: 'system' | 'user'; readonly content: string }[],
  signal: AbortSignal,
): Promise<JudgeReply> {
  for (;;) {
    const own = {
      ...(refused.has('temperature') ? {} : { temperature: 0 }),
      ...(refused.has('response_format') ? {} : { response_format: { type: 'json_object' as const } }),
      ...(refused.has('max_tokens') ? { max_completion_tokens: JUDGE_TOKENS } : { max_tokens: JUDGE_TOKENS }),
    };
    try {
      const answer: OpenAI.Chat.Completions.ChatCompletion = await client.chat.completions.create(
        { model, messages: [...messages], ...own },
        { signal: AbortSignal.any([signal]) },
      );
      const content: unknown = Array.isArray(answer?.choices) ? answer.choices[0]?.message?.content : null;
      return { ok: true, text: typeof content === 'string' ? content : '', usage: usageOf(answer.usage) };
    } catch (error) {
      const named = OWN.find((name) => !refused.has(name) && refuses(error, name));
      if (named === undefined) return { ok: false, error: classifyFailure(error).text };
      refused.add(named);
    }
  }
}

function refuses(error: unknown, parameter: string): boolean {
  if (!(error instanceof APIError) || (error.status !== 400 && error.status !== 422)) return false;
  return `${error.param ?? ''} ${error.message}`.includes(parameter);
}

function usageOf(usage: OpenAI.CompletionUsage | undefined): AnswerUsage | null {
  const { prompt_tokens: inputTokens, completion_tokens: outputTokens } = usage ?? {};
  if (!isCount(inputTokens) || !isCount(outputTokens)) return null;
  return { inputTokens, outputTokens, cachedTokens: 0 };
}

function isCount(value: unknown): value is number {
  return typeof value === 'number' && Number.isSafeInteger(value) && value >= 0;
}
