import { type FaultProvider, startFaultProvider } from './fault-provider';

/** A request as a script reads it. */
export interface ScriptedRequest {
  readonly body: Readonly<Record<string, unknown>> & {
    readonly messages?: readonly (Readonly<Record<string, unknown>> & {
      readonly role: string;
      readonly content?: string | null;
    })[];
  };
  /** The last message's text, or what is to be embedded. */
  readonly said: string;
  /** How many requests came before. */
  readonly number: number;
}

/** What a script answers: a message, vectors, a status with an error, or nothing at all, ever. */
export type ScriptedAnswer =
  | {
      readonly message: Readonly<Record<string, unknown>>;
      readonly finish?: string;
      /** Whether it says no tokens. */
      readonly uncounted?: true;
    }
  | { readonly vectors: readonly (readonly number[])[] }
  | { readonly status: number; readonly error?: string }
  | 'silence';

/** A provider that answers chats and embeddings as a script says; the script may be exchanged. */
export interface ScriptedProvider extends FaultProvider {
  script: (request: ScriptedRequest) => ScriptedAnswer;
}

/** Starts a scripted provider on loopback. */
export async function startScriptedProvider(script: ScriptedProvider['script']): Promise<ScriptedProvider> {
  let number = 0;
  const provider = await startFaultProvider(({ response }) => {
    const body = JSON.parse(provider.bodies.at(-1) || '{}') as ScriptedRequest['body'];
    const inputs = [body['input'] ?? []].flat() as string[];
    const said = body.messages?.at(-1)?.content ?? inputs.join(' ');
    const answer = scripted.script({ body, said, number });
    number += 1;
    if (answer === 'silence') return;
    const [code, document] = documentOf(answer, body);
    response.writeHead(code, { 'content-type': 'application/json' });
    response.end(JSON.stringify(document));
  });
  const scripted = Object.assign(provider, { script });
  return scripted;
}

/** A message that calls a tool. */
export function calls(name: string, args: unknown, id = 'call_1'): ScriptedAnswer {
  const text = typeof args === 'string' ? args : JSON.stringify(args);
  const call = { id, type: 'function', function: { name, arguments: text } };
  return { message: { role: 'assistant', content: null, tool_calls: [call] }, finish: 'tool_calls' };
}

/** A message of text. */
export function says(content: string, finish = 'stop'): ScriptedAnswer {
  return { message: { role: 'assistant', content, refusal: null }, finish };
}

function documentOf(
  answer: Exclude<ScriptedAnswer, 'silence'>,
  body: ScriptedRequest['body'],
): [status: number, document: object] {
  if ('status' in answer) {
    const message = answer.error ?? `status ${answer.status}`;
    return [answer.status, { error: { message, type: 'invalid_request_error', param: null, code: null } }];
  }
  const usage = { prompt_tokens: 100, completion_tokens: 10, total_tokens: 110 };
  const model = body['model'];
  if ('vectors' in answer) {
    const data = answer.vectors.map((embedding, index) => ({ object: 'embedding', index, embedding }));
    return [200, { object: 'list', data, model, usage: { prompt_tokens: 5, total_tokens: 5 } }];
  }
  const choices = [{ index: 0, message: answer.message, finish_reason: answer.finish ?? 'stop' }];
  const counted = answer.uncounted === true ? {} : { usage };
  return [200, { id: 'c1', object: 'chat.completion', created: 1, model, choices, ...counted }];
}
