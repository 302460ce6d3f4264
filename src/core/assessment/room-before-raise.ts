import { formatShare } from '../plan/plan';

/** What a raise of the share would bring the candidate, and what is known of its room. */
export interface RaiseAsked {
  readonly fromShare: number;
  readonly toShare: number;
  /** Of the route, both providers together. */
  readonly requestsPerMinute: number;
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
 * Why the candidate has no room for a raise, with the numbers; null where nothing says so. `limit` is of requests per
 * minute, as its headers say it. What is not known (no
 * headers, no traffic) holds up nothing: stages and gates judge what comes of it.
 */
export function missingRoom(
  { fromShare, toShare, requestsPerMinute }: RaiseAsked,
  limit: number | null,
  answers: CandidateAnswers,
): string | null {
  const needed = requestsPerMinute * toShare;
  if (limit !== null && needed > limit * LIMIT_PART) {
    return `too little room at the candidate: it allows ${rate(limit)} requests per minute, and ${formatShare(toShare)} of ${rate(requestsPerMinute)} are ${rate(needed)}, above ${formatShare(LIMIT_PART)} of that`;
  }
  const { requests, throttled } = answers;
  if (fromShare > 0 && throttled >= THROTTLED_LEAST && throttled > requests * THROTTLED_PART) {
    return `too little room at the candidate: it answered 429 to ${throttled} of ${requests} requests at ${formatShare(fromShare)}, and ${formatShare(toShare)} brings more`;
  }
  return null;
}

function rate(perMinute: number): string {
  return perMinute < 10
    ? String(Number(perMinute.toPrecision(2)))
    : Math.round(perMinute).toLocaleString('en-US');
}
