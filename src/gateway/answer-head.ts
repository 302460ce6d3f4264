import { latin1 } from './latin1';

/** The head of a provider's answer: what is passed on of it, and what the gateway reads itself. */
export interface AnswerHead {
  /** Flat list, without hop-by-hop headers, length, cookies, and what Connection names. */
  readonly headers: string[];
  readonly contentType: string;
  readonly contentLength: number | null;
  /** The body is coded (gzip and the like), although identity was asked for. */
  readonly coded: boolean;
  /** Milliseconds of a Retry-After header, null without one. */
  readonly retryAfterMs: number | null;
}

const DROPPED = new Set([
  'alt-svc',
  'keep-alive',
  'proxy-authenticate',
  'proxy-connection',
  'set-cookie',
  'te',
  'trailer',
  'transfer-encoding',
  'upgrade',
]);

/** Reads the raw headers of an answer in one pass. `wallMs` is for Retry-After dates. */
export function readAnswerHead(raw: readonly Buffer[], wallMs: () => number): AnswerHead {
  const headers: string[] = [];
  let contentType = '';
  let contentLength: number | null = null;
  let coded = false;
  let retryAfterMs: number | null = null;
  let named: string | null = null;
  for (let index = 0; index < raw.length; index += 2) {
    const name = latin1(raw[index] as Buffer);
    const value = latin1(raw[index + 1] as Buffer);
    const lower = name.toLowerCase();
    if (DROPPED.has(lower)) continue;
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
        retryAfterMs = retryAfter(value, wallMs);
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

function retryAfter(value: string, wallMs: () => number): number | null {
  const seconds = Number(value);
  if (value !== '' && Number.isFinite(seconds)) return Math.max(0, seconds * 1000);
  const date = Date.parse(value);
  return Number.isNaN(date) ? null : Math.max(0, date - wallMs());
}
