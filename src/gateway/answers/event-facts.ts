import type { ChoiceFacts } from './answer-part';
import type { FinishReason } from './finish-reason';
import { CALL, type Holdings, NOTHING_HELD, REASONING, REFUSAL, TEXT } from './holdings';
import type { TokenUsage } from './token-usage';

/** What one event of a stream says. */
export interface EventFacts {
  /** Text, reasoning, a tool call: what a caller can use; not a role, a comment or a mere status. */
  readonly content: boolean;
  /** What is in it of an answer without choices, or of all of its choices. */
  readonly holds: Holdings;
  readonly error: boolean;
  /** Why the answer, or one of its choices, ended; null while it goes on. */
  readonly finish: FinishReason | null;
  readonly usage: TokenUsage | null;
  /** Nothing but usage is in it: the event that `include_usage` adds. */
  readonly usageOnly: boolean;
  readonly objectId: string | null;
  /** The choices that are in it. */
  readonly choices: readonly ChoiceFacts[];
  /** The object that names the answer's model: the event itself, or the response in it. */
  readonly answer: Readonly<Record<string, unknown>> | null;
}

const NO_CHOICES: readonly ChoiceFacts[] = [];
export const STATUS: EventFacts = {
  content: false,
  holds: NOTHING_HELD,
  error: false,
  finish: null,
  usage: null,
  usageOnly: false,
  objectId: null,
  choices: NO_CHOICES,
  answer: null,
};
/** What is recognised by its text alone: one more piece of an answer under way. */
export const TOKEN: EventFacts = { ...STATUS, content: true, holds: TEXT };
export const ERROR: EventFacts = { ...STATUS, error: true };

const REASONING_PIECE: EventFacts = { ...TOKEN, holds: REASONING };
const REFUSAL_PIECE: EventFacts = { ...TOKEN, holds: REFUSAL };
const CALL_PIECE: EventFacts = { ...TOKEN, holds: CALL };

/** A piece of an answer by what it holds; a mere status where that is nothing. */
export function pieceOf(holds: Holdings): EventFacts {
  switch (holds) {
    case NOTHING_HELD:
      return STATUS;
    case REASONING:
      return REASONING_PIECE;
    case REFUSAL:
      return REFUSAL_PIECE;
    case CALL:
      return CALL_PIECE;
    default:
      return TOKEN;
  }
}
