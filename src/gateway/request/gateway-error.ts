import type { Dialect } from '../../core/configuration/dialect';

/** An error of the gateway itself; which shape it has depends on whom it is said to. */
export interface GatewayError {
  readonly status: number;
  readonly type: string;
  readonly code: string;
  readonly message: string;
  readonly retryAfterS?: number;
}

/** The body of an error answer, as the clients of an API understand it; also the data of an error event in a stream. */
export function errorBody({ status, type, code, message }: GatewayError, dialect: Dialect): string {
  if (dialect === 'openai') return JSON.stringify({ error: { message, type, param: null, code } });
  const error = { type: ANTHROPIC_TYPES[status] ?? 'api_error', message, details: { error_code: code } };
  return JSON.stringify({ type: 'error', error });
}

/** An error as an event of a stream that has begun. */
export function errorEvent(error: GatewayError, dialect: Dialect): string {
  return `\n\n${dialect === 'anthropic' ? 'event: error\n' : ''}data: ${errorBody(error, dialect)}\n\n`;
}

/** What Anthropic calls the errors of a status. */
const ANTHROPIC_TYPES: Readonly<Record<number, string>> = {
  400: 'invalid_request_error',
  401: 'authentication_error',
  403: 'permission_error',
  404: 'not_found_error',
  405: 'invalid_request_error',
  408: 'timeout_error',
  413: 'request_too_large',
  429: 'rate_limit_error',
  431: 'invalid_request_error',
  503: 'overloaded_error',
  504: 'timeout_error',
};

/** Where an error is answered: a listener of our own, or of node:http. */
interface AnswerWriter {
  readonly headersSent: boolean;
  readonly destroyed: boolean;
  writeHead(status: number, headers: string[]): unknown;
  end(body: string): unknown;
}

export interface ErrorAnswer {
  readonly error: GatewayError;
  readonly dialect: Dialect;
  /** Flat list of further headers. */
  readonly headers?: readonly string[];
  readonly close?: boolean;
}

/** Answers with an error. */
export function sendError(
  response: AnswerWriter,
  { error, dialect, headers = [], close = false }: ErrorAnswer,
): void {
  if (response.headersSent || response.destroyed) return;
  const body = errorBody(error, dialect);
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
