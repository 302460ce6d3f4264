import { HeaderIdentity } from '../../console/server/header-identity';
import { OidcIdentity } from '../../console/server/oidc-identity';
import type { Identity } from '../../console/server/visitor';
import type { ConsoleConfiguration } from '../../core/configuration/console-schema';

/** How people log in to the page by the configuration; null: by the token. `url` is where it listens. */
export function consoleIdentity(
  configuration: ConsoleConfiguration | undefined,
  resolveSecret: (reference: string) => string,
  warn: (message: string) => void,
): ((url: URL) => Identity) | null {
  if (configuration === undefined) return null;
  const { identity, roles } = configuration;
  const { header, trusted = [], oidc } = identity;
  if (oidc === undefined) return () => new HeaderIdentity(header ?? '', trusted, roles);
  const clientSecret = oidc.clientSecret === undefined ? null : resolveSecret(oidc.clientSecret);
  return (url) =>
    new OidcIdentity({
      ...{ configuration: oidc, clientSecret, roles, warn },
      url: oidc.url === undefined ? url : new URL(oidc.url),
      now: () => Date.now(),
    });
}

/** The name by which browsers reach the console behind a proxy; none where it is the address it listens on. */
export function consoleHosts(configuration: ConsoleConfiguration | undefined): readonly string[] {
  const url = configuration?.identity.oidc?.url;
  return url === undefined ? [] : [new URL(url).hostname];
}
