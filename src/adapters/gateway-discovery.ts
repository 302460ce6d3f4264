import type { Configuration } from '../core/configuration/configuration-schema';
import type { FoundGateway } from '../core/routing/gateway-identity';

/** Every address of a host name, such as `dns.promises.lookup(host, { all: true })` gives. */
export type ResolveHost = (host: string) => Promise<readonly { readonly address: string }[]>;

/**
 * All gateways: those of the configuration by name, or every address behind the discovery name, called
 * `ip:port` until it has said its own name. Rejects when the name does not resolve: "none" and "unknown" must never
 * look alike.
 */
export async function discoverGateways(
  configuration: Pick<Configuration, 'gateways' | 'gatewayDiscovery'>,
  resolve: ResolveHost,
): Promise<readonly FoundGateway[]> {
  const { gateways, gatewayDiscovery } = configuration;
  if (gatewayDiscovery === undefined) return gateways.map(({ name, admin }) => ({ name, admin }));
  const url = new URL(gatewayDiscovery.admin);
  const found = await resolve(url.hostname.replace(/^\[|\]$/g, ''));
  const port = url.port === '' ? (url.protocol === 'https:' ? '443' : '80') : url.port;
  // A dual-stack service lists each replica once a family; two names of one gateway would count it twice.
  const ipv4 = found.filter(({ address }) => !address.includes(':'));
  const replicas = ipv4.length > 0 ? ipv4 : found;
  const names = replicas.map(({ address }) => `${address.includes(':') ? `[${address}]` : address}:${port}`);
  return [...new Set(names)]
    .sort()
    .map((name) => ({ name, admin: `${url.protocol}//${name}`, byAddress: true }));
}
