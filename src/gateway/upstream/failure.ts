import type { FailureClass } from '../../core/evidence/evidence';
import { MessageError } from '../http1/message-error';

/**
 * Why an attempt did not give an answer. `ambiguous`: the provider may have done the work all the same.
 * `withdrawn` (the routing changed before or while it ran) and `aborted` (the caller left) are nobody's fault.
 */
export interface Failure {
  readonly kind: FailureClass | 'withdrawn' | 'aborted';
  readonly why: string;
  readonly ambiguous: boolean;
}

const CONNECT_CODES = new Set([
  'ECONNREFUSED',
  'EHOSTUNREACH',
  'ENETUNREACH',
  'EADDRNOTAVAIL',
  'ENOTFOUND',
  'EAI_AGAIN',
  'EAI_FAIL',
  'CONNECT_TIMEOUT',
]);

/** How far a request had come when its connection failed. */
export interface AttemptProgress {
  /** Request bytes may have left. */
  readonly sent: boolean;
  readonly answerBegan: boolean;
  /** The provider is reached by TLS. */
  readonly secure: boolean;
}

/** Classifies an error of the connection. */
export function connectionFailure(error: Error, { sent, answerBegan, secure }: AttemptProgress): Failure {
  const code = (error as NodeJS.ErrnoException).code ?? '';
  const why = code === '' ? error.name : code;
  if (CONNECT_CODES.has(code)) return { kind: 'connect', why, ambiguous: false };
  // What breaks a connection over TLS before anything was sent on it broke its handshake.
  if (!sent) return { kind: secure ? 'tls' : 'connect', why, ambiguous: false };
  if (error instanceof MessageError) {
    return { kind: answerBegan ? 'truncated' : 'malformed', why, ambiguous: true };
  }
  return { kind: answerBegan ? 'truncated' : 'reset', why, ambiguous: true };
}

/** Classifies a status that is no success; null for one that is. */
export function statusFailure(status: number): Failure | null {
  if (status >= 200 && status < 300) return null;
  const why = `status ${status}`;
  if (status === 429) return { kind: 'status_429', why, ambiguous: false };
  if (status === 401 || status === 402 || status === 403)
    return { kind: 'status_auth', why, ambiguous: false };
  if (status >= 500) return { kind: 'status_5xx', why, ambiguous: true };
  if (status >= 400) return { kind: 'status_4xx', why, ambiguous: false };
  return { kind: 'malformed', why: `${why}: redirects are not followed`, ambiguous: false };
}

/** Gateway status for a failure that has no answer of its own to pass on. */
export function gatewayStatus(failure: Failure): number {
  return failure.kind === 'timeout' ? 504 : 502;
}
