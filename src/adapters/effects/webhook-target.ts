import type { EffectTargetConfiguration } from '../../core/configuration/configuration-schema';
import type { EffectContext, Json } from '../../core/effects/effect';
import { fillJson, type TemplateValues } from '../../core/effects/template';
import type { EffectTarget, TargetTools } from './effect-target';
import { type HttpLimits, reachGuarded, sendGuarded } from './guarded-http';
import { SentKeys } from './sent-keys';
import { signedCall, urlAt } from './signed-call';

type WebhookConfiguration = Extract<EffectTargetConfiguration, { type: 'webhook' }>;

/** A receiver of signed messages: exactly once where it honours the key, nothing to undo. */
export function createWebhookTarget(
  configuration: WebhookConfiguration,
  limits: HttpLimits,
  tools: TargetTools,
): EffectTarget {
  const { resolveSecret, nowMs } = tools;
  const sent = new SentKeys();
  return {
    reach: (signal) => reachGuarded(urlAt(configuration.url, resolveSecret), limits, signal),
    capture: async () => null,
    async apply({ set, context, values, key }, signal) {
      const { data = null } = set as { data?: Json };
      const body =
        configuration.body === undefined
          ? { ...standardBody(context, values, key), data: fillJson(data, values) }
          : fillJson(configuration.body as Json, values);
      const ran = await sent.once(key, () =>
        sendGuarded(signedCall(configuration, { key, body, nowMs: nowMs() }, resolveSecret), limits, signal),
      );
      return ran ? 'the receiver accepted it' : 'the receiver had accepted it already';
    },
    restore: async () => 'a message cannot be taken back',
  };
}

/** What receivers are told of a moment; fields may be added, never changed. */
export function standardBody(
  context: EffectContext,
  values: TemplateValues,
  key: string,
): { readonly [field: string]: Json } {
  const { moment, route, migrationId, stage, share, fromShare, epoch, checkpoint } = context;
  const { by, reason, outcome, headHash, workflowId, runId } = context;
  return {
    ...{ version: 1, key, moment, route, migrationId, stage, share, fromShare, epoch, checkpoint },
    ...{ by, reason, outcome, headHash, workflowId, runId },
    at: new Date(context.atMs).toISOString(),
    links: { temporalUi: values['temporalUi'] ?? '', report: values['report'] ?? '' },
  };
}
