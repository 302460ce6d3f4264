import {
  type AdminRefusal,
  type PushRequest,
  type RenewRequest,
  sameRecord,
} from '../../core/routing/routing';
import type { StoredState } from './record-file';

/** Why a push or renewal was not taken. */
export interface PushRefusal {
  readonly code: AdminRefusal;
  readonly message: string;
}

/** What a gateway knows when it judges a push or renewal. */
export interface GatewayFacts {
  readonly incarnation: string;
  readonly nowMs: number;
  readonly stored: StoredState;
  readonly effectiveShare: number;
}

/**
 * `same`: held already, only its lease is extended. `raise`: sends more to the candidate, so it must be on
 * the disk first. `lower`: sends less, so it acts first and is kept afterwards.
 */
export type PushDecision = { readonly kind: 'same' | 'raise' | 'lower' } | RefusedPush;

interface RefusedPush {
  readonly kind: 'refused';
  readonly refusal: PushRefusal;
}

/** Judges a push by the rules of epochs, leases and the kill switch; changes nothing. */
export function decidePush(request: PushRequest, standing: GatewayFacts): PushDecision {
  const { record } = request;
  const { stored } = standing;
  const heldEpoch = stored.record?.epoch ?? stored.highestEpoch;
  const same = stored.record !== null && record.epoch === stored.record.epoch;

  if (request.expected.incarnation !== standing.incarnation)
    return otherIncarnation(request.expected.incarnation, standing);
  if (same && stored.record !== null && !sameRecord(record, stored.record)) {
    return refuse(
      'same epoch, other content',
      `epoch ${record.epoch} is held with other content (share ${stored.record.share} of ${stored.record.migrationId}); take a newer epoch`,
    );
  }
  if (!same && record.epoch <= stored.highestEpoch) {
    return refuse('older epoch', `expected an epoch above ${stored.highestEpoch}, got ${record.epoch}`);
  }
  if (!same && request.expected.epoch !== heldEpoch) {
    return refuse(
      'epoch changed',
      `expected epoch ${request.expected.epoch} to be held here, but it is ${heldEpoch}; read the status again`,
    );
  }
  if (record.share > 0) {
    const refused = grantRefusal(standing, same, request.asOfMs, record.leaseMs);
    if (refused !== null) return refused;
  }
  if (same) return { kind: 'same' };
  const sameSalt = stored.record?.salt === record.salt;
  const lowers = record.share <= standing.effectiveShare && sameSalt;
  return { kind: record.share === 0 || lowers ? 'lower' : 'raise' };
}

/** Judges a renewal; null when it is good. */
export function decideRenewal(request: RenewRequest, standing: GatewayFacts): RefusedPush | null {
  const { record } = standing.stored;
  if (request.incarnation !== standing.incarnation) return otherIncarnation(request.incarnation, standing);
  if (record === null || record.epoch !== request.epoch) {
    return refuse(
      'epoch changed',
      `expected epoch ${request.epoch} to be held here, but it is ${record?.epoch ?? 'none'}; read the status again`,
    );
  }
  return grantRefusal(standing, true, request.asOfMs, record.leaseMs);
}

function grantRefusal(
  standing: GatewayFacts,
  same: boolean,
  asOfMs: number,
  leaseMs: number,
): RefusedPush | null {
  const { kill, withdrawn } = standing.stored;
  if (kill !== null) {
    return refuse(
      'kill latch',
      `the kill switch is set by ${kill.by} since ${kill.at}; only \`cutover kill --clear\` clears it`,
    );
  }
  if (same && withdrawn) {
    return refuse(
      'kill latch',
      'this record was withdrawn by the kill switch, which has been cleared; take a newer epoch',
    );
  }
  const ageMs = standing.nowMs - asOfMs;
  if (ageMs < 0) {
    return refuse(
      'bad request',
      'asOfMs: expected a reading that this gateway has given out, got one from its future',
    );
  }
  if (ageMs >= leaseMs) {
    return refuse(
      'reading too old',
      `expected a reading younger than the lease of ${leaseMs} ms, got one ${Math.round(ageMs)} ms old`,
    );
  }
  return null;
}

function otherIncarnation(got: string, standing: GatewayFacts): RefusedPush {
  return refuse(
    'incarnation changed',
    `expected incarnation ${standing.incarnation}, got ${got}: the gateway was restarted; read the status again`,
  );
}

function refuse(code: AdminRefusal, message: string): RefusedPush {
  return { kind: 'refused', refusal: { code, message } };
}
