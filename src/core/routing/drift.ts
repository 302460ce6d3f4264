import type { Drift, MigrationState } from '../migration/migration-state';
import { type GatewayStatus, highestEpochOf, type RoutingRecord, sameRecord } from './routing';

/**
 * Law 9: what contradicts our record at a gateway: a kill latch or a record that one withdrew, a newer epoch, or other
 * content under our epoch; null where nothing does. `gateway` is its name in the roster.
 */
export function driftAt(gateway: string, status: GatewayStatus, record: RoutingRecord): Drift | null {
  const { kill } = status;
  if (kill !== null) {
    const detail = `the kill switch was set by ${kill.by}: ${kill.reason}`;
    return { gateway, kind: 'kill latch', detail, kill };
  }
  // Also of a raise that failed elsewhere: what is in effect then is older than what the kill withdrew.
  if (status.withdrawn === true && (status.record?.epoch ?? 0) >= record.epoch) {
    const detail = 'its kill switch was set and cleared meanwhile: our record is withdrawn there';
    return { gateway, kind: 'kill latch', detail, kill: null };
  }
  const highest = highestEpochOf(status);
  if (highest > record.epoch) {
    const detail = `it has seen epoch ${highest}, newer than ours (${record.epoch})`;
    return { gateway, kind: 'newer epoch', detail, kill: null, epoch: highest };
  }
  if (status.record !== null && status.record.epoch === record.epoch && !sameRecord(status.record, record)) {
    const detail = `it holds other content under our epoch ${record.epoch}`;
    return { gateway, kind: 'other content', detail, kill: null };
  }
  return null;
}

/**
 * What is known to contradict our routing once everybody was asked, the gravest first. Silence is not good news: who
 * does not answer is as it was. A latch that is gone leaves its record withdrawn, also where the gateway itself has
 * forgotten it, or has something else against our routing by now: only a new epoch, which an operator asks for,
 * continues from there. `keepsLatches` is false for runs that an older release began.
 */
export function driftsAfter(
  known: readonly Drift[],
  found: readonly Drift[],
  answered: readonly string[],
  keepsLatches = true,
): readonly Drift[] {
  const stands = ({ gateway, kind }: Drift) =>
    !found.some(
      (drift) =>
        drift.gateway === gateway && (!keepsLatches || kind !== 'kill latch' || drift.kind === 'kill latch'),
    );
  const kept = known.filter(stands).flatMap((drift) => {
    if (!answered.includes(drift.gateway)) return [drift];
    return drift.kind === 'kill latch' ? [released(drift, 'its kill switch is no longer set')] : [];
  });
  const weight = ({ kind, kill }: Drift) => (kill !== null ? 0 : kind === 'kill latch' ? 1 : 2);
  return [...found, ...kept].sort((a, b) => weight(a) - weight(b));
}

/** A drift whose gateway is no longer in the roster: nobody can ask it to clear its latch. */
export function withoutLatch(drift: Drift): Drift {
  return released(drift, 'it left with its kill switch set');
}

function released(drift: Drift, detail: string): Drift {
  return drift.kill === null ? drift : { ...drift, detail, kill: null };
}

/** Whether a kill latch, or a record that one withdrew, is known: then nothing is pushed to anybody. */
export function isKilled(drifts: readonly Drift[]): boolean {
  return drifts.some(({ kind }) => kind === 'kill latch');
}

/** Equal for the same drift at the same gateways; a latch that is cleared changes it. */
export function driftKey(drifts: readonly Drift[]): string {
  return drifts
    .map(({ gateway, kind, kill }) => `${gateway}: ${kind}${kill === null ? '' : ' set'}`)
    .sort()
    .join(', ');
}

/** All that a migration knows to contradict its routing; records of older releases name one gateway. */
export function driftsOf({ drift, drifts }: Pick<MigrationState, 'drift' | 'drifts'>): readonly Drift[] {
  return drifts ?? (drift === null ? [] : [drift]);
}

/** The state with what is known to contradict its routing. */
export function withDrifts(state: MigrationState, drifts: readonly Drift[]): MigrationState {
  return { ...state, drift: drifts[0] ?? null, drifts };
}

/** The gateways whose kill switch is set, as far as is known. */
export function latchedGateways(state: Pick<MigrationState, 'drift' | 'drifts'>): readonly string[] {
  return driftsOf(state).flatMap(({ gateway, kill }) => (kill === null ? [] : [gateway]));
}
