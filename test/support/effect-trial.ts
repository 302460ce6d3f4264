import { setTimeout as sleep } from 'node:timers/promises';
import { EffectTargets } from '../../src/adapters/effect-targets';
import { type Configuration, configurationSchema } from '../../src/core/configuration/configuration-schema';
import { parseDocument } from '../../src/core/configuration/schema-parts';
import type { EffectContext } from '../../src/core/effects/effect';

/** A moment of a migration; `fields` change what a test is about. */
export function effectContext(fields: Partial<EffectContext> = {}): EffectContext {
  return {
    route: 'chat',
    migrationId: 'chat-1',
    moment: 'stage entered',
    stage: 'canary',
    share: 0.1,
    fromShare: 0,
    epoch: 3,
    checkpoint: 5,
    by: 'ana',
    reason: 'contract ends in May',
    outcome: null,
    headHash: 'abc123',
    workflowId: 'cutover/chat',
    runId: 'run-1',
    atMs: Date.UTC(2026, 0, 2, 3, 4, 5),
    ...fields,
  };
}

/** A configuration with the given effects; throws `InvalidDocument`. */
export function configurationWith(effects: object, links: object = {}): Configuration {
  return parseDocument(
    configurationSchema,
    {
      providers: { old: { baseUrl: 'http://127.0.0.1:9/v1' }, new: { baseUrl: 'http://127.0.0.1:9/v1' } },
      routes: { chat: { legacy: 'old', candidate: 'new' } },
      effects,
      links,
    },
    'cutover.yaml',
  );
}

/** The targets of these effects, with secrets by reference. */
export function effectTargets(
  effects: object,
  secrets: Readonly<Record<string, string>> = {},
  links: object = {},
): EffectTargets {
  return new EffectTargets(configurationWith(effects, links), {
    resolveSecret: (reference) => {
      const value = secrets[reference];
      if (value === undefined) throw new Error(`the test has no secret ${reference}`);
      return value;
    },
    nowMs: Date.now,
    sleep: (durationMs, signal) => sleep(durationMs, undefined, { signal }),
  });
}

/** A signal that never aborts. */
export const NEVER = new AbortController().signal;

/** For receivers on loopback. */
export const ON_LOOPBACK = { allowPrivate: true, allowHttp: true };
