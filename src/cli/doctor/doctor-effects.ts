import { createEffectTargets } from '../../adapters/create-ports';
import { resolveSecret } from '../../config';
import type { Configuration, EffectTargetConfiguration } from '../../core/configuration/configuration-schema';
import { keyReferenceOf } from '../../core/configuration/provider-schema';
import type { Check } from './doctor-check';

const REACH_TIMEOUT_MS = 5_000;

/** Where a target's secrets are; a URL may be one. */
export function secretsOf(target: EffectTargetConfiguration): string[] {
  switch (target.type) {
    case 'dns':
      return [target.tsig.secret];
    case 'unleash':
      return [target.token];
    case 'flag':
      return target.auth === undefined ? [] : [keyReferenceOf(target.auth)];
    case 'slack':
      return [target.url];
    case 'webhook':
    case 'confirm':
      return [target.secret, ...(/^https?:/.test(target.url) ? [] : [target.url])];
    default:
      return target satisfies never;
  }
}

/** Nothing is set and nobody is told: DNS and Unleash are asked with the key, the rest is connected to. */
export function checkEffects(configuration: Configuration): Promise<Check[]> {
  const targets = createEffectTargets(configuration, resolveSecret);
  return Promise.all(
    Object.entries(configuration.effects).map(async ([effect, { type }]): Promise<Check> => {
      const name = `effect ${effect}`;
      try {
        return {
          name,
          state: 'ok',
          detail: await targets.reach(effect, AbortSignal.timeout(REACH_TIMEOUT_MS)),
        };
      } catch (error) {
        return {
          name,
          state: 'wrong',
          detail: `${type}: ${error instanceof Error ? error.message : String(error)}`,
          fix: `look at effects.${effect} in the configuration, and whether its target can be reached from here`,
        };
      }
    }),
  );
}
