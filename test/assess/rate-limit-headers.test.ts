import { readRateLimits } from '../../src/assess/rate-limit-headers';

it.each([
  ['a minute, told to the millisecond', '500', '499', '120ms', 500],
  ['a minute, in seconds', '60', '59', '1s', 60],
  ['a minute, in plain seconds', '60', '50', '10', 60],
  ['a day, as some count requests', '14400', '14370', '2m59.56s', 10],
  ['a second', '10', '5', '500ms', 600],
  ['an hour', '3600', '3000', '10m0s', 60],
])('reads a limit of %s', (_, limit, remaining, reset, perMinute) => {
  expect(readRateLimits(headers('requests', limit, remaining, reset)).requestsPerMinute).toBe(perMinute);
});

it('reads tokens beside requests', () => {
  expect(readRateLimits(headers('tokens', '150000', '149984', '6ms'))).toEqual({
    requestsPerMinute: null,
    tokensPerMinute: 150_000,
  });
});

it.each([
  ['nothing', undefined, undefined, undefined],
  ['no use yet', '500', '500', '0s'],
  ['a reset that is no time', '500', '499', 'soon'],
  ['a reset at a date', '500', '499', '2026-11-02T08:00:00Z'],
  ['a span that nobody counts over', '500', '250', '7m'],
  ['a limit that is no number', 'many', '1', '1s'],
  ['a negative use', '10', '20', '1s'],
])('does not guess from %s', (_, limit, remaining, reset) => {
  expect(readRateLimits(headers('requests', limit, remaining, reset)).requestsPerMinute).toBeNull();
});

it("reads Anthropic's limits, which are per minute", () => {
  const named = {
    'anthropic-ratelimit-requests-limit': '4000',
    'anthropic-ratelimit-requests-remaining': '4000',
    'anthropic-ratelimit-requests-reset': '2026-11-29T16:00:00Z',
    'anthropic-ratelimit-tokens-limit': '480000',
  };
  expect(readRateLimits(new Headers(named))).toEqual({ requestsPerMinute: 4_000, tokensPerMinute: 480_000 });
  const apart = {
    ...named,
    'anthropic-ratelimit-input-tokens-limit': '400000',
    'anthropic-ratelimit-output-tokens-limit': '80000',
  };
  expect(readRateLimits(new Headers(apart))).toEqual({
    ...{ requestsPerMinute: 4_000, tokensPerMinute: null },
    ...{ inputTokensPerMinute: 400_000, outputTokensPerMinute: 80_000 },
  });
});

it.each(['', 'many', '-5', '0', '1e9', 'Infinity', '4000, 4000'])(
  "does not guess from Anthropic's limit %j",
  (limit) => {
    const named = { 'anthropic-ratelimit-requests-limit': limit };
    expect(readRateLimits(new Headers(named)).requestsPerMinute).toBeNull();
  },
);

function headers(what: string, limit?: string, remaining?: string, reset?: string): Headers {
  const entries = Object.entries({ limit, remaining, reset }).flatMap(([name, value]) =>
    value === undefined ? [] : [[`x-ratelimit-${name}-${what}`, value] as [string, string]],
  );
  return new Headers(entries);
}
