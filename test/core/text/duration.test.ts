import fc from 'fast-check';
import { formatDuration, parseDuration } from '../../../src/core/text/duration';

describe('reading a duration', () => {
  it.each([
    ['250ms', 250],
    ['45s', 45_000],
    ['10m', 600_000],
    ['10min', 600_000],
    ['24h', 86_400_000],
    ['7d', 604_800_000],
    ['1.5h', 5_400_000],
    ['0s', 0],
    [' 5 s ', 5_000],
    ['0.0004s', 0],
  ])('takes %p as %i ms', (text, expected) => {
    expect(parseDuration(text)).toBe(expected);
  });

  it.each([
    '',
    '5',
    's',
    '5 apples',
    '-5s',
    '+5s',
    '1e3s',
    '5s5',
    '5S',
    '1,5h',
    'Infinitys',
    '1w',
    '1h30m',
    '٥s',
  ])('refuses %p', (text) => {
    expect(parseDuration(text)).toBeNull();
  });

  it('takes no time over a long text', () => {
    expect(parseDuration(`${'1'.repeat(1_000_000)}s`)).toBeNull();
    expect(parseDuration(`${' '.repeat(200_000)}x`)).toBeNull();
  });
});

describe('showing a duration', () => {
  it.each([
    [0, '0 ms'],
    [999, '999 ms'],
    [1_000, '1 s'],
    [45_500, '45.5 s'],
    [600_000, '10 min'],
    [86_400_000, '24 h'],
    [3 * 86_400_000, '72 h'],
    [7 * 86_400_000, '7 d'],
    [4 * 86_400_000 - 600_000, '4 d'],
    [3 * 86_400_000 + 14_400_000, '3 d 4 h'],
  ])('shows %i ms as %p', (durationMs, expected) => {
    expect(formatDuration(durationMs)).toBe(expected);
  });

  it('never shows 24 hours beside a number of days, nor another unit than it can', () => {
    fc.assert(
      fc.property(fc.integer({ min: 0, max: 400 * 86_400_000 }), (durationMs) => {
        const text = formatDuration(durationMs);
        expect(text).toMatch(/^\d+(\.\d)? (ms|s|min|h)$|^\d+ d( (1?\d|2[0-3]) h)?$/);
      }),
    );
  });
});
