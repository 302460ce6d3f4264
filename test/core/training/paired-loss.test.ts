import { comparePairs, studentQuantile } from '../../../src/core/training/paired-loss';

const ALLOWED = { margin: 0.005, confidence: 0.95 };
const BF16 = [1, 1.1, 0.9, 1, 1.05, 0.95, 1, 1, 1.1, 0.9];
const shifted = (parts: readonly number[]) =>
  BF16.map((loss, at) => loss + (parts[at % parts.length] as number));

it.each([
  // Of the tables: two-sided 95% and 99%.
  [0.95, 1, 12.706],
  [0.95, 9, 2.262],
  [0.99, 4, 4.604],
  [0.95, 1000, 1.962],
])('knows the quantile of Student at %d with %d degrees', (confidence, degrees, expected) => {
  expect(studentQuantile(confidence, degrees)).toBeCloseTo(expected, 3);
});

it.each([
  ['pass', [0.001, 0.002]],
  ['pass', [-0.1, -0.12]],
  ['fail', [0.02, 0.021]],
  ['inconclusive', [0.004, 0.0061]],
  ['inconclusive', [-0.05, 0.05]],
] as const)('says %s of differences of %j', (outcome, parts) => {
  expect(comparePairs(shifted(parts), BF16, ALLOWED).outcome).toBe(outcome);
});

it('compares batch by batch: what both find hard widens no interval', () => {
  const hard = [1, 20, 3, 7, 11, 2, 5, 9];
  const { outcome, difference, interval, sentence } = comparePairs(
    hard.map((loss) => loss * 1.001),
    hard,
    ALLOWED,
  );
  expect(outcome).toBe('pass');
  expect(sentence).toMatch(/^loss \+0\.100% from BF16 \(.*\) over 8 batches, \+0\.500% allowed$/);
  expect(difference).toBeCloseTo(0.001, 9);
  expect(interval[1]).toBeLessThan(0.002);
});

it('passes nothing on fewer than 8 batches', () => {
  const few = BF16.slice(0, 7);
  const { outcome, sentence } = comparePairs(few, few, ALLOWED);
  expect(outcome).toBe('inconclusive');
  expect(sentence).toContain('at least 8 batches');
});

it('fails a loss that is not a number', () => {
  expect(comparePairs(shifted([Number.NaN]), BF16, ALLOWED).outcome).toBe('fail');
});

it('refuses losses that are not of the same batches', () => {
  expect(() => comparePairs([1], BF16, ALLOWED)).toThrow('expected 10 losses');
});
