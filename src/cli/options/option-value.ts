import { InvalidArgumentError } from 'commander';
import { parseDuration } from '../../core/text/duration';
import { type ListenAddress, parseListenAddress } from '../../gateway/sockets/listen-address';
import { CliError, EXIT } from './cli-error';

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

/** Parses the number of a port; 0 takes a free one. */
export function portNumber(value: string): number {
  const number = Number(value);
  if (!Number.isInteger(number) || number < 0 || number > 65_535) {
    throw new InvalidArgumentError('expected a port from 0 to 65535');
  }
  return number;
}

/** Parses a duration within bounds, to milliseconds; `expected` is what the error says of others. */
export function durationOf(
  expected: string,
  { leastMs, mostMs = Number.POSITIVE_INFINITY }: { readonly leastMs: number; readonly mostMs?: number },
): (value: string) => number {
  return (value) => {
    const durationMs = parseDuration(value);
    if (durationMs === null || durationMs < leastMs || durationMs > mostMs) {
      throw new InvalidArgumentError(`expected ${expected}`);
    }
    return durationMs;
  };
}

/** Reads where a listener is to listen; throws `CliError`. */
export function listenAddress(text: string): ListenAddress {
  const address = parseListenAddress(text);
  if (address !== null) return address;
  throw new CliError(`expected an address such as 127.0.0.1:8080, got "${text}"`, EXIT.badInput);
}
