import type { ServerResponse } from 'node:http';

/** What a request to a demo provider asks for; fields that it does not know are ignored. */
export interface DemoRequest {
  readonly model: string;
  readonly stream: boolean;
  readonly includeUsage: boolean;
  readonly tool: DemoTool | null;
  readonly inputs: number;
  readonly promptTokens: number;
  /** The last message; empty where there is none. */
  readonly text: string;
}

/** The tool that a request names first, with arguments that keep to its schema. */
export interface DemoTool {
  readonly name: string;
  readonly arguments: Readonly<Record<string, unknown>>;
}

/** The same request, whose tool is called with arguments that its schema does not allow. */
export function withBrokenArguments(asked: DemoRequest): DemoRequest {
  const { tool } = asked;
  if (tool === null) return asked;
  const names = Object.keys(tool.arguments);
  return { ...asked, tool: { ...tool, arguments: Object.fromEntries(names.map((name) => [name, null])) } };
}

const WORDS =
  'Traffic moves in stages because evidence arrives in stages and a step that was proven can be taken back at once'.split(
    ' ',
  );

/** The words of an answer, one a token. */
export function answerWords(tokens: number): string[] {
  return Array.from(
    { length: tokens },
    (_, index) => `${index === 0 ? '' : ' '}${WORDS[index % WORDS.length]}`,
  );
}

/** Reads what is asked for; anything unreadable counts as absent. */
export function readDemoRequest(body: Buffer): DemoRequest {
  const parsed = parseObject(body);
  const options = parsed.stream_options;
  const input = parsed.input;
  return {
    model: typeof parsed.model === 'string' ? parsed.model : '',
    stream: parsed.stream === true,
    includeUsage:
      typeof options === 'object' && options !== null && Reflect.get(options, 'include_usage') === true,
    tool: firstTool(parsed.tools),
    inputs: Array.isArray(input) ? input.length : 1,
    promptTokens: Math.ceil(body.length / 4),
    text: lastText(parsed.messages),
  };
}

/** A chat completion in one piece. */
export function chatCompletion(
  id: string,
  asked: DemoRequest,
  words: readonly string[],
  { finish, tokens }: DemoAnswerEnd = endOf(asked, words),
): object {
  const message =
    asked.tool === null
      ? { role: 'assistant', content: words.join(''), refusal: null }
      : { role: 'assistant', content: null, tool_calls: [toolCall(id, asked.tool)] };
  return {
    id,
    object: 'chat.completion',
    created: created(),
    model: asked.model,
    choices: [{ index: 0, message, logprobs: null, finish_reason: finish }],
    usage: chatUsage(asked, tokens),
  };
}

/** How an answer ended, and the tokens that it took. */
export interface DemoAnswerEnd {
  readonly finish: string;
  readonly tokens: number;
}

function endOf({ tool }: DemoRequest, words: readonly string[]): DemoAnswerEnd {
  return { finish: tool === null ? 'stop' : 'tool_calls', tokens: words.length };
}

/** The chunks of a streamed chat completion: a role, the content, an end, and usage where it was asked for. */
export function chatChunks(id: string, asked: DemoRequest, words: readonly string[]): object[] {
  const { opening, said, called, closing } = chatChunkMaker(id, asked);
  return [
    opening(),
    ...(asked.tool === null ? words.map(said) : [called(asked.tool)]),
    ...closing(endOf(asked, words)),
  ];
}

/** Makes the chunks of one streamed chat completion as its text comes. */
export function chatChunkMaker(id: string, asked: DemoRequest) {
  const chunk = (choices: object[], usage?: object) => ({
    id,
    object: 'chat.completion.chunk',
    created: created(),
    model: asked.model,
    choices,
    ...(asked.includeUsage ? { usage: usage ?? null } : {}),
  });
  const delta = (content: object, finish: string | null = null) =>
    chunk([{ index: 0, delta: content, logprobs: null, finish_reason: finish }]);
  return {
    opening: () => delta({ role: 'assistant', content: '' }),
    said: (text: string) => delta({ content: text }),
    called: (tool: DemoTool) => delta({ tool_calls: [{ index: 0, ...toolCall(id, tool) }] }),
    closing: ({ finish, tokens }: DemoAnswerEnd) => [
      delta({}, finish),
      ...(asked.includeUsage ? [chunk([], chatUsage(asked, tokens))] : []),
    ],
  };
}

/** A legacy text completion in one piece. */
export function textCompletion(id: string, asked: DemoRequest, words: readonly string[]): object {
  return {
    id,
    object: 'text_completion',
    created: created(),
    model: asked.model,
    choices: [{ index: 0, text: words.join(''), logprobs: null, finish_reason: 'stop' }],
    usage: chatUsage(asked, words.length),
  };
}

/** The chunks of a streamed text completion. */
export function textChunks(id: string, asked: DemoRequest, words: readonly string[]): object[] {
  const chunk = (choices: object[], usage?: object) => ({
    id,
    object: 'text_completion',
    created: created(),
    model: asked.model,
    choices,
    ...(usage === undefined ? {} : { usage }),
  });
  return [
    ...words.map((word) => chunk([{ index: 0, text: word, logprobs: null, finish_reason: null }])),
    chunk([{ index: 0, text: '', logprobs: null, finish_reason: 'stop' }]),
    ...(asked.includeUsage ? [chunk([], chatUsage(asked, words.length))] : []),
  ];
}

