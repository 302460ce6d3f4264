/** What an answer, or a part of one, holds: a sum of the numbers below. */
export type Holdings = number;

export const NOTHING_HELD = 0;
/** Text, sound, images: what a caller can use that is not one of the following. */
export const TEXT = 1;
/** Calls of tools, whoever runs them. */
export const CALL = 2;
/** The model's own word that it refuses. */
export const REFUSAL = 4;
export const REASONING = 8;

/** What a chat's message, or a piece of one, holds besides its role. */
export function messageHoldings(message: unknown): Holdings {
  if (typeof message !== 'object' || message === null) return NOTHING_HELD;
  let holds = NOTHING_HELD;
  for (const [name, value] of Object.entries(message))
    if (isFilled(value)) holds |= fieldHoldings(name, value);
  return holds;
}

function fieldHoldings(name: string, value: unknown): Holdings {
  switch (name) {
    // What says something of the answer, and is none.
    case 'role':
    case 'name':
    case 'annotations':
    case 'provider_specific_fields':
      return NOTHING_HELD;
    case 'content':
      return contentHoldings(value);
    case 'refusal':
      return REFUSAL;
    case 'tool_calls':
    case 'function_call':
      return CALL;
    case 'reasoning':
    case 'reasoning_content':
    case 'reasoning_details':
    case 'thinking':
    case 'thinking_blocks':
      return REASONING;
    default:
      return TEXT;
  }
}

/** What the content of a message holds: a text, or parts. */
function contentHoldings(content: unknown): Holdings {
  if (!Array.isArray(content)) return isFilled(content) ? TEXT : NOTHING_HELD;
  let holds = NOTHING_HELD;
  for (const part of content) holds |= partHoldings(part);
  return holds;
}

function partHoldings(part: unknown): Holdings {
  if (typeof part !== 'object' || part === null) return isFilled(part) ? TEXT : NOTHING_HELD;
  switch (Reflect.get(part, 'type')) {
    case 'text':
    case 'output_text':
      return isFilled(Reflect.get(part, 'text')) ? TEXT : NOTHING_HELD;
    case 'refusal':
      return isFilled(Reflect.get(part, 'refusal')) ? REFUSAL : NOTHING_HELD;
    case 'thinking':
    case 'reasoning':
    case 'reasoning_text':
      return REASONING;
    default:
      return TEXT;
  }
}

/** What the blocks of a message hold, in Anthropic's dialect. */
export function blocksHoldings(content: unknown): Holdings {
  if (!Array.isArray(content)) return NOTHING_HELD;
  let holds = NOTHING_HELD;
  for (const block of content) holds |= blockHoldings(block);
  return holds;
}

/** What one block of a message holds, complete or as it begins. */
export function blockHoldings(block: unknown): Holdings {
  if (typeof block !== 'object' || block === null) return NOTHING_HELD;
  const type: unknown = Reflect.get(block, 'type');
  switch (type) {
    case 'text':
      return isFilled(Reflect.get(block, 'text')) ? TEXT : NOTHING_HELD;
    case 'thinking':
      return isFilled(Reflect.get(block, 'thinking')) ? REASONING : NOTHING_HELD;
    case 'redacted_thinking':
      return REASONING;
    default:
      if (typeof type !== 'string') return NOTHING_HELD;
      if (type.endsWith('_use')) return CALL;
      // What the provider found out for itself is not an answer.
      return type.endsWith('_result') ? NOTHING_HELD : TEXT;
  }
}

/** What the items of a response's output hold. */
export function outputHoldings(output: unknown): Holdings {
  if (!Array.isArray(output)) return NOTHING_HELD;
  let holds = NOTHING_HELD;
  for (const item of output) holds |= itemHoldings(item);
  return holds;
}

/** What one item of a response's output holds. */
export function itemHoldings(item: unknown): Holdings {
  if (typeof item !== 'object' || item === null) return isFilled(item) ? TEXT : NOTHING_HELD;
  const type: unknown = Reflect.get(item, 'type');
  if (type === 'message') return contentHoldings(Reflect.get(item, 'content'));
  if (type === 'reasoning') return REASONING;
  if (typeof type !== 'string') return TEXT;
  // What the provider found out for itself is not an answer.
  if (type === 'mcp_list_tools') return NOTHING_HELD;
  return type.endsWith('_call') ? CALL : TEXT;
}

/** What a piece of a response's stream holds, by the type of its event. */
export function deltaHoldings(type: string): Holdings {
  if (type.includes('reasoning')) return REASONING;
  if (type.includes('refusal')) return REFUSAL;
  return type.includes('_call') ? CALL : TEXT;
}

/** Whether a value says something: neither null, nor empty, nor false. */
export function isFilled(value: unknown): boolean {
  if (value === null || value === undefined || value === '' || value === false) return false;
  return !(Array.isArray(value) && value.length === 0);
}
