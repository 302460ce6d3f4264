import { type FinishReason, readFinishReason } from './finish-reason';

/** What one choice of an answer, or of a piece of one, says. */
export interface ChoiceFacts {
  readonly index: number;
  /** Something that a caller can use is in it. */
  readonly content: boolean;
  readonly error: boolean;
  readonly finish: FinishReason | null;
}

/** Reads a choice whose content is under `holder`; null when it is not an object. */
export function readChoice(choice: unknown, holder: 'delta' | 'message' | 'text'): ChoiceFacts | null {
  if (typeof choice !== 'object' || choice === null) return null;
  const index: unknown = Reflect.get(choice, 'index');
  const held: unknown = Reflect.get(choice, holder);
  const finish = readFinishReason(Reflect.get(choice, 'finish_reason'));
  return {
    index: typeof index === 'number' ? index : 0,
    content: holder === 'text' ? isFilled(held) : hasContent(held),
    error: finish === 'failed' || isFilled(Reflect.get(choice, 'error')),
    finish,
  };
}

/** Whether an object is an error, in the ways that servers write one under a status of success. */
export function isError(json: Readonly<Record<string, unknown>>): boolean {
  return isFilled(json['error']) || json['object'] === 'error';
}

/** Whether a value says something: neither null, nor empty, nor false. */
export function isFilled(value: unknown): boolean {
  if (value === null || value === undefined || value === '' || value === false) return false;
  return !(Array.isArray(value) && value.length === 0);
}

/** A message or a part of one that holds more than its role. */
function hasContent(message: unknown): boolean {
  if (typeof message !== 'object' || message === null) return false;
  for (const [name, value] of Object.entries(message)) {
    if (name !== 'role' && isFilled(value)) return true;
  }
  return false;
}
