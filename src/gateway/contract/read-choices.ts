import type { MadeCall, SaidChoice } from './judge-answer';
import { fieldsOf, listOf } from './read-contract';

type Fields = Readonly<Record<string, unknown>>;

/** What the choices of a complete answer say: those of a chat or completion, or the one of a response or a message. */
export function readChoices(answer: Fields): SaidChoice[] {
  if (Array.isArray(answer['content'])) return [readBlocks(listOf(answer['content']))];
  if (Array.isArray(answer['output'])) return [readOutput(listOf(answer['output']))];
  return listOf(answer['choices']).map((choice) => {
    const message = fieldsOf(choice['message']);
    if (message === null) return { text: textOf(choice['text']), calls: [], callsHosted: false };
    return { text: textOf(message['content']), calls: readCalls(message), callsHosted: false };
  });
}

/** What the items of a response's output say. */
export function readOutput(items: readonly Fields[]): SaidChoice {
  return {
    text: items.map((item) => (item['type'] === 'message' ? textOf(item['content']) : '')).join(''),
    calls: items.flatMap((item) => {
      if (item['type'] === 'function_call') return [callOf(item['name'], item['arguments'], true)];
      return item['type'] === 'custom_tool_call' ? [callOf(item['name'], item['input'], false)] : [];
    }),
    callsHosted: items.some(({ type }) => typeof type === 'string' && HOSTED.test(type)),
  };
}

/** What the blocks of a message say. */
function readBlocks(blocks: readonly Fields[]): SaidChoice {
  return {
    text: textOf(blocks),
    calls: blocks.flatMap(({ type, name, input }) =>
      type === 'tool_use' ? [callOf(name, JSON.stringify(input ?? {}), true)] : [],
    ),
    callsHosted: blocks.some(isHostedBlock),
  };
}

/** Whether a block is the call of a tool that the provider runs itself. */
export function isHostedBlock({ type }: Fields): boolean {
  return type === 'server_tool_use' || type === 'mcp_tool_use';
}

/** Calls of web searches, files, programs and the like. */
const HOSTED = /^(?!function_call$|custom_tool_call$).*_call$/;

function readCalls(message: Fields): MadeCall[] {
  const calls = listOf(message['tool_calls']).map((call) => {
    const custom = fieldsOf(call['custom']);
    if (custom !== null) return callOf(custom['name'], custom['input'], false);
    const made = fieldsOf(call['function']);
    return callOf(made?.['name'], made?.['arguments'], true);
  });
  const only = fieldsOf(message['function_call']);
  return only === null ? calls : [...calls, callOf(only['name'], only['arguments'], true)];
}

/** Arguments come as text: what is given in another form is none that a caller could parse. */
function callOf(name: unknown, given: unknown, isFunction: boolean): MadeCall {
  const text = given === null || given === undefined ? '' : String(given);
  return { name: typeof name === 'string' ? name : '', arguments: text, isFunction };
}

/** The text of a content: itself, or that of its parts. */
function textOf(content: unknown): string {
  if (typeof content === 'string') return content;
  return listOf(content)
    .map(({ type, text }) => (type === 'text' || type === 'output_text' ? textOf(text) : ''))
    .join('');
}
