import { createHmac, createSecretKey, type KeyObject, randomBytes, timingSafeEqual } from 'node:crypto';
import type { Configuration } from '../../core/configuration/configuration-schema';
import type { Arm } from '../../core/routing/routing';

/** What a token says of the request whose answer bore it. */
export interface RequestMark {
  readonly route: string;
  readonly epoch: number;
  /** The arm as drawn; null when the request counts in none. */
  readonly arm: Arm | null;
  /** 0 to 255 when the request had a key, else null. */
  readonly bucket: number | null;
  /** Differs for every request of every gateway. */
  readonly id: string;
}

/** Thrown at a start for a key that could be guessed. */
class WeakOutcomeKey extends Error {
  override readonly name = 'WeakOutcomeKey';
  constructor(readonly reference: string) {
    super(
      `gateway.outcomes: expected a key of at least ${LEAST_KEY_LENGTH} characters at ${reference}, got a shorter one`,
    );
  }
}

const LEAST_KEY_LENGTH = 32;
/** Half of an HMAC-SHA-256, as RFC 2104 allows. */
const SIGNATURE_BYTES = 16;
/** Says what is signed, so that the key signs nothing else by accident, and the version of the form. */
const PURPOSE = 'cutover request 1\n';
const MARK = /^([^|]{1,63})\|(\d{1,15})\|([lcn])\|(\d{0,3})\|([\w:-]{1,64})$/;
const ARMS: Readonly<Record<string, Arm>> = { l: 'legacy', c: 'candidate' };

/** The tokens of a gateway's configuration, null where none is configured; throws what `resolveSecret` throws. */
export function openOutcomeTokens(
  { gateway: { outcomes } }: Configuration,
  resolveSecret: (reference: string) => string,
): OutcomeTokens | null {
  if (outcomes === undefined) return null;
  const keys = [outcomes.key, ...outcomes.oldKeys].map((reference) => {
    const key = resolveSecret(reference);
    if (key.length < LEAST_KEY_LENGTH) throw new WeakOutcomeKey(reference);
    return key;
  });
  return new OutcomeTokens(keys);
}

/**
 * Signs and reads the value of `x-cutover-request`. All gateways of a group share the key, so that each of them reads
 * what another has signed and none keeps a table. The first key signs, all of them are read.
 */
export class OutcomeTokens {
  readonly #keys: readonly KeyObject[];
  readonly #prefix = randomBytes(8).toString('base64url');
  #issued = 0;

  constructor(keys: readonly string[]) {
    this.#keys = keys.map((key) => createSecretKey(Buffer.from(key, 'utf8')));
  }

  /** The token of one more request. */
  issue(route: string, epoch: number, arm: Arm | null, bucket: number | null): string {
    this.#issued += 1;
    const letter = arm === null ? 'n' : arm === 'candidate' ? 'c' : 'l';
    const text = `${route}|${epoch}|${letter}|${bucket ?? ''}|${this.#prefix}:${this.#issued.toString(36)}`;
    const body = Buffer.from(text, 'latin1').toString('base64url');
    return `${body}.${sign(this.#keys[0] as KeyObject, body).toString('base64url')}`;
  }

  /** What a token says; null for one that no gateway of this group has signed. */
  read(token: string): RequestMark | null {
    const [body = '', signature = '', ...rest] = token.split('.');
    const given = Buffer.from(signature, 'base64url');
    if (rest.length > 0 || given.length !== SIGNATURE_BYTES) return null;
    if (!this.#keys.some((key) => timingSafeEqual(given, sign(key, body)))) return null;
    const found = MARK.exec(Buffer.from(body, 'base64url').toString('latin1'));
    if (found === null) return null;
    const [, route = '', epoch = '', arm = '', bucket = '', id = ''] = found;
    return {
      route,
      epoch: Number(epoch),
      arm: ARMS[arm] ?? null,
      bucket: bucket === '' ? null : Number(bucket),
      id,
    };
  }
}

function sign(key: KeyObject, body: string): Buffer {
  return createHmac('sha256', key).update(PURPOSE).update(body).digest().subarray(0, SIGNATURE_BYTES);
}
