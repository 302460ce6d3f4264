import { createHash } from 'node:crypto';
import { hostname } from 'node:os';
import type { WorkerOptions } from '@temporalio/worker';
import { type AttributeValue, jsonEncoding, protobufEncoding } from '../gateway/telemetry/otlp-encoding';
import { SpanExport } from '../gateway/telemetry/span-export';
import { isSampled, randomHex } from '../gateway/telemetry/trace-context';
import { traceSettings } from '../gateway/telemetry/trace-settings';
import { packageVersion } from '../package-version';

/** What workers are given so that activities are traced. */
export interface WorkerTracing {
  readonly interceptors: NonNullable<WorkerOptions['interceptors']>;
  /** Sends what is left, for two seconds at most. */
  stop(): Promise<void>;
}

/**
 * Sends a span for each attempt at an activity, by the exporter of the gateway. Those of one run are one trace, whose id is
 * computed from the run's: nothing is added to workflows, whose commands would come in another order. Throws `BadInput`
 * that names a variable.
 *
 * @public loaded by `import()` in `open-worker-tracing.ts`
 */
export function startWorkerTracing(
  env: Readonly<Record<string, string | undefined>>,
  warn: (message: string) => void,
): WorkerTracing {
  const version = packageVersion();
  const settings = traceSettings(env, {
    'service.name': 'cutover-worker',
    'service.version': version,
    'service.instance.id': `${process.pid}@${hostname()}`,
  });
  const origin = { resource: settings.resource, scope: { name: 'cutover.worker', version } };
  const encoding = settings.encoding === 'json' ? jsonEncoding(origin) : protobufEncoding(origin);
  const spans = new SpanExport(settings, encoding, warn);
  return {
    interceptors: {
      activity: [
        ({ info, cancellationSignal }) => ({
          inbound: {
            async execute(input, next) {
              const { workflowId = '', runId = '' } = info.workflowExecution ?? {};
              const traceId = traceIdOf(runId);
              if (!isSampled(traceId, settings.sampler.ratio)) return next(input);
              const startMs = Date.now();
              const attributes: Record<string, AttributeValue> = {
                temporalWorkflowId: workflowId,
                run_id: runId,
                'cutover.attempt': info.attempt,
              };
              let failed = false;
              try {
                return await next(input);
              } catch (error) {
                failed = !cancellationSignal.aborted;
                attributes['error.type'] = error instanceof Error ? error.name : 'Error';
                throw error;
              } finally {
                spans.add({
                  ...{ traceId, spanId: randomHex(8), parentId: null, kind: 'internal' },
                  ...{ name: `RunActivity:${info.activityType}`, startMs, endMs: Date.now() },
                  ...{ attributes, events: [], failed },
                });
              }
            },
          },
        }),
      ],
    },
    stop: () => spans.stop(),
  };
}

/** 32 hex digits, the same in every worker. */
function traceIdOf(runId: string): string {
  return createHash('sha256').update(runId).digest('hex').slice(0, 32);
}
