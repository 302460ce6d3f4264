import { createHmac, createSecretKey, type KeyObject, timingSafeEqual } from 'node:crypto';
import type { Configuration } from '../../core/configuration/configuration-schema';
import type { Cohort } from '../../core/routing/cohort';
import { DAY_MS } from '../../core/text/duration';

/** Thrown at a start for a key that could be guessed. */
class WeakCohortKey extends Error {
  override readonly name = 'WeakCohortKey';
  constructor(readonly reference: string) {
    super(
      `gateway.cohorts: expected a key of at least ${LEAST_KEY_LENGTH} characters at ${reference}, got a shorter one`,
    );
  }
}

const LEAST_KEY_LENGTH = 32;
/** Says what is signed, so that the key signs nothing else by accident, and the version of the form. */
const PURPOSE = 'cutover cohort 1';
const SEALED = /^([A-Za-z0-9_-]{1,64})\.(\d{1,12})\.([0-9a-f]{64})$/;
/** A value that leaks ends by itself within this time. */
const LONGEST_MS = 31 * DAY_MS;

/** The seals of a gateway's configuration, null where none is configured; throws what `resolveSecret` throws. */
export function openCohortSeals(
  { gateway: { cohorts } }: Configuration,
  resolveSecret: (reference: string) => string,
): CohortSeals | null {
  if (cohorts === undefined) return null;
  const keys = [cohorts.key, ...cohorts.oldKeys].map((reference) => {
    const key = resolveSecret(reference);
    if (key.length < LEAST_KEY_LENGTH) throw new WeakCohortKey(reference);
    return key;
  });
  return new CohortSeals(keys);
}

/** Reads values that whoever holds a key has signed: `VALUE.EXPIRES.SIGNATURE`, bound to one header. */
export class CohortSeals {
  readonly #keys: readonly KeyObject[];

  constructor(keys: readonly string[]) {
    this.#keys = keys.map((key) => createSecretKey(Buffer.from(key, 'utf8')));
  }

  /** The value of a header; null for one that nobody with a key has signed, or whose time is over or too far away. */
  read(header: string, text: string, wallMs: number): string | null {
    const found = SEALED.exec(text);
    if (found === null) return null;
    const [, value = '', expires = '', signature = ''] = found;
    const given = Buffer.from(signature, 'hex');
    const isSigned = this.#keys.some((key) => timingSafeEqual(given, sign(key, header, value, expires)));
    const leftMs = Number(expires) * 1_000 - wallMs;
    return isSigned && leftMs > 0 && leftMs <= LONGEST_MS ? value : null;
  }
}

/** The header's value that says of its bearer, until a time in seconds since 1970, that it is of a cohort. */
export function sealCohort(key: string, header: string, value: string, expires: number): string {
  const secret = createSecretKey(Buffer.from(key, 'utf8'));
  return `${value}.${expires}.${sign(secret, header, value, `${expires}`).toString('hex')}`;
}

/** Whether a request is of a cohort. A header that comes twice, unsigned or late says nothing. */
export function isInCohort(
  only: Cohort,
  { team, headers }: { readonly team: string; readonly headers: readonly string[] },
  { cohorts, wallNow }: { readonly cohorts: CohortSeals | null; readonly wallNow: () => number },
): boolean {
  if ('teams' in only) return team !== '' && only.teams.includes(team);
  if (cohorts === null) return false;
  let text: string | null = null;
  for (let index = 0; index < headers.length; index += 2) {
    if (headers[index]?.toLowerCase() !== only.header) continue;
    if (text !== null) return false;
    text = headers[index + 1] ?? '';
  }
  const value = text === null ? null : cohorts.read(only.header, text, wallNow());
  return value !== null && only.values.includes(value);
}

function sign(key: KeyObject, header: string, value: string, expires: string): Buffer {
  return createHmac('sha256', key).update([PURPOSE, header, value, expires].join('\n')).digest();
}
