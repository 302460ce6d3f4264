/**
 * Thrown for what came from outside and cannot be used: the message names it, what was expected and what arrived. A
 * `RangeError` is a promise of ours that was broken.
 */
export class BadInput extends Error {
  override readonly name: string = 'BadInput';
}
