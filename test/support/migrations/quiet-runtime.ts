import { DefaultLogger, makeTelemetryFilterString, Runtime } from '@temporalio/worker';

/** Has Temporal's runtime say errors only: every start and stop of a worker would otherwise be logged at length. */
export function installQuietRuntime(): void {
  Runtime.install({
    logger: new DefaultLogger('ERROR'),
    telemetryOptions: { logging: { filter: makeTelemetryFilterString({ core: 'ERROR' }) } },
  });
}
