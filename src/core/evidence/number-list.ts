/** Digits of base 64, as source maps have them. */
const DIGITS = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/';
/** By character code; -1 for what is no digit. */
const VALUES = Int8Array.from({ length: 128 }, (_, code) => DIGITS.indexOf(String.fromCharCode(code)));

/** The character code of each digit. */
const CODES = Uint8Array.from(DIGITS, (digit) => digit.charCodeAt(0));
/** From here on shifts would lose bits. */
const LARGE = 2 ** 30;

/** A list of whole numbers as text, one to three characters each: base64 VLQ, as in source maps. */
export function encodeNumbers(numbers: readonly number[]): string {
  const codes: number[] = [];
  for (const number of numbers) {
    if (!Number.isSafeInteger(number)) throw new RangeError(`expected a whole number, got ${number}`);
    let rest = Math.abs(number) * 2 + (number < 0 ? 1 : 0);
    for (; rest >= LARGE; rest = Math.floor(rest / 32)) codes.push(CODES[(rest % 32) + 32] as number);
    for (; rest >= 32; rest >>= 5) codes.push(CODES[(rest & 31) + 32] as number);
    codes.push(CODES[rest] as number);
  }
  return String.fromCharCode(...codes);
}

/** The list that a text stands for; throws for a text that is none. */
export function decodeNumbers(text: string): number[] {
  const numbers: number[] = [];
  let sum = 0;
  let scale = 1;
  for (let at = 0; at < text.length; at += 1) {
    const value = VALUES[text.charCodeAt(at)] ?? -1;
    if (value < 0) throw new RangeError(`expected base64 digits, got "${text.charAt(at)}"`);
    sum += (value & 31) * scale;
    scale *= 32;
    if (value >= 32) continue;
    numbers.push(sum % 2 === 1 ? -(sum - 1) / 2 : sum / 2);
    sum = 0;
    scale = 1;
  }
  if (scale > 1) throw new RangeError(`expected the last number to be complete, got "${text.slice(-8)}"`);
  return numbers;
}

/** Two lists added number by number; what the shorter one lacks counts as 0. */
export function addLists(a: readonly number[], b: readonly number[]): number[] {
  const [longer, shorter] = a.length >= b.length ? [a, b] : [b, a];
  return longer.map((value, index) => value + (shorter[index] ?? 0));
}

/** The same for lists as texts. */
export function addPacked(a: string, b: string): string {
  return encodeNumbers(addLists(decodeNumbers(a), decodeNumbers(b)));
}
