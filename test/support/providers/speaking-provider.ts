import { chunk, DONE, event, type Fault, plain, STOP, sse } from './fault-provider';

/** The city that a model is asked about, which it looks up with the tool `weather`. */
const CITY = 'Leipzig';

/**
 * Answers chats, completions of tools and responses as a model would, plain or streamed, with a text that names who
 * spoke. Where tools are offered and none has been called yet, it calls the first.
 */
export function speaks(text: string): Fault {
  return (exchange) => {
    const body = JSON.parse(exchange.body) as SpokenTo;
    const turns = body.messages ?? (Array.isArray(body.input) ? body.input : []);
    const hasCalled = turns.some(({ role, type }) => role === 'tool' || type === 'function_call_output');
    const calls = (body.tools?.length ?? 0) > 0 && !hasCalled;
    const isResponse = body.messages === undefined;
    const answer = isResponse ? response(body, text, calls) : chat(body, text, calls);
    answer(exchange);
  };
}

interface SpokenTo {
  readonly stream?: boolean;
  readonly messages?: readonly Turn[];
  readonly input?: string | readonly Turn[];
  readonly tools?: readonly object[];
  readonly stream_options?: { readonly include_usage?: boolean };
}

interface Turn {
  readonly role?: string;
  readonly type?: string;
}

const USAGE = { prompt_tokens: 7, completion_tokens: 3, total_tokens: 10 };
const ARGUMENTS = JSON.stringify({ city: CITY });
const CALL = { id: 'call_1', type: 'function', function: { name: 'weather', arguments: ARGUMENTS } };

function chat(body: SpokenTo, text: string, calls: boolean): Fault {
  if (body.stream !== true) {
    const message = calls
      ? { role: 'assistant', content: null, tool_calls: [CALL] }
      : { role: 'assistant', content: text, refusal: null };
    const choices = [{ index: 0, message, finish_reason: calls ? 'tool_calls' : 'stop' }];
    const whole = { id: 'c1', object: 'chat.completion', created: 1, model: 'm', choices, usage: USAGE };
    return plain(JSON.stringify(whole));
  }
  const pieces = calls
    ? [
        chunk({
          role: 'assistant',
          tool_calls: [{ index: 0, ...CALL, function: { name: 'weather', arguments: '' } }],
        }),
        ...halves(ARGUMENTS).map((part) =>
          chunk({ tool_calls: [{ index: 0, function: { arguments: part } }] }),
        ),
        chunk({}, 'tool_calls'),
      ]
    : [chunk({ role: 'assistant', content: '' }), ...halves(text).map((content) => chunk({ content })), STOP];
  const asksUsage = body.stream_options?.include_usage === true;
  const usage = event(
    JSON.stringify({
      id: 'c1',
      object: 'chat.completion.chunk',
      created: 1,
      model: 'm',
      choices: [],
      usage: USAGE,
    }),
  );
  return sse([...pieces, ...(asksUsage ? [usage] : []), DONE]);
}

function response(body: SpokenTo, text: string, calls: boolean): Fault {
  const part = { type: 'output_text', text, annotations: [] };
  const item = calls
    ? {
        type: 'function_call',
        id: 'fc_1',
        call_id: 'call_1',
        name: 'weather',
        arguments: ARGUMENTS,
        status: 'completed',
      }
    : { type: 'message', id: 'msg_1', role: 'assistant', status: 'completed', content: [part] };
  const whole = {
    ...{ id: 'resp_1', object: 'response', created_at: 1, model: 'm', status: 'completed', output: [item] },
    ...{
      error: null,
      incomplete_details: null,
      instructions: null,
      metadata: {},
      tools: [],
      tool_choice: 'auto',
    },
    ...{ parallel_tool_calls: true, temperature: 1, top_p: 1 },
    usage: {
      ...{ input_tokens: 7, output_tokens: 3, total_tokens: 10 },
      ...{ input_tokens_details: { cached_tokens: 0 }, output_tokens_details: { reasoning_tokens: 0 } },
    },
  };
  if (body.stream !== true) return plain(JSON.stringify(whole));
  let number = 0;
  const typed = (type: string, more: object) => {
    const data = { type, sequence_number: number, ...more };
    number += 1;
    return `event: ${type}\n${event(JSON.stringify(data))}`;
  };
  const begun = { ...whole, status: 'in_progress', output: [] };
  const place = { item_id: item.id, output_index: 0 };
  const inText = { ...place, content_index: 0 };
  const middle = calls
    ? [
        typed('response.output_item.added', { output_index: 0, item: { ...item, arguments: '' } }),
        ...halves(ARGUMENTS).map((delta) =>
          typed('response.function_call_arguments.delta', { ...place, delta }),
        ),
        typed('response.function_call_arguments.done', { ...place, arguments: ARGUMENTS, name: 'weather' }),
      ]
    : [
        typed('response.output_item.added', { output_index: 0, item: { ...item, content: [] } }),
        typed('response.content_part.added', { ...inText, part: { ...part, text: '' } }),
        ...halves(text).map((delta) =>
          typed('response.output_text.delta', { ...inText, delta, logprobs: [] }),
        ),
        typed('response.output_text.done', { ...inText, text, logprobs: [] }),
        typed('response.content_part.done', { ...inText, part }),
      ];
  return sse([
    typed('response.created', { response: begun }),
    ...middle,
    typed('response.output_item.done', { output_index: 0, item }),
    typed('response.completed', { response: whole }),
  ]);
}

function halves(text: string): [string, string] {
  const middle = Math.ceil(text.length / 2);
  return [text.slice(0, middle), text.slice(middle)];
}
