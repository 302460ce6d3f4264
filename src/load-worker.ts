import { loadOptional, type OptionalPackage } from './optional-package';

const WORKER = '@temporalio/worker';

/**
 * The worker, loaded when one is started: it takes 230 MB of the Temporal SDK, of which those who run only gateways or
 * the client need nothing. Throws `BadInput` with the command that installs what is missing; `further` is installed with it.
 */
export function loadWorker(further: readonly OptionalPackage[] = []): Promise<typeof import('./worker')> {
  return loadOptional(() => import('./worker.js'), `a worker needs ${WORKER}`, [WORKER, ...further]);
}
