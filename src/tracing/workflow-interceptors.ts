import {
  OpenTelemetryInboundInterceptor,
  OpenTelemetryInternalsInterceptor,
  OpenTelemetryOutboundInterceptor,
} from '@temporalio/interceptors-opentelemetry/lib/workflow';
import { getRandomStream, type WorkflowInterceptors } from '@temporalio/workflow';

/** Bundled with the workflows of a worker that traces: Temporal's interceptors. */
export const interceptors = (): WorkflowInterceptors => ({
  inbound: [drawingApart(new OpenTelemetryInboundInterceptor())],
  outbound: [drawingApart(new OpenTelemetryOutboundInterceptor())],
  internals: [new OpenTelemetryInternalsInterceptor()],
});

/**
 * Ids of spans are drawn by `Math.random`. From the workflow's own stream they would change the salt that a migration may
 * draw, and a worker without traces that replays the run would draw another: every gateway would seem to have drifted.
 * Each method has a stream of its own, because a replay leaves out the validation of updates and what it draws.
 */
function drawingApart<Interceptor extends object>(interceptor: Interceptor): Interceptor {
  return new Proxy(interceptor, {
    get(target, name) {
      const method: unknown = Reflect.get(target, name);
      if (typeof method !== 'function') return method;
      return (...given: unknown[]) =>
        getRandomStream(`cutover.tracing.${String(name)}`).with(() => method.apply(target, given));
    },
  });
}
