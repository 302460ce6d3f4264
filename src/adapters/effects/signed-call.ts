import { BadInput } from '../../core/configuration/bad-input';
import type { Json } from '../../core/effects/effect';
import { EffectProblem } from '../../core/effects/effect-problem';
import { signatureHeaders } from '../../core/effects/webhook-signature';
import type { HttpCall } from './guarded-http';

/** A POST that its receiver can verify, and whose repetition it can tell by its key. */
export function signedCall(
  target: { readonly url: string; readonly secret: string },
  message: { readonly key: string; readonly body: Json; readonly nowMs: number },
  resolveSecret: (reference: string) => string,
): HttpCall {
  const { key, nowMs } = message;
  const body = JSON.stringify(message.body);
  const [url, secret] = [urlAt(target.url, resolveSecret), resolveSecret(target.secret)];
  try {
    return {
      method: 'POST',
      url,
      headers: {
        'content-type': 'application/json',
        'idempotency-key': key,
        ...signatureHeaders(secret, { id: key, body, nowMs }),
      },
      body,
      secrets: [secret, ...(url === target.url ? [] : [url])],
    };
  } catch (error) {
    if (error instanceof BadInput) throw new EffectProblem(`${target.secret}: ${error.message}`, false);
    throw error;
  }
}

/** A URL of the configuration, which may stand behind a reference because it is secret. */
export function urlAt(urlOrReference: string, resolveSecret: (reference: string) => string): string {
  return /^https?:/.test(urlOrReference) ? urlOrReference : resolveSecret(urlOrReference);
}
