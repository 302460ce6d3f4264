import type { ApplyRoutingInput } from '../contract';
import type { ApplyResult } from '../core/migration/events';
import type { Drift, RosterEntry } from '../core/migration/migration-state';
import { driftAt, driftsAfter } from '../core/routing/drift';
import { hasAnswered, type IdentifiedGateway } from '../core/routing/gateway-identity';
import {
  type GatewayStatus,
  highestEpochOf,
  type RoutingRecord,
  sameRecord,
  servesSettledCandidate,
} from '../core/routing/routing';
import type { GatewayAnswer, Ports } from '../ports';
import { noStanding } from './failures';
import { locateGateways } from './locate-gateways';

/** What one gateway answered; several that report the same name are asked for share 0 one by one. */
interface Read {
  readonly gateway: RosterEntry;
  readonly answer: GatewayAnswer<GatewayStatus>;
}

/**
 * One round over the gateways of the roster with these names, and over those that joined: find and read, decide the
 * epoch, ask whether this attempt may still grant leases, push, and say who confirmed. Never throws for a gateway;
 * throws `NoStanding` before anything is granted.
 */
export async function pushRecord(
  ports: Ports,
  input: ApplyRoutingInput,
  names: readonly string[],
): Promise<ApplyResult> {
  const { route, roster, reportsJoined = false } = input;
  const isLegacy = input.record.share === 0;
  const { members, others } = await locateGateways(ports, route, roster);
  // Nobody knows yet who is there: then whoever is silent counts as well.
  const joined = roster.length === 0 ? others : others.filter(hasAnswered);
  const asked = [...members.filter(({ gateway }) => names.includes(gateway.name)), ...joined];
  const reads = asked.flatMap((one) => readsOf(one, isLegacy));
  if (input.sparesSettled === true) {
    const settled = asked.filter(isSettled).map(({ gateway }) => gateway.name);
    if (settled.length > 0) return nothingPushed(input.record.epoch, settled, asked);
  }
  const epoch = epochFor(input.record, reads);
  const wanted: RoutingRecord = { ...input.record, epoch };
  if (!isLegacy) {
    const grant = await ports.leaseGrants.mayGrantLeases(wanted.leaseMs);
    if (!grant.granted) throw noStanding(grant.reason);
  }
  const overtaken = isLegacy ? await overtakenBy(ports, input.record, reads) : null;
  // What a kill withdrew is pushed to nobody, whoever has a latch; share 0 always wins.
  const drifts = isLegacy ? [] : driftsAmong(reads, wanted);
  const pushed = await Promise.all(
    reads.map(async (read): Promise<PushOutcome> => {
      // Leases go only to gateways that the workflow has recorded.
      const isRecorded = roster.length === 0 || roster.some(({ name }) => name === read.gateway.name);
      if (!isLegacy && !isRecorded) return missing(read.gateway, 'it joined meanwhile');
      if (overtaken !== null && isOfAnother(read, input.record)) return missing(read.gateway, overtaken);
      return push(ports, { input, wanted, drifts }, read);
    }),
  );
  const isReported = (name: string) => reportsJoined || !joined.some(({ gateway }) => gateway.name === name);
  const reported = asked
    .map(({ gateway }) => gateway.name)
    .filter((name) => roster.length === 0 || isReported(name));
  const unconfirmed = pushed.flatMap(({ gateway, outcome }) => (outcome === 'missing' ? [gateway.name] : []));
  return {
    epoch,
    confirmed: reported.filter((name) => !unconfirmed.includes(name)),
    lapsed: [],
    missing: reported.filter((name) => unconfirmed.includes(name)),
    drift: drifts[0] ?? null,
    drifts,
    notes: pushed.flatMap(({ note }) => (note === null ? [] : [note])),
    undurable: reported.filter((name) =>
      pushed.some(({ gateway, isDurable }) => gateway.name === name && isDurable === false),
    ),
    located: [...members, ...joined].map(({ gateway }) => gateway),
    answered: [...members, ...joined].filter(hasAnswered).map(({ gateway }) => gateway.name),
  };
}

function isSettled({ answer }: IdentifiedGateway): boolean {
  return answer.kind === 'ok' && servesSettledCandidate(answer.value);
}

function nothingPushed(
  epoch: number,
  settled: readonly string[],
  asked: readonly IdentifiedGateway[],
): ApplyResult {
  const missing = asked.map(({ gateway }) => gateway.name);
  return { epoch, confirmed: [], lapsed: [], missing, drift: null, notes: [], settled };
}

/** Several gateways of one name must each take share 0; nothing above it is pushed to any of them. */
function readsOf({ gateway, answer, doubles }: IdentifiedGateway, isLegacy: boolean): readonly Read[] {
  if (!isLegacy || doubles.length === 0) return [{ gateway, answer }];
  return doubles.map((double) => ({
    gateway: double.gateway,
    answer: { kind: 'ok', value: double.status },
  }));
}

