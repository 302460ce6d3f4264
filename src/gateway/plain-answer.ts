import { parseObject } from './request-facts';
import { readUsage, type TokenUsage } from './token-usage';
import type { Endpoint } from './traffic-class';

/** What a complete plain answer says. */
export interface PlainFacts {
  /** What is wrong with it, null when nothing is. */
  readonly fault: { readonly kind: 'malformed' | 'error_event'; readonly why: string } | null;
  readonly usage: TokenUsage | null;
  readonly objectId: string | null;
}

const UNREAD: PlainFacts = { fault: null, usage: null, objectId: null };

/** Whether answers of this endpoint are JSON objects that can be validated. */
export function isValidated(endpoint: Endpoint, contentType: string): boolean {
  if (endpoint === 'opaque' || endpoint === 'bytes') return false;
  return endpoint !== 'media' || contentType.includes('json');
}

/** Validates the body of a 2xx answer and reads its usage. */
export function readPlain(endpoint: Endpoint, contentType: string, body: Buffer): PlainFacts {
  if (!isValidated(endpoint, contentType)) return UNREAD;
  if (!contentType.includes('json')) {
    return malformed(`expected JSON, got content type "${contentType.slice(0, 60)}"`);
  }
  const json = parseObject(body.toString('utf8'));
  if (json === null) return malformed('expected a JSON object, got something else or a part of one');
  const { error } = json;
  if (error !== undefined && error !== null) {
    return { ...UNREAD, fault: { kind: 'error_event', why: 'an error under a status of success' } };
  }
  if ((endpoint === 'chat' || endpoint === 'completions') && !isNonEmptyList(json['choices'])) {
    return malformed('expected choices, got none');
  }
  return {
    fault: null,
    usage: readUsage(json['usage']),
    objectId: typeof json['id'] === 'string' ? json['id'] : null,
  };
}

function isNonEmptyList(value: unknown): boolean {
  return Array.isArray(value) && value.length > 0;
}

function malformed(why: string): PlainFacts {
  return { ...UNREAD, fault: { kind: 'malformed', why } };
}
