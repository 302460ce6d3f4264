/**
 * Thrown when the target of an effect could not do what was asked. `retryable`: it was unreachable, slow or said to
 * come again. Otherwise it refused, or answered what cannot be right, and a person must look. The message carries
 * neither secrets nor addresses that hold them, because histories keep it.
 */
export class EffectProblem extends Error {
  override readonly name = 'EffectProblem';
  constructor(
    message: string,
    readonly retryable: boolean,
    /** How long the target asked to be left alone. */
    readonly retryAfterMs: number | null = null,
  ) {
    super(message);
  }
}
