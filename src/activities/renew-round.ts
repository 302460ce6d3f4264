import type { WatchStageInput } from '../contract';
import { type Evidence, evidenceProblem } from '../core/evidence';
import type { Drift, RosterEntry } from '../core/migration-state';
import { type GatewayStatus, sameRecord } from '../core/routing';
import type { Ports } from '../ports';
import { noStanding } from './failures';

/** What one round over the roster found and did. */
export interface RoundResult {
  /** Gateways that hold a fresh grant after this round. */
  readonly granted: readonly string[];
  /** Gateways that were behind and were pushed the record. */
  readonly behind: readonly { readonly gateway: string; readonly what: string }[];
  readonly unreachable: readonly string[];
  /** Gateways whose evidence could not be read, or not be used: then with the reason in brackets. */
  readonly silent: readonly string[];
  readonly drift: Drift | null;
  readonly evidence: readonly Evidence[];
  readonly cursors: Readonly<Record<string, string>>;
  /** Failures of the candidate in a row at one gateway: the most of all. */
  readonly candidateFailureStreak: number;
  readonly settled: readonly string[];
  /** The highest epoch that any gateway has seen; 0 when none answered. */
  readonly highestEpoch: number;
}

interface GatewayRound {
  readonly name: string;
  readonly granted: boolean;
  readonly behind: string | null;
  readonly reachable: boolean;
  readonly drift: Drift | null;
  readonly evidence: Evidence | null;
  /** Why evidence that was read cannot be used. */
  readonly unusable: string | null;
  readonly cursor: string | null;
  readonly failureStreak: number;
  readonly settled: boolean;
}

/**
 * Reads every gateway, asks once whether this attempt may still grant leases, then renews each lease or pushes
 * the record to who is merely behind. Throws `NoStanding` before anything is granted.
 */
export async function renewRound(
  ports: Ports,
  input: WatchStageInput,
  roster: readonly RosterEntry[],
): Promise<RoundResult> {
  const { route, record } = input;
  const reads = await Promise.all(
    roster.map(async (gateway) => ({ gateway, answer: await ports.gateways.status(gateway, route) })),
  );
  const standing = await ports.standing.hasStanding(record.leaseMs);
  if (!standing.granted) throw noStanding(standing.reason);
  const rounds = await Promise.all(
    reads.map(async ({ gateway, answer }): Promise<GatewayRound> => {
      const absent = {
        name: gateway.name,
        granted: false,
        behind: null,
        drift: null,
        evidence: null,
        unusable: null,
        cursor: null,
        failureStreak: 0,
        settled: false,
      };
      if (answer.kind !== 'ok') return { ...absent, reachable: false };
      const status = answer.value;
      const drift = driftSeen(status, input);
      const behind = drift === null ? behindBy(status, input) : null;
      const granted = drift === null && (await grant(ports, input, gateway, status, behind !== null));
      const seen = await readEvidence(ports, input, gateway);
      return {
        ...absent,
        granted,
        behind,
        reachable: true,
        drift,
        ...seen,
        settled: status.settled === 'candidate',
      };
    }),
  );
  return {
    granted: rounds.filter(({ granted }) => granted).map(({ name }) => name),
    behind: rounds.flatMap(({ name, behind }) => (behind === null ? [] : [{ gateway: name, what: behind }])),
    unreachable: rounds.filter(({ reachable }) => !reachable).map(({ name }) => name),
    silent: rounds
      .filter(({ evidence }) => evidence === null)
      .map(({ name, unusable }) => (unusable === null ? name : `${name} (${unusable})`)),
    drift: rounds.find(({ drift }) => drift !== null)?.drift ?? null,
    evidence: rounds.flatMap(({ evidence }) => (evidence === null ? [] : [evidence])),
    cursors: Object.fromEntries(
      rounds.flatMap(({ name, cursor }) => (cursor === null ? [] : [[name, cursor]])),
    ),
    candidateFailureStreak: Math.max(0, ...rounds.map(({ failureStreak }) => failureStreak)),
    settled: rounds.filter(({ settled }) => settled).map(({ name }) => name),
    highestEpoch: Math.max(
      0,
      ...reads.map(({ answer }) => (answer.kind === 'ok' ? answer.value.highestEpoch : 0)),
    ),
  };
}

