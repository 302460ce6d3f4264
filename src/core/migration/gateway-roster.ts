import { driftsOf, withDrifts, withoutLatch } from '../routing/drift';
import { checkpointCount } from './checkpoint';
import type { Command } from './command';
import type { ForgottenGateway, MigrationState, RosterEntry } from './migration-state';
import { record } from './routing-change';

const FORGOTTEN_KEPT = 50;

/** The roster with who joined and without who left; recorded where that changes it. */
export function withRoster(
  state: MigrationState,
  joined: readonly RosterEntry[],
  left: readonly string[],
  atMs: number,
): MigrationState {
  const roster = [...state.roster.filter(({ name }) => !left.includes(name)), ...joined];
  // Without anyone "every gateway" would be an empty promise: the last ones stay until another joins.
  if (roster.length === 0 || joined.length + left.length === 0) return state;
  const reason = [
    ...joined.map((entry) => joinedText(state, entry)),
    ...left.map((name) => `${name} left`),
  ].join(', ');
  return record({ ...state, roster }, { what: 'roster', reason, atMs });
}

/** The roster with the addresses at which its gateways were found, and with who joined. */
export function withLocated(
  state: MigrationState,
  located: readonly RosterEntry[],
  atMs: number,
): MigrationState {
  const roster = state.roster.map(
    (entry) => located.find(({ name, admin }) => name === entry.name && admin !== entry.admin) ?? entry,
  );
  const isMoved = roster.some((entry, index) => entry !== state.roster[index]);
  const joined = located.filter(({ name }) => !roster.some((entry) => entry.name === name));
  return withRoster(isMoved ? { ...state, roster } : state, joined, [], atMs);
}

/** Who of a roster is not among those that answered. */
export function silentIn(roster: readonly RosterEntry[], answered: readonly string[]): readonly string[] {
  return roster.map(({ name }) => name).filter((name) => !answered.includes(name));
}

/** Gateways that did not answer or refused, each with what is known of why: `gw-2 (connect timeout), gw-3`. */
export function withReasons({
  unreachable,
  unreachableBecause = {},
}: Pick<MigrationState, 'unreachable' | 'unreachableBecause'>): string {
  return unreachable
    .map((name) => {
      const reason = unreachableBecause[name];
      return reason === undefined ? name : `${name} (${reason})`;
    })
    .join(', ');
}

/** Why a gateway cannot be forgotten; null when it can: it is known, silent, and not the last one. */
export function forgetRefusal(
  { roster, unreachable, forgotten = [] }: MigrationState,
  gateway: string,
): string | null {
  const names = roster.map(({ name }) => name);
  if (!names.includes(gateway)) {
    const before = forgotten.find(({ name }) => name === gateway);
    if (before !== undefined) return `"${gateway}" was forgotten already, by checkpoint ${before.checkpoint}`;
    return `expected one of the gateways ${names.join(', ') || '(none is known yet)'}, got "${gateway}"`;
  }
  if (names.length === 1) {
    return `"${gateway}" is the only gateway: nobody would be left to confirm anything`;
  }
  if (!unreachable.includes(gateway)) {
    return `"${gateway}" answered when it was asked last: only a gateway that is gone for good can be forgotten; stop it first`;
  }
  return null;
}

/**
 * The state in which a gateway is no longer asked or waited for, because an operator attests that it is gone for good.
 * What it may hold stays possible: the record says so.
 */
export function forget(
  state: MigrationState,
  { gateway, by, reason, commandId }: Command & { readonly name: 'forget' },
  atMs: number,
): MigrationState {
  const { pinned } = state.mayHold;
  const told = record(state, {
    what: 'forgotten',
    by,
    commandId,
    reason: `${gateway}: ${reason} (${pinned ? UNPROMISED : LAPSES})`,
    atMs,
  });
  const checkpoint = checkpointCount(told);
  const entry: ForgottenGateway = { name: gateway, checkpoint, mayServe: pinned };
  const without = (names: readonly string[]) => names.filter((name) => name !== gateway);
  const { pending } = told;
  return {
    ...withDrifts(
      told,
      driftsOf(told).map((drift) => (drift.gateway === gateway ? withoutLatch(drift) : drift)),
    ),
    roster: told.roster.filter(({ name }) => name !== gateway),
    unreachable: without(told.unreachable),
    settled: without(told.settled),
    forgotten: [...(told.forgotten ?? []), entry].slice(-FORGOTTEN_KEPT),
    // Whoever is still to confirm is asked anew: an answer that is under way may be waiting for the one that is gone.
    pending:
      pending === null
        ? null
        : {
            ...pending,
            forgotten: [...(pending.forgotten ?? []), gateway],
            confirmations: pending.confirmations && {
              ...pending.confirmations,
              missing: without(pending.confirmations.missing),
            },
          },
    retry: null,
  };
}

const UNPROMISED =
  'it may hold a pinned record: if it still runs somewhere it may serve the candidate, and nobody will notice';
const LAPSES = 'whatever it holds needs a lease, which nobody renews';

/** What is forgotten and has not come back. */
export function goneGateways({ forgotten = [], roster }: MigrationState): readonly ForgottenGateway[] {
  return forgotten.filter((gone) => !roster.some(({ name }) => name === gone.name));
}

function joinedText({ forgotten = [] }: MigrationState, { name }: RosterEntry): string {
  const earlier = forgotten.find((one) => one.name === name);
  const again = earlier === undefined ? '' : `, which checkpoint ${earlier.checkpoint} forgot`;
  return `${name} joined${again}`;
}
