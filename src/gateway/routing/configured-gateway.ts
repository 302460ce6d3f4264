import { BadInput } from '../../core/configuration/bad-input';
import type { Configuration } from '../../core/configuration/configuration-schema';
import { nearestWord } from '../../core/configuration/known-fields';

/**
 * Refuses a name that a configuration does not have: its gateway would listen where nobody looks for it. Where gateways
 * are discovered, or both addresses are given, any name will do. Throws `BadInput`.
 */
export function refuseUnknownGateway(
  name: string | undefined,
  { gateways, gatewayDiscovery }: Configuration,
  hasAddresses: boolean,
): void {
  if (name === undefined || gateways.length === 0 || gatewayDiscovery !== undefined || hasAddresses) return;
  const names = gateways.map((gateway) => gateway.name);
  if (names.includes(name)) return;
  const near = nearestWord(name, names);
  throw new BadInput(
    `expected one of the gateways of the configuration (${names.join(', ')}), got "${name}"${near === null ? '' : `: did you mean ${near}?`}`,
  );
}
