import { type ClientConnectConfig, loadClientConnectConfig } from '@temporalio/envconfig';
import type { Environment } from './program';

/** Thrown when TEMPORAL_* variables or a profile are there but cannot be used: nothing else is tried then. */
export class InvalidTemporalConfiguration extends Error {
  override readonly name = 'InvalidTemporalConfiguration';
}

/** A Temporal service that the environment or a profile of temporal.toml names. */
export interface ConfiguredAddress {
  readonly address: string;
  readonly namespace: string;
  readonly foundBy: string;
  /** With TLS and API key where configured: for connecting only, never for printing. */
  readonly connectionOptions: ClientConnectConfig['connectionOptions'];
}

/** The configured Temporal service, or undefined when no address is given; throws `InvalidTemporalConfiguration`. */
export function configuredAddress(env: Environment): ConfiguredAddress | undefined {
  const { connectionOptions, namespace } = load(env);
  const { address } = connectionOptions;
  if (address === undefined || address === '') {
    const asked = ['TEMPORAL_PROFILE', 'TEMPORAL_API_KEY'].find((name) => env[name] !== undefined);
    if (asked === undefined) return undefined;
    throw new InvalidTemporalConfiguration(
      `${asked} is set, but no address: expected TEMPORAL_ADDRESS=host:port or an address in the profile; set one, or unset ${asked} to use the embedded server`,
    );
  }
  return {
    address,
    namespace: namespace ?? 'default',
    foundBy: env.TEMPORAL_ADDRESS ? 'TEMPORAL_ADDRESS' : `profile ${env.TEMPORAL_PROFILE ?? 'default'}`,
    connectionOptions,
  };
}

function load(env: Environment): ClientConnectConfig {
  const set = Object.entries(env).filter((entry): entry is [string, string] => entry[1] !== undefined);
  try {
    return loadClientConnectConfig({ overrideEnvVars: Object.fromEntries(set) });
  } catch (error) {
    // Only the first line: a TOML error quotes the lines around it, and an API key may stand there.
    const problem = (error instanceof Error ? error.message : String(error)).split('\n')[0];
    throw new InvalidTemporalConfiguration(
      `the Temporal configuration cannot be read: ${problem}; correct TEMPORAL_PROFILE, TEMPORAL_CONFIG_FILE or temporal.toml`,
    );
  }
}
