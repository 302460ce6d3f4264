import { setTimeout as sleep } from 'node:timers/promises';
import { createGatewayAdmin } from '../../adapters/create-gateway-admin';
import { resolveSecret, UnresolvedSecret } from '../../config';
import type { Configuration } from '../../core/configuration/configuration-schema';
import { type Evidence, evidenceProblem, mergeEvidence } from '../../core/evidence/evidence';
import type { RosterEntry } from '../../core/migration/migration-state';
import { ASSUMED_TRAFFIC, type Traffic, trafficOf } from '../../core/plan/traffic';
import { type GatewayStatus, servingForMs } from '../../core/routing/routing';
import { DAY_MS, formatDuration, MINUTE_MS } from '../../core/text/duration';
import type { GatewayPort } from '../../ports';

/** A gateway that runs for less says little about a day. */
const UPTIME_LEAST_MS = 10 * MINUTE_MS;

/** What one gateway has counted, and over which time. */
interface GatewayCounts {
  readonly requests: number;
  readonly overMs: number;
  readonly evidence: Evidence;
}

/**
 * A route's traffic as the configured gateways count it: since they started, or over `observeMs`. A sentence why not,
 * where it cannot be told.
 */
export async function observeTraffic(
  configuration: Configuration,
  route: string,
  observeMs: number | null,
): Promise<Traffic | string> {
  const unknown = (why: string) => `the route's traffic is not known: ${why}; give --requests-per-day`;
  let admin: ReturnType<typeof createGatewayAdmin>;
  try {
    admin = createGatewayAdmin(configuration, resolveSecret);
  } catch (error) {
    if (error instanceof UnresolvedSecret) return unknown(error.message);
    throw error;
  }
  try {
    const roster = await admin.discover();
    if (roster.length === 0) return unknown('no gateway is configured');
    const counted = await Promise.all(roster.map((gateway) => countOf(admin, gateway, route, observeMs)));
    const problem = counted.find((each) => typeof each === 'string');
    if (problem !== undefined) return unknown(problem);
    return sum(counted.filter((each) => typeof each !== 'string'));
  } catch (error) {
    return unknown(error instanceof Error ? error.message : String(error));
  } finally {
    await admin.close();
  }
}

async function countOf(
  admin: GatewayPort,
  gateway: RosterEntry,
  route: string,
  observeMs: number | null,
): Promise<GatewayCounts | string> {
  const first = await statusOf(admin, gateway, route);
  if (typeof first === 'string') return first;
  const read = await admin.evidence(gateway, route, first.record?.epoch ?? 0, null);
  if (read.kind !== 'ok') return `${gateway.name} reports no evidence`;
  const problem = evidenceProblem(read.value, first.record?.epoch ?? 0);
  if (problem !== null) return `${gateway.name}: ${problem}`;
  const { evidence } = read.value;
  if (observeMs !== null) {
    await sleep(observeMs);
    const last = await statusOf(admin, gateway, route);
    if (typeof last === 'string') return last;
    if (last.incarnation !== first.incarnation || last.keys.aaTotal < first.keys.aaTotal) {
      return `${gateway.name} was restarted or given another salt meanwhile`;
    }
    const requests = last.keys.aaTotal - first.keys.aaTotal;
    return { requests, overMs: last.asOfMs - first.asOfMs, evidence };
  }
  // Requests are counted since the process started, or since its last change of salt: without a record there was none.
  if (first.record !== null)
    return `${gateway.name} holds a migration's record; --observe 1m counts what comes now`;
  const overMs = servingForMs(first);
  if (overMs < UPTIME_LEAST_MS) {
    return `${gateway.name} has been running for only ${formatDuration(overMs)}; --observe 1m counts what comes now`;
  }
  return { requests: first.keys.aaTotal, overMs, evidence };
}

async function statusOf(
  admin: GatewayPort,
  gateway: RosterEntry,
  route: string,
): Promise<GatewayStatus | string> {
  const answer = await admin.status(gateway, route);
  if (answer.kind === 'ok') return answer.value;
  const why = answer.kind === 'refused' ? answer.refusal.error.message : answer.reason;
  return `${gateway.name} does not answer (${why})`;
}

function sum(counted: readonly GatewayCounts[]): Traffic | string {
  const perDay = counted.reduce(
    (total, { requests, overMs }) => total + (requests * DAY_MS) / Math.max(1, overMs),
    0,
  );
  const longestMs = Math.max(...counted.map(({ overMs }) => overMs));
  const over = `${counted.length} ${counted.length === 1 ? 'gateway' : 'gateways'} over ${formatDuration(longestMs)}`;
  if (perDay === 0) return `no request was seen by ${over}; give --requests-per-day`;
  const epochs = new Set(counted.map(({ evidence }) => evidence.epoch));
  const [epoch] = epochs;
  const alike = epochs.size === 1 && epoch !== undefined;
  const evidence = alike
    ? mergeEvidence(
        counted.map((each) => each.evidence),
        epoch,
      )
    : (counted[0] as GatewayCounts).evidence;
  return trafficOf(evidence, perDay, ASSUMED_TRAFFIC, `observed by ${over}`);
}
