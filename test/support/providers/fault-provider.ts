import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo, Socket } from 'node:net';

/** One way to fail, or to behave oddly. `stream` says what was asked for, `body` how. */
export type Fault = (exchange: {
  response: ServerResponse;
  socket: Socket;
  stream: boolean;
  body: string;
}) => void;

/** A provider that fails on demand; which way can be changed between requests. */
export interface FaultProvider {
  readonly url: string;
  fault: Fault;
  /** Bodies of the requests that came, oldest first. */
  readonly bodies: string[];
  /** Requests whose caller went away before the answer was complete. */
  readonly aborts: number;
  stop(): Promise<void>;
}

/** Starts a provider that answers every request with its current fault, on any free port unless one is given. */
export async function startFaultProvider(fault: Fault, listenPort = 0): Promise<FaultProvider> {
  const bodies: string[] = [];
  let aborts = 0;
  let provider: FaultProvider;
  const server = createServer((request: IncomingMessage, response: ServerResponse) => {
    let body = '';
    request.on('data', (chunk: Buffer) => {
      body += chunk.toString('utf8');
    });
    request.on('end', () => {
      bodies.push(body);
      const socket = response.socket as Socket;
      response.on('close', () => {
        if (!response.writableFinished) aborts += 1;
      });
      provider.fault({ response, socket, stream: body.includes('"stream":true'), body });
    });
    request.on('error', () => {});
  });
  server.on('connection', (socket) => socket.on('error', () => {}));
  server.on('clientError', (_error, socket) => socket.destroy());
  await new Promise<void>((resolve) => server.listen(listenPort, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  provider = {
    url: `http://127.0.0.1:${port}/v1`,
    fault,
    bodies,
    get aborts() {
      return aborts;
    },
    stop: () =>
      new Promise<void>((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
  return provider;
}

const MODEL = 'gpt-4o-mini';

/** The data lines of a stream: each is an event. */
export function event(data: string): string {
  return `data: ${data}\n\n`;
}

export function chunk(delta: object, finish: string | null = null): string {
  const choices = [{ index: 0, delta, finish_reason: finish }];
  return event(
    JSON.stringify({ id: 'c1', object: 'chat.completion.chunk', created: 1, model: MODEL, choices }),
  );
}

export const ROLE = chunk({ role: 'assistant', content: '' });
export const HELLO = chunk({ content: 'Hello' });
export const STOP = chunk({}, 'stop');
export const DONE = event('[DONE]');
const ERROR = event(JSON.stringify({ error: { message: 'overloaded', type: 'server_error', code: null } }));

export const COMPLETION = JSON.stringify({
  id: 'c1',
  object: 'chat.completion',
  created: 1,
  model: MODEL,
  choices: [{ index: 0, message: { role: 'assistant', content: 'Hello' }, finish_reason: 'stop' }],
  usage: { prompt_tokens: 3, completion_tokens: 1, total_tokens: 4 },
});

/** Answers with a status and a JSON error. */
export function status(code: number, headers: Record<string, string> = {}): Fault {
  return ({ response }) => {
    response.writeHead(code, { 'content-type': 'application/json', ...headers });
    response.end(JSON.stringify({ error: { message: `status ${code}`, type: 'fault', code: null } }));
  };
}

/** Streams these pieces, a tick apart, and then ends cleanly or destroys the connection. */
export function sse(pieces: readonly (string | Buffer)[], end: 'clean' | 'reset' | 'open' = 'clean'): Fault {
  return ({ response, socket }) => {
    response.writeHead(200, { 'content-type': 'text/event-stream' });
    response.flushHeaders();
    const next = (index: number) => {
      if (index < pieces.length) {
        response.write(pieces[index] as string | Buffer);
        setImmediate(() => next(index + 1));
      } else if (end === 'clean') response.end();
      else if (end === 'reset') setImmediate(() => socket.resetAndDestroy());
    };
    next(0);
  };
}

/** Answers plainly with any body under status 200. */
export function plain(body: string, contentType = 'application/json'): Fault {
  return ({ response }) => {
    response.writeHead(200, { 'content-type': contentType });
    response.end(body);
  };
}

/** Writes bytes past the HTTP server, and then maybe ends or resets. */
function raw(text: string, end: 'end' | 'reset' | 'open' = 'end'): Fault {
  return ({ socket }) => {
    socket.write(text, () => {
      if (end === 'end') socket.end();
      if (end === 'reset') socket.resetAndDestroy();
    });
  };
}

/** Answers well, whatever was asked. */
export const well: Fault = (exchange) =>
  (exchange.stream ? sse([ROLE, HELLO, STOP, DONE]) : plain(COMPLETION))(exchange);

const head = (type: string, more = '') => `HTTP/1.1 200 OK\r\ncontent-type: ${type}\r\n${more}`;

/** Failures before the commit point, of plain and streamed answers alike, with the class that each counts as. */
export const EITHER: Readonly<Record<string, readonly [Fault, string]>> = {
  'a reset before the head': [({ socket }) => socket.resetAndDestroy(), 'reset'],
  'a half-close before the head': [({ socket }) => socket.end(), 'reset'],
  'a reset within the head': [raw('HTTP/1.1 200 OK\r\ncontent-ty', 'reset'), 'reset'],
  'bytes that are no HTTP': [raw('ceci nest pas HTTP\r\n\r\n'), 'malformed'],
  silence: [() => {}, 'timeout'],
  'status 429': [status(429), 'status_429'],
  'status 500': [status(500), 'status_5xx'],
  'status 503': [status(503), 'status_5xx'],
  'status 401': [status(401), 'status_auth'],
  'status 402': [status(402), 'status_auth'],
  'status 403': [status(403), 'status_auth'],
  'status 400 that legacy does not share': [status(400), 'rejected'],
  'status 404 that legacy does not share': [status(404), 'rejected'],
  'a redirect': [status(302, { location: 'http://127.0.0.1:1/' }), 'malformed'],
  'a page in HTML': [plain('<html>busy</html>', 'text/html'), 'malformed'],
};

/** Failures of plain answers. */
export const PLAIN: Readonly<Record<string, readonly [Fault, string]>> = {
  'JSON that is cut, with a clean end': [plain(COMPLETION.slice(0, 60)), 'malformed'],
  'JSON that is no object': [plain('"well"'), 'malformed'],
  'an empty body': [plain(''), 'malformed'],
  'an answer without choices': [plain('{"object":"chat.completion","choices":[]}'), 'malformed'],
  'an error under status 200': [plain('{"error":{"message":"no"}}'), 'error_event'],
  'a body shorter than its length': [
    raw(`${head('application/json')}content-length: 5000\r\n\r\n${COMPLETION}`),
    'truncated',
  ],
  'a reset within the body': [
    raw(`${head('application/json')}content-length: 5000\r\n\r\n${COMPLETION}`, 'reset'),
    'truncated',
  ],
  'bad chunking': [
    raw(`${head('application/json', 'transfer-encoding: chunked\r\n')}\r\nzz\r\n${COMPLETION}`),
    'truncated',
  ],
  'a stream that nobody asked for': [sse([ROLE, HELLO, STOP, DONE]), 'malformed'],
  'a body that stalls': [raw(`${head('application/json')}content-length: 5000\r\n\r\n{`, 'open'), 'timeout'],
};

/** Failures of streams before any content. */
export const STREAM: Readonly<Record<string, readonly [Fault, string]>> = {
  'an error as the first event': [sse([ERROR]), 'error_event'],
  'an error after the role': [sse([ROLE, ERROR]), 'error_event'],
  'a clean end before any event': [sse([]), 'truncated'],
  'a clean end after the role': [sse([ROLE]), 'truncated'],
  'comments and then a clean end': [sse([': ping\n\n', ': ping\n\n']), 'truncated'],
  'a [DONE] after the role': [sse([ROLE, DONE]), 'truncated'],
  'a stop without any content': [sse([ROLE, STOP, DONE]), 'truncated'],
  'a reset after the role': [sse([ROLE], 'reset'), 'truncated'],
  'silence after the role': [sse([ROLE], 'open'), 'timeout'],
  'an event that is not JSON': [sse([event('{"choices":[{')]), 'malformed'],
  'a plain answer in place of a stream': [plain(COMPLETION), 'malformed'],
};
