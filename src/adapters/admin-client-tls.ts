import type { Configuration } from '../core/configuration/configuration-schema';

/** What a caller of admin listeners shows and trusts, in PEM. */
export interface ClientTls {
  readonly ca?: string;
  readonly cert?: string;
  readonly key?: string;
}

/**
 * Reads `tls.adminClient` anew at each call, so that a renewed certificate needs no restart; undefined where nothing
 * is configured. The reading throws what `resolveSecret` throws.
 */
export function adminClientTls(
  { tls: { adminClient } }: Pick<Configuration, 'tls'>,
  resolveSecret: (reference: string) => string,
): (() => ClientTls) | undefined {
  if (adminClient === undefined) return undefined;
  const { ca, certificate, key } = adminClient;
  return () => ({
    ...(ca === undefined ? {} : { ca: resolveSecret(ca) }),
    ...(certificate === undefined ? {} : { cert: resolveSecret(certificate) }),
    ...(key === undefined ? {} : { key: resolveSecret(key) }),
  });
}
