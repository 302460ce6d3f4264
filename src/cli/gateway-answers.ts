import { createGatewayAdmin } from '../adapters/ports';
import { resolveSecret, UnresolvedSecret } from '../config';
import type { Configuration } from '../core/configuration-schema';
import type { GatewayStatus } from '../core/routing';
import type { GatewayAnswer } from '../ports';

/** What one gateway says of a route at its admin listener. */
export interface GatewayReading {
  readonly name: string;
  readonly answer: GatewayAnswer<GatewayStatus>;
}

/**
 * Asks every gateway of a configuration about a route, all at once and for at most three seconds. Nothing where
 * this machine has no admin token, or where the gateways' name does not resolve: whoever must know asks again.
 */
export async function readGateways(
  configuration: Configuration,
  route: string,
): Promise<readonly GatewayReading[]> {
  let admin: ReturnType<typeof createGatewayAdmin>;
  try {
    admin = createGatewayAdmin(configuration, resolveSecret);
  } catch (error) {
    if (error instanceof UnresolvedSecret) return [];
    throw error;
  }
  try {
    const gateways = await admin.discover().catch(() => []);
    return await Promise.all(
      gateways.map(async (gateway) => ({ name: gateway.name, answer: await admin.status(gateway, route) })),
    );
  } finally {
    await admin.close();
  }
}
