import { decodeFp8, encodeFp8, type Fp8Format, fp8Limits } from '../../src/capacity/fp8';
import {
  blockCount,
  delayedScale,
  dequantizeBlocks,
  quantizeBlocks,
  recordAmax,
  TRANSFORMER_ENGINE_HYBRID,
} from '../../src/capacity/fp8-scaling';
import reference from './fp8-reference.json';

const FORMATS: readonly Fp8Format[] = ['e4m3', 'e5m2'];

describe.each(FORMATS)('the FP8 codec in %s', (format) => {
  it('decodes all 256 codes as ml_dtypes does', () => {
    const decoded = Array.from({ length: 256 }, (_, code) => decodeFp8(code, format));
    expect(decoded).toEqual(reference[format].decode.map(Number));
  });

  it('encodes values, ties and overflows as ml_dtypes does', () => {
    for (const [value, code] of reference[format].encode) {
      const encoded = encodeFp8(Number(value), format, 'propagate');
      // A NaN may carry any sign; both decode to NaN.
      if (Number.isNaN(decodeFp8(Number(code), format))) {
        expect(decodeFp8(encoded, format)).toBeNaN();
      } else {
        expect([value, encoded]).toEqual([value, code]);
      }
    }
  });

  it('gives every finite code back after a round trip', () => {
    for (let code = 0; code < 256; code += 1) {
      const value = decodeFp8(code, format);
      if (Number.isFinite(value)) expect(encodeFp8(value, format)).toBe(code);
    }
  });

  it('saturates at the largest finite value, infinity included', () => {
    const { max } = fp8Limits(format);
    expect(decodeFp8(encodeFp8(1e30, format), format)).toBe(max);
    expect(decodeFp8(encodeFp8(Number.NEGATIVE_INFINITY, format), format)).toBe(-max);
    expect(decodeFp8(encodeFp8(Number.NaN, format), format)).toBeNaN();
  });
});

it('has the limits of the specification', () => {
  expect(fp8Limits('e4m3')).toEqual({ max: 448, minNormal: 2 ** -6, minSubnormal: 2 ** -9 });
  expect(fp8Limits('e5m2')).toEqual({ max: 57_344, minNormal: 2 ** -14, minSubnormal: 2 ** -16 });
});

it('rounds 464, the tie above the largest E4M3 value, to 448', () => {
  expect(decodeFp8(encodeFp8(464, 'e4m3', 'propagate'), 'e4m3')).toBe(448);
  expect(decodeFp8(encodeFp8(465, 'e4m3', 'propagate'), 'e4m3')).toBeNaN();
  expect(decodeFp8(encodeFp8(1e6, 'e5m2', 'propagate'), 'e5m2')).toBe(Number.POSITIVE_INFINITY);
});

it.each([-1, 256, 1.5, Number.NaN])('refuses %s as a code', (code) => {
  expect(() => decodeFp8(code, 'e4m3')).toThrow('expected an FP8 code from 0 to 255');
});

describe('delayed scaling', () => {
  const { forward, backward } = TRANSFORMER_ENGINE_HYBRID;

  it('divides the largest value of the format by the largest past maximum', () => {
    expect(delayedScale([2, 7, 3.5], 1, forward)).toBe(64);
    expect(delayedScale([7], 1, backward)).toBe(8192);
    expect(delayedScale([7], 1, { ...forward, margin: 2 })).toBe(16);
    expect(delayedScale([3.5, 7], 1, { ...forward, algorithm: 'most_recent' })).toBe(128);
  });

  it.each([[[]], [[0, 0]], [[Number.POSITIVE_INFINITY]], [[Number.MIN_VALUE]]])(
    'keeps the previous scale for a history of %p',
    (history) => {
      expect(delayedScale(history, 3, forward)).toBe(3);
    },
  );

  it('keeps 1024 maxima, newest first', () => {
    let history: readonly number[] = [];
    for (let step = 1; step <= 1030; step += 1) history = recordAmax(history, step, forward);
    expect(history).toHaveLength(1024);
    expect(history[0]).toBe(1030);
    expect(history.at(-1)).toBe(7);
  });
});

describe('block scaling', () => {
  it('keeps each value within half a step of its block, whatever other blocks hold', () => {
    const values = Float32Array.from({ length: 5 * 6 }, (_, index) =>
      index % 6 < 4 ? Math.sin(index + 1) : 1000 * Math.cos(index),
    );
    const matrix = quantizeBlocks(values, 5, 6, [2, 4]);
    expect(matrix.scaleInv).toHaveLength(6);
    const restored = dequantizeBlocks(matrix);
    values.forEach((value, index) => {
      const row = Math.floor(index / 6);
      const scale = matrix.scaleInv[Math.floor(row / 2) * 2 + (index % 6 < 4 ? 0 : 1)] as number;
      // Half a step of three mantissa bits is 1/16 of the value; below the normals it is 2^-10 of the scale.
      const step = Math.max(Math.abs(value) / 16, scale * 2 ** -10) * 1.0001;
      expect(Math.abs((restored[index] as number) - value)).toBeLessThanOrEqual(step);
    });
  });

  it('maps the largest value of a block to 448 and keeps an all-zero block', () => {
    const matrix = quantizeBlocks(Float32Array.of(-3, 1, 0, 0), 2, 2, [1, 2]);
    expect(decodeFp8(matrix.codes[0] as number, 'e4m3')).toBe(-448);
    expect([...dequantizeBlocks(matrix)].slice(2)).toEqual([0, 0]);
    expect(matrix.scaleInv[1]).toBe(1);
  });

  it('counts partial blocks as whole ones', () => {
    expect(blockCount(576, 7168, [128, 128])).toBe(280);
  });

  it('refuses values that do not fill the matrix', () => {
    expect(() => quantizeBlocks(new Float32Array(3), 2, 2)).toThrow('expected 2 x 2 = 4 values, got 3');
  });
});
