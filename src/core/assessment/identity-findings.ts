import type { IdentityKnowledge } from '../identity/identity-audit';
import type { Finding } from './finding';

/** Which model the candidate serves; `standing` is null where nothing could be asked. */
export interface IdentityFindings {
  readonly findings: readonly Finding[];
  readonly standing: IdentityKnowledge | null;
}
