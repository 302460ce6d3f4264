import type { RosterEntry } from '../migration/migration-state';
import type { GatewayWord } from './gateway-status-text';
import type { GatewayStatus } from './routing';

/** A gateway as discovery finds it. */
export interface FoundGateway extends RosterEntry {
  /** The name is only an address: the gateway itself says who it is. */
  readonly byAddress?: true;
}

/** What was answered at one address. */
export interface AskedGateway {
  readonly found: FoundGateway;
  readonly answer: GatewayWord;
}

/** One gateway under its own name, at the address where it is now. */
export interface IdentifiedGateway {
  readonly gateway: RosterEntry;
  /** `unreachable` also where more than one gateway reports the name: nobody knows which of them is meant. */
  readonly answer: GatewayWord;
  /** All that report the name, where that is more than one; empty otherwise. */
  readonly doubles: readonly DoubledGateway[];
}

/** One of several gateways that report the same name. */
export interface DoubledGateway {
  readonly gateway: RosterEntry;
  readonly status: GatewayStatus;
}

/**
 * Who answered where. A gateway is known by the name that it reports, whatever its address; by its address where it
 * reports none, or where the roster of an older release knows it by that; and where it is silent, as whoever the roster
 * last saw there.
 */
export function identifyGateways(
  asked: readonly AskedGateway[],
  roster: readonly RosterEntry[],
): readonly IdentifiedGateway[] {
  const byName = new Map<string, AskedGateway[]>();
  for (const one of asked) {
    const name = nameOf(one, roster);
    byName.set(name, [...(byName.get(name) ?? []), one]);
  }
  return [...byName].map(([name, all]) => identified(name, all));
}

function nameOf({ found, answer }: AskedGateway, roster: readonly RosterEntry[]): string {
  if (found.byAddress !== true) return found.name;
  const knownHere = roster.find(({ admin }) => admin === found.admin);
  if (answer.kind !== 'ok') return knownHere?.name ?? found.name;
  const { gateway: reported } = answer.value;
  const isKnownByAddress = knownHere?.name === found.name && !roster.some(({ name }) => name === reported);
  return isKnownByAddress || !reported ? found.name : reported;
}

function identified(name: string, all: readonly AskedGateway[]): IdentifiedGateway {
  const doubles = all.flatMap(({ found, answer }) =>
    answer.kind === 'ok' ? [{ gateway: { name, admin: found.admin }, status: answer.value }] : [],
  );
  // Another address of the same process (a second network, an old DNS entry) is no second gateway.
  const incarnations = new Set(doubles.map(({ status }) => status.incarnation));
  const [{ found, answer }] = [...all.filter((one) => one.answer.kind === 'ok'), ...all] as [
    AskedGateway,
    ...AskedGateway[],
  ];
  const gateway = { name, admin: found.admin };
  if (incarnations.size <= 1) return { gateway, answer, doubles: [] };
  return { gateway, answer: { kind: 'unreachable', reason: doubledText(name, doubles) }, doubles };
}

/** Whether it answered at all: nobody joins, or joins again after it was forgotten, who is silent. */
export function hasAnswered({ answer, doubles }: Pick<IdentifiedGateway, 'answer' | 'doubles'>): boolean {
  return answer.kind === 'ok' || doubles.length > 0;
}

function doubledText(name: string, doubles: readonly DoubledGateway[]): string {
  const addresses = doubles.map(({ gateway }) => gateway.admin).join(' and ');
  return `${doubles.length} gateways report the name "${name}", at ${addresses}: give each a name and a state directory of its own (a copied state directory keeps the name)`;
}
