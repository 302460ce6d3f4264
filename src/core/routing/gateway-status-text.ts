import type { MigrationStatus } from '../migration/status';
import { formatShare } from '../plan/plan';
import { cohortText } from './cohort';
import type { AdminError, GatewayStatus } from './routing';

/** What a gateway said when it was asked, or why it said nothing. */
export type GatewayWord =
  | { readonly kind: 'ok'; readonly value: GatewayStatus }
  | { readonly kind: 'refused'; readonly refusal: AdminError }
  | { readonly kind: 'unreachable'; readonly reason: string };

type VerifiedShare = Pick<MigrationStatus, 'inEffect' | 'pending' | 'share'>;

/** What one gateway serves at this moment, or why that is not known. */
export function servingText(answer: GatewayWord): string {
  switch (answer.kind) {
    case 'ok':
      return `serves ${servedText(answer.value)}, ${whyServed(answer.value)}${keepingText(answer.value)}`;
    case 'refused':
      return `not known: refused (${answer.refusal.error.code}: ${answer.refusal.error.message})`;
    case 'unreachable':
      return `not known: ${answer.reason}`;
    default:
      return answer satisfies never;
  }
}

function keepingText({ durable, record }: GatewayStatus): string {
  if (durable !== false) return '';
  return record === null ? '; its disk refuses to keep any record' : ', which its disk refuses to keep';
}

function servedText({ effectiveShare, record }: GatewayStatus): string {
  const only = effectiveShare > 0 ? record?.only : undefined;
  return only === undefined ? formatShare(effectiveShare) : `${cohortText(only)} alone`;
}

/**
 * How what a gateway serves differs from what the migration verified last; null where it does not, while a change of
 * routing is under way, and before anything was verified.
 */
export function contradiction(
  { inEffect, pending, share }: VerifiedShare,
  { effectiveShare }: Pick<GatewayStatus, 'effectiveShare'>,
): string | null {
  if (inEffect === null || pending !== null || effectiveShare === share) return null;
  return `the migration last verified ${formatShare(share)}`;
}

/** By which keys the requests of the last day were drawn at some gateways; null where no key is known. */
export function keysText(statuses: readonly GatewayStatus[]): string | null {
  const sum = (count: (keys: GatewayStatus['keys']) => number) =>
    statuses.reduce((all, { keys }) => all + count(keys), 0);
  const keyed = sum(({ openings }) => openings?.keyed ?? 0);
  const shared = sum(({ openings }) => openings?.shared ?? 0);
  const named = sum(({ keyedRequests }) => keyedRequests) - keyed;
  const parts = [
    named === 0 ? [] : [`${named} by the keys of their callers`],
    keyed === 0 ? [] : [`${keyed} by how their conversation begins`],
    shared === 0 ? [] : [`${shared} one by one, because more than 1% begin in the same way`],
  ].flat();
  return parts.length === 0 ? null : `requests of the last day drawn ${parts.join('; ')}`;
}

function whyServed({ record, kill, leaseRemainingMs, settled, unconfirmed }: GatewayStatus): string {
  if (kill !== null) return `kill switch set by ${kill.by} at ${kill.at}`;
  if (record === null) return `without a record: settled on ${settled}`;
  if (unconfirmed === true) {
    return `epoch ${record.epoch} waits to be confirmed after a restart: settled on ${settled}`;
  }
  return `epoch ${record.epoch}, ${leaseText(leaseRemainingMs)}`;
}

function leaseText(remainingMs: number | null): string {
  if (remainingMs === null) return 'pinned';
  return remainingMs > 0 ? `lease for ${Math.ceil(remainingMs / 1_000)} s` : 'no lease';
}
