import { createHash } from 'node:crypto';
import { appendFileSync } from 'node:fs';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { setTimeout as sleep } from 'node:timers/promises';
import {
  chatChunks,
  chatCompletion,
  type DemoRequest,
  embeddings,
  modelList,
  providerErrorBody,
  readDemoRequest,
  responseObject,
} from '../src/demo/provider-answers';
import { expectedWords, nonceIn, type ProviderName } from './expected-answer';
import type { ProviderBehaviour, ProviderFault } from './provider-behaviour';

/**
 * A provider in a process of its own, which logs every request as it came and what it answered. Its one argument is
 * JSON: { name, port, key, model, log }. Behaviour arrives over IPC.
 */
interface Options {
  readonly name: ProviderName;
  readonly port: number;
  readonly key: string;
  readonly model: string;
  readonly log: string;
}

const TICK_MS = 4;
const TOKEN_MS = 3;
const STALL_MS = 20_000;

const options = JSON.parse(process.argv[2] ?? '{}') as Options;
let behaviour: ProviderBehaviour = { failPart: 0, faults: [], latencyMs: 10 };
process.on('message', (message) => {
  behaviour = message as ProviderBehaviour;
});

/** Times of the last turns of the event loop: bytes that are read now came after the turn before the last at the earliest. */
let ticks: readonly [number, number] = [Date.now(), Date.now()];
setInterval(() => {
  ticks = [ticks[1], Date.now()];
}, TICK_MS);

function log(line: object): void {
  appendFileSync(options.log, `${JSON.stringify(line)}\n`);
}

createServer((request, response) => {
  const atMs = Date.now();
  const earliestMs = ticks[0];
  serve(request, response, atMs, earliestMs).catch(() => response.destroy());
}).listen(options.port, '127.0.0.1', () => process.stdout.write('ready\n'));

async function serve(
  request: IncomingMessage,
  response: ServerResponse,
  atMs: number,
  earliestMs: number,
): Promise<void> {
  const chunks: Buffer[] = [];
  for await (const chunk of request) chunks.push(chunk as Buffer);
  const body = Buffer.concat(chunks);
  const nonce = nonceIn(body.toString('latin1'));
  const { method = '', url = '', headers } = request;
  const path = url.split('?', 1)[0] as string;
  const hosted = body.includes('"web_search"');
  log({ kind: 'arrived', nonce, atMs, earliestMs, method, path: url, hosted, headers });
  const fault = nonce === null ? null : faultFor(nonce);
  const end = (status: number, sent: 'whole' | 'part' | 'none') =>
    log({ kind: 'answered', nonce, atMs: Date.now(), status, sent, fault });

  // What a provider says to its own client never reaches the caller of a gateway.
  response.setHeader('set-cookie', `session=of-${options.name}`);
  response.setHeader('x-cutover-epoch', '999999');
  if (headers.authorization !== `Bearer ${options.key}`) {
    end(401, 'whole');
    return send(
      response,
      401,
      providerErrorBody('Incorrect API key provided.', 'invalid_request_error', null),
    );
  }
  if (method === 'GET') {
    end(200, 'whole');
    return send(response, 200, modelList([options.model]));
  }
  const asked = readDemoRequest(body);
  const words = expectedWords(options.name, nonce ?? 'probe');
  await sleep(behaviour.latencyMs);
  switch (fault) {
    case '429':
    case '500':
      end(Number(fault), 'whole');
      return send(response, Number(fault), providerErrorBody('told to fail', 'server_error', null));
    case 'reset':
      end(0, 'none');
      request.socket.resetAndDestroy();
      return;
    case 'stall':
      end(0, 'none');
      await sleep(STALL_MS);
      request.socket.destroy();
      return;
  }
  if (asked.stream) return stream(response, asked, words, fault === 'cut', end);
  const text = JSON.stringify(answerOf(path, asked, words));
  const isCut = fault === 'cut';
  response.writeHead(200, { 'content-type': 'application/json', 'content-length': Buffer.byteLength(text) });
  response.write(isCut ? text.slice(0, text.length / 2) : text);
  if (isCut) request.socket.destroySoon();
  else response.end();
  end(200, isCut ? 'part' : 'whole');
}

function answerOf(path: string, asked: DemoRequest, words: readonly string[]): object {
  const id = createHash('sha256').update(words.join('')).digest('hex').slice(0, 12);
  if (path.endsWith('/responses')) return responseObject(`resp_${id}`, asked, words, 'completed');
  if (path.endsWith('/embeddings')) return { ...embeddings(asked), text: words.join('') };
  if (path.endsWith('/files')) return { id: `file-${id}`, object: 'file', filename: words.join('') };
  return chatCompletion(`chatcmpl-${id}`, asked, words);
}

async function stream(
  response: ServerResponse,
  asked: DemoRequest,
  words: readonly string[],
  isCut: boolean,
  end: (status: number, sent: 'whole' | 'part') => void,
): Promise<void> {
  const events = chatChunks('chatcmpl-stream', asked, words).map(
    (chunk) => `data: ${JSON.stringify(chunk)}\n\n`,
  );
  const kept = isCut ? events.slice(0, Math.floor(events.length / 2)) : [...events, 'data: [DONE]\n\n'];
  response.writeHead(200, { 'content-type': 'text/event-stream' });
  for (const event of kept) {
    if (response.destroyed) break;
    response.write(event);
    await sleep(TOKEN_MS);
  }
  end(200, isCut || response.destroyed ? 'part' : 'whole');
  if (isCut) response.socket?.destroySoon();
  else response.end();
}

function faultFor(nonce: string): ProviderFault | null {
  const draw = createHash('sha256').update(`fault of ${nonce}`).digest();
  if (draw.readUInt32BE(0) / 2 ** 32 >= behaviour.failPart || behaviour.faults.length === 0) return null;
  return behaviour.faults[draw.readUInt32BE(4) % behaviour.faults.length] as ProviderFault;
}

function send(response: ServerResponse, status: number, body: object): void {
  const text = JSON.stringify(body);
  response.writeHead(status, {
    'content-type': 'application/json',
    'content-length': Buffer.byteLength(text),
  });
  response.end(text);
}
