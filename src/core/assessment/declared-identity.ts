import { shortDigest } from '../identity/identity-reference';

/** A model's digest as a plan declares it: `sha256:` and 64 lower-case hexadecimal digits. */
export const DECLARED_DIGEST = /^sha256:[0-9a-f]{64}$/;

const STATED = /sha256[:-]([0-9a-f]{64})(?![0-9a-f])/gi;
/** Far more than a server has reason to state of one model. */
const STATED_MOST = 8;

/**
 * The digests that a server states in its entry of a model, from whichever of the entry's texts: a field `digest`, or the
 * path in vLLM's `root`, where a hyphen stands for the colon. Lower case, each once.
 */
export function digestsIn(entry: object): readonly string[] {
  const texts = Object.values(entry).filter((value) => typeof value === 'string');
  const found = texts.flatMap((text) => [...text.matchAll(STATED)].map(([, hex = '']) => hex.toLowerCase()));
  return [...new Set(found)].slice(0, STATED_MOST).map((hex) => `sha256:${hex}`);
}

/** What a server's list of models says of identities. */
export interface StatedIdentities {
  readonly ok: boolean;
  /** Why the list could not be read; null where it was. */
  readonly error: string | null;
  /** What each entry states, by the model's name; models that state nothing are absent. */
  readonly digests?: Readonly<Record<string, readonly string[]>> | null;
}

/** What a comparison of the declared digest with the stated ones came to. */
export interface IdentityReading {
  readonly outcome: 'same' | 'other' | 'unread';
  readonly sentence: string;
}

/** Whether the candidate's server states the declared digest for each of its models, and no other. */
export function compareIdentity(
  declared: string,
  models: readonly string[],
  stated: StatedIdentities,
): IdentityReading {
  if (!stated.ok) {
    const sentence = `what the candidate serves is not known: it did not list its models (${stated.error})`;
    return { outcome: 'unread', sentence };
  }
  for (const model of new Set(models)) {
    const said = stated.digests?.[model] ?? [];
    if (said.length === 1 && said[0] === declared) continue;
    const got =
      said.length === 0
        ? 'its server states none in /v1/models'
        : `its server states ${said.map((digest) => distinctDigest(digest, declared)).join(' and ')}`;
    return {
      outcome: 'other',
      sentence: `the candidate is not the declared model: expected ${distinctDigest(declared)} for "${model}", ${got}`,
    };
  }
  return {
    outcome: 'same',
    sentence: `the candidate's server states the declared ${distinctDigest(declared)}`,
  };
}

/** Enough of a digest to tell it from the other one. */
function distinctDigest(digest: string, other = ''): string {
  const short = shortDigest(digest);
  return short === shortDigest(other) ? digest : `${short}…`;
}
