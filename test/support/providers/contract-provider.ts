import { event, type Fault, type FaultProvider, startFaultProvider } from './fault-provider';

type Exchange = Parameters<Fault>[0];

/** What a planted answer says in one choice. */
export interface PlantedChoice {
  readonly text?: string;
  readonly reasoning?: string;
  readonly refusal?: string;
  readonly calls?: readonly { readonly name: string; readonly arguments: string }[];
  readonly finish?: 'stop' | 'length' | 'content_filter' | 'tool_calls';
}

/** A provider that says what was planted, to chats, completions and responses, streamed or not. */
export interface ContractProvider extends FaultProvider {
  planted: readonly PlantedChoice[];
  /** `system_fingerprint` of its answers. */
  fingerprint: string;
}

type Body = Readonly<Record<string, unknown>>;

/** Starts one on loopback; it says hello. */
export async function startContractProvider(): Promise<ContractProvider> {
  const provider = await startFaultProvider((exchange) => {
    const body = JSON.parse(exchange.body) as Body;
    if ('input' in body) sayResponse(exchange, body, planted.planted[0] ?? {});
    else sayChoices(exchange, body, 'messages' in body, planted);
  });
  const planted: ContractProvider = Object.assign(provider, {
    planted: [{ text: 'Hello!' }] as readonly PlantedChoice[],
    fingerprint: 'fp_1',
  });
  return planted;
}

const USAGE = { prompt_tokens: 7, completion_tokens: 3, total_tokens: 10 };

function sayChoices(
  { response }: Exchange,
  body: Body,
  isChat: boolean,
  { planted, fingerprint }: ContractProvider,
): void {
  const base = { id: 'c1', created: 1, model: body['model'], system_fingerprint: fingerprint };
  if (body['stream'] !== true) {
    const choices = planted.map((choice, index) => ({
      index,
      ...(isChat ? { message: messageOf(choice) } : { text: choice.text ?? '' }),
      finish_reason: finishOf(choice),
    }));
    response.writeHead(200, { 'content-type': 'application/json' });
    response.end(JSON.stringify({ ...base, object: 'chat.completion', choices, usage: USAGE }));
    return;
  }
  response.writeHead(200, { 'content-type': 'text/event-stream' });
  const say = (index: number, part: object, finish: string | null = null) =>
    response.write(
      event(JSON.stringify({ ...base, choices: [{ index, ...part, finish_reason: finish }], usage: null })),
    );
  planted.forEach((choice, index) => {
    const pieces = isChat
      ? deltasOf(choice).map((delta) => ({ delta }))
      : piecesOf(choice.text ?? '').map((text) => ({ text }));
    if (isChat) say(index, { delta: { role: 'assistant', content: '', refusal: null } });
    for (const piece of pieces) say(index, piece);
    say(index, isChat ? { delta: {} } : { text: '' }, finishOf(choice));
  });
  response.write(event(JSON.stringify({ ...base, choices: [], usage: USAGE })));
  response.end('data: [DONE]\n\n');
}

function finishOf({ finish, calls }: PlantedChoice): string {
  return finish ?? (calls === undefined ? 'stop' : 'tool_calls');
}

function messageOf({ text, reasoning, refusal, calls }: PlantedChoice): object {
  return {
    ...{ role: 'assistant', content: text ?? null, refusal: refusal ?? null },
    ...(reasoning === undefined ? {} : { reasoning_content: reasoning }),
    ...(calls === undefined
      ? {}
      : { tool_calls: calls.map((call, index) => ({ id: `t${index}`, type: 'function', function: call })) }),
  };
}

