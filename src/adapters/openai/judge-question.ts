import type OpenAI from 'openai';
import { APIError } from 'openai';
import { type JudgeMessages, judgeRequest, refusedParameter } from '../../core/assessment/judge-pairs';
import type { AnswerUsage } from '../../core/assessment/question';
import { classifyFailure, mayHaveCost } from './provider-client';

/** What a judge answered, and what that took; a failure is a reply. */
export type JudgeReply =
  | { readonly ok: true; readonly text: string; readonly usage: AnswerUsage | null }
  | {
      readonly ok: false;
      readonly error: string;
      /** The question was sent, and what it cost is not known. */
      readonly mayCost: boolean;
    };

/** Asks a judge once; a refusal that names a parameter of ours is answered by asking without it. */
export async function askJudge(
  {
    client,
    model,
    refused,
  }: { readonly client: OpenAI; readonly model: string; readonly refused: Set<string> },
  messages: JudgeMessages,
  signal: AbortSignal,
): Promise<JudgeReply> {
  for (;;) {
    try {
      const answer: OpenAI.Chat.Completions.ChatCompletion = await client.chat.completions.create(
        judgeRequest(model, messages, refused),
        { signal: AbortSignal.any([signal]) },
      );
      const content: unknown = Array.isArray(answer?.choices) ? answer.choices[0]?.message?.content : null;
      return { ok: true, text: typeof content === 'string' ? content : '', usage: usageOf(answer.usage) };
    } catch (error) {
      const named =
        error instanceof APIError
          ? refusedParameter(error.status, `${error.param ?? ''} ${error.message}`, refused)
          : null;
      if (named === null) {
        return { ok: false, error: classifyFailure(error).text, mayCost: mayHaveCost(error) };
      }
      refused.add(named);
    }
  }
}

function usageOf(usage: OpenAI.CompletionUsage | undefined): AnswerUsage | null {
  const { prompt_tokens: inputTokens, completion_tokens: outputTokens } = usage ?? {};
  if (!isCount(inputTokens) || !isCount(outputTokens)) return null;
  return { inputTokens, outputTokens, cachedTokens: 0 };
}

function isCount(value: unknown): value is number {
  return typeof value === 'number' && Number.isSafeInteger(value) && value >= 0;
}
