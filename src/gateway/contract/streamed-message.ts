import type { SaidChoice } from './judge-answer';
import { isHostedBlock } from './read-choices';
import { fieldsOf } from './read-contract';

type Fields = Readonly<Record<string, unknown>>;

interface StreamedBlock {
  readonly kind: 'text' | 'call' | 'hosted call';
  readonly name: string;
  /** As the block began, for servers that send all of it at once. */
  readonly input: unknown;
  text: string;
}

/** Puts together what the events of a message say. */
export class StreamedMessage {
  #blocks = new Map<unknown, StreamedBlock>();

  get said(): SaidChoice[] {
    const blocks = [...this.#blocks.values()];
    const calls = blocks.filter(({ kind }) => kind === 'call');
    return [
      {
        text: blocks.map(({ kind, text }) => (kind === 'text' ? text : '')).join(''),
        calls: calls.map(({ name, text, input }) => ({
          name,
          arguments: text === '' ? JSON.stringify(input ?? {}) : text,
          isFunction: true,
        })),
        callsHosted: blocks.some(({ kind }) => kind === 'hosted call'),
      },
    ];
  }

  clear(): void {
    this.#blocks = new Map();
  }

  /** Takes an event and returns how many characters it added. */
  add(event: Fields): number {
    if (event['type'] === 'content_block_start')
      return this.#begin(event['index'], fieldsOf(event['content_block']));
    if (event['type'] !== 'content_block_delta') return 0;
    const block = this.#blocks.get(event['index']);
    const delta = fieldsOf(event['delta']);
    if (block === undefined || delta === null) return 0;
    const piece = block.kind === 'text' ? delta['text'] : delta['partial_json'];
    if (typeof piece !== 'string') return 0;
    block.text += piece;
    return piece.length;
  }

  #begin(index: unknown, block: Fields | null): number {
    if (block === null) return 0;
    const { type, name, text, input } = block;
    const kind =
      type === 'text' ? 'text' : type === 'tool_use' ? 'call' : isHostedBlock(block) ? 'hosted call' : null;
    if (kind === null) return 0;
    const begun: StreamedBlock = {
      ...{ kind, input },
      name: typeof name === 'string' ? name : '',
      text: kind === 'text' && typeof text === 'string' ? text : '',
    };
    this.#blocks.set(index, begun);
    return begun.text.length + (input === undefined ? 0 : JSON.stringify(input).length);
  }
}
