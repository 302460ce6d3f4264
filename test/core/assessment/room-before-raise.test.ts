import { missingRoom } from '../../../src/core/assessment/room-before-raise';

const RAISE = { fromShare: 0.1, toShare: 0.5, requestsPerMinute: 1_000 };
const WELL = { requests: 2_000, throttled: 0 };

describe('room at the candidate before a raise', () => {
  it.each([
    ['no limit is known', RAISE, null, WELL],
    ['the limit is far above', RAISE, 10_000, WELL],
    ['the next share just fits', RAISE, 625, WELL],
    ['nothing is known of the traffic', { ...RAISE, requestsPerMinute: 0 }, 1, { requests: 0, throttled: 0 }],
    ['four of few were throttled', RAISE, null, { requests: 20, throttled: 4 }],
    ['less than one in a hundred was throttled', RAISE, null, { requests: 2_000, throttled: 20 }],
  ])('is not missed where %s', (_name, raise, limit, answers) => {
    expect(missingRoom(raise, limit, answers)).toBeNull();
  });

  it('is missed where the next share brings more than four fifths of the limit, with the numbers', () => {
    expect(missingRoom(RAISE, 624, WELL)).toBe(
      'too little room at the candidate: it allows 624 requests per minute, and 50% of 1,000 are 500, above 80% of that',
    );
    expect(missingRoom({ ...RAISE, requestsPerMinute: 3 }, 1, WELL)).toContain('50% of 3 are 1.5');
  });

  it('is missed where the candidate throttles already, however wide its limit', () => {
    expect(missingRoom(RAISE, 100_000, { requests: 2_000, throttled: 21 })).toBe(
      'too little room at the candidate: it answered 429 to 21 of 2000 requests at 10%, and 50% brings more',
    );
  });
});
