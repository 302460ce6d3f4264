import type { EvidenceReading } from '../../core/evidence/evidence';
import type { MigrationStatus } from '../../core/migration/status';
import { contradiction } from '../../core/routing/gateway-status-text';
import type { GatewayStatus } from '../../core/routing/routing';
import type { GatewayAnswer } from '../../ports';

/** What one gateway said when it was last asked; null where it was not. */
export interface GatewaySighting {
  readonly name: string;
  /** Its admin listener; absent where it was not looked up. */
  readonly admin?: string;
  readonly status: GatewayAnswer<GatewayStatus> | null;
  readonly evidence: GatewayAnswer<EvidenceReading> | null;
}

/** One gateway beside what the migration asks of it. */
export interface GatewayView {
  readonly name: string;
  /** `HOST:PORT` of its admin listener, where it was found last; null where that is not known. */
  readonly address: string | null;
  readonly state: GatewayState;
  /** Why the state is what it is, in a few words; empty where the state says all. */
  readonly note: string;
  readonly asked: number;
  /** The candidate's share that is served at this moment; null where the gateway did not say. */
  readonly serving: number | null;
  /** The candidate's part of the requests of this epoch; null without requests. */
  readonly measured: number | null;
  readonly requests: number | null;
  readonly epoch: number | null;
  readonly lease: 'running' | 'none' | 'pinned' | null;
}

/** `as asked` serves what the migration asks for; the others say what is different. */
export type GatewayState = 'as asked' | 'changing' | 'behind' | 'killed' | 'silent' | 'unknown';

/** Every gateway of the roster, and those that answered although they are in none. */
export function gatewayViews(
  status: MigrationStatus,
  sightings: readonly GatewaySighting[],
): readonly GatewayView[] {
  const names = [...new Set([...status.roster, ...sightings.map(({ name }) => name)])];
  return names.map((name) =>
    viewOf(
      name,
      status,
      sightings.find((sighting) => sighting.name === name),
    ),
  );
}

function viewOf(name: string, status: MigrationStatus, sighting: GatewaySighting | undefined): GatewayView {
  const asked = status.shareAsked;
  const admin = sighting?.admin ?? status.addresses?.[name];
  const address = admin?.replace(/^\w+:\/\//, '') ?? null;
  const unseen = {
    name,
    address,
    asked,
    serving: null,
    measured: null,
    requests: null,
    epoch: null,
    lease: null,
  };
  const answer = sighting?.status ?? null;
  if (answer === null) {
    const confirmed = status.pending?.confirmed.includes(name) === true;
    const missing = status.pending?.missing.includes(name) === true;
    const note = confirmed ? 'confirmed' : missing ? 'not confirmed yet' : '';
    return { ...unseen, state: missing ? 'changing' : 'unknown', note };
  }
  if (answer.kind === 'unreachable') return { ...unseen, state: 'silent', note: answer.reason };
  if (answer.kind === 'refused') return { ...unseen, state: 'silent', note: answer.refusal.error.message };
  const { record, effectiveShare, assigned, kill, leaseRemainingMs } = answer.value;
  const requests = assigned.legacy + assigned.candidate;
  return {
    ...stateOf(answer.value, status, name),
    name,
    address,
    asked,
    serving: effectiveShare,
    measured: requests === 0 ? null : assigned.candidate / requests,
    requests,
    epoch: record?.epoch ?? null,
    lease:
      record === null || kill !== null
        ? null
        : leaseRemainingMs === null
          ? 'pinned'
          : leaseRemainingMs > 0
            ? 'running'
            : 'none',
  };
}

function stateOf(
  gateway: GatewayStatus,
  status: MigrationStatus,
  name: string,
): Pick<GatewayView, 'state' | 'note'> {
  const { phase, pending, epoch, shareAsked, share, settled } = status;
  const { kill, record, effectiveShare, unsentOlder, inFlightOlder } = gateway;
  if (kill !== null) return { state: 'killed', note: `kill switch, by ${kill.by}` };
  if (pending !== null && !pending.confirmed.includes(name) && shareAsked !== share) {
    const left = unsentOlder + inFlightOlder;
    return { state: 'changing', note: left === 0 ? '' : `${left} older requests in flight` };
  }
  if (phase === 'closed') {
    const note = contradiction(status, gateway);
    return note === null ? { state: 'as asked', note: '' } : { state: 'behind', note };
  }
  if (record === null) return { state: 'behind', note: 'holds no record' };
  if (record.epoch !== epoch && pending === null) {
    return { state: 'behind', note: `holds epoch ${record.epoch}, ours is ${epoch}` };
  }
  if (gateway.unconfirmed === true) {
    return { state: 'behind', note: 'restarted: its record waits to be confirmed' };
  }
  if (effectiveShare !== record.share) return { state: 'behind', note: 'no lease: serves legacy' };
  if (gateway.durable === false) return { state: 'as asked', note: 'not on its disk yet' };
  return { state: 'as asked', note: phase === 'handover' && settled.includes(name) ? 'settled' : '' };
}
