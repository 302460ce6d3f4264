import type { Command } from 'commander';
import { readDocument } from '../../config';
import { formatShare } from '../../core/plan/plan';
import { ASSUMED_TRAFFIC, type Traffic } from '../../core/plan/traffic';
import { readTraffic } from '../../core/plan/traffic-schema';
import { quantile } from '../../core/statistics/histogram';
import { amount } from '../options/option-value';

/** What commands that need to know a route's traffic can be given. */
export interface TrafficFlags {
  readonly traffic?: string;
  readonly requestsPerDay?: number;
}

/** Adds `--traffic` and `--requests-per-day`. */
export function withTraffic(command: Command): Command {
  return command
    .option(
      '--traffic <file>',
      "what the traffic is like: `cutover assess --json`'s report, a gateway's evidence, or requestsPerDay, failureRate, streamShare, kind (days, weekend, as it is ...), models ({NAME: part}), totalMs and firstTokenMs ({p50Ms, p95Ms} or a histogram)",
    )
    .option('--requests-per-day <number>', 'over all gateways (default: as the traffic file says)', amount);
}

/** The traffic that was given; what was not is assumed. Throws `InvalidDocument`. */
export function trafficGiven({ traffic: file, requestsPerDay }: TrafficFlags): Traffic {
  const traffic = file === undefined ? ASSUMED_TRAFFIC : readTraffic(readDocument(file), file);
  return requestsPerDay === undefined ? traffic : { ...traffic, requestsPerDay };
}

/** What is out of the ordinary in traffic, in words. */
export function trafficKindText({ kind = 'even', models }: Traffic): string {
  return models === undefined ? kind : `${kind}, ${models.length} models`;
}

/** One line about traffic. */
export function trafficText(traffic: Traffic): string {
  const { source, requestsPerDay, failureRate, streamShare, totalMs, firstTokenMs } = traffic;
  const latency = (histogram: Traffic['totalMs']) =>
    [0.5, 0.95].map((p) => `p${p * 100} ${Math.round(quantile(histogram, p) ?? 0)} ms`).join(', ');
  const { kind, models } = traffic;
  const kindText = kind === undefined && models === undefined ? '' : `; ${trafficKindText(traffic)}`;
  return (
    `(${source}): ${Math.round(requestsPerDay).toLocaleString('en-US')} requests per day, ${formatShare(failureRate)} errors, ` +
    `${formatShare(streamShare)} streams; plain answers ${latency(totalMs)}; first token ${latency(firstTokenMs)}${kindText}`
  );
}
