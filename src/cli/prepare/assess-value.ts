import { InvalidArgumentError } from 'commander';
import { ATTESTATION_ITEMS, type AttestationItem } from '../../core/plan/assess-plan';
import { amount, fraction, positive } from '../options/option-value';

/** Collects the values of a repeatable option. */
export function collected(value: string, before: string[] | undefined): string[] {
  return [...(before ?? []), value];
}

/** Parses a number from 0 to 1. */
export function part(value: string): number {
  return value === '0' ? 0 : fraction(value);
}

/** Parses a number of days of a month, 0 to 30. */
export function monthDays(value: string): number {
  const days = Number(value);
  if (value.trim() === '' || !(days >= 0 && days <= 30))
    throw new InvalidArgumentError('expected days from 0 to 30');
  return days;
}

/** Parses a time in ISO 8601, in milliseconds since 1970. */
export function instant(value: string): number {
  const ms = Date.parse(value);
  if (Number.isNaN(ms))
    throw new InvalidArgumentError('expected a time such as 2026-10-01 or 2026-10-01T12:00:00Z');
  return ms;
}

/** Parses the address of an HTTP API. */
export function webAddress(value: string): string {
  const url = URL.canParse(value) ? new URL(value) : null;
  if (url === null || !/^https?:$/.test(url.protocol))
    throw new InvalidArgumentError('expected an address such as https://api.example.com/v1');
  return value;
}

/** Collects OLD=NEW; names may hold an equals sign, the last one divides. */
export function pairs(value: string, before: Map<string, string> | undefined): Map<string, string> {
  const at = value.lastIndexOf('=');
  if (at < 1 || at === value.length - 1) throw new InvalidArgumentError('expected OLD=NEW');
  return new Map([...(before ?? []), [value.slice(0, at), value.slice(at + 1)]]);
}

/** Collects MODEL=TOKENS. */
export function lengths(value: string, before: Map<string, number> | undefined): Map<string, number> {
  const [[model = '', tokens = ''] = []] = pairs(value, undefined);
  return new Map([...(before ?? []), [model, positive(tokens)]]);
}

/** Parses INPUT,OUTPUT or INPUT,OUTPUT,CACHED in dollars per million tokens. */
export function price(value: string): { input: number; cachedInput?: number; output: number } {
  const [input, output, cached] = value.split(',').map(Number);
  if (
    input === undefined ||
    output === undefined ||
    ![input, output, cached ?? 0].every((each) => each >= 0)
  ) {
    throw new InvalidArgumentError(
      'expected INPUT,OUTPUT or INPUT,OUTPUT,CACHED in dollars per million tokens',
    );
  }
  return { input, output, ...(cached === undefined ? {} : { cachedInput: cached }) };
}

/** Parses LOW:POINT:HIGH, or one number for all three. */
export function ratio(value: string): { low: number; point: number; high: number } {
  const [low = Number.NaN, point = low, high = point] = value.split(':').map(amount);
  if (!(low <= point && point <= high))
    throw new InvalidArgumentError('expected LOW:POINT:HIGH, or one number');
  return { low, point, high };
}

/** Collects ITEM=yes or ITEM=no. */
export function attestations(
  value: string,
  before: { item: AttestationItem; holds: boolean }[] | undefined,
): { item: AttestationItem; holds: boolean }[] {
  const [name, answer] = value.split('=');
  const item = ATTESTATION_ITEMS.find((each) => each === name);
  if (item === undefined || (answer !== 'yes' && answer !== 'no')) {
    throw new InvalidArgumentError(
      `expected ITEM=yes or ITEM=no, an item being one of ${ATTESTATION_ITEMS.join(', ')}`,
    );
  }
  return [...(before ?? []), { item, holds: answer === 'yes' }];
}
