import { isUtf8 } from 'node:buffer';
import { withoutNamed } from '../answers/answer-head';
import type { CallerRequest } from '../http1/caller-request';
import { type ForwardAllowlist, isForwarded } from './forward-allowlist';
import { badRequest, type GatewayError } from './gateway-error';

/** What the gateway reads from a request's head, in one pass over the raw headers. */
export interface RequestHead {
  /** The key from `Authorization: Bearer`, `api-key` or `x-api-key`; never passed on. */
  key: string | null;
  contentType: string;
  /** Null when the body is chunked or absent. */
  contentLength: number | null;
  hasBody: boolean;
  /** The configured header of the assignment key. */
  sticky: string | null;
  /** An SDK's retry: `X-Stainless-Retry-Count` above 0. */
  retry: boolean;
  /** How long the caller itself waits (`X-Stainless-Timeout`, seconds), in milliseconds. */
  callerTimeoutMs: number | null;
  /** Flat list of the headers that are passed on to a provider. */
  forward: string[];
}

const MAX_HEADERS = 128;

type Role =
  | 'host'
  | 'connection'
  | 'authorization'
  | 'key'
  | 'length'
  | 'coding'
  | 'type'
  | 'retries'
  | 'timeout';

/** Headers that the gateway reads itself. */
const ROLES = new Map<string, Role>([
  ['host', 'host'],
  ['connection', 'connection'],
  ['authorization', 'authorization'],
  ['api-key', 'key'],
  ['x-api-key', 'key'],
  ['content-length', 'length'],
  ['transfer-encoding', 'coding'],
  ['content-type', 'type'],
  ['x-stainless-retry-count', 'retries'],
  ['x-stainless-timeout', 'timeout'],
  ['x-stainless-read-timeout', 'timeout'],
]);

/**
 * Reads a head, or says why it is refused: shapes that two servers could understand differently (more than
 * one Host, an absolute target, both lengths, a body where none belongs) never reach a provider.
 * `stickyHeader` is the lower-case name of the header that carries the assignment key, or null. Only headers that
 * `forwarding` names are passed on.
 */
export function readHead(
  request: CallerRequest,
  stickyHeader: string | null,
  forwarding: ForwardAllowlist,
): RequestHead | { refused: GatewayError } {
  const raw = request.rawHeaders;
  if (raw.length > MAX_HEADERS * 2) {
    return refuse('too_many_headers', `expected at most ${MAX_HEADERS} headers`, 431);
  }
  const head: RequestHead = {
    key: null,
    contentType: '',
    contentLength: null,
    hasBody: false,
    sticky: null,
    retry: false,
    callerTimeoutMs: null,
    forward: [],
  };
  const { forward } = head;
  let hosts = 0;
  let lengths = 0;
  let authorizations = 0;
  let chunked = false;
  let named: string | null = null;
  for (let index = 0; index < raw.length; index += 2) {
    const name = raw[index] as string;
    const value = raw[index + 1] as string;
    const lower = name.toLowerCase();
    if (lower === stickyHeader) head.sticky = fromBytes(value);
    const role = ROLES.get(lower);
    if (role === undefined) {
      if (isForwarded(lower, forwarding)) forward.push(name, value);
      continue;
    }
    switch (role) {
      case 'host':
        hosts += 1;
        break;
      case 'connection':
        if (value.length !== 10 || value.toLowerCase() !== 'keep-alive')
          named = connectionNames(named, value);
        break;
      case 'authorization':
        authorizations += 1;
        if (value.length > 7 && value.slice(0, 7).toLowerCase() === 'bearer ')
          head.key = value.slice(7).trim();
        break;
      case 'key':
        head.key ??= value;
        break;
      case 'length':
        lengths += 1;
        head.contentLength = Number(value);
        break;
      case 'coding':
        chunked = true;
        break;
      case 'type':
        head.contentType = value;
        forward.push(name, value);
        break;
      case 'retries':
        head.retry = value !== '0' && value !== '';
        forward.push(name, value);
        break;
      case 'timeout': {
        const seconds = Number(value);
        if (seconds > 0 && Number.isFinite(seconds)) head.callerTimeoutMs = seconds * 1000;
        forward.push(name, value);
      }
    }
  }
  if (hosts > 1 || (hosts === 0 && request.httpVersion === '1.1')) {
    return refuse('bad_host', `expected exactly one Host header, got ${hosts}`);
  }
  if (authorizations > 1) {
    return refuse('bad_authorization', `expected at most one Authorization header, got ${authorizations}`);
  }
  if (lengths > 1 || (lengths === 1 && chunked)) {
    return refuse('bad_length', 'expected either one Content-Length or Transfer-Encoding: chunked, got more');
  }
  head.hasBody = chunked || (head.contentLength ?? 0) > 0;
  const { method } = request;
  if (head.hasBody && (method === 'GET' || method === 'HEAD' || method === 'OPTIONS')) {
    return refuse('unexpected_body', `expected no body with ${method}`);
  }
  if (named !== null) head.forward = withoutNamed(forward, named);
  return head;
}

/**
 * Header bytes are read as Latin-1; UTF-8 becomes the text that was meant, so that its bytes are hashed. What
 * is not UTF-8 stays Latin-1.
 */
function fromBytes(value: string): string {
  if (!NOT_ASCII.test(value)) return value;
  const bytes = Buffer.from(value, 'latin1');
  return isUtf8(bytes) ? bytes.toString('utf8') : value;
}

const NOT_ASCII = /[\x80-\xff]/;

function connectionNames(before: string | null, value: string): string {
  return before === null ? value : `${before},${value}`;
}

function refuse(code: string, message: string, status = 400): { refused: GatewayError } {
  return { refused: badRequest(code, message, status) };
}