/** A response of the Responses API. */
export function responseObject(
  id: string,
  asked: DemoRequest,
  words: readonly string[],
  status: string,
): object {
  const done = status === 'completed';
  const text = { type: 'output_text', text: words.join(''), annotations: [] };
  return {
    id,
    object: 'response',
    created_at: created(),
    status,
    error: null,
    incomplete_details: null,
    model: asked.model,
    output: done
      ? [{ id: `msg_${id}`, type: 'message', role: 'assistant', status: 'completed', content: [text] }]
      : [],
    parallel_tool_calls: true,
    tool_choice: 'auto',
    tools: [],
    usage: done ? responsesUsage(asked, words.length) : null,
  };
}

/** The events of a streamed response. */
export function responseEvents(id: string, asked: DemoRequest, words: readonly string[]): { type: string }[] {
  const at = { item_id: `msg_${id}`, output_index: 0, content_index: 0 };
  const events = [
    { type: 'response.created', response: responseObject(id, asked, words, 'in_progress') },
    ...words.map((delta) => ({ type: 'response.output_text.delta', ...at, delta })),
    { type: 'response.output_text.done', ...at, text: words.join('') },
    { type: 'response.completed', response: responseObject(id, asked, words, 'completed') },
  ];
  return events.map((event, index) => ({ ...event, sequence_number: index }));
}

/** Embeddings: unit vectors that depend only on the position of the input. */
export function embeddings(asked: DemoRequest, dimensions = 8): object {
  return {
    object: 'list',
    data: Array.from({ length: asked.inputs }, (_, index) => ({
      object: 'embedding',
      index,
      embedding: Array.from({ length: dimensions }, (_, axis) => (axis === index % dimensions ? 1 : 0)),
    })),
    model: asked.model,
    usage: { prompt_tokens: asked.promptTokens, total_tokens: asked.promptTokens },
  };
}

/** The list of models. */
export function modelList(models: readonly string[], digests: Readonly<Record<string, string>> = {}): object {
  return {
    object: 'list',
    data: models.map((id) => ({
      ...{ id, object: 'model', created: 1_700_000_000, owned_by: 'demo' },
      ...(digests[id] === undefined ? {} : { digest: digests[id] }),
    })),
  };
}

/** Sends a whole answer and returns its status. */
export function sendJson(response: ServerResponse, status: number, body: object): number {
  const text = JSON.stringify(body);
  response.writeHead(status, {
    'content-type': 'application/json',
    'content-length': Buffer.byteLength(text),
  });
  response.end(text);
  return status;
}

/** An error in OpenAI's shape. */
export function providerErrorBody(message: string, type: string, code: string | null): object {
  return { error: { message, type, param: null, code } };
}

function toolCall(id: string, { name, arguments: given }: DemoTool): object {
  return { id: `call_${id}`, type: 'function', function: { name, arguments: JSON.stringify(given) } };
}

function chatUsage(asked: DemoRequest, completionTokens: number): object {
  return {
    prompt_tokens: asked.promptTokens,
    completion_tokens: completionTokens,
    total_tokens: asked.promptTokens + completionTokens,
    prompt_tokens_details: { cached_tokens: 0 },
  };
}

function responsesUsage(asked: DemoRequest, outputTokens: number): object {
  return {
    input_tokens: asked.promptTokens,
    input_tokens_details: { cached_tokens: 0 },
    output_tokens: outputTokens,
    output_tokens_details: { reasoning_tokens: 0 },
    total_tokens: asked.promptTokens + outputTokens,
  };
}

function lastText(messages: unknown): string {
  const content: unknown = Array.isArray(messages) ? messages.at(-1)?.content : undefined;
  return typeof content === 'string' ? content : '';
}

function firstTool(tools: unknown): DemoTool | null {
  if (!Array.isArray(tools)) return null;
  const { name, parameters } = (tools[0]?.function ?? {}) as { name?: unknown; parameters?: ToolParameters };
  if (typeof name !== 'string') return null;
  const required = parameters?.required ?? [];
  const given = required.map((field) => [field, exampleOf(parameters?.properties?.[field])]);
  return { name, arguments: Object.fromEntries(given) };
}

/** As much of a JSON schema as a demo needs. */
interface ToolParameters {
  readonly properties?: Readonly<
    Record<string, { readonly type?: string; readonly enum?: readonly unknown[] }>
  >;
  readonly required?: readonly string[];
}

function exampleOf(schema: { readonly type?: string; readonly enum?: readonly unknown[] } = {}): unknown {
  if (schema.enum !== undefined) return schema.enum[0];
  switch (schema.type) {
    case 'number':
    case 'integer':
      return 1;
    case 'boolean':
      return true;
    case 'array':
      return [];
    case 'object':
      return {};
    default:
      return 'text';
  }
}

function parseObject(body: Buffer): Record<string, unknown> {
  try {
    const parsed: unknown = JSON.parse(body.toString('utf8'));
    return typeof parsed === 'object' && parsed !== null ? (parsed as Record<string, unknown>) : {};
  } catch {
    return {};
  }
}

function created(): number {
  return Math.floor(Date.now() / 1000);
}
