import type { StickyKey } from '../core/routing';

/** What a request's JSON body says that matters to the gateway. */
export interface RequestFacts {
  readonly text: string;
  readonly json: Readonly<Record<string, unknown>>;
  readonly model: string;
  readonly stream: boolean;
  /** The caller asked for the usage chunk of a stream itself. */
  readonly wantsUsage: boolean;
}

/** Reads a JSON object with a model; null when the body is anything else. */
export function readFacts(body: Buffer): RequestFacts | null {
  const text = body.toString('utf8');
  const json = parseObject(text);
  if (json === null) return null;
  const { model, stream, stream_options: options } = json;
  if (typeof model !== 'string') return null;
  return {
    text,
    json,
    model,
    stream: stream === true,
    wantsUsage:
      typeof options === 'object' && options !== null && Reflect.get(options, 'include_usage') === true,
  };
}

/** A JSON text's object; null for everything that is none. */
export function parseObject(text: string): Record<string, unknown> | null {
  try {
    const parsed: unknown = JSON.parse(text);
    return typeof parsed === 'object' && parsed !== null && !Array.isArray(parsed)
      ? (parsed as Record<string, unknown>)
      : null;
  } catch {
    return null;
  }
}

/** The assignment key of a request by the route's rule, null when it has none. */
export function assignmentKey(
  rule: StickyKey,
  header: string | null,
  json: Readonly<Record<string, unknown>> | null,
): string | null {
  if (rule === 'none') return null;
  if (header !== null && header !== '') return header;
  if (json === null) return null;
  return nonEmpty(json['safety_identifier']) ?? nonEmpty(json['user']) ?? nonEmpty(json['prompt_cache_key']);
}

/** The lower-case name of the header that a rule reads, null when it reads none. */
export function stickyHeader(rule: StickyKey): string | null {
  return rule.startsWith('header:') ? rule.slice('header:'.length).toLowerCase() : null;
}

/** Whether a request carries assistant turns: a conversation that goes on. */
export function isContinued(json: Readonly<Record<string, unknown>>): boolean {
  return hasAssistantTurn(json['messages']) || hasAssistantTurn(json['input']);
}

/** Whether a provider runs tools of its own for it, which may act twice when the request is sent twice. */
export function usesHostedTools(json: Readonly<Record<string, unknown>>): boolean {
  if (json['web_search_options'] !== undefined && json['web_search_options'] !== null) return true;
  const { tools } = json;
  if (!Array.isArray(tools)) return false;
  return tools.some((tool: unknown) => {
    const type = typeof tool === 'object' && tool !== null ? Reflect.get(tool, 'type') : undefined;
    return typeof type === 'string' && type !== 'function' && type !== 'custom';
  });
}

/** What a request asks a model to be able to do, in the shapes of Chat Completions and of Responses. */
export function askedFeatures({ json, text }: RequestFacts): {
  readonly tools: boolean;
  readonly jsonSchema: boolean;
  readonly vision: boolean;
} {
  const { tools, functions, response_format: format, text: output } = json;
  return {
    tools: isFilled(tools) || isFilled(functions),
    jsonSchema: isJsonSchema(format) || isJsonSchema(property(output, 'format')),
    // Most bodies name no image: one search tells.
    vision: text.includes('image') && (hasImage(json['messages']) || hasImage(json['input'])),
  };
}

function isFilled(list: unknown): boolean {
  return Array.isArray(list) && list.length > 0;
}

function isJsonSchema(format: unknown): boolean {
  return property(format, 'type') === 'json_schema';
}

function hasImage(turns: unknown): boolean {
  if (!Array.isArray(turns)) return false;
  return turns.some((turn: unknown) => {
    const content = property(turn, 'content');
    if (!Array.isArray(content)) return false;
    return content.some((part: unknown) => {
      const type = property(part, 'type');
      return type === 'image_url' || type === 'input_image';
    });
  });
}

function property(value: unknown, name: string): unknown {
  return typeof value === 'object' && value !== null ? Reflect.get(value, name) : undefined;
}

const NAMES_STATE = /"(file|vector_store)_id/;

/** Whether a request leans on something that one provider keeps: an earlier response, a conversation, a file. */
export function isBoundToState({ json, text }: RequestFacts): boolean {
  if (json['background'] === true) return true;
  if (nonEmpty(json['previous_response_id']) !== null) return true;
  if (json['conversation'] !== undefined && json['conversation'] !== null) return true;
  // Most bodies have neither: one search tells.
  if (text.includes('_id') && NAMES_STATE.test(text)) return true;
  const { prompt } = json;
  return typeof prompt === 'object' && prompt !== null && typeof Reflect.get(prompt, 'id') === 'string';
}

function hasAssistantTurn(turns: unknown): boolean {
  if (!Array.isArray(turns)) return false;
  return turns.some(
    (turn: unknown) => typeof turn === 'object' && turn !== null && Reflect.get(turn, 'role') === 'assistant',
  );
}

function nonEmpty(value: unknown): string | null {
  return typeof value === 'string' && value !== '' ? value : null;
}
