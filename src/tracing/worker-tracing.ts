import { AsyncLocalStorage } from 'node:async_hooks';
import { createRequire } from 'node:module';
import { hostname } from 'node:os';
import type { Context, ContextManager } from '@opentelemetry/api';
import {
  OpenTelemetryActivityInboundInterceptor,
  OpenTelemetryActivityOutboundInterceptor,
  type OpenTelemetrySinks,
} from '@temporalio/interceptors-opentelemetry';
import type { InjectedSinks, WorkerOptions } from '@temporalio/worker';
import { jsonEncoding, protobufEncoding } from '../gateway/telemetry/otlp-encoding';
import { SpanExport } from '../gateway/telemetry/span-export';
import { isSampled } from '../gateway/telemetry/trace-context';
import { traceSettings } from '../gateway/telemetry/trace-settings';
import { packageVersion } from '../package-version';
import { bundleWorkflows } from '../workflow-bundle';
import { type EndedSpan, sentSpan } from './temporal-span';

/** What workers are given so that workflows and activities are traced. */
export interface WorkerTracing {
  /** The workflows with the interceptors among them. */
  readonly workflowBundle: { readonly code: string };
  readonly options: Pick<WorkerOptions, 'interceptors' | 'sinks'>;
  /** Sends what is left, for two seconds at most. */
  stop(): Promise<void>;
}

// What the interceptors use, and not another copy of it: contexts are passed on by its globals.
const requireTheirs = createRequire(require.resolve('@temporalio/interceptors-opentelemetry'));
const api: typeof import('@opentelemetry/api') = requireTheirs('@opentelemetry/api');
const core: typeof import('@opentelemetry/core') = requireTheirs('@opentelemetry/core');
const sdk: typeof import('@opentelemetry/sdk-trace-base') = requireTheirs('@opentelemetry/sdk-trace-base');

/** Once a process: a worker that ended is started again at once. */
let tracedWorkflows: Promise<string> | null = null;

/**
 * Sends the spans of Temporal's interceptors by the exporter of the gateway. Throws `BadInput` that names a variable.
 *
 * @public loaded by `import()` in `open-worker-tracing.ts`
 */
export async function startWorkerTracing(
  env: Readonly<Record<string, string | undefined>>,
  warn: (message: string) => void,
): Promise<WorkerTracing> {
  const version = packageVersion();
  const settings = traceSettings(env, {
    'service.name': 'cutover-worker',
    'service.version': version,
    'service.instance.id': `${process.pid}@${hostname()}`,
  });
  tracedWorkflows ??= bundleWorkflows([require.resolve('./workflow-interceptors')]);
  const code = await tracedWorkflows.catch((error: unknown) => {
    tracedWorkflows = null;
    throw error;
  });
  const origin = { resource: settings.resource, scope: { name: 'cutover.worker', version } };
  const encoding = settings.encoding === 'json' ? jsonEncoding(origin) : protobufEncoding(origin);
  const spans = new SpanExport(settings, encoding, warn);
  const { ratio } = settings.sampler;
  const send = (span: EndedSpan, ids: Readonly<Record<string, string>> = {}): void => {
    const sent = sentSpan(span, ids);
    // A workflow knows no environment: it draws every trace, and which of them are kept is decided here.
    if (isSampled(sent.traceId, ratio)) spans.add(sent);
  };
  const provider = new sdk.BasicTracerProvider({
    sampler: new sdk.ParentBasedSampler({ root: new sdk.AlwaysOnSampler() }),
  });
  provider.addSpanProcessor({
    onStart: () => undefined,
    onEnd: (span) => send(span),
    forceFlush: async () => undefined,
    shutdown: async () => undefined,
  });
  provider.register({
    contextManager: new AsyncContexts(),
    propagator: new core.W3CTraceContextPropagator(),
  });
  const tracer = provider.getTracer('cutover.worker', version);
  const sinks: InjectedSinks<OpenTelemetrySinks> = {
    exporter: {
      export: {
        fn: ({ workflowId, runId }, ended) => {
          for (const span of ended) send(span, { temporalWorkflowId: workflowId, run_id: runId });
        },
        callDuringReplay: false,
      },
    },
  };
  return {
    workflowBundle: { code },
    options: {
      interceptors: {
        activity: [
          (context) => ({
            inbound: new OpenTelemetryActivityInboundInterceptor(context, { tracer }),
            outbound: new OpenTelemetryActivityOutboundInterceptor(context),
          }),
        ],
      },
      sinks,
    },
    stop: () => spans.stop(),
  };
}

/** Carries the span of an activity through what it awaits. */
class AsyncContexts implements ContextManager {
  readonly #storage = new AsyncLocalStorage<Context>();

  active(): Context {
    return this.#storage.getStore() ?? api.ROOT_CONTEXT;
  }

  with<Args extends unknown[], Run extends (...args: Args) => ReturnType<Run>>(
    context: Context,
    run: Run,
    thisArg?: ThisParameterType<Run>,
    ...args: Args
  ): ReturnType<Run> {
    return this.#storage.run(context, () => run.apply(thisArg, args));
  }

  bind<Target>(context: Context, target: Target): Target {
    if (typeof target !== 'function') return target;
    return ((...args: unknown[]) => this.#storage.run(context, () => target(...args))) as Target;
  }

  enable(): this {
    return this;
  }

  disable(): this {
    this.#storage.disable();
    return this;
  }
}
