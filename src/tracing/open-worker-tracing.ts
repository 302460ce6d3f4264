import { BadInput } from '../core/configuration/bad-input';
import { isTraced } from '../gateway/telemetry/trace-settings';
import type { WorkerTracing } from './worker-tracing';

/** As package.json has it among its optional peers. */
const INTERCEPTORS_PACKAGE = '@temporalio/interceptors-opentelemetry@1.24.0';

/**
 * Traces workflows and activities where OpenTelemetry's variables ask for it; else null, and nothing of it is loaded. What
 * is missing is warned of and leaves the worker untraced: traffic does not wait for traces. Throws `BadInput` that names
 * a variable.
 */
export async function openWorkerTracing(
  env: Readonly<Record<string, string | undefined>>,
  warn: (message: string) => void,
): Promise<WorkerTracing | null> {
  if (!isTraced(env)) return null;
  try {
    const { startWorkerTracing } = await import('./worker-tracing.js');
    return await startWorkerTracing(env, warn);
  } catch (error) {
    if (error instanceof BadInput) throw error;
    const { code, message } = error as NodeJS.ErrnoException;
    warn(
      /^(ERR_)?MODULE_NOT_FOUND$/.test(code ?? '')
        ? `this worker sends no spans: they need packages of 17 MB that are not installed; run \`npm install ${INTERCEPTORS_PACKAGE}\` where cutover is installed, or set OTEL_TRACES_EXPORTER=none for the worker`
        : `this worker sends no spans: ${message}`,
    );
    return null;
  }
}
