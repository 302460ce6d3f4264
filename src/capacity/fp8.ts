/** The two FP8 formats of the OCP specification: E4M3 (no infinity) and E5M2 (IEEE-like, with infinity). */
export type Fp8Format = 'e4m3' | 'e5m2';

/** What happens to a value beyond the largest finite one: clamp it (training recipes), or NaN / infinity. */
export type Fp8Overflow = 'saturate' | 'propagate';

interface Layout {
  readonly mantissaBits: number;
  readonly bias: number;
  /** Code of the largest finite magnitude. */
  readonly maxCode: number;
  /** Code of an overflow that is not saturated: NaN for E4M3, infinity for E5M2. */
  readonly overflowCode: number;
  readonly nanCode: number;
}

const LAYOUT: Readonly<Record<Fp8Format, Layout>> = {
  e4m3: { mantissaBits: 3, bias: 7, maxCode: 0x7e, overflowCode: 0x7f, nanCode: 0x7f },
  e5m2: { mantissaBits: 2, bias: 15, maxCode: 0x7b, overflowCode: 0x7c, nanCode: 0x7f },
};

/** Largest finite magnitude, smallest normal and smallest subnormal of a format. */
export function fp8Limits(format: Fp8Format): { max: number; minNormal: number; minSubnormal: number } {
  const { mantissaBits, bias, maxCode } = LAYOUT[format];
  return {
    max: decodeFp8(maxCode, format),
    minNormal: 2 ** (1 - bias),
    minSubnormal: 2 ** (1 - bias - mantissaBits),
  };
}

/** The value of an 8-bit code; throws when the code is not an integer from 0 to 255. */
export function decodeFp8(code: number, format: Fp8Format): number {
  if (!Number.isInteger(code) || code < 0 || code > 255) {
    throw new RangeError(`expected an FP8 code from 0 to 255, got ${code}`);
  }
  const { mantissaBits, bias, maxCode, overflowCode } = LAYOUT[format];
  const sign = code & 0x80 ? -1 : 1;
  const magnitude = code & 0x7f;
  if (magnitude > maxCode) {
    return format === 'e5m2' && magnitude === overflowCode ? sign * Number.POSITIVE_INFINITY : Number.NaN;
  }
  const exponent = magnitude >> mantissaBits;
  const fraction = (magnitude & ((1 << mantissaBits) - 1)) / (1 << mantissaBits);
  return exponent === 0 ? sign * fraction * 2 ** (1 - bias) : sign * (1 + fraction) * 2 ** (exponent - bias);
}

/** The code nearest to a value, ties to the even code; NaN keeps no payload, and -0 keeps its sign. */
export function encodeFp8(value: number, format: Fp8Format, overflow: Fp8Overflow = 'saturate'): number {
  const { mantissaBits, bias, maxCode, overflowCode, nanCode } = LAYOUT[format];
  if (Number.isNaN(value)) return nanCode;
  const sign = value < 0 || Object.is(value, -0) ? 0x80 : 0;
  const magnitude = Math.abs(value);
  if (magnitude === Number.POSITIVE_INFINITY)
    return sign | (overflow === 'saturate' ? maxCode : overflowCode);

  // Codes of one format are consecutive integers over magnitudes, so rounding the significand may carry
  // into the exponent and still lands on the right code.
  const exponent = Math.max(binaryExponent(magnitude), 1 - bias);
  const quantum = 2 ** (exponent - mantissaBits);
  const steps = roundHalfToEven(magnitude / quantum);
  const code = steps + (exponent - (1 - bias)) * (1 << mantissaBits);
  if (code <= maxCode) return sign | code;
  return sign | (overflow === 'saturate' ? maxCode : overflowCode);
}

function binaryExponent(magnitude: number): number {
  if (magnitude === 0) return Number.NEGATIVE_INFINITY;
  const estimate = Math.floor(Math.log2(magnitude));
  // log2 may round up to the next power of two just below it.
  return 2 ** estimate > magnitude ? estimate - 1 : estimate;
}

function roundHalfToEven(value: number): number {
  const floor = Math.floor(value);
  const rest = value - floor;
  if (rest !== 0.5) return Math.round(value);
  return floor % 2 === 0 ? floor : floor + 1;
}
