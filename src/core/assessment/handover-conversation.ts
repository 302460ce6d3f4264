import { followHistory } from '../configuration/history-rules';
import type { ToolCallIds } from '../configuration/tool-call-ids';
import type { Arm } from '../routing/routing';
import type { Finding } from './finding';
import type { Answer, ChatQuestion, Message } from './question';

type ChatAnswer = Answer & { readonly kind: 'chat' };

const TOOL = {
  type: 'function',
  function: {
    name: 'stock_level',
    description: 'How many pieces of an article are in a warehouse.',
    parameters: {
      type: 'object',
      properties: { article: { type: 'string' }, warehouse: { type: 'string', enum: ['north', 'south'] } },
      required: ['article', 'warehouse'],
    },
  },
} as const;

const OPENING: readonly Message[] = [
  { role: 'system', content: 'You help a shop. Look stock up with the tool before you answer. Be brief.' },
  { role: 'user', content: 'How many kettles are in the north warehouse?' },
];

const NEXT_TURN: Message = { role: 'user', content: 'Thank you. And is that enough for an order of twelve?' };

/** A question that carries a conversation on; without tools where a provider takes none. */
export function handoverQuestion(messages: readonly Message[], withTools: boolean): ChatQuestion {
  return {
    kind: 'chat',
    model: null,
    messages,
    tools: withTools ? [TOOL] : null,
    toolChoice: null,
    responseFormat: null,
    maxTokens: 600,
  };
}

/** The first turn of a conversation. */
export function openedConversation(): readonly Message[] {
  return OPENING;
}

/** A conversation with an answer, as an application keeps it: the message as it came, and what its tools returned. */
export function withAnswer(messages: readonly Message[], answer: ChatAnswer): readonly Message[] {
  const results = answer.toolCalls.map(({ id }) => ({
    role: 'tool',
    tool_call_id: id,
    content: '{"pieces":17}',
  }));
  return [...messages, answer.message, ...results];
}

/** A conversation whose user speaks again; one that waits for tools' results is left as it is. */
export function withNextTurn(messages: readonly Message[]): readonly Message[] {
  return messages.at(-1)?.role === 'tool' ? messages : [...messages, NEXT_TURN];
}

const STANDARD = ['role', 'content', 'name', 'tool_calls', 'tool_call_id'];

/** Fields that a provider adds to its messages, such as reasoning. */
export function addedFields(messages: readonly Message[]): string[] {
  const fields = messages.flatMap((message) =>
    Object.entries(message).flatMap(([name, value]) =>
      STANDARD.includes(name) || value === null ? [] : [name],
    ),
  );
  return [...new Set(fields)].sort();
}

/** Rules for what a maker adds to its conversations, that may make a refused one pass. */
export interface HistoryRepair {
  readonly drop: readonly string[];
  readonly toolCallIds?: ToolCallIds;
}

/** Forms that providers are known to insist on: nine letters and digits, or a prefix. */
const ID_FORMS: readonly ToolCallIds[] = [
  { prefix: '', length: 9 },
  { prefix: 'call_', length: 29 },
  { prefix: 'toolu_', length: 30 },
];

/** What is worth a try, the smaller first; each is asked once. */
export function historyRepairs(messages: readonly Message[]): readonly HistoryRepair[] {
  const drop = addedFields(messages.filter(({ role }) => role === 'assistant'));
  const hasCalls = messages.some((message) => Array.isArray(message['tool_calls']));
  return [
    ...(drop.length === 0 ? [] : [{ drop }]),
    ...(hasCalls ? ID_FORMS.map((toolCallIds) => ({ drop, toolCallIds })) : []),
  ];
}

/** The conversation as the rules leave it. */
export function repaired(
  messages: readonly Message[],
  { drop, toolCallIds }: HistoryRepair,
): readonly Message[] {
  const rules = { rename: {}, drop, ...(toolCallIds === undefined ? {} : { toolCallIds }) };
  return followHistory(messages, rules);
}

/** What a provider accepts, and the rule of the configuration that says so. */
export function repairText(
  { drop, toolCallIds }: HistoryRepair,
  rules: 'parameters' | 'legacyParameters',
): string {
  const without = drop.length === 0 ? [] : [`without ${drop.map((field) => `"${field}"`).join(', ')}`];
  const fields = drop.length === 0 ? [] : [`drop: [${drop.join(', ')}]`];
  if (toolCallIds !== undefined) {
    const { prefix, length } = toolCallIds;
    without.push('with other ids of tool calls');
    fields.push(`toolCallIds: {${prefix === '' ? '' : `prefix: ${prefix}, `}length: ${length}}`);
  }
  return `${without.join(' and ')} (${rules}: {history: {${fields.join(', ')}}})`;
}

/** What became of conversations that one provider began and the other went on with. */
export interface HandoverFindings {
  readonly findings: readonly Finding[];
  readonly directions: readonly HandoverDirection[];
}

/** What became of a conversation that one provider made and the other was to go on with. */
export interface HandoverDirection {
  readonly madeBy: Arm;
  readonly outcome: 'accepted' | 'refused' | 'unknown';
  /** Whether the conversation has a tool call in it. */
  readonly tools: boolean;
  /** Fields that the maker adds to its messages. */
  readonly added: readonly string[];
  /** Whether what was refused is accepted by a rule for what the maker adds; null where none was tried. */
  readonly acceptedPlain: boolean | null;
  /** The rule by which it is accepted. Absent: none, or found by an older release. */
  readonly repair?: HistoryRepair;
  /** Class and status of the failure; null when all was accepted. */
  readonly error: string | null;
}

/** What the directions mean for a migration. */
export function handoverFindings(
  directions: readonly HandoverDirection[],
  newConversationsOnly: boolean,
): Finding[] {
  return directions.flatMap((direction): Finding[] => {
    const { madeBy, outcome, tools, added, acceptedPlain, error } = direction;
    const { repair = acceptedPlain === true && added.length > 0 ? { drop: added } : null } = direction;
    const [maker, other] = madeBy === 'legacy' ? ['legacy', 'the candidate'] : ['the candidate', 'legacy'];
    const noTools: Finding[] = tools
      ? []
      : [{ kind: 'warning', text: `${maker} called no tool: only a plain conversation was replayed` }];
    if (outcome === 'accepted') return noTools;
    if (outcome === 'unknown') {
      return [{ kind: 'doubt', text: `handover from ${maker} could not be probed (${error})` }];
    }
    const rules = madeBy === 'legacy' ? 'parameters' : 'legacyParameters';
    const cause = repair === null ? '' : `; it accepts them ${repairText(repair, rules)}`;
    const refusal = `${other} refuses conversations that ${maker} made (${error})${cause}`;
    if (madeBy === 'candidate') {
      const text = `${refusal}: a rollback would break live conversations`;
      return [{ kind: 'approval', item: 'handover', asks: null, text }, ...noTools];
    }
    // Legacy goes on with them where only new conversations move.
    if (newConversationsOnly) return [{ kind: 'warning', text: refusal }, ...noTools];
    const text = `${refusal}: set newConversationsOnly on the route, or live conversations fail over to legacy`;
    return [{ kind: 'approval', item: 'handover-to-candidate', asks: null, text }, ...noTools];
  });
}
