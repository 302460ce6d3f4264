import { formatShare } from '../plan/plan';
import type { RateLimits } from './rate-limits';

/** What a raise of the share would bring the candidate, and what is known of its room. */
export interface ShareRaise {
  readonly fromShare: number;
  readonly toShare: number;
  /** Of the route, both providers together. */
  readonly perMinute: TrafficPerMinute;
}

/** Traffic of a route per minute; tokens as providers reported them. */
export interface TrafficPerMinute {
  readonly requests: number;
  readonly inputTokens: number;
  /** Part of the input that came from a prompt cache. */
  readonly cachedTokens: number;
  readonly outputTokens: number;
}

/** What the candidate answered to live requests since the stage was entered. */
export interface CandidateAnswers {
  readonly requests: number;
  /** Of these: 429. */
  readonly throttled: number;
}

/** Throttled requests below this part, or fewer than this many, are chance. */
const THROTTLED_PART = 0.01;
const THROTTLED_LEAST = 5;
/** Of a limit that a route should use at most on average: traffic is not even. */
const LIMIT_PART = 0.8;

/**
 * Why the candidate has no room for a raise, with the numbers; null where nothing says so. `limits` are what its headers
 * say. What is not known (no headers, no traffic, tokens that nobody reports) holds up nothing: stages and gates judge
 * what comes of it.
 */
export function missingRoom(
  { fromShare, toShare, perMinute }: ShareRaise,
  limits: RateLimits,
  answers: CandidateAnswers,
): string | null {
  const { requests, inputTokens, cachedTokens, outputTokens } = perMinute;
  const compared: readonly (readonly [string, number | null | undefined, number])[] = [
    ['requests', limits.requestsPerMinute, requests],
    ['tokens', limits.tokensPerMinute, inputTokens + outputTokens],
    ['input tokens', limits.inputTokensPerMinute, Math.max(0, inputTokens - cachedTokens)],
    ['output tokens', limits.outputTokensPerMinute, outputTokens],
  ];
  for (const [what, limit, all] of compared) {
    const needed = all * toShare;
    if (limit == null || needed <= limit * LIMIT_PART) continue;
    return `too little room at the candidate: it allows ${rate(limit)} ${what} per minute, and ${formatShare(toShare)} of ${rate(all)} are ${rate(needed)}, above ${formatShare(LIMIT_PART)} of that`;
  }
  const { requests: answered, throttled } = answers;
  if (fromShare > 0 && throttled >= THROTTLED_LEAST && throttled > answered * THROTTLED_PART) {
    return `too little room at the candidate: it answered 429 to ${throttled} of ${answered} requests at ${formatShare(fromShare)}, and ${formatShare(toShare)} brings more`;
  }
  return null;
}

/** The lowest of each limit that several answers name. */
export function lowestLimits(all: readonly RateLimits[]): RateLimits {
  const lowest = (of: (limits: RateLimits) => number | null | undefined) => {
    const known = all.map(of).filter((limit) => limit != null);
    return known.length === 0 ? null : Math.min(...known);
  };
  return {
    requestsPerMinute: lowest(({ requestsPerMinute }) => requestsPerMinute),
    tokensPerMinute: lowest(({ tokensPerMinute }) => tokensPerMinute),
    inputTokensPerMinute: lowest(({ inputTokensPerMinute }) => inputTokensPerMinute),
    outputTokensPerMinute: lowest(({ outputTokensPerMinute }) => outputTokensPerMinute),
  };
}

function rate(perMinute: number): string {
  return perMinute < 10
    ? String(Number(perMinute.toPrecision(2)))
    : Math.round(perMinute).toLocaleString('en-US');
}
