import { isError } from './answer-part';
import { ERROR, type EventFacts, pieceOf, STATUS, TOKEN } from './event-facts';
import { readEnd, readFinishReason } from './finish-reason';
import { blockHoldings, CALL, type Holdings, isFilled, NOTHING_HELD, REASONING, TEXT } from './holdings';
import { readMessageUsage } from './token-usage';

/** Events of a stream of Anthropic's Messages API. Those that nobody knows yet say nothing, as it asks of clients. */
export function readMessageEvent(name: string, json: Readonly<Record<string, unknown>>): EventFacts {
  const type = typeof json['type'] === 'string' ? json['type'] : name;
  if (type === 'error' || isError(json)) return ERROR;
  switch (type) {
    case 'message_start':
      return begun(objectIn(json['message']));
    case 'content_block_start':
      return pieceOf(blockHoldings(json['content_block']));
    case 'content_block_delta':
      return pieceOf(deltaHoldings(objectIn(json['delta'])));
    case 'message_delta':
      return ended(objectIn(json['delta']), json['usage']);
    case 'message_stop':
      return STOP;
    default:
      return STATUS;
  }
}

/** A piece of an answer by its text alone, null where it has to be read. */
export function messagePieceByText(name: string, data: string): EventFacts | null {
  if (name !== 'content_block_delta') return null;
  // Quotes within a text are escaped, so this can only be the type itself.
  return data.includes('"type":"text_delta"') && !data.includes('"text":""') ? TOKEN : null;
}

const STOP: EventFacts = { ...STATUS, finish: 'ordinary' };

function begun(message: Readonly<Record<string, unknown>> | null): EventFacts {
  const usage = readMessageUsage(message?.['usage']);
  return { ...STATUS, usage, objectId: containerOf(message), answer: message };
}

function ended(delta: Readonly<Record<string, unknown>> | null, usage: unknown): EventFacts {
  const reason = delta?.['stop_reason'];
  const finish = readFinishReason(reason);
  const choice = {
    ...{ index: 0, holds: NOTHING_HELD, error: finish === 'failed', finish },
    end: finish === null ? ('nothing' as const) : readEnd(reason),
  };
  return {
    ...STATUS,
    error: choice.error,
    finish,
    usage: readMessageUsage(usage),
    objectId: containerOf(delta),
    choices: [choice],
  };
}

/** The id of what a provider keeps of its tools' work, which a later request may name. */
export function containerOf(holder: Readonly<Record<string, unknown>> | null): string | null {
  const id = objectIn(holder?.['container'])?.['id'];
  return typeof id === 'string' ? id : null;
}

function deltaHoldings(delta: Readonly<Record<string, unknown>> | null): Holdings {
  switch (delta?.['type']) {
    case 'text_delta':
      return isFilled(delta['text']) ? TEXT : NOTHING_HELD;
    case 'input_json_delta':
      return CALL;
    case 'thinking_delta':
      return isFilled(delta['thinking']) ? REASONING : NOTHING_HELD;
    default:
      // Signatures, citations, and what is not known yet.
      return NOTHING_HELD;
  }
}

function objectIn(value: unknown): Readonly<Record<string, unknown>> | null {
  return typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : null;
}
