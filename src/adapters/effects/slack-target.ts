import type { EffectTargetConfiguration } from '../../core/configuration/configuration-schema';
import { fillText, type TemplateValues } from '../../core/effects/template';
import type { EffectTarget, TargetTools } from './effect-target';
import { type HttpLimits, reachGuarded, sendGuarded } from './guarded-http';
import { SentKeys } from './sent-keys';

type SlackConfiguration = Extract<EffectTargetConfiguration, { type: 'slack' }>;

const VALUE_MOST = 500;
/** Longer texts are refused by Slack's webhooks. */
const TEXT_MOST = 4_000;
const LINKS = [
  ['temporalUi', 'Temporal'],
  ['report', 'Report'],
  ['headHash', 'Record hash'],
] as const;

/** A channel behind a Slack-compatible webhook (Slack, Mattermost, Rocket.Chat): at least once, nothing to undo. */
export function createSlackTarget(
  configuration: SlackConfiguration,
  limits: HttpLimits,
  { resolveSecret }: TargetTools,
): EffectTarget {
  const sent = new SentKeys();
  return {
    reach: (signal) => reachGuarded(resolveSecret(configuration.url), limits, signal),
    capture: async () => null,
    async apply({ set, values, key }, signal) {
      const template = (set as { text?: string }).text ?? configuration.text;
      const url = resolveSecret(configuration.url);
      const ran = await sent.once(key, () =>
        sendGuarded(
          {
            method: 'POST',
            url,
            headers: { 'content-type': 'application/json' },
            body: JSON.stringify({ text: slackText(template, values), mrkdwn: false }),
            secrets: [url],
          },
          limits,
          signal,
        ),
      );
      return ran ? 'the channel was notified' : 'the channel had already been notified';
    },
    restore: async () => 'a message cannot be taken back',
  };
}

/** The message: the filled template, then the links, one a line. */
function slackText(template: string, values: TemplateValues): string {
  const lines = LINKS.flatMap(([name, title]) => {
    const value = values[name];
    return typeof value === 'string' && value !== '' ? [`${title}: ${escaped(value)}`] : [];
  });
  return [fillText(escaped(template), values, plainText), ...lines].join('\n').slice(0, TEXT_MOST);
}

/** Slack's three control characters. */
function escaped(text: string): string {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;');
}

/**
 * What people and providers wrote, as text: one line, no links or mentions of theirs (`<!channel>` of Slack,
 * `@all` and `[text](url)` of Mattermost), bounded.
 */
function plainText(value: string): string {
  const line = value.replace(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]+/gu, ' ').slice(0, VALUE_MOST);
  return escaped(line)
    .replaceAll('@', '@\u200b')
    .replace(/[[\]`*~_]/g, '\u200b$&');
}
