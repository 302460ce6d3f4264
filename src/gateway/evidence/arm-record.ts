import type { Arm } from '../../core/routing/routing';
import type { RequestFacts } from '../request/request-facts';
import type { Assignment } from '../routing/arm-draw';
import type { Call } from '../serving/call/call';
import { isLate } from '../serving/limits';
import { askLegacyAgain, type SecondAnswer } from '../serving/refusal-check';
import type { Attempt } from '../upstream/attempt';
import type { Failure } from '../upstream/failure';
import type { Observation } from './evidence-cell';
import { failureClassOf } from './observation';
import { recordAttempt } from './record-attempt';

type Outcome = Observation['outcome'];

/** Counts a randomised request: once in the arm that it was drawn into, and apart what legacy did for the candidate. */
export class ArmRecord {
  /** False when the routing changed under the request: it then counts nowhere. */
  inArm: boolean;
  readonly #call: Call;
  readonly #facts: RequestFacts;
  readonly #assignment: Assignment;
  /** False for legacy's arm while the candidate takes nothing: its own requests of that time are in no ratio. */
  readonly #comparable: boolean;

  constructor(call: Call, facts: RequestFacts, assignment: Assignment) {
    this.#call = call;
    this.#facts = facts;
    this.#assignment = assignment;
    this.inArm = assignment.randomised || assignment.cohort === true;
    const { caller, route, services } = call;
    this.#comparable =
      assignment.arm === 'candidate' || route.providers.candidate.closedTo(caller, services.now()) === null;
  }

  /** Legacy in its own arm; null attempt: its cap let none be made, which counts as the candidate's cap does. */
  legacy(attempt: Attempt | null): void {
    const outcome = this.#comparable ? this.#judgeLegacy(attempt) : 'shed';
    if (outcome === 'refused' && this.#checksRefusal(attempt)) return;
    this.#record('legacy', 'live', attempt, outcome);
  }

  /** Whether a refusal is counted once legacy has been asked again. */
  #checksRefusal(attempt: Attempt | null): boolean {
    return (
      this.inArm &&
      askLegacyAgain(this.#call, this.#facts, (answer) => {
        this.#record('legacy', 'live', attempt, AFTER_SECOND_ANSWER[answer]);
      })
    );
  }

  /** Legacy in the candidate's place, counted in no arm. */
  rescue(attempt: Attempt | null): void {
    this.#record('legacy', 'failover', attempt, this.#judgeLegacy(attempt));
  }

  /** A candidate that answered, or whose failure is its own whatever legacy does. */
  candidate(attempt: Attempt): void {
    const { failure } = attempt;
    const outcome = failure === null ? 'success' : (failureClassOf(attempt) ?? 'aborted');
    this.#record('candidate', 'live', attempt, outcome);
  }

  /** A candidate whose caller left. */
  leftCandidate(attempt: Attempt): void {
    this.#record('candidate', 'live', attempt, 'aborted');
  }

  /** A candidate that was not asked, or that failed in a way that legacy's answer may explain. */
  failedCandidate(attempt: Attempt | null, failure: Failure, legacy: Attempt | null): void {
    this.#record('candidate', 'live', attempt, candidateOutcome(failure, legacy));
  }

  #judgeLegacy(attempt: Attempt | null): Outcome {
    if (attempt === null) return 'shed';
    const { failure } = attempt;
    if (failure === null) return isLate(this.#call, attempt) ? 'timeout' : 'success';
    if (failure.kind === 'status_4xx') return 'refused';
    if (failure.kind === 'aborted' && isLate(this.#call, attempt)) return 'timeout';
    return failureClassOf(attempt) ?? 'aborted';
  }

  #record(provider: Arm, kind: 'live' | 'failover', attempt: Attempt | null, outcome: Outcome): void {
    if (!this.inArm) return;
    // Of a cohort's requests only what the candidate made of them is counted, apart from both arms.
    const isOfCohort = this.#assignment.cohort === true;
    if (isOfCohort && provider === 'legacy') return;
    const call = this.#call;
    const request = { facts: this.#facts, body: call.body };
    recordAttempt(call, request, this.#assignment, {
      provider,
      kind: isOfCohort ? 'cohort' : kind,
      outcome,
      attempt,
    });
  }
}

const AFTER_SECOND_ANSWER: Readonly<Record<SecondAnswer, Outcome>> = {
  accepts: 'rejected',
  refuses: 'refused',
  unknown: 'aborted',
};

/**
 * A 4xx of the candidate is its failure only where legacy accepts. Where legacy refuses too it was the
 * caller's mistake; where legacy could not say, nobody knows.
 */
function candidateOutcome(failure: Failure, legacy: Attempt | null): Outcome {
  if (failure.kind !== 'status_4xx') return failure.kind as Outcome;
  if (legacy === null) return 'aborted';
  if (legacy.failure === null) return 'rejected';
  return legacy.failure.kind === 'status_4xx' ? 'refused' : 'aborted';
}
