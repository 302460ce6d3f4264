/** A provider's limits a minute, as far as they are known. */
export interface RateLimits {
  readonly requestsPerMinute: number | null;
  readonly tokensPerMinute: number | null;
}

export const NO_RATE_LIMITS: RateLimits = { requestsPerMinute: null, tokensPerMinute: null };

/** Spans that providers count over, in seconds: a second, a minute, an hour, a day. */
const SPANS_S = [1, 60, 3_600, 86_400];
/** Headers round times, to milliseconds at best. */
const TOLERANCE = 0.25;

/**
 * Limits from the `x-ratelimit-*` headers of one answer. They do not say which span a limit is for (some count
 * requests by the day), but what was used and when it is restored do: limit x reset / used. Null where that
 * comes near no usual span.
 */
export function readRateLimits(headers: Pick<Headers, 'get'>): RateLimits {
  return {
    requestsPerMinute: perMinute(headers, 'requests'),
    tokensPerMinute: perMinute(headers, 'tokens'),
  };
}

function perMinute(headers: Pick<Headers, 'get'>, what: 'requests' | 'tokens'): number | null {
  const limit = Number(headers.get(`x-ratelimit-limit-${what}`) ?? Number.NaN);
  const remaining = Number(headers.get(`x-ratelimit-remaining-${what}`) ?? Number.NaN);
  const resetS = seconds(headers.get(`x-ratelimit-reset-${what}`) ?? '');
  const used = limit - remaining;
  if (!(limit > 0) || !(used > 0) || resetS === null || resetS <= 0) return null;
  const spanS = (limit * resetS) / used;
  const usual = SPANS_S.find((each) => Math.abs(spanS / each - 1) <= TOLERANCE);
  return usual === undefined ? null : Math.floor((limit * 60) / usual);
}

const UNITS_S: Readonly<Record<string, number>> = { d: 86_400, h: 3_600, m: 60, s: 1, ms: 0.001 };

/** A time such as `1s`, `120ms`, `6m0s` or `2m59.56s`, or plain seconds; null for anything else. */
function seconds(text: string): number | null {
  if (/^\d+(?:\.\d+)?$/.test(text)) return Number(text);
  if (!/^(?:\d+(?:\.\d+)?(?:ms|[dhms]))+$/.test(text)) return null;
  return [...text.matchAll(/(\d+(?:\.\d+)?)(ms|[dhms])/g)].reduce(
    (sum, [, value, unit]) => sum + Number(value) * (UNITS_S[unit ?? ''] ?? 0),
    0,
  );
}
