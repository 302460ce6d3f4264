import { activityInfo, Context } from '@temporalio/activity';
import type { HandoverProbeInput, HandoverResult } from '../contract';
import {
  addedFields,
  type HandoverDirection,
  handoverFindings,
  handoverQuestion,
  historyRepairs,
  openedConversation,
  repaired,
  withAnswer,
  withNextTurn,
} from '../core/assessment/handover-conversation';
import type { Message, Reply } from '../core/assessment/question';
import type { Arm } from '../core/routing/routing';
import type { Ports } from '../ports';
import { asFailure } from './failures';
import { withHeartbeats } from './heartbeats';

/**
 * Lets each provider hold a conversation with a tool call, and the other go on with it: with the tool's result, and a
 * turn later. A later attempt asks only for the directions that an earlier one did not finish.
 */
export function createHandoverProbe(ports: Ports): (input: HandoverProbeInput) => Promise<HandoverResult> {
  return async ({ route, timeoutMs, newConversationsOnly }) => {
    const context = Context.current();
    const limits = { timeoutMs, signal: context.cancellationSignal };
    const done = [...((activityInfo().heartbeatDetails as HandoverDirection[] | undefined) ?? [])];
    const ask: Ask = (provider, messages, tools) =>
      ports.providers.ask(route, provider, handoverQuestion(messages, tools), limits);
    try {
      await withHeartbeats(
        async () => {
          for (const madeBy of ['candidate', 'legacy'] as const) {
            if (done.some((direction) => direction.madeBy === madeBy)) continue;
            const direction = await probeDirection(ask, madeBy);
            context.cancellationSignal.throwIfAborted();
            done.push(direction);
          }
        },
        () => done,
      );
      return { findings: handoverFindings(done, newConversationsOnly), directions: done };
    } catch (error) {
      throw asFailure(error);
    }
  };
}

type Ask = (provider: Arm, messages: readonly Message[], tools: boolean) => Promise<Reply>;

async function probeDirection(ask: Ask, madeBy: Arm): Promise<HandoverDirection> {
  const other: Arm = madeBy === 'legacy' ? 'candidate' : 'legacy';
  const made = await opened(ask, madeBy);
  const base = { madeBy, added: [] as string[], acceptedPlain: null, error: null };
  if (!made.reply.ok) return { ...base, outcome: 'unknown', tools: false, error: made.reply.error };
  if (made.reply.answer.kind !== 'chat') throw new Error('expected a chat to be answered by a chat');
  const tools = made.reply.answer.toolCalls.length > 0;
  let history = withNextTurn(withAnswer(openedConversation(), made.reply.answer));
  for (const isLast of [false, true]) {
    const added = addedFields(history);
    const reply = await ask(other, history, made.tools);
    if (!reply.ok) {
      const facts = { ...base, tools, added, error: reply.error };
      if (reply.failure !== 'status_4xx') return { ...facts, outcome: 'unknown' };
      const repairs = historyRepairs(history);
      for (const repair of repairs) {
        const again = await ask(other, repaired(history, repair), made.tools);
        if (again.ok) return { ...facts, outcome: 'refused', acceptedPlain: true, repair };
      }
      return { ...facts, outcome: 'refused', acceptedPlain: repairs.length === 0 ? null : false };
    }
    if (isLast) return { ...base, outcome: 'accepted', tools, added };
    const next = await ask(madeBy, history, made.tools);
    // The maker itself is no judge of the other: what it accepted so far is the answer.
    if (!next.ok || next.answer.kind !== 'chat') return { ...base, outcome: 'accepted', tools, added };
    history = withNextTurn(withAnswer(history, next.answer));
  }
  throw new Error('expected the last turn to decide');
}

/** The first answer, with tools where the provider takes them. */
async function opened(ask: Ask, madeBy: Arm): Promise<{ readonly reply: Reply; readonly tools: boolean }> {
  const reply = await ask(madeBy, openedConversation(), true);
  if (reply.ok || reply.failure !== 'status_4xx') return { reply, tools: true };
  return { reply: await ask(madeBy, openedConversation(), false), tools: false };
}