/** Law 9: a latch, a newer epoch, or other content under our epoch. */
function driftSeen(status: GatewayStatus, { record }: WatchStageInput): Drift | null {
  const { gateway, kill, highestEpoch } = status;
  if (kill !== null) {
    return {
      gateway,
      kind: 'kill latch',
      detail: `the kill switch was set by ${kill.by}: ${kill.reason}`,
      kill,
    };
  }
  if (status.withdrawn === true && status.record?.epoch === record.epoch) {
    const detail = 'its kill switch was set and cleared meanwhile: our record is withdrawn there';
    return { gateway, kind: 'kill latch', detail, kill: null };
  }
  if (highestEpoch > record.epoch) {
    const detail = `it has seen epoch ${highestEpoch}, newer than ours (${record.epoch})`;
    return { gateway, kind: 'newer epoch', detail, kill: null, epoch: highestEpoch };
  }
  if (status.record !== null && status.record.epoch === record.epoch && !sameRecord(status.record, record)) {
    return {
      gateway,
      kind: 'other content',
      detail: `it holds other content under our epoch ${record.epoch}`,
      kill: null,
    };
  }
  return null;
}

function behindBy(status: GatewayStatus, { record }: WatchStageInput): string | null {
  if (status.record === null) return 'it held no record (a new replica or a lost disk)';
  if (status.record.epoch < record.epoch)
    return `it held epoch ${status.record.epoch}, ours is ${record.epoch}`;
  if (!record.pinned && status.leaseRemainingMs === 0) return 'its lease had lapsed';
  return null;
}

async function grant(
  ports: Ports,
  { route, record }: WatchStageInput,
  gateway: RosterEntry,
  status: GatewayStatus,
  behind: boolean,
): Promise<boolean> {
  const { incarnation, asOfMs } = status;
  if (!behind) {
    if (record.pinned) return true;
    const answer = await ports.gateways.renew(gateway, route, { incarnation, asOfMs, epoch: record.epoch });
    return answer.kind === 'ok';
  }
  const expected = { incarnation, epoch: status.record?.epoch ?? status.highestEpoch };
  const answer = await ports.gateways.push(gateway, route, { expected, asOfMs, record, inFlight: 'drain' });
  return answer.kind === 'ok';
}

/**
 * A cursor that the gateway has forgotten is replaced by a fresh one: what lay between is lost, never counted twice.
 * Evidence that contradicts itself is neither used nor asked for again.
 */
async function readEvidence(
  ports: Ports,
  { route, record, progress }: WatchStageInput,
  gateway: RosterEntry,
): Promise<Pick<GatewayRound, 'evidence' | 'unusable' | 'cursor' | 'failureStreak'>> {
  const nothing = { evidence: null, unusable: null, cursor: null, failureStreak: 0 };
  const since = progress.cursors[gateway.name] ?? null;
  const answer = await ports.gateways.evidence(gateway, route, record.epoch, since);
  if (answer.kind === 'ok') {
    const unusable = evidenceProblem(answer.value, record.epoch);
    const { evidence, cursor, candidateFailureStreak: failureStreak = 0 } = answer.value;
    return unusable === null
      ? { evidence, unusable, cursor, failureStreak }
      : { ...nothing, unusable, cursor };
  }
  if (answer.kind === 'unreachable' || answer.refusal.error.code !== 'unknown cursor') return nothing;
  const fresh = await ports.gateways.evidence(gateway, route, record.epoch, null);
  return { ...nothing, cursor: fresh.kind === 'ok' ? fresh.value.cursor : null };
}
