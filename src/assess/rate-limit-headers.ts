import type { RateLimits } from '../core/assessment/rate-limits';

/** Spans that providers count over, in seconds: a second, a minute, an hour, a day. */
const SPANS_S = [1, 60, 3_600, 86_400];
/** Headers round times, to milliseconds at best. */
const TOLERANCE = 0.25;

/**
 * Limits from the headers of one answer: `x-ratelimit-*`, and Anthropic's `anthropic-ratelimit-*`. The former do not say
 * which span a limit is for (some count requests by the day), but what was used and when it is restored do: limit x
 * reset / used. Null where that comes near no usual span. The latter are limits per minute, by Anthropic's documentation.
 */
export function readRateLimits(headers: Pick<Headers, 'get'>): RateLimits {
  const anthropic = (what: string) => limitOf(headers.get(`anthropic-ratelimit-${what}-limit`));
  const inputTokensPerMinute = anthropic('input-tokens');
  const outputTokensPerMinute = anthropic('output-tokens');
  // Its limit of tokens repeats the tightest of the others where those are named.
  const together =
    inputTokensPerMinute === null && outputTokensPerMinute === null ? anthropic('tokens') : null;
  return {
    requestsPerMinute: perMinute(headers, 'requests') ?? anthropic('requests'),
    tokensPerMinute: perMinute(headers, 'tokens') ?? together,
    ...(inputTokensPerMinute === null ? {} : { inputTokensPerMinute }),
    ...(outputTokensPerMinute === null ? {} : { outputTokensPerMinute }),
  };
}

function limitOf(text: string | null): number | null {
  return text !== null && /^\d{1,15}$/.test(text) && Number(text) > 0 ? Number(text) : null;
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
