import type { Contract } from './judge-answer';

type Fields = Readonly<Record<string, unknown>>;

/** The contract in the fields of a request that `askedContract` has taken out, of chat, responses or messages. */
export function readContract(fields: Fields): Contract {
  const tools = new Map<string, object | null>();
  for (const tool of [...listOf(fields['tools']), ...listOf(fields['functions'])]) addTool(tools, tool);
  return { json: readJson(fields), tools, required: readRequired(fields) };
}

function addTool(tools: Map<string, object | null>, tool: Fields): void {
  const inner = fieldsOf(tool['function']) ?? fieldsOf(tool['custom']) ?? tool;
  const { name, parameters, input_schema: inputSchema } = inner;
  if (typeof name === 'string') tools.set(name, fieldsOf(parameters ?? inputSchema));
  // A group of tools under one name, as responses have them.
  for (const grouped of listOf(tool['tools'])) addTool(tools, grouped);
}

function readJson(fields: Fields): Contract['json'] {
  const format =
    fieldsOf(fields['response_format']) ??
    fieldsOf(fieldsOf(fields['text'])?.['format']) ??
    fieldsOf(fieldsOf(fields['output_config'])?.['format']) ??
    fieldsOf(fields['output_format']);
  switch (format?.['type']) {
    case 'json_object':
      return { schema: { type: 'object' } };
    case 'json_schema':
      return { schema: fieldsOf((fieldsOf(format['json_schema']) ?? format)['schema']) };
    default:
      return null;
  }
}

function readRequired({ tool_choice: choice, function_call: functionCall }: Fields): string | boolean {
  if (choice === 'required' || choice === 'any') return true;
  const named = fieldsOf(choice);
  if (named === null) return nameOf(fieldsOf(functionCall)) ?? false;
  if (named['type'] === 'auto' || named['type'] === 'none') return false;
  if (named['type'] !== 'allowed_tools') {
    return nameOf(named) ?? nameOf(fieldsOf(named['function'])) ?? nameOf(fieldsOf(named['custom'])) ?? true;
  }
  return (fieldsOf(named['allowed_tools']) ?? named)['mode'] === 'required';
}

function nameOf(fields: Fields | null): string | null {
  const name = fields?.['name'];
  return typeof name === 'string' ? name : null;
}

/** A value as the fields of an object, null when it is not one. */
export function fieldsOf(value: unknown): Fields | null {
  return typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as Fields) : null;
}

/** The objects of a list; none when it is not a list. */
export function listOf(value: unknown): readonly Fields[] {
  if (!Array.isArray(value)) return [];
  return value.map(fieldsOf).filter((each): each is Fields => each !== null);
}
