import type { SaidChoice } from './judge-answer';
import { fieldsOf, listOf } from './read-contract';

type Fields = Readonly<Record<string, unknown>>;

interface StreamedCall {
  name: string;
  arguments: string;
  isFunction: boolean;
}

/** Puts together what the chunks of a chat or a completion say. */
export class StreamedChoices {
  #choices = new Map<unknown, { text: string; calls: Map<unknown, StreamedCall> }>();

  get said(): SaidChoice[] {
    return [...this.#choices.values()].map(({ text, calls }) => ({
      text,
      calls: [...calls.values()],
      callsHosted: false,
    }));
  }

  clear(): void {
    this.#choices = new Map();
  }

  /** Takes a chunk and returns how many characters it added. */
  add(chunk: Fields): number {
    let added = 0;
    for (const part of listOf(chunk['choices'])) {
      const choice = this.#choiceAt(part['index'] ?? 0);
      const delta = fieldsOf(part['delta']);
      const text = textOf(delta === null ? part['text'] : delta['content']);
      choice.text += text;
      added += text.length;
      if (delta !== null) added += addCalls(choice.calls, delta);
    }
    return added;
  }

  #choiceAt(index: unknown): { text: string; calls: Map<unknown, StreamedCall> } {
    let choice = this.#choices.get(index);
    if (choice === undefined) {
      choice = { text: '', calls: new Map() };
      this.#choices.set(index, choice);
    }
    return choice;
  }
}

/** The key of the one call that older models make. */
const ONLY_CALL = 'function_call';

function addCalls(calls: Map<unknown, StreamedCall>, delta: Fields): number {
  let added = 0;
  for (const piece of listOf(delta['tool_calls'])) added += addCall(calls, keyOf(calls, piece), piece);
  const only = fieldsOf(delta['function_call']);
  return only === null ? added : added + addCall(calls, ONLY_CALL, { function: only });
}

/** Servers that give calls no index send each of them whole, under an id of its own. */
function keyOf(calls: ReadonlyMap<unknown, StreamedCall>, { index, id }: Fields): unknown {
  return index ?? id ?? [...calls.keys()].at(-1) ?? 0;
}

function addCall(calls: Map<unknown, StreamedCall>, key: unknown, piece: Fields): number {
  const custom = fieldsOf(piece['custom']);
  const { name, arguments: given } = fieldsOf(piece['function']) ?? {};
  let call = calls.get(key);
  if (call === undefined) {
    call = { name: '', arguments: '', isFunction: custom === null };
    calls.set(key, call);
  }
  const [named, text] = custom === null ? [name, given] : [custom['name'], custom['input']];
  // Some servers repeat the name in each piece.
  if (call.name === '' && typeof named === 'string') call.name = named;
  if (text === undefined || text === null) return 0;
  const pieceText = String(text);
  call.arguments += pieceText;
  return pieceText.length;
}

function textOf(content: unknown): string {
  if (typeof content === 'string') return content;
  return listOf(content)
    .map(({ type, text }) => (type === 'text' && typeof text === 'string' ? text : ''))
    .join('');
}
