import { setTimeout as sleep } from 'node:timers/promises';
import type { PayloadCodec } from '@temporalio/common';
import type { Configuration } from '../core/configuration/configuration-schema';
import type { Ports, TelemetryPort } from '../ports';
import { createGatewayAdmin } from './create-gateway-admin';
import { EffectTargets } from './effect-targets';
import { createIdentity } from './identity-files';
import { createLeaseGrants } from './lease-grants';
import { observedEffects } from './observed-effects';
import { createProviderProbes } from './openai/provider-probe';
import { createParityRuns, type ParityDirectories } from './parity-runs';
import { createReportWriter } from './report-writer';
import { systemClock } from './system-clock';
import { createUsageLogs } from './usage-logs';

/** The real world behind the activities of a worker; throws `UnresolvedSecret` when the admin token leads nowhere. */
export function createPorts(
  configuration: Configuration,
  resolveSecret: (reference: string) => string,
  readDocument: (path: string) => unknown,
  parity: ParityDirectories,
  telemetry: TelemetryPort = SILENCE,
  reportsFolder?: string,
  codecs: readonly PayloadCodec[] = [],
): Ports {
  const providers = createProviderProbes({ configuration, resolveSecret, now: systemClock.now });
  return {
    gateways: createGatewayAdmin(configuration, resolveSecret, true),
    providers,
    parity: createParityRuns(configuration, providers, parity),
    identity: createIdentity({ configuration, resolveSecret }, parity.golden),
    leaseGrants: createLeaseGrants(),
    usage: createUsageLogs({ configuration, resolveSecret, readDocument }),
    reports: createReportWriter(reportsFolder ?? null, codecs),
    clock: systemClock,
    telemetry,
    effects: observedEffects(createEffectTargets(configuration, resolveSecret), telemetry),
  };
}

const SILENCE: TelemetryPort = {
  effect: () => ({ end: () => undefined }),
  stage: () => ({ round: () => undefined, end: () => undefined }),
  change: () => ({ pushed: () => undefined, end: () => undefined }),
};

/** The targets of a configuration's effects. */
export function createEffectTargets(
  configuration: Configuration,
  resolveSecret: (reference: string) => string,
): EffectTargets {
  return new EffectTargets(configuration, {
    resolveSecret,
    nowMs: Date.now,
    sleep: (durationMs, signal) => sleep(durationMs, undefined, { signal }),
  });
}
