/** An error of the gateway itself, in the shape that OpenAI clients understand. */
export interface GatewayError {
  readonly status: number;
  readonly type: string;
  readonly code: string;
  readonly message: string;
  readonly retryAfterS?: number;
}

/** The body of an error answer; also the data of an error event in a stream. */
export function errorBody(error: GatewayError): string {
  return JSON.stringify({
    error: { message: error.message, type: error.type, param: null, code: error.code },
  });
}

/** Where an error is answered: a listener of our own, or of node:http. */
interface AnswerWriter {
  readonly headersSent: boolean;
  readonly destroyed: boolean;
  writeHead(status: number, headers: string[]): unknown;
  end(body: string): unknown;
}

/** Answers with an error; `headers` is a flat list of further headers. */
export function sendError(
  response: AnswerWriter,
  error: GatewayError,
  headers: readonly string[] = [],
  close = false,
): void {
  if (response.headersSent || response.destroyed) return;
  const body = errorBody(error);
  const all = [
    ...headers,
    'content-type',
    'application/json',
    'content-length',
    `${Buffer.byteLength(body)}`,
  ];
  if (error.retryAfterS !== undefined) all.push('retry-after', `${error.retryAfterS}`);
  if (close) all.push('connection', 'close');
  response.writeHead(error.status, all);
  response.end(body);
}

/** There is no room for what a request needs to be held. */
export const GATEWAY_BUSY: GatewayError = {
  status: 503,
  type: 'server_error',
  code: 'gateway_busy',
  message: 'this gateway holds as much as gateway.maxBufferedBytes allows for this caller; try again',
  retryAfterS: 1,
};

/** A refusal of what the caller sent. */
export function badRequest(code: string, message: string, status = 400): GatewayError {
  return { status, type: 'invalid_request_error', code, message };
}

/** A failure behind the gateway. */
export function upstreamError(status: number, code: string, message: string): GatewayError {
  return { status, type: 'upstream_error', code, message };
}
