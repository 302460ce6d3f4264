import type { EffectTargetConfiguration } from '../../core/configuration/configuration-schema';
import type { ConfirmAnswer, EffectContext } from '../../core/effects/effect';
import { EffectProblem } from '../../core/effects/effect-problem';
import type { TemplateValues } from '../../core/effects/template';
import type { TargetTools } from './effect-target';
import { type HttpAnswer, type HttpLimits, sendGuarded } from './guarded-http';
import { signedCall } from './signed-call';
import { standardBody } from './webhook-target';

type ConfirmConfiguration = Extract<EffectTargetConfiguration, { type: 'confirm' }>;

const NOTE_MOST = 500;
/** For one question; a receiver that needs longer answers "wait". */
const QUESTION_MOST_MS = 30_000;
const DEFAULTS = { yes: 'yes', no: 'no', hold: 'no answer' } as const;

/**
 * Asks somebody else whether a stage may be entered, until there is an answer or the time is over. Only an explicit
 * yes is one: an error, a redirect or a page that happens to answer 200 is no answer.
 */
export async function askGate(
  configuration: ConfirmConfiguration,
  question: {
    readonly context: EffectContext;
    readonly values: TemplateValues;
    readonly key: string;
    readonly askedMs: number;
  },
  limits: Omit<HttpLimits, 'timeoutMs'>,
  tools: TargetTools,
  signal: AbortSignal,
): Promise<{ readonly answer: ConfirmAnswer; readonly note: string }> {
  const { context, values, key, askedMs } = question;
  const { resolveSecret, nowMs, sleep } = tools;
  const body = { ...standardBody(context, values, key), question: 'may this stage be entered?' };
  const endMs = nowMs() + configuration.timeout - askedMs;
  // However little time is left, whoever may have decided meanwhile is asked once more.
  let timeoutMs = Math.min(QUESTION_MOST_MS, configuration.timeout);
  for (;;) {
    const call = signedCall(configuration, { key, body, nowMs: nowMs() }, resolveSecret);
    let last: string;
    try {
      const said = answerOf(await sendGuarded(call, { ...limits, timeoutMs }, signal));
      if (said.answer !== 'wait') return { answer: said.answer, note: said.note };
      last = said.note === '' ? 'it said to wait' : `it said to wait: ${said.note}`;
    } catch (error) {
      if (!(error instanceof EffectProblem)) throw error;
      last = error.message;
    }
    if (nowMs() + configuration.interval >= endMs) {
      const answer = DEFAULTS[configuration.default];
      const seconds = configuration.timeout / 1_000;
      return {
        answer,
        note: `no answer within ${seconds} s, so the default (${configuration.default}) counts; ${last}`,
      };
    }
    await sleep(configuration.interval, signal);
    timeoutMs = Math.max(1, Math.min(QUESTION_MOST_MS, endMs - nowMs()));
  }
}

function answerOf({ text }: HttpAnswer): { readonly answer: 'yes' | 'no' | 'wait'; readonly note: string } {
  const value = parsed(text);
  const note = typeof value['note'] === 'string' ? value['note'].slice(0, NOTE_MOST) : '';
  const { answer } = value;
  if (answer === 'yes' || answer === 'no' || answer === 'wait') return { answer, note };
  throw new EffectProblem(
    'expected {"answer": "yes" | "no" | "wait", "note": "..."}, got something else',
    true,
  );
}

function parsed(text: string): Readonly<Record<string, unknown>> {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : {};
  } catch {
    return {};
  }
}