function deltasOf({ text, reasoning, refusal, calls = [] }: PlantedChoice): object[] {
  return [
    ...piecesOf(reasoning ?? '').map((piece) => ({ reasoning_content: piece })),
    ...piecesOf(refusal ?? '').map((piece) => ({ refusal: piece })),
    ...piecesOf(text ?? '').map((content) => ({ content })),
    ...calls.flatMap((call, index) => [
      {
        tool_calls: [
          { index, id: `t${index}`, type: 'function', function: { name: call.name, arguments: '' } },
        ],
      },
      ...piecesOf(call.arguments).map((piece) => ({
        tool_calls: [{ index, function: { arguments: piece } }],
      })),
    ]),
  ];
}

/** A text in pieces of three characters, as tokens come; a long one in a thousand pieces. */
function piecesOf(text: string): string[] {
  const characters = [...text];
  const length = Math.max(3, Math.ceil(characters.length / 1_000));
  return Array.from({ length: Math.ceil(characters.length / length) }, (_, index) =>
    characters.slice(index * length, (index + 1) * length).join(''),
  );
}

function sayResponse({ response }: Exchange, body: Body, choice: PlantedChoice): void {
  const output = itemsOf(choice);
  const isComplete =
    choice.finish === undefined || choice.finish === 'stop' || choice.finish === 'tool_calls';
  const reason = choice.finish === 'length' ? 'max_output_tokens' : choice.finish;
  const document = {
    ...{ id: 'r1', object: 'response', created_at: 1, model: body['model'] },
    ...{ status: isComplete ? 'completed' : 'incomplete', output, parallel_tool_calls: true, tools: [] },
    ...(isComplete ? { incomplete_details: null } : { incomplete_details: { reason } }),
    usage: { input_tokens: 7, output_tokens: 3, total_tokens: 10 },
  };
  if (body['stream'] !== true) {
    response.writeHead(200, { 'content-type': 'application/json' });
    response.end(JSON.stringify(document));
    return;
  }
  response.writeHead(200, { 'content-type': 'text/event-stream' });
  let number = 0;
  const say = (type: string, rest: object) => {
    response.write(`event: ${type}\n${event(JSON.stringify({ type, sequence_number: number, ...rest }))}`);
    number += 1;
  };
  say('response.created', { response: { ...document, status: 'in_progress', output: [] } });
  output.forEach((item, output_index) => {
    say('response.output_item.added', { output_index, item: { ...item, content: [] } });
    for (const [type, text] of textsOf(item)) {
      for (const delta of piecesOf(text)) say(`${type}.delta`, { output_index, content_index: 0, delta });
    }
    say('response.output_item.done', { output_index, item });
  });
  say(isComplete ? 'response.completed' : 'response.incomplete', { response: document });
  response.end();
}

interface Item {
  readonly type: string;
  readonly content?: readonly {
    readonly type: string;
    readonly text?: string;
    readonly refusal?: string;
  }[];
  readonly arguments?: string;
}

function itemsOf({ text, reasoning, refusal, calls = [] }: PlantedChoice): Item[] {
  const parts = [
    ...(text === undefined ? [] : [{ type: 'output_text', text, annotations: [] }]),
    ...(refusal === undefined ? [] : [{ type: 'refusal', refusal }]),
  ];
  const message = { id: 'm1', type: 'message', role: 'assistant', status: 'completed', content: parts };
  return [
    ...(reasoning === undefined
      ? []
      : [
          {
            ...{ id: 'rs1', type: 'reasoning', summary: [] },
            content: [{ type: 'reasoning_text', text: reasoning }],
          },
        ]),
    ...(parts.length === 0 ? [] : [message]),
    ...calls.map((call, index) => ({
      id: `f${index}`,
      type: 'function_call',
      call_id: `c${index}`,
      ...call,
    })),
  ];
}

function textsOf(item: Item): [type: string, text: string][] {
  if (item.arguments !== undefined) return [['response.function_call_arguments', item.arguments]];
  return (item.content ?? []).map((part) => {
    if (part.refusal !== undefined) return ['response.refusal', part.refusal];
    return [item.type === 'reasoning' ? 'response.reasoning_text' : 'response.output_text', part.text ?? ''];
  });
}
