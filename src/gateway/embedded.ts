import { loadConfiguration } from '../config';
import { configurationSchema } from '../core/configuration/configuration-schema';
import { parseDocument } from '../core/configuration/schema-parts';
import { type GatewayOptions, type RunningGateway, startGatewayServer as startParsed } from './main';
import { refuseUnknownGateway } from './routing/configured-gateway';

export type { LogTarget } from './telemetry/request-log';

/** What an embedded gateway is started with. */
export interface EmbeddedGatewayOptions
  extends Pick<GatewayOptions, 'name' | 'data' | 'admin' | 'log' | 'resolveSecret'> {
  /** The path of a configuration, or the document itself. */
  readonly configuration: string | object;
}

/** `/v1` behind `dataUrl` is the base URL of an OpenAI client; workers and operators reach it at `adminUrl`. */
export type EmbeddedGateway = Pick<RunningGateway, 'name' | 'dataUrl' | 'adminUrl' | 'stop'>;

/**
 * Starts a gateway inside a Node service. It installs no handlers on the process: exceptions and signals stay with
 * the service, which calls `stop` before it ends. Throws `InvalidDocument` for a configuration that is not valid,
 * `BadInput` for a name that it lacks, and what `cutover gateway` prints otherwise: an address in use, a secret that is not there, a state directory in use.
 */
export async function startGateway(options: EmbeddedGatewayOptions): Promise<EmbeddedGateway> {
  const { configuration: given } = options;
  const configuration =
    typeof given === 'string'
      ? loadConfiguration(given)
      : parseDocument(configurationSchema, given, 'the configuration');
  refuseUnknownGateway(
    options.name,
    configuration,
    options.data !== undefined && options.admin !== undefined,
  );
  const { name, dataUrl, adminUrl, stop } = await startParsed({
    ...options,
    configuration,
    ...(typeof given === 'string' ? { readConfiguration: () => loadConfiguration(given) } : {}),
  });
  return { name, dataUrl, adminUrl, stop };
}
