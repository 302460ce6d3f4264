import type { WatchStageInput } from '../contract';
import { type Evidence, evidenceProblem } from '../core/evidence/evidence';
import type { WindowResult } from '../core/migration/events';
import type { Drift, RosterEntry } from '../core/migration/migration-state';
import { driftAt, driftsAfter, isKilled } from '../core/routing/drift';
import { hasAnswered } from '../core/routing/gateway-identity';
import { type GatewayStatus, highestEpochOf, type RoutingRecord } from '../core/routing/routing';
import type { Ports } from '../ports';
import { noStanding } from './failures';
import { locateGateways } from './locate-gateways';
import { silenceReasons } from './silence-reasons';

/** What one round over the roster found and did. */
export interface RoundResult {
  /** Gateways that hold a fresh grant after this round. */
  readonly granted: readonly string[];
  /** Gateways that were behind and were pushed the record. */
  readonly behind: WindowResult['lapses'];
  readonly unreachable: readonly string[];
  /** Gateways whose evidence could not be read, or not be used: then with the reason in brackets. */
  readonly silent: readonly string[];
  /** All that contradicts our routing, with what is known of gateways that were silent. */
  readonly drifts: readonly Drift[];
  /** Who answered. */
  readonly answered: readonly string[];
  /** Why the others did not. */
  readonly unansweredBecause: Readonly<Record<string, string>>;
  readonly evidence: readonly Evidence[];
  readonly cursors: Readonly<Record<string, string>>;
  /** Failures of the candidate in a row at one gateway: the most of all. */
  readonly candidateFailureStreak: number;
  readonly settled: readonly string[];
  /** The highest epoch that any gateway has seen; 0 when none answered. */
  readonly highestEpoch: number;
  /** The gateways of the roster, where they were found. */
  readonly located: readonly RosterEntry[];
  /** Gateways that are not in the roster: they are recorded before anything is granted to them. */
  readonly joined: readonly RosterEntry[];
  /** Names of the roster that are neither configured nor discovered. */
  readonly absent: readonly string[];
}

interface GatewayRound {
  readonly name: string;
  readonly granted: boolean;
  readonly behind: string | null;
  readonly isRoutine: boolean;
  readonly reachable: boolean;
  readonly evidence: Evidence | null;
  /** Why evidence that was read cannot be used. */
  readonly unusable: string | null;
  readonly cursor: string | null;
  readonly failureStreak: number;
  readonly settled: boolean;
}

/**
 * Finds and reads every gateway, asks once whether this attempt may still grant leases, then renews each lease or pushes
 * the record to who is merely behind. `known` is the drift that was known before. Throws `NoStanding` before anything is granted.
 */
export async function renewRound(
  ports: Ports,
  input: WatchStageInput,
  roster: readonly RosterEntry[],
  known: readonly Drift[],
): Promise<RoundResult> {
  const { route, record } = input;
  const { members: reads, others, absent: gone } = await locateGateways(ports, route, roster);
  const answered = reads.flatMap(({ gateway, answer }) => (answer.kind === 'ok' ? [gateway.name] : []));
  const found = reads.flatMap(({ gateway, answer }) => {
    const drift = answer.kind === 'ok' ? driftAt(gateway.name, answer.value, record) : null;
    return drift === null ? [] : [drift];
  });
  const drifts = driftsAfter(known, found, answered);
  // What a kill withdrew is pushed to nobody: neither to who joins nor to who has lost its record, latch or not.
  const killed = isKilled(drifts);
  const mayGrant = await ports.leaseGrants.mayGrantLeases(record.leaseMs);
  if (!mayGrant.granted) throw noStanding(mayGrant.reason);
  const rounds = await Promise.all(
    reads.map(async ({ gateway, answer }): Promise<GatewayRound> => {
      const absent = {
        name: gateway.name,
        granted: false,
        behind: null,
        isRoutine: false,
        evidence: null,
        unusable: null,
        cursor: null,
        failureStreak: 0,
        settled: false,
      };
      if (answer.kind !== 'ok') return { ...absent, reachable: false };
      const status = answer.value;
      const lacks = behindBy(status, input);
      const drifted = drifts.some((drift) => drift.gateway === gateway.name);
      const barred = drifted || (killed && lacks !== null);
      const behind = barred ? null : lacks;
      const granted = !barred && (await grant(ports, input, gateway, status, behind !== null));
      const seen = await readEvidence(ports, input, gateway);
      return {
        ...absent,
        granted,
        behind,
        isRoutine: isRoutineRestart(status, input.record),
        reachable: true,
        ...seen,
        settled: status.settled === 'candidate',
      };
    }),
  );
  return {
    granted: rounds.filter(({ granted }) => granted).map(({ name }) => name),
    behind: rounds.flatMap(({ name, behind, isRoutine }) =>
      behind === null
        ? []
        : [{ gateway: name, what: behind, ...(isRoutine ? { routine: true as const } : {}) }],
    ),
    unreachable: rounds.filter(({ reachable }) => !reachable).map(({ name }) => name),
    silent: rounds
      .filter(({ evidence }) => evidence === null)
      .map(({ name, unusable }) => (unusable === null ? name : `${name} (${unusable})`)),
    drifts,
    answered,
    unansweredBecause: silenceReasons(reads),
    evidence: rounds.flatMap(({ evidence }) => (evidence === null ? [] : [evidence])),
    cursors: Object.fromEntries(
      rounds.flatMap(({ name, cursor }) => (cursor === null ? [] : [[name, cursor]])),
    ),
    candidateFailureStreak: Math.max(0, ...rounds.map(({ failureStreak }) => failureStreak)),
    settled: rounds.filter(({ settled }) => settled).map(({ name }) => name),
    highestEpoch: Math.max(
      0,
      ...reads.map(({ answer }) => (answer.kind === 'ok' ? highestEpochOf(answer.value) : 0)),
    ),
    located: reads.map(({ gateway }) => gateway),
    joined: others.filter(hasAnswered).map(({ gateway }) => gateway),
    absent: gone,
  };
}

/** Whether it stopped in order and came back with our record: no sign of trouble. */
function isRoutineRestart(
  { restart, record: held, leaseRemainingMs }: GatewayStatus,
  record: RoutingRecord,
): boolean {
  return restart === 'in order' && leaseRemainingMs === 0 && held?.epoch === record.epoch;
}

function behindBy(status: GatewayStatus, { record }: WatchStageInput): string | null {
  if (status.record === null) return 'it held no record (a new replica or a lost disk)';
  if (status.record.epoch < record.epoch)
    return `it held epoch ${status.record.epoch}, ours is ${record.epoch}`;
  if (status.unconfirmed === true) return 'it restarted, and its record waits to be confirmed';
  if (isRoutineRestart(status, record)) return 'it restarted in order';
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
  const expected = { incarnation, epoch: status.record?.epoch ?? highestEpochOf(status) };
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