/**
 * Why share 0 may not go above the record of another migration; null where it may. A worker that was frozen while its
 * migration ended would pull a later one back: only as long as its own run is open the other record is an intruder. The
 * epoch was read before, so whatever the later migration pushes after this question makes the push fail.
 */
async function overtakenBy(
  ports: Ports,
  record: RoutingRecord,
  reads: readonly Read[],
): Promise<string | null> {
  if (!reads.some((read) => isOfAnother(read, record))) return null;
  const grant = await ports.leaseGrants.mayGrantLeases(record.leaseMs);
  return grant.granted
    ? null
    : `it holds a newer record of another migration, and this one is not known to be open (${grant.reason})`;
}

function isOfAnother({ answer }: Read, { migrationId, epoch }: RoutingRecord): boolean {
  if (answer.kind !== 'ok') return false;
  const { record: held } = answer.value;
  return held !== null && held.migrationId !== migrationId && held.epoch >= epoch;
}

async function push(
  ports: Ports,
  {
    input: { route, direction, inFlight },
    wanted,
    drifts,
  }: {
    readonly input: ApplyRoutingInput;
    readonly wanted: RoutingRecord;
    readonly drifts: readonly Drift[];
  },
  { gateway, answer }: Read,
): Promise<PushOutcome> {
  if (answer.kind === 'unreachable') return missing(gateway, answer.reason);
  if (answer.kind === 'refused') return missing(gateway, answer.refusal.error.message);
  const status = answer.value;
  const drift = drifts.find((known) => known.gateway === gateway.name);
  if (drift !== undefined) return missing(gateway, drift.detail);
  const killed = drifts.find(({ kind }) => kind === 'kill latch');
  const holdsIt = status.record !== null && sameRecord(status.record, wanted);
  if (killed !== undefined) {
    return holdsIt
      ? { gateway, outcome: 'confirmed', note: null }
      : missing(gateway, `nothing is pushed after the kill at ${killed.gateway}`);
  }
  if (holdsIt && direction === 'lower' && status.durable !== false) {
    return status.unsentOlder === 0
      ? { gateway, outcome: 'confirmed', note: null }
      : missing(gateway, `${status.unsentOlder} candidate attempts of older epochs are still unsent`);
  }
  const reply = await ports.gateways.push(gateway, route, {
    expected: { incarnation: status.incarnation, epoch: status.record?.epoch ?? highestEpochOf(status) },
    asOfMs: status.asOfMs,
    record: wanted,
    inFlight,
  });
  if (reply.kind === 'unreachable') return missing(gateway, reply.reason);
  if (reply.kind === 'refused') return missing(gateway, refusalText(reply.refusal.error.message));
  const { confirmed, durable } = reply.value;
  const note = durable ? null : `${gateway.name}: applied in memory, its disk refused`;
  return confirmed
    ? { gateway, outcome: 'confirmed', note, isDurable: durable }
    : missing(gateway, 'candidate attempts of older epochs are still unsent');
}

/** A gateway of an older release refuses what it would have to ignore otherwise, such as a cohort. */
function refusalText(message: string): string {
  const fields = /Unrecognized keys?: (.+)/.exec(message)?.[1];
  return fields === undefined
    ? message
    : `its release does not know ${fields} of a record: update this gateway`;
}

interface PushOutcome {
  readonly gateway: RosterEntry;
  readonly outcome: 'confirmed' | 'missing';
  readonly note: string | null;
  /** Whether its disk holds what it confirmed; absent where that was not asked for. */
  readonly isDurable?: boolean;
}

function missing(gateway: RosterEntry, reason: string): PushOutcome {
  return { gateway, outcome: 'missing', note: `${gateway.name}: ${reason}` };
}

function driftsAmong(reads: readonly Read[], wanted: RoutingRecord): readonly Drift[] {
  const found = reads.flatMap(({ gateway, answer }) => {
    const drift = answer.kind === 'ok' ? driftAt(gateway.name, answer.value, wanted) : null;
    return drift === null ? [] : [drift];
  });
  return driftsAfter([], found, []);
}

/** Only share 0 may go above a newer epoch; whatever share-0 record of ours is out there already is kept. */
function epochFor(record: RoutingRecord, reads: readonly Read[]): number {
  if (record.share > 0) return record.epoch;
  const epochs = reads.map(({ answer }) => {
    if (answer.kind !== 'ok') return record.epoch;
    const { record: held } = answer.value;
    const highestEpoch = highestEpochOf(answer.value);
    const ours =
      held !== null && sameRecord({ ...held, epoch: record.epoch }, record) && held.epoch === highestEpoch;
    if (ours && highestEpoch >= record.epoch) return highestEpoch;
    return highestEpoch >= record.epoch ? highestEpoch + 1 : record.epoch;
  });
  return Math.max(record.epoch, ...epochs);
}
