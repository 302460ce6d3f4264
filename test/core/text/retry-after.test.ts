import { readRetryAfter } from '../../../src/core/text/retry-after';

const NOW_MS = Date.UTC(2026, 10, 30, 12);

it.each([
  ['7', 7_000],
  ['0.5', 500],
  ['0', 0],
  ['-3', 0],
  ['Mon, 30 Nov 2026 12:00:09 GMT', 9_000],
  ['Mon, 30 Nov 2026 11:59:00 GMT', 0],
  ['', null],
  ['soon', null],
])('reads the Retry-After "%s" as %s ms', (value, expected) => {
  expect(readRetryAfter(value, () => NOW_MS)).toBe(expected);
});
