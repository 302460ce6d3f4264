import { createHmac, timingSafeEqual } from 'node:crypto';
import { BadInput } from '../configuration/bad-input';
import { MINUTE_MS } from '../text/duration';

/**
 * Signatures of the messages to webhooks, for those who send and those who receive. The scheme is that of Standard
 * Webhooks (https://www.standardwebhooks.com), so that its libraries in other languages verify them too.
 * No dependencies: a receiver may import this file alone.
 */

/** A receiver refuses messages whose time is further off than this. */
const REPLAY_WINDOW_MS = 5 * MINUTE_MS;

/** Shorter secrets can be guessed from one message. */
const SECRET_LEAST_BYTES = 16;

/** The headers of a message: `id` stays the same when it is sent again, time and signature do not. */
export function signatureHeaders(
  secret: string,
  message: { readonly id: string; readonly body: string; readonly nowMs: number },
): Record<'webhook-id' | 'webhook-timestamp' | 'webhook-signature', string> {
  const timestamp = String(Math.floor(message.nowMs / 1_000));
  return {
    'webhook-id': message.id,
    'webhook-timestamp': timestamp,
    'webhook-signature': `v1,${signatureOf(secret, message.id, timestamp, message.body)}`,
  };
}

/** A received message; names of headers in lower case, as Node gives them; `body` exactly as it arrived. */
export interface ReceivedMessage {
  readonly headers: Readonly<Record<string, string | readonly string[] | undefined>>;
  readonly body: string;
}

/**
 * Whether a message is ours and fresh; `id` is its idempotency key: a receiver that has seen it answers 200 and does
 * nothing. Several secrets may be given while one replaces another.
 */
export function verifyMessage(
  secrets: readonly string[],
  { headers, body }: ReceivedMessage,
  nowMs: number,
  windowMs = REPLAY_WINDOW_MS,
): { readonly ok: true; readonly id: string } | { readonly ok: false; readonly reason: string } {
  const [id, timestamp, signatures] = ['webhook-id', 'webhook-timestamp', 'webhook-signature'].map((name) => {
    const value = headers[name];
    return typeof value === 'string' ? value : '';
  }) as [string, string, string];
  if (id === '' || signatures === '' || !/^\d{1,12}$/.test(timestamp)) {
    return { ok: false, reason: 'expected the headers webhook-id, webhook-timestamp and webhook-signature' };
  }
  if (Math.abs(nowMs - Number(timestamp) * 1_000) > windowMs) {
    return { ok: false, reason: `the time of the message is more than ${windowMs / 1_000} s off` };
  }
  const given = signatures.split(' ').flatMap((part) => (part.startsWith('v1,') ? [part.slice(3)] : []));
  const expected = secrets.map((secret) => signatureOf(secret, id, timestamp, body));
  const matches = given.some((one) => expected.some((other) => equalInConstantTime(one, other)));
  return matches ? { ok: true, id } : { ok: false, reason: 'the signature does not match' };
}

function signatureOf(secret: string, id: string, timestamp: string, body: string): string {
  return createHmac('sha256', keyOf(secret)).update(`${id}.${timestamp}.${body}`).digest('base64');
}

/** `whsec_` and base64 as Standard Webhooks has it; any other text is taken as it is. */
function keyOf(secret: string): Buffer {
  const key = secret.startsWith('whsec_') ? Buffer.from(secret.slice(6), 'base64') : Buffer.from(secret);
  if (key.length >= SECRET_LEAST_BYTES) return key;
  throw new BadInput(`expected a webhook secret of at least ${SECRET_LEAST_BYTES} bytes, got ${key.length}`);
}

function equalInConstantTime(one: string, other: string): boolean {
  const [a, b] = [Buffer.from(one), Buffer.from(other)];
  return a.length === b.length && timingSafeEqual(a, b);
}
