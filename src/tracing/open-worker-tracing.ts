import { isTraced } from '../gateway/telemetry/trace-settings';
import type { WorkerTracing } from './worker-tracing';

/**
 * Traces activities where OpenTelemetry's variables ask for it; else null, and nothing of it is loaded. Throws `BadInput`
 * that names a variable.
 */
export async function openWorkerTracing(
  env: Readonly<Record<string, string | undefined>>,
  warn: (message: string) => void,
): Promise<WorkerTracing | null> {
  if (!isTraced(env)) return null;
  const { startWorkerTracing } = await import('./worker-tracing.js');
  return startWorkerTracing(env, warn);
}
