import type { FailureClass } from '../evidence/evidence';

/** A message of a conversation as the API has it; what a provider adds (reasoning, names) is kept as it came. */
export type Message = Readonly<Record<string, unknown>> & { readonly role: string };

/** One request to one provider of a route. */
export type Question = ChatQuestion | EmbeddingQuestion;

export interface ChatQuestion {
  readonly kind: 'chat';
  /** As callers name it; null for the first model that the route maps. */
  readonly model: string | null;
  readonly messages: readonly Message[];
  /** Tools, tool choice and response format as the API has them. */
  readonly tools: readonly Readonly<Record<string, unknown>>[] | null;
  readonly toolChoice: unknown;
  readonly responseFormat: Readonly<Record<string, unknown>> | null;
  readonly maxTokens: number;
}

export interface EmbeddingQuestion {
  readonly kind: 'embedding';
  readonly model: string | null;
  readonly inputs: readonly string[];
}

/** A tool that a provider wants called; `arguments` is the text as it came, JSON or not. */
export interface ToolCall {
  readonly id: string;
  readonly name: string;
  readonly arguments: string;
}

/** What a provider made of a question. */
export type Answer =
  | {
      readonly kind: 'chat';
      readonly text: string;
      /** What the provider itself calls a refusal; null without. */
      readonly refusal: string | null;
      readonly finishReason: string | null;
      readonly toolCalls: readonly ToolCall[];
      /** The assistant's message as it came, for the next turn. */
      readonly message: Message;
    }
  | { readonly kind: 'embedding'; readonly vectors: readonly (readonly number[])[] };

/** Tokens as the provider counts them; cached input is part of input. */
export interface AnswerUsage {
  readonly inputTokens: number;
  readonly cachedTokens: number;
  readonly outputTokens: number;
}

/** An answer, or the failure in its place; failures carry neither addresses nor keys. */
export type Reply =
  | {
      readonly ok: true;
      readonly answer: Answer;
      /** Null where the provider does not say. */
      readonly usage: AnswerUsage | null;
      readonly latencyMs: number;
    }
  | {
      readonly ok: false;
      readonly failure: FailureClass;
      readonly error: string;
      /** HTTP status; null without an answer. */
      readonly status: number | null;
      readonly latencyMs: number;
    };
