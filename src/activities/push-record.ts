import type { ApplyRoutingInput } from '../contract';
import { driftAt, driftsAfter } from '../core/drift';
import type { ApplyResult } from '../core/events';
import type { Drift, RosterEntry } from '../core/migration-state';
import { type GatewayStatus, highestEpochOf, type RoutingRecord, sameRecord } from '../core/routing';
import type { GatewayAnswer, Ports } from '../ports';
import { noStanding } from './failures';

interface Read {
  readonly gateway: RosterEntry;
  readonly answer: GatewayAnswer<GatewayStatus>;
}

/**
 * One round over the given gateways: read, decide the epoch, ask whether this attempt may still grant leases,
 * push, and say who confirmed. Never throws for a gateway; throws `NoStanding` before anything is granted.
 */
export async function pushRecord(
  ports: Ports,
  input: ApplyRoutingInput,
  roster: readonly RosterEntry[],
): Promise<ApplyResult> {
  const { route, direction, inFlight } = input;
  const reads: readonly Read[] = await Promise.all(
    roster.map(async (gateway) => ({ gateway, answer: await ports.gateways.status(gateway, route) })),
  );
  const epoch = epochFor(input.record, reads);
  const wanted: RoutingRecord = { ...input.record, epoch };
  if (wanted.share > 0) {
    const standing = await ports.standing.hasStanding(wanted.leaseMs);
    if (!standing.granted) throw noStanding(standing.reason);
  }
  // What a kill withdrew is pushed to nobody, whoever has a latch; share 0 always wins.
  const drifts = wanted.share === 0 ? [] : driftsAmong(reads, wanted);
  const killed = drifts.find(({ kind }) => kind === 'kill latch');
  const pushed = await Promise.all(
    reads.map(async ({ gateway, answer }): Promise<Pushed> => {
      if (answer.kind === 'unreachable') return missing(gateway, answer.reason);
      if (answer.kind === 'refused') return missing(gateway, answer.refusal.error.message);
      const status = answer.value;
      const drift = drifts.find((known) => known.gateway === gateway.name);
      if (drift !== undefined) return missing(gateway, drift.detail);
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
      if (reply.kind === 'refused') return missing(gateway, reply.refusal.error.message);
      const { confirmed, durable } = reply.value;
      const note = durable ? null : `${gateway.name}: applied in memory, its disk refused`;
      return confirmed
        ? { gateway, outcome: 'confirmed', note }
        : missing(gateway, 'candidate attempts of older epochs are still unsent');
    }),
  );
  return {
    epoch,
    confirmed: pushed.filter(({ outcome }) => outcome === 'confirmed').map(({ gateway }) => gateway.name),
    lapsed: [],
    missing: pushed.filter(({ outcome }) => outcome === 'missing').map(({ gateway }) => gateway.name),
    drift: drifts[0] ?? null,
    drifts,
    notes: pushed.flatMap(({ note }) => (note === null ? [] : [note])),
  };
}

interface Pushed {
  readonly gateway: RosterEntry;
  readonly outcome: 'confirmed' | 'missing';
  readonly note: string | null;
}

function missing(gateway: RosterEntry, reason: string): Pushed {
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
