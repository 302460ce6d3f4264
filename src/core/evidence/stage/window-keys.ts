import type { LatencyQuantile } from '../../plan/plan';
import type { BucketCount, BucketCounts } from '../evidence';
import { KEY_BUCKETS } from '../key-buckets';
import { encodeNumbers } from '../number-list';

/** Requests and failures of both arms by key bucket, packed; null when not sticky. */
export function keyNumbers(buckets: BucketCounts): string | null {
  return numbersOf(buckets, ([, requests, failures]) => [requests, failures]);
}

/** Checked answers and their breaches likewise; null also where a gateway of an older release did not count them. */
export function answerNumbers(buckets: BucketCounts): string | null {
  const known = [...buckets.legacy, ...buckets.candidate].every(
    ([, , , , , checked]) => checked !== undefined,
  );
  return known ? numbersOf(buckets, ([, , , , , checked = 0, breaches = 0]) => [checked, breaches]) : null;
}

/** Requests and slow ones likewise; null also where a gateway of an older release did not count them. */
export function slowNumbers(buckets: BucketCounts, quantile: LatencyQuantile): string | null {
  const known = [...buckets.legacy, ...buckets.candidate].every(([, , , slow]) => slow !== undefined);
  return known
    ? numbersOf(buckets, ([, requests, , aboveMedian = 0, aboveP95 = 0]) => [
        requests,
        quantile === 0.5 ? aboveMedian : aboveP95,
      ])
    : null;
}

function numbersOf(
  { legacy, candidate }: BucketCounts,
  read: (count: BucketCount) => readonly [requests: number, events: number],
): string | null {
  if (legacy.length + candidate.length === 0) return null;
  const numbers = new Array<number>(4 * KEY_BUCKETS).fill(0);
  const add = (counts: BucketCounts['legacy'], offset: number) => {
    for (const count of counts) {
      const at = 4 * (count[0] % KEY_BUCKETS) + offset;
      const [requests, events] = read(count);
      numbers[at] = (numbers[at] ?? 0) + requests;
      numbers[at + 1] = (numbers[at + 1] ?? 0) + events;
    }
  };
  add(legacy, 0);
  add(candidate, 2);
  return encodeNumbers(numbers);
}

const GATEWAY_BUCKETS = 256;

/** The buckets that the candidate's keys fell into, as `keysSeen`, with those of a window. */
export function withKeys(seen: string, { candidate }: BucketCounts): string {
  if (candidate.length === 0) return seen;
  const digits = Array.from({ length: GATEWAY_BUCKETS / 4 }, (_, index) =>
    Number.parseInt(seen[index] ?? '0', 16),
  );
  for (const [bucket] of candidate) {
    const index = (bucket % GATEWAY_BUCKETS) >> 2;
    digits[index] = (digits[index] ?? 0) | (1 << (bucket & 3));
  }
  return digits.map((digit) => digit.toString(16)).join('');
}
