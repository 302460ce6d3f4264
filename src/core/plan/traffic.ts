import { breachCount, type Evidence, failureCount, sumCells } from '../evidence/evidence';
import { latencyShape } from '../rehearsal/rehearsal';
import { type Histogram, histogramCount, mergeHistograms } from '../statistics/histogram';

/** What the traffic of a route is like: given, observed, or assumed. */
export interface Traffic {
  /** Where it was read; for people. */
  readonly source: string;
  readonly requestsPerDay: number;
  /** Part of legacy's requests that fail. */
  readonly failureRate: number;
  /** Part of legacy's answers that break their contract; `ASSUMED_BREACH_RATE` when absent. */
  readonly breachRate?: number;
  /** Part of the requests that are streams. */
  readonly streamShare: number;
  /** Legacy's latencies in milliseconds; of these only the shape matters. */
  readonly totalMs: Histogram;
  readonly firstTokenMs: Histogram;
  /** What both providers go through, by the name of a rehearsal's scenario (`TRAFFIC_KINDS`); nothing when absent. */
  readonly kind?: string;
  /** The part of the requests of each model, together 1; one model when absent. */
  readonly models?: readonly number[];
}

/** Some answers of every route are cut, refused or not what was asked for. */
export const ASSUMED_BREACH_RATE = 0.01;

/** What is assumed of traffic that nobody has described. */
export const ASSUMED_TRAFFIC: Traffic = {
  source: 'assumed',
  requestsPerDay: 20_000,
  failureRate: 0.005,
  streamShare: 0.5,
  totalMs: latencyShape(2_000, 6_000),
  firstTokenMs: latencyShape(400, 1_000),
};

/** Latencies of fewer answers than this say too little: the assumed shape is kept. */
const ANSWERS_LEAST = 100;

/** Traffic as legacy's arm shows it; what it does not show is taken from `otherwise`. */
export function trafficOf(
  evidence: Evidence,
  requestsPerDay: number,
  otherwise: Traffic,
  source: string,
): Traffic {
  const live = { ...evidence, cells: evidence.cells.filter(({ kind }) => kind === 'live') };
  const all = sumCells(live, ({ side }) => side === 'legacy');
  const streams = sumCells(live, ({ side, shape }) => side === 'legacy' && shape === 'stream');
  if (all === null || all.attempts === all.aborted) return { ...otherwise, source, requestsPerDay };
  const requests = all.attempts - all.aborted;
  const known = (histogram: Histogram, assumed: Histogram) =>
    histogramCount(histogram) < ANSWERS_LEAST ? assumed : positive(histogram);
  return {
    source,
    requestsPerDay,
    failureRate: failureCount(all) / requests,
    ...(all.answers === undefined || all.answers.checked < ANSWERS_LEAST
      ? {}
      : { breachRate: breachCount(all.answers) / all.answers.checked }),
    streamShare: (streams?.attempts ?? 0) / all.attempts,
    totalMs: known(all.totalMs, otherwise.totalMs),
    firstTokenMs: known(all.firstTokenMs, otherwise.firstTokenMs),
  };
}

/** A latency of nothing cannot be slowed down. */
function positive({ buckets }: Histogram): Histogram {
  return mergeHistograms([{ zero: 0, buckets }]);
}
