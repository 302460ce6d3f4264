import type { ServerResponse } from 'node:http';
import {
  chatChunkMaker,
  chatCompletion,
  type DemoRequest,
  providerErrorBody,
  sendJson,
} from './provider-answers';

/** A model that runs: what it says is computed from its weights. */
export interface ServedModel {
  /** Of the files that were loaded, as `cutover train` exports it. */
  readonly digest: string;
  /** Resolves when the answer is complete; rejects with `RefusedQuestion` for a chat that the model cannot take. */
  ask(question: ServedQuestion, onText: (text: string) => void): Promise<ModelAnswer>;
  stop(): Promise<void>;
}

/** One chat for a model. */
export interface ServedQuestion {
  readonly messages: unknown;
  /** Null: as many as the model writes at most. */
  readonly maxTokens: number | null;
  readonly temperature: number;
}

/** How an answer ended. */
export interface ModelAnswer {
  readonly finish: 'stop' | 'length';
  readonly promptTokens: number;
  readonly tokens: number;
}

/** Thrown for a chat that the model cannot take, in words for its caller. */
export class RefusedQuestion extends Error {
  override readonly name = 'RefusedQuestion';
}

/** Answers one chat completion by a model, plain or streamed; returns the status. */
export async function serveChat(
  model: ServedModel,
  id: string,
  asked: DemoRequest,
  body: Buffer,
  response: ServerResponse,
): Promise<number> {
  const pieces: string[] = [];
  // Whatever tools are offered, this model answers in words.
  const inWords = { ...asked, tool: null };
  const chunks = chatChunkMaker(id, inWords);
  const send = (chunk: object): void => {
    if (!response.destroyed) response.write(`data: ${JSON.stringify(chunk)}\n\n`);
  };
  const onText = (text: string): void => {
    pieces.push(text);
    if (!asked.stream) return;
    if (!response.headersSent) {
      response.writeHead(200, {
        'content-type': 'text/event-stream; charset=utf-8',
        'cache-control': 'no-cache',
      });
      send(chunks.opening());
    }
    send(chunks.said(text));
  };
  try {
    const end = await model.ask(questionIn(body), onText);
    if (!asked.stream) {
      const counted = { ...inWords, promptTokens: end.promptTokens };
      return sendJson(response, 200, chatCompletion(id, counted, pieces, end));
    }
    if (!response.headersSent) onText('');
    for (const chunk of chunks.closing(end)) send(chunk);
    response.end('data: [DONE]\n\n');
    return 200;
  } catch (error) {
    const message = error instanceof Error ? error.message : String(error);
    if (response.headersSent) {
      response.destroy();
      return 200;
    }
    return error instanceof RefusedQuestion
      ? sendJson(response, 400, providerErrorBody(message, 'invalid_request_error', null))
      : sendJson(response, 500, providerErrorBody(message, 'server_error', null));
  }
}

function questionIn(body: Buffer): ServedQuestion {
  const asked = JSON.parse(body.toString()) as Readonly<Record<string, unknown>>;
  const number = (value: unknown) => (typeof value === 'number' && value >= 0 ? value : null);
  return {
    messages: asked['messages'],
    maxTokens: number(asked['max_completion_tokens']) ?? number(asked['max_tokens']),
    temperature: number(asked['temperature']) ?? 1,
  };
}
