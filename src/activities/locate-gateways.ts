import type { RosterEntry } from '../core/migration/migration-state';
import {
  type AskedGateway,
  type IdentifiedGateway,
  identifyGateways,
} from '../core/routing/gateway-identity';
import type { Ports } from '../ports';

/** The gateways of a roster, and others, where they are now. */
export interface LocatedGateways {
  /** Those of the roster, in its order. */
  readonly members: readonly IdentifiedGateway[];
  /** Those that are not in it. */
  readonly others: readonly IdentifiedGateway[];
  /** Names of the roster that are neither configured nor discovered. */
  readonly absent: readonly string[];
}

/**
 * Discovers and asks every gateway about a route. One that is no longer discovered is asked where it was last, and a
 * roster stands in for a name that does not resolve. Rejects where neither says who there is.
 */
export async function locateGateways(
  ports: Pick<Ports, 'gateways'>,
  route: string,
  roster: readonly RosterEntry[],
): Promise<LocatedGateways> {
  const ask = async (found: AskedGateway['found']): Promise<AskedGateway> => ({
    found,
    answer: await ports.gateways.status(found, route),
  });
  const found = await discoverOr(ports, roster);
  const identified = identifyGateways(await Promise.all(found.map(ask)), roster);
  const absent = roster.filter(({ name }) => !identified.some(({ gateway }) => gateway.name === name));
  const asked = await Promise.all(absent.map(ask));
  const isDiscovering = found.some(({ byAddress }) => byAddress === true);
  const members = roster.map((entry): IdentifiedGateway => {
    const here = identified.find(({ gateway }) => gateway.name === entry.name);
    if (here !== undefined) return here;
    const answer = asked.find((one) => one.found === entry)?.answer as AskedGateway['answer'];
    const isAnother = isDiscovering && answer.kind === 'ok' && !isSaidBy(answer.value.gateway, entry);
    const gone = { kind: 'unreachable', reason: `${entry.admin} is another gateway's now` } as const;
    return { gateway: entry, answer: isAnother ? gone : answer, doubles: [] };
  });
  return {
    members,
    others: identified.filter(({ gateway }) => !roster.some(({ name }) => name === gateway.name)),
    absent: absent.map(({ name }) => name),
  };
}

async function discoverOr(
  { gateways }: Pick<Ports, 'gateways'>,
  roster: readonly RosterEntry[],
): Promise<readonly AskedGateway['found'][]> {
  try {
    return await gateways.discover();
  } catch (error) {
    if (roster.length === 0) throw error;
    // As addresses: whoever answers there now says its own name.
    return roster.map(({ admin }) => ({ name: admin.replace(/^\w+:\/\//, ''), admin, byAddress: true }));
  }
}

/** Whether a gateway that reports this name may be the one of the roster: by name, or where it is known by address. */
function isSaidBy(reported: string, { name, admin }: RosterEntry): boolean {
  return !reported || reported === name || admin.endsWith(`//${name}`);
}
