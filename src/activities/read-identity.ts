import { compareIdentity, type IdentityReading } from '../core/assessment/declared-identity';
import type { Ports } from '../ports';

/** Asks the candidate's server for its models, which costs nothing, and compares what it states with the declared digest. */
export async function readIdentity(
  ports: Ports,
  route: string,
  declared: string,
  limits: { readonly timeoutMs: number; readonly signal: AbortSignal },
): Promise<IdentityReading> {
  const stated = await ports.providers.probe(route, 'candidate', 'models', limits);
  return compareIdentity(declared, candidateModels(ports, route), stated);
}

/** The models that the route has at the candidate. */
export function candidateModels(ports: Ports, route: string): readonly string[] {
  return ports.providers.models(route).map(({ candidate }) => candidate);
}
