import { readRetryAfter } from '../../core/text/retry-after';
import type { ProviderKeys } from '../upstream/provider-keys';

/** The head of a provider's answer: what is passed on of it, and what the gateway reads itself. */
export interface AnswerHead {
  /** Flat list of what callers may see: without length, what Connection names, and what `isPassed` keeps back. */
  readonly headers: string[];
  readonly contentType: string;
  readonly contentLength: number | null;
  /** The body is coded (gzip and the like), although identity was asked for. */
  readonly coded: boolean;
  /** Milliseconds of a Retry-After header, null without one. */
  readonly retryAfterMs: number | null;
}

/** These would send a caller elsewhere, or speak for the gateway's own name in it: see `isPassed`. */
const DROPPED = new Set([
  // Where to go instead.
  'alt-svc',
  'azure-asyncoperation',
  'content-location',
  'link',
  'operation-location',
  'refresh',
  'uri',
  // What a browser or a proxy before the gateway would keep or do for the gateway's name.
  'clear-site-data',
  'expect-ct',
  'nel',
  'public-key-pins',
  'public-key-pins-report-only',
  'report-to',
  'reporting-endpoints',
  'service-worker-allowed',
  'set-cookie',
  'set-cookie2',
  'sourcemap',
  'strict-transport-security',
  'surrogate-control',
  'x-reproxy-url',
  'x-sendfile',
  'x-sourcemap',
  // How to authenticate: callers do so at the gateway.
  'authentication-info',
  'authorization',
  'www-authenticate',
  // What is behind the provider.
  'server-timing',
  // Hop by hop (RFC 9110, 7.6.1).
  'keep-alive',
  'te',
  'trailer',
  'transfer-encoding',
  'upgrade',
]);

/** Orders to a proxy before the gateway, but the one that has it not hold streams back. */
const PROXY_ORDER = 'x-accel-';
const UNBUFFERED = 'x-accel-buffering';

/** A path alone, such as that of the call which `POST /realtime/calls` made. */
const PATH_ONLY = /^\/(?![/\\])/;

/** Whether a header of a provider's answer may reach callers; `name` in lower case. */
export function isPassed(name: string, value: string): boolean {
  if (DROPPED.has(name) || name.startsWith('proxy-') || name.startsWith('x-cutover-')) return false;
  if (name === 'location') return PATH_ONLY.test(value);
  return !name.startsWith(PROXY_ORDER) || name === UNBUFFERED;
}

/** Reads the raw headers of an answer in one pass, without its provider's keys. `wallMs` is for Retry-After dates. */
export function readAnswerHead(raw: readonly string[], keys: ProviderKeys, wallMs: () => number): AnswerHead {
  const headers: string[] = [];
  let contentType = '';
  let contentLength: number | null = null;
  let coded = false;
  let retryAfterMs: number | null = null;
  let named: string | null = null;
  for (let index = 0; index < raw.length; index += 2) {
    const name = raw[index] as string;
    const value = keys.redactHeader(raw[index + 1] as string);
    const lower = name.toLowerCase();
    if (!isPassed(lower, value)) continue;
    switch (lower) {
      case 'connection':
        if (value.toLowerCase() !== 'keep-alive' && value.toLowerCase() !== 'close') named = value;
        continue;
      case 'content-length':
        contentLength = Number(value);
        continue;
      case 'content-type':
        contentType = value.toLowerCase();
        break;
      case 'content-encoding':
        coded = value.toLowerCase() !== 'identity';
        break;
      case 'retry-after':
        retryAfterMs = readRetryAfter(value, wallMs);
    }
    headers.push(name, value);
  }
  const passed = named === null ? headers : withoutNamed(headers, named);
  return { headers: passed, contentType, contentLength, coded, retryAfterMs };
}

/** A flat header list without what a Connection header names. */
export function withoutNamed(headers: readonly string[], connection: string): string[] {
  const names = new Set(connection.split(',').map((name) => name.trim().toLowerCase()));
  const kept: string[] = [];
  for (let index = 0; index < headers.length; index += 2) {
    const name = headers[index] as string;
    if (!names.has(name.toLowerCase())) kept.push(name, headers[index + 1] as string);
  }
  return kept;
}
