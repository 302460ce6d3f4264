import { THINKING } from './message-request';

type Fields = Readonly<Record<string, unknown>>;

/** Stop reasons as chats name them; others stay as they are. */
const FINISH: Readonly<Record<string, string>> = {
  end_turn: 'stop',
  stop_sequence: 'stop',
  max_tokens: 'length',
  model_context_window_exceeded: 'length',
  tool_use: 'tool_calls',
  refusal: 'content_filter',
};

/** A message of Anthropic's API as a chat's completion; what is none becomes a completion without choices. */
export function completionOf(message: Fields): Fields {
  const { id, model, content, stop_reason: reason, usage } = message;
  if (!Array.isArray(content)) return { ...message, choices: [] };
  const blocks = content as Fields[];
  const calls = blocks.filter(({ type }) => type === 'tool_use');
  const others = blocks.filter(({ type }) => type !== 'text' && type !== 'tool_use');
  const said = {
    role: 'assistant',
    content: blocks
      .map(({ type, text }) => (type === 'text' && typeof text === 'string' ? text : ''))
      .join(''),
    ...(calls.length === 0 ? {} : { tool_calls: calls.map(callOf) }),
    ...(others.length === 0 ? {} : { [THINKING]: others }),
  };
  return {
    ...{ id, object: 'chat.completion', created: 0, model },
    choices: [{ index: 0, message: said, finish_reason: finishOf(reason) }],
    ...(typeof usage === 'object' && usage !== null ? { usage: usageOf(usage as Fields) } : {}),
  };
}

function finishOf(reason: unknown): unknown {
  return typeof reason === 'string' && Object.hasOwn(FINISH, reason) ? FINISH[reason] : reason;
}

function callOf({ id, name, input }: Fields): Fields {
  return { id, type: 'function', function: { name, arguments: JSON.stringify(input ?? {}) } };
}

/** Input that a prompt cache had to do with is counted apart there. */
function usageOf(usage: Fields): Fields {
  const count = (name: string) => (typeof usage[name] === 'number' ? (usage[name] as number) : 0);
  const cached = count('cache_read_input_tokens');
  const input = count('input_tokens') + cached + count('cache_creation_input_tokens');
  const output = count('output_tokens');
  return {
    ...{ prompt_tokens: input, completion_tokens: output, total_tokens: input + output },
    prompt_tokens_details: { cached_tokens: cached },
  };
}

/** The events of a message's stream as chunks of a chat, as they come; texts and ends, no more. */
export async function* chunksOf(events: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
  const decoder = new TextDecoder();
  let rest = '';
  for await (const bytes of events) {
    const parts = (rest + decoder.decode(bytes, { stream: true })).split(/\r?\n\r?\n/);
    rest = parts.pop() ?? '';
    for (const part of parts) {
      const chunk = chunkOf(dataOf(part));
      if (chunk !== null) yield Buffer.from(`data: ${chunk}\n\n`);
    }
  }
}

function dataOf(event: string): Fields {
  const lines = event.split(/\r?\n/).filter((line) => line.startsWith('data:'));
  const text = lines.map((line) => line.slice(5)).join('\n');
  return text === '' ? {} : (JSON.parse(text) as Fields);
}

/** Null where it says nothing that a chat would. */
function chunkOf({ type, delta, error }: Fields): string | null {
  const { type: kind, text, stop_reason: reason } = (delta ?? {}) as Fields;
  switch (type) {
    case 'error':
      return JSON.stringify({ error });
    case 'message_start':
      return chunk({ role: 'assistant', content: '' }, null);
    case 'content_block_delta':
      return kind === 'text_delta' ? chunk({ content: text }, null) : null;
    case 'message_delta':
      return chunk({}, finishOf(reason ?? null));
    case 'message_stop':
      return '[DONE]';
    default:
      return null;
  }
}

function chunk(delta: Fields, finish: unknown): string {
  const choices = [{ index: 0, delta, finish_reason: finish }];
  return JSON.stringify({ object: 'chat.completion.chunk', created: 0, choices });
}
