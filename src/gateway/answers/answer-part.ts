import type { AnswerEnd } from '../../core/evidence/evidence';
import { type FinishReason, readEnd, readFinishReason } from './finish-reason';
import { type Holdings, isFilled, messageHoldings, NOTHING_HELD, TEXT } from './holdings';

/** What one choice of an answer, or of a piece of one, says. */
export interface ChoiceFacts {
  readonly index: number;
  /** Nothing when a caller cannot use anything of it. */
  readonly holds: Holdings;
  readonly error: boolean;
  readonly finish: FinishReason | null;
  readonly end: AnswerEnd;
}

/** Reads a choice whose content is under `holder`; null when it is not an object. */
export function readChoice(choice: unknown, holder: 'delta' | 'message' | 'text'): ChoiceFacts | null {
  if (typeof choice !== 'object' || choice === null) return null;
  const index: unknown = Reflect.get(choice, 'index');
  const held: unknown = Reflect.get(choice, holder);
  const reason: unknown = Reflect.get(choice, 'finish_reason');
  const finish = readFinishReason(reason);
  return {
    index: typeof index === 'number' ? index : 0,
    holds: holder === 'text' ? (isFilled(held) ? TEXT : NOTHING_HELD) : messageHoldings(held),
    error: finish === 'failed' || isFilled(Reflect.get(choice, 'error')),
    finish,
    end: finish === null ? 'nothing' : readEnd(reason),
  };
}

/** Whether an object is an error, in the ways that servers write one under a status of success. */
export function isError(json: Readonly<Record<string, unknown>>): boolean {
  return isFilled(json['error']) || json['object'] === 'error';
}
