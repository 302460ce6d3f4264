import { lookup } from 'node:dns/promises';
import type { Configuration } from '../core/configuration/configuration-schema';
import { adminClientTls } from './admin-client-tls';
import { GatewayAdmin } from './gateway-admin';
import { discoverGateways } from './gateway-discovery';

/** The admin client for a configuration's gateways; `controls` when it acts for a migration. */
export function createGatewayAdmin(
  configuration: Configuration,
  resolveSecret: (reference: string) => string,
  controls = false,
): GatewayAdmin {
  const { gatewayDiscovery } = configuration;
  const tls = adminClientTls(configuration, resolveSecret);
  return new GatewayAdmin({
    token: resolveSecret(configuration.adminToken),
    controls,
    discover: () => discoverGateways(configuration, (host) => lookup(host, { all: true })),
    ...(gatewayDiscovery === undefined ? {} : { discoveryHost: new URL(gatewayDiscovery.admin).hostname }),
    ...(tls === undefined ? {} : { tls }),
  });
}
