import type { Configuration, EffectTargetConfiguration } from '../core/configuration/configuration-schema';
import { InvalidDocument } from '../core/configuration/schema-parts';
import type { EffectContext, Json, PlannedEffect } from '../core/effects/effect';
import { EffectProblem } from '../core/effects/effect-problem';
import { EFFECT_SET_SCHEMAS } from '../core/effects/effect-schema';
import { effectValues } from '../core/effects/effect-values';
import { effectProblems } from '../core/effects/plan-effects';
import type { EffectPort } from '../ports';
import { askGate } from './effects/confirm-gate';
import { createDnsTarget } from './effects/dns-target';
import type { EffectJob, EffectTarget, TargetTools } from './effects/effect-target';
import { createFlagTarget } from './effects/flag-target';
import { type HttpLimits, reachGuarded } from './effects/guarded-http';
import { urlAt } from './effects/signed-call';
import { createSlackTarget } from './effects/slack-target';
import { createUnleashTarget } from './effects/unleash-target';
import { createWebhookTarget } from './effects/webhook-target';

/** Captured states go through histories: more than this belongs elsewhere. */
const CAPTURED_MOST_BYTES = 4_096;
const REACH_TIMEOUT_MS = 5_000;

/**
 * The configured targets of effects behind one port. Secrets are resolved when they are used, so that a missing one
 * stops its own effect and nothing else.
 */
export class EffectTargets implements EffectPort {
  readonly #targets = new Map<string, EffectTarget>();

  constructor(
    private readonly configuration: Pick<Configuration, 'effects' | 'links'>,
    private readonly tools: TargetTools,
  ) {
    for (const [name, target] of Object.entries(configuration.effects)) {
      if (target.type !== 'confirm') this.#targets.set(name, createTarget(target, tools));
    }
  }

  /** What can be seen of a target without changing anything; throws `EffectProblem`. */
  async reach(name: string, signal: AbortSignal): Promise<string> {
    const target = this.#configured(name);
    if (target.type !== 'confirm') return this.#target(name).reach(signal);
    const limits = { ...limitsOf(target), timeoutMs: REACH_TIMEOUT_MS };
    return reachGuarded(urlAt(target.url, this.tools.resolveSecret), limits, signal);
  }

  async capture(effect: PlannedEffect, context: EffectContext, signal: AbortSignal): Promise<Json> {
    const captured = await this.#target(effect.name).capture(this.#job(effect, context, ''), signal);
    const bytes = Buffer.byteLength(JSON.stringify(captured));
    if (bytes <= CAPTURED_MOST_BYTES) return captured;
    throw new EffectProblem(
      `expected at most ${CAPTURED_MOST_BYTES} bytes to restore "${effect.name}" from, got ${bytes}`,
      false,
    );
  }

  async apply(
    effect: PlannedEffect,
    key: string,
    context: EffectContext,
    signal: AbortSignal,
  ): Promise<string> {
    return this.#target(effect.name).apply(this.#job(effect, context, key), signal);
  }

  async restore(
    effect: PlannedEffect,
    captured: Json,
    key: string,
    context: EffectContext,
    signal: AbortSignal,
  ): Promise<string> {
    return this.#target(effect.name).restore({ ...this.#job(effect, context, key), captured }, signal);
  }

  async confirm(
    { name, key, context, askedMs = 0 }: Parameters<EffectPort['confirm']>[0],
    signal: AbortSignal,
  ): ReturnType<EffectPort['confirm']> {
    const target = this.#configured(name);
    if (target.type !== 'confirm') {
      throw new InvalidDocument('the configuration', [
        { path: `effects.${name}.type`, message: `expected "confirm", got "${target.type}"` },
      ]);
    }
    const values = effectValues(context, this.#links(), key);
    return askGate(target, { context, values, key, askedMs }, limitsOf(target), this.tools, signal);
  }

  #job(effect: PlannedEffect, context: EffectContext, key: string): EffectJob {
    const problems = effectProblems(effect, this.configuration);
    if (problems.length > 0) throw new InvalidDocument(`the effect "${effect.name}"`, problems);
    const { type } = this.#configured(effect.name) as Exclude<EffectTargetConfiguration, { type: 'confirm' }>;
    const set = EFFECT_SET_SCHEMAS[type].parse(effect.set) as Json;
    return { set, context, key, values: effectValues(context, this.#links(), key) };
  }

  #links(): Parameters<typeof effectValues>[1] {
    const { temporalUi = null, namespace, report = null } = this.configuration.links;
    return { temporalUi, namespace, report };
  }

  #configured(name: string): EffectTargetConfiguration {
    const { effects } = this.configuration;
    const target = Object.hasOwn(effects, name) ? effects[name] : undefined;
    if (target !== undefined) return target;
    const known = Object.keys(effects).join(', ') || 'there is none';
    throw new InvalidDocument('the configuration', [
      { path: 'effects', message: `expected an effect "${name}", got only ${known}` },
    ]);
  }

  #target(name: string): EffectTarget {
    const { type } = this.#configured(name);
    const target = this.#targets.get(name);
    if (target !== undefined) return target;
    throw new InvalidDocument('the configuration', [
      { path: `effects.${name}.type`, message: `expected something that can be set, got "${type}"` },
    ]);
  }
}

function createTarget(
  target: Exclude<EffectTargetConfiguration, { type: 'confirm' }>,
  tools: TargetTools,
): EffectTarget {
  switch (target.type) {
    case 'dns':
      return createDnsTarget(target, tools);
    case 'unleash':
      return createUnleashTarget(target, limitsOf(target), tools);
    case 'flag':
      return createFlagTarget(target, limitsOf(target), tools);
    case 'slack':
      return createSlackTarget(target, limitsOf(target), tools);
    case 'webhook':
      return createWebhookTarget(target, limitsOf(target), tools);
    default:
      return target satisfies never;
  }
}

function limitsOf(target: Exclude<EffectTargetConfiguration, { type: 'dns' }>): HttpLimits {
  const { timeout, allowPrivate, allowHttp } = target;
  return { timeoutMs: timeout, allowPrivate, allowHttp };
}
