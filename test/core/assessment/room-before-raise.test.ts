import { NO_RATE_LIMITS } from '../../../src/core/assessment/rate-limits';
import { lowestLimits, missingRoom } from '../../../src/core/assessment/room-before-raise';

const TRAFFIC = { requests: 1_000, inputTokens: 300_000, cachedTokens: 100_000, outputTokens: 50_000 };
const RAISE = { fromShare: 0.1, toShare: 0.5, perMinute: TRAFFIC };
const NO_TRAFFIC = { requests: 0, inputTokens: 0, cachedTokens: 0, outputTokens: 0 };
const WELL = { requests: 2_000, throttled: 0 };
const requestsOf = (requestsPerMinute: number | null) => ({ ...NO_RATE_LIMITS, requestsPerMinute });

describe('room at the candidate before a raise', () => {
  it.each([
    ['no limit is known', RAISE, null, WELL],
    ['the limit is far above', RAISE, 10_000, WELL],
    ['the next share just fits', RAISE, 625, WELL],
    [
      'nothing is known of the traffic',
      { ...RAISE, perMinute: NO_TRAFFIC },
      1,
      { requests: 0, throttled: 0 },
    ],
    ['four of few were throttled', RAISE, null, { requests: 20, throttled: 4 }],
    ['less than one in a hundred was throttled', RAISE, null, { requests: 2_000, throttled: 20 }],
  ])('is not missed where %s', (_name, raise, limit, answers) => {
    expect(missingRoom(raise, requestsOf(limit), answers)).toBeNull();
  });

  it('is missed where the next share brings more than four fifths of the limit, with the numbers', () => {
    expect(missingRoom(RAISE, requestsOf(624), WELL)).toBe(
      'too little room at the candidate: it allows 624 requests per minute, and 50% of 1,000 are 500, above 80% of that',
    );
    const few = { ...RAISE, perMinute: { ...TRAFFIC, requests: 3 } };
    expect(missingRoom(few, requestsOf(1), WELL)).toContain('50% of 3 are 1.5');
  });

  it.each([
    [
      { tokensPerMinute: 218_750 },
      { tokensPerMinute: 218_749 },
      '218,749 tokens per minute, and 50% of 350,000',
    ],
    [
      { inputTokensPerMinute: 125_000 },
      { inputTokensPerMinute: 124_999 },
      // What a cache served is in no limit of input.
      '124,999 input tokens per minute, and 50% of 200,000',
    ],
    [
      { outputTokensPerMinute: 31_250 },
      { outputTokensPerMinute: 31_249 },
      '31,249 output tokens per minute, and 50% of 50,000',
    ],
  ])('is missed by tokens as well: %j is enough, %j is not', (enough, tooFew, said) => {
    expect(missingRoom(RAISE, { ...NO_RATE_LIMITS, ...enough }, WELL)).toBeNull();
    expect(missingRoom(RAISE, { ...NO_RATE_LIMITS, ...tooFew }, WELL)).toContain(said);
  });

  it('is missed where the candidate throttles already, however wide its limit', () => {
    expect(missingRoom(RAISE, requestsOf(100_000), { requests: 2_000, throttled: 21 })).toBe(
      'too little room at the candidate: it answered 429 to 21 of 2000 requests at 10%, and 50% brings more',
    );
  });
});

it('takes the lowest of each limit that answers name', () => {
  const one = { requestsPerMinute: 50, tokensPerMinute: null, inputTokensPerMinute: 9 };
  const other = { requestsPerMinute: 60, tokensPerMinute: 7, outputTokensPerMinute: null };
  expect(lowestLimits([one, other])).toEqual({
    ...{ requestsPerMinute: 50, tokensPerMinute: 7, inputTokensPerMinute: 9, outputTokensPerMinute: null },
  });
});
