import { loadConfiguration } from '../config';
import { configurationSchema } from '../core/configuration/configuration-schema';
import { parseDocument } from '../core/configuration/schema-parts';
import { type GatewayOptions, startGateway as startParsed } from './main';

export type { LogTarget } from './telemetry/request-log';

/** What an embedded gateway is started with: all that `cutover gateway` takes, in the service's own words. */
export interface EmbeddedGatewayOptions
  extends Pick<GatewayOptions, 'name' | 'data' | 'admin' | 'log' | 'resolveSecret'> {
  /** The path of a configuration, or the document itself. */
  readonly configuration: string | object;
}

export interface EmbeddedGateway {
  readonly name: string;
  /** `http://HOST:PORT`, without path: `/v1` behind it is the base URL of an OpenAI client. */
  readonly dataUrl: string;
  /** Where workers and operators reach it. */
  readonly adminUrl: string;
  /** Accepts nothing more, lets what runs end within `gateway.drain`, then stops; safe to call twice. */
  stop(): Promise<void>;
}

/**
 * Starts a gateway inside a Node service. It installs no handlers on the process: exceptions and signals stay with
 * the service, which calls `stop` before it ends. Throws `InvalidDocument` for a configuration that is not valid, and
 * what `cutover gateway` prints otherwise: an address in use, a secret that is not there, a state directory in use.
 */
export async function startGateway(options: EmbeddedGatewayOptions): Promise<EmbeddedGateway> {
  const { configuration: given } = options;
  const configuration =
    typeof given === 'string'
      ? loadConfiguration(given)
      : parseDocument(configurationSchema, given, 'the configuration');
  const { name, dataUrl, adminUrl, stop } = await startParsed({ ...options, configuration });
  return { name, dataUrl, adminUrl, stop };
}
