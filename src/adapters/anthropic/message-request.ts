type Fields = Readonly<Record<string, unknown>>;

/** Where blocks that no chat has are kept in a message: the next turn sends them ahead of the others, as they came. */
export const THINKING = 'thinking_blocks';

/** Parameters of a chat that messages have under another name, in another shape, or not at all. */
const OF_CHATS = new Set([
  ...['messages', 'tools', 'tool_choice', 'response_format', 'max_tokens', 'max_completion_tokens'],
  ...['stop', 'seed', 'n', 'stream_options'],
]);
/** Messages cannot be asked for without a limit. */
const MAX_TOKENS = 1_024;

/**
 * One of our own questions, written as a chat, as Anthropic's Messages API takes it. What no chat has, such as what the
 * configuration sets for this provider, stays as it is. Never used for requests of callers.
 */
export function messageRequest(chat: Fields): Record<string, unknown> {
  const messages = listOf(chat['messages']);
  const system = messages.filter(isSystem).map(({ content }) => textOf(content));
  const format = fieldsOf(fieldsOf(chat['response_format'])?.['json_schema'])?.['schema'];
  const tools = listOf(chat['tools']);
  const choice = toolChoice(chat['tool_choice']);
  const rest = Object.entries(chat).filter(([name]) => !OF_CHATS.has(name));
  return {
    ...Object.fromEntries(rest),
    max_tokens: chat['max_tokens'] ?? chat['max_completion_tokens'] ?? MAX_TOKENS,
    messages: joined(messages.filter((message) => !isSystem(message)).map(turnOf)),
    ...(system.length === 0 ? {} : { system: system.join('\n\n') }),
    ...(tools.length === 0 ? {} : { tools: tools.map(toolOf) }),
    ...(choice === null ? {} : { tool_choice: choice }),
    ...(chat['stop'] === undefined ? {} : { stop_sequences: [chat['stop']].flat() }),
    ...(format === undefined ? {} : { output_config: { format: { type: 'json_schema', schema: format } } }),
  };
}

interface Turn {
  readonly role: string;
  readonly content: readonly unknown[];
}

function isSystem({ role }: Fields): boolean {
  return role === 'system' || role === 'developer';
}

function turnOf(message: Fields): Turn {
  const { role, content: said, tool_call_id: callId, tool_calls: calls } = message;
  if (role === 'tool') {
    return { role: 'user', content: [{ type: 'tool_result', tool_use_id: callId, content: textOf(said) }] };
  }
  const content = [...listOf(message[THINKING]), ...blocksOf(said), ...listOf(calls).map(callOf)];
  return { role: String(role), content };
}

/** Turns follow one another in alternation: results of several tools are one turn of the user. */
function joined(turns: readonly Turn[]): Turn[] {
  const all: Turn[] = [];
  for (const turn of turns) {
    const last = all.at(-1);
    if (last?.role === turn.role)
      all[all.length - 1] = { ...last, content: [...last.content, ...turn.content] };
    else all.push(turn);
  }
  return all;
}

function blocksOf(content: unknown): unknown[] {
  if (typeof content === 'string') return content === '' ? [] : [{ type: 'text', text: content }];
  return listOf(content).map((part) =>
    part['type'] === 'image_url' ? imageOf(String(fieldsOf(part['image_url'])?.['url'] ?? '')) : part,
  );
}

function imageOf(url: string): Fields {
  const [, mediaType, data] = /^data:([^;,]+);base64,(.*)$/s.exec(url) ?? [];
  const source = data === undefined ? { type: 'url', url } : { type: 'base64', media_type: mediaType, data };
  return { type: 'image', source };
}

function callOf({ id, function: called }: Fields): Fields {
  const { name, arguments: given } = fieldsOf(called) ?? {};
  return { type: 'tool_use', id, name, input: parsed(given) };
}

function toolOf({ function: described }: Fields): Fields {
  const { name, description, parameters } = fieldsOf(described) ?? {};
  return {
    name,
    ...(description === undefined ? {} : { description }),
    input_schema: parameters ?? { type: 'object', properties: {} },
  };
}

function toolChoice(choice: unknown): Fields | null {
  if (choice === 'required') return { type: 'any' };
  if (choice === 'auto' || choice === 'none') return { type: choice };
  const name = fieldsOf(fieldsOf(choice)?.['function'])?.['name'];
  return name === undefined ? null : { type: 'tool', name };
}

/** Arguments that are no object are none that a message can carry. */
function parsed(text: unknown): object {
  try {
    return fieldsOf(JSON.parse(String(text))) ?? {};
  } catch {
    return {};
  }
}

function textOf(content: unknown): string {
  if (typeof content === 'string') return content;
  return listOf(content)
    .map(({ text }) => (typeof text === 'string' ? text : ''))
    .join('');
}

function fieldsOf(value: unknown): Fields | null {
  return typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as Fields) : null;
}

function listOf(value: unknown): readonly Fields[] {
  return Array.isArray(value) ? value.filter((each) => fieldsOf(each) !== null) : [];
}
