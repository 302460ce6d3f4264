import { join } from 'node:path';
import type { EvidenceStore } from '../evidence/evidence-store';
import { CountedOutcomes, type RememberReply } from './counted-outcomes';
import type { OutcomeResult, ReportedOutcome } from './outcome';

export interface OutcomeLedgerOptions {
  readonly stateDirectory: string;
  readonly route: string;
  readonly evidence: EvidenceStore;
  readonly warn: (message: string) => void;
}

/** Counts a route's outcomes into its evidence, each request's once under each name. */
export class OutcomeLedger {
  readonly #evidence: EvidenceStore;
  readonly #counted: CountedOutcomes;

  constructor({ stateDirectory, route, evidence, warn }: OutcomeLedgerOptions) {
    this.#evidence = evidence;
    this.#counted = new CountedOutcomes({ path: join(stateDirectory, `${route}.outcomes`), warn });
  }

  /** What became of each. */
  count(outcomes: readonly ReportedOutcome[]): OutcomeResult[] {
    const ofRequests = this.#counted.remember(outcomes.filter(({ request }) => request !== null));
    let next = 0;
    return outcomes.map((outcome) => {
      const remembered = outcome.request === null ? 'new' : (ofRequests[next++] as RememberReply);
      if (remembered === 'seen') return 'duplicate';
      return remembered === 'new' && this.#evidence.recordOutcome(outcome) ? 'counted' : 'dropped';
    });
  }
}
