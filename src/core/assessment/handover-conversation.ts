import type { Side } from '../routing/routing';
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

/** The conversation with nothing but the fields that every provider knows. */
export function plainMessages(messages: readonly Message[]): readonly Message[] {
  return messages.map((message) => {
    const known = Object.entries(message).filter(([name]) => STANDARD.includes(name));
    return { ...Object.fromEntries(known), role: message.role };
  });
}

/** What became of conversations that one provider began and the other went on with. */
export interface HandoverFindings {
  readonly findings: readonly Finding[];
  readonly directions: readonly HandoverDirection[];
}

/** What became of a conversation that one provider made and the other was to go on with. */
export interface HandoverDirection {
  readonly madeBy: Side;
  readonly outcome: 'accepted' | 'refused' | 'unknown';
  /** Whether the conversation has a tool call in it. */
  readonly tools: boolean;
  /** Fields that the maker adds to its messages. */
  readonly added: readonly string[];
  /** Whether what was refused is accepted without those fields; null where it was not asked. */
  readonly acceptedPlain: boolean | null;
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
    const [maker, other] = madeBy === 'legacy' ? ['legacy', 'the candidate'] : ['the candidate', 'legacy'];
    const noTools: Finding[] = tools
      ? []
      : [{ kind: 'warning', text: `${maker} called no tool: only a plain conversation of its was replayed` }];
    if (outcome === 'accepted') return noTools;
    if (outcome === 'unknown') {
      return [{ kind: 'doubt', text: `handover from ${maker} could not be probed (${error})` }];
    }
    const rules = madeBy === 'legacy' ? 'parameters' : 'legacyParameters';
    const cause =
      acceptedPlain === true && added.length > 0
        ? `; it accepts them without ${added.map((field) => `"${field}"`).join(', ')} (${rules}: {history: {drop: [${added.join(', ')}]}})`
        : '';
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
