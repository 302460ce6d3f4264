import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { isTraced, traceSettings } from './trace-settings';
import type { Tracing } from './tracing';

type Environment = Readonly<Record<string, string | undefined>>;

/** Throws `BadInput` where OpenTelemetry's variables ask for traces in a way that cannot be served. */
export function checkTracing(env: Environment): void {
  if (isTraced(env)) traceSettings(env, {});
}

/** Traces requests where OpenTelemetry's variables ask for it; else null, and nothing of it is loaded. */
export function openTracing(
  env: Environment,
  options: {
    readonly gateway: string;
    readonly now: () => number;
    readonly warn: (message: string) => void;
  },
): Tracing | null {
  if (!isTraced(env)) return null;
  // At once and not by `import()`: a process that serves must not miss what it is told while it loads.
  const tracing = require('./tracing') as typeof import('./tracing');
  const { version } = JSON.parse(readFileSync(join(__dirname, '../../../../package.json'), 'utf8')) as {
    version: string;
  };
  const { gateway, now, warn } = options;
  return tracing.startTracing({ env, gateway, version, warn, clocks: { now, wallNow: Date.now } });
}
