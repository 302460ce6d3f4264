import type { IncomingHttpHeaders } from 'node:http';
import { type Fault, plain, sse } from './fault-provider';

/** Anthropic's Messages API as its reference describes it: https://docs.claude.com/en/api/messages. */

const ARGUMENTS = JSON.stringify({ city: 'Leipzig' });
/** Tokens that came from the prompt cache are in none of the others. */
export const MESSAGE_USAGE = {
  input_tokens: 7,
  cache_creation_input_tokens: 20,
  cache_read_input_tokens: 100,
  output_tokens: 3,
};

interface Asked {
  readonly model: string;
  readonly max_tokens?: number;
  readonly stream?: boolean;
  readonly messages: readonly { readonly role: string; readonly content: unknown }[];
  readonly tools?: readonly object[];
  readonly thinking?: { readonly type: string };
}

export interface Block {
  readonly type: string;
  readonly [field: string]: unknown;
}

/** One event of a stream. */
export function messageEvent(data: { readonly type: string; readonly [field: string]: unknown }): string {
  return `event: ${data.type}\ndata: ${JSON.stringify(data)}\n\n`;
}

/** An error as the API answers it. */
export function apiError(code: number, type: string, message: string): Fault {
  return ({ response }) => {
    response.writeHead(code, { 'content-type': 'application/json', 'request-id': 'req_1' });
    response.end(JSON.stringify({ type: 'error', error: { type, message }, request_id: 'req_1' }));
  };
}

/** Answers messages and counts of tokens as a model would, plain or streamed, with a text that names who spoke. */
export function speaksMessages(text: string): Fault {
  return (exchange) => {
    const { url = '', headers } = exchange.response.req;
    if (url.includes('/models') && refusalOf(url, headers, ANY) === null) {
      plain(JSON.stringify({ data: [{ type: 'model', id: 'claude-of-tests' }], has_more: false }))(exchange);
      return;
    }
    const asked = exchange.body === '' ? ANY : (JSON.parse(exchange.body) as Asked);
    const refusal = refusalOf(url, headers, asked);
    if (refusal !== null) refusal(exchange);
    else if (url.split('?')[0]?.endsWith('/count_tokens')) plain('{"input_tokens":127}')(exchange);
    else
      answers(
        blocksOf(asked, text),
        asked.tools !== undefined && !isResult(asked) ? 'tool_use' : 'end_turn',
      )(exchange);
  };
}

const ANY: Asked = { model: '', max_tokens: 1, messages: [{ role: 'user', content: '' }] };

function refusalOf(url: string, headers: IncomingHttpHeaders, asked: Asked): Fault | null {
  if (headers['x-api-key'] === undefined && headers.authorization === undefined) {
    return apiError(401, 'authentication_error', 'x-api-key header is required');
  }
  if (headers['anthropic-version'] === undefined) {
    return apiError(400, 'invalid_request_error', 'anthropic-version: header is required');
  }
  if (asked.max_tokens === undefined && !url.includes('/count_tokens')) {
    return apiError(400, 'invalid_request_error', 'max_tokens: Field required');
  }
  if (asked.messages.length === 0) {
    return apiError(400, 'invalid_request_error', 'messages: at least one message is required');
  }
  return null;
}

function isResult({ messages }: Asked): boolean {
  return JSON.stringify(messages.at(-1)?.content).includes('"tool_result"');
}

function blocksOf(asked: Asked, text: string): Block[] {
  const thinking = { type: 'thinking', thinking: 'Let me see.', signature: 'EqQBCgIYAhIM' };
  const call = { type: 'tool_use', id: 'toolu_1', name: 'weather', input: JSON.parse(ARGUMENTS) as object };
  return [
    ...(asked.thinking?.type === 'enabled' ? [thinking] : []),
    ...(asked.tools !== undefined && !isResult(asked) ? [call] : [{ type: 'text', text }]),
  ];
}

const message = (content: readonly Block[], stop: string | null, usage: object) => ({
  ...{ id: 'msg_1', type: 'message', role: 'assistant', model: 'claude-of-tests', content },
  ...{ stop_reason: stop, stop_sequence: null, usage },
});

/** Answers with these blocks, plainly or as the events of a stream. */
export function answers(blocks: readonly Block[], stop: string): Fault {
  return (exchange) => {
    if (exchange.stream) sse(streamOf(blocks, stop))(exchange);
    else plain(JSON.stringify(message(blocks, stop, MESSAGE_USAGE)))(exchange);
  };
}

/** The events of an answer. */
export function streamOf(blocks: readonly Block[], stop: string): string[] {
  const { output_tokens: output, ...input } = MESSAGE_USAGE;
  return [
    messageEvent({ type: 'message_start', message: message([], null, { ...input, output_tokens: 1 }) }),
    messageEvent({ type: 'ping' }),
    ...blocks.flatMap((block, index) => blockEvents(block, index)),
    messageEvent({
      ...{ type: 'message_delta', delta: { stop_reason: stop, stop_sequence: null } },
      usage: { output_tokens: output },
    }),
    messageEvent({ type: 'message_stop' }),
  ];
}

function blockEvents(block: Block, index: number): string[] {
  const [begun, deltas] = piecesOf(block);
  return [
    messageEvent({ type: 'content_block_start', index, content_block: begun }),
    ...deltas.map((delta) => messageEvent({ type: 'content_block_delta', index, delta })),
    messageEvent({ type: 'content_block_stop', index }),
  ];
}

function piecesOf(block: Block): [Block, object[]] {
  switch (block.type) {
    case 'text':
      return [
        { ...block, text: '' },
        halves(String(block['text'])).map((text) => ({ type: 'text_delta', text })),
      ];
    case 'thinking':
      return [
        { ...block, thinking: '', signature: '' },
        [
          ...halves(String(block['thinking'])).map((thinking) => ({ type: 'thinking_delta', thinking })),
          { type: 'signature_delta', signature: block['signature'] },
        ],
      ];
    case 'tool_use':
      return [
        { ...block, input: {} },
        ['', ...halves(JSON.stringify(block['input']))].map((json) => ({
          type: 'input_json_delta',
          partial_json: json,
        })),
      ];
    default:
      return [block, []];
  }
}

function halves(text: string): string[] {
  const middle = Math.ceil(text.length / 2);
  return text === '' ? [] : [text.slice(0, middle), text.slice(middle)];
}
