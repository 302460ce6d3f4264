import type { EffectPort, EffectTelemetry, TelemetryPort } from '../ports';

/** Effects whose attempts are told to the telemetry; they do what they did. */
export function observedEffects(effects: EffectPort, telemetry: TelemetryPort): EffectPort {
  return {
    capture: (effect, context, signal) => effects.capture(effect, context, signal),
    apply: (effect, key, context, signal) =>
      withTelemetry(telemetry.effect({ route: context.route, effect: effect.name, key }), signal, () =>
        effects.apply(effect, key, context, signal),
      ),
    restore: (effect, captured, key, context, signal) =>
      withTelemetry(telemetry.effect({ route: context.route, effect: effect.name, key }), signal, () =>
        effects.restore(effect, captured, key, context, signal),
      ),
    confirm: (question, signal) => effects.confirm(question, signal),
  };
}

async function withTelemetry<T>(
  telemetry: EffectTelemetry,
  signal: AbortSignal,
  work: () => Promise<T>,
): Promise<T> {
  try {
    const result = await work();
    telemetry.end('done');
    return result;
  } catch (error) {
    telemetry.end(signal.aborted ? 'cancelled' : 'failed');
    throw error;
  }
}
