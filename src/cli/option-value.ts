import { InvalidArgumentError } from 'commander';

/** Parses a whole number above 0. */
export function positive(value: string): number {
  const number = Number(value);
  if (!Number.isSafeInteger(number) || number < 1)
    throw new InvalidArgumentError('expected a whole number above 0');
  return number;
}

/** Parses a finite number above 0. */
export function amount(value: string): number {
  const number = Number(value);
  if (!Number.isFinite(number) || number <= 0) throw new InvalidArgumentError('expected a number above 0');
  return number;
}

/** Parses a number above 0 and at most 1. */
export function fraction(value: string): number {
  const number = amount(value);
  if (number > 1) throw new InvalidArgumentError('expected a number above 0, at most 1');
  return number;
}
