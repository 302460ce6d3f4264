import type { ModelMapping } from '../core/configuration-schema';
import type { Side } from '../core/routing';
import type { Assignment } from './arm-draw';
import { Attempt, type AttemptOwner } from './attempt';
import type { AnswerSink } from './attempt-options';
import type { Call } from './call';
import type { Observation } from './evidence-cell';
import type { Failure } from './failure';
import { attemptLimits, isLate } from './limits';
import { copyToCandidate } from './mirror';
import { candidateBody, legacyBody, type MappedBody } from './model-mapping';
import { failureClassOf, firstTokenOf, observe, usageOf } from './observation';
import { upstreamError } from './openai-error';
import { assignmentKey, type RequestFacts } from './request-facts';
import { refusesUsageOption } from './usage-option';

/** Serves a request of the randomised class whose model the route maps. */
export function serveRandomised(call: Call, facts: RequestFacts, mapping: ModelMapping): void {
  new RandomisedCall(call, facts, mapping).start();
}

/** Why an attempt was made, as the log tells it. */
type Purpose = 'drawn' | 'failover' | 'routing changed' | 'without usage option';

/**
 * Draws the arm, asks that arm's provider, and lets legacy answer where the candidate fails before its commit
 * point. Nothing ever goes from legacy to the candidate.
 */
class RandomisedCall implements AttemptOwner {
  readonly #call: Call;
  readonly #facts: RequestFacts;
  readonly #mapping: ModelMapping;
  readonly #assignment: Assignment;
  readonly #replayable: boolean;
  /** False when the routing changed under the request: it then counts in no arm. */
  #inArm: boolean;
  #asked: Side = 'legacy';
  #purpose: Purpose = 'drawn';
  /** Why legacy answers in the candidate's place. */
  #rescuedFrom: Failure | null = null;
  #failedAttempt: Attempt | null = null;

  constructor(call: Call, facts: RequestFacts, mapping: ModelMapping) {
    this.#call = call;
    this.#facts = facts;
    this.#mapping = mapping;
    this.#replayable = !facts.usesHostedTools;
    const { state } = call.route;
    const key = assignmentKey(state.stickyKey, call.head.sticky, call.body, facts);
    this.#assignment = state.draw(key, key ?? call.services.randomId(), facts.isContinued);
    this.#inArm = this.#assignment.randomised;
  }

  start(): void {
    const { side, epoch } = this.#assignment;
    this.#call.epoch = epoch;
    this.#call.side = this.#inArm ? side : null;
    this.#call.route.replays.earn();
    if (side === 'candidate') this.#askCandidate();
    else this.#ask('legacy', 'drawn');
  }

  attemptCommitted(attempt: Attempt): AnswerSink {
    const { provider, endpoint } = attempt.options;
    if (this.#purpose === 'without usage option') provider.stopAskingUsage(endpoint);
    this.#claim(attempt);
    return this.#call;
  }

  attemptEnded(attempt: Attempt): void {
    this.#call.note(attempt, this.#purpose);
    if (this.#asked === 'candidate') this.#candidateEnded(attempt);
    else this.#legacyEnded(attempt);
  }

  #askCandidate(): void {
    const { route, caller, services } = this.#call;
    const provider = route.providers.candidate;
    const shed = provider.sheds(caller, services.now());
    if (shed === null) {
      this.#ask('candidate', 'drawn');
      return;
    }
    this.#call.notes.push({ provider: provider.name, purpose: 'drawn', outcome: 'shed', why: shed, ms: 0 });
    this.#rescuedFrom = { kind: 'shed', why: shed, ambiguous: false };
    this.#ask('legacy', 'failover');
  }

  #ask(side: Side, purpose: Purpose): void {
    const call = this.#call;
    const { route, services, head, caller } = call;
    const provider = route.providers[side];
    this.#asked = side;
    this.#purpose = purpose;
    if (side === 'legacy' && provider.inFlight >= provider.configuration.maxConcurrent) {
      this.#refuseBusy(provider.name);
      return;
    }
    const { endpoint } = call.traffic;
    const mapped = this.#body(side, purpose !== 'without usage option' && provider.asksUsage(endpoint));
    const attempt = new Attempt(
      {
        provider,
        caller,
        method: 'POST',
        path: provider.path(call.path, call.query, caller),
        headers: provider.headers(head.forward, caller),
        body: mapped.body,
        endpoint,
        streams: this.#facts.stream,
        mayStream: this.#facts.oddStream,
        choices: this.#facts.choices,
        holds: side === 'candidate',
        reads: true,
        removesUsage: mapped.addsUsage,
        replayable: this.#replayable,
        limits: attemptLimits(call, side),
        maxHeldBytes: services.configuration.gateway.maxBodyBytes,
        permit: side === 'candidate' ? route.state.permit(this.#assignment.epoch) : null,
      },
      this,
      services,
    );
    call.current = attempt;
    attempt.dispatch();
  }

  #body(side: Side, usage: boolean): MappedBody {
    return side === 'candidate'
      ? candidateBody(this.#call.body, this.#facts, this.#mapping, usage)
      : legacyBody(this.#call.body, this.#facts, usage);
  }

  #candidateEnded(attempt: Attempt): void {
    const { failure } = attempt;
    if (failure === null || attempt.committed) {
      this.#record('candidate', 'live', attempt, failureClassOf(attempt) ?? outcomeOf(failure));
      this.#finish(attempt);
      return;
    }
    if (failure.kind === 'aborted' || this.#call.callerIsGone) {
      this.#record('candidate', 'live', attempt, 'aborted');
      this.#finish(attempt);
      return;
    }
    if (refusesUsageOption(attempt)) {
      this.#ask('candidate', 'without usage option');
      return;
    }
    if (failure.kind === 'withdrawn') {
      this.#routingChanged(attempt, failure);
      return;
    }
    if (failure.ambiguous && !this.#mayReplay()) {
      this.#record('candidate', 'live', attempt, failure.kind);
      this.#giveUp(attempt, failure);
      return;
    }
    this.#rescuedFrom = failure;
    this.#failedAttempt = attempt;
    this.#ask('legacy', 'failover');
  }

  #mayReplay(): boolean {
    if (!this.#replayable) return false;
    const { route, notes } = this.#call;
    if (route.replays.spend()) return true;
    const why = 'replay budget exhausted';
    notes.push({ provider: route.providers.legacy.name, purpose: 'failover', outcome: 'shed', why, ms: 0 });
    return false;
  }

  /** Not the candidate's failure, so in no arm; what may have begun is not done twice if it must not be. */
  #routingChanged(attempt: Attempt, failure: Failure): void {
    this.#inArm = false;
    this.#call.side = null;
    if (failure.ambiguous && !this.#replayable) this.#giveUp(attempt, failure);
    else this.#ask('legacy', 'routing changed');
  }

  #legacyEnded(attempt: Attempt): void {
    const { failure } = attempt;
    if (failure !== null && !attempt.committed && failure.kind !== 'aborted') {
      if (refusesUsageOption(attempt)) {
        this.#ask('legacy', 'without usage option');
        return;
      }
      this.#recordLegacy(attempt);
      this.#giveUp(attempt, failure);
      return;
    }
    this.#recordLegacy(attempt);
    if (this.#rescuedFrom === null && failure === null) {
      copyToCandidate(this.#call, this.#facts, this.#mapping, this.#assignment, attempt);
    }
    this.#finish(attempt);
  }

  /** Null attempt: legacy's cap let none be made, which counts as the candidate's cap does. */
  #recordLegacy(attempt: Attempt | null): void {
    const judged = attempt === null ? 'shed' : this.#judgeLegacy(attempt);
    if (this.#rescuedFrom === null) {
      this.#record('legacy', 'live', attempt, judged);
      return;
    }
    this.#record(
      'candidate',
      'live',
      this.#failedAttempt,
      this.#candidateOutcome(this.#rescuedFrom, attempt),
    );
    this.#record('legacy', 'failover', attempt, judged);
  }

  /**
   * A 4xx of the candidate is its failure only where legacy accepts. Where legacy refuses too it was the
   * caller's mistake; where legacy could not say, nobody knows.
   */
  #candidateOutcome(failure: Failure, legacy: Attempt | null): Observation['outcome'] {
    if (failure.kind !== 'status_4xx') return failure.kind as Observation['outcome'];
    if (legacy === null) return 'aborted';
    if (legacy.failure === null) return 'rejected';
    return legacy.failure.kind === 'status_4xx' ? 'refused' : 'aborted';
  }

  #judgeLegacy(attempt: Attempt): Observation['outcome'] {
    const { failure } = attempt;
    if (failure === null) return isLate(this.#call, attempt) ? 'timeout' : 'success';
    if (failure.kind === 'status_4xx') return 'refused';
    return failureClassOf(attempt) ?? 'aborted';
  }

  #record(
    side: Side,
    kind: 'live' | 'failover',
    attempt: Attempt | null,
    outcome: Observation['outcome'],
  ): void {
    if (!this.#inArm) return;
    const { route } = this.#call;
    route.evidence.record(
      observe(this.#call, this.#facts, this.#assignment, { side, kind, outcome, attempt }),
    );
  }

  /** The caller gets what there is: the answer that was held back, or the gateway's word that there is none. */
  #giveUp(attempt: Attempt, failure: Failure): void {
    this.#claim(attempt);
    if (attempt.holdsAnswer) this.#call.deliver(attempt);
    else this.#call.refuse(this.#call.upstreamFailure(failure));
    this.#finish(attempt);
  }

  #refuseBusy(name: string): void {
    const message = `${name} has as many requests in flight as its maxConcurrent allows.`;
    this.#recordLegacy(null);
    this.#call.refuse({ ...upstreamError(503, 'concurrency_cap', message), retryAfterS: 1 });
    this.#call.measure(null, 'legacy', this.#facts);
    this.#call.finish();
  }

  #claim(attempt: Attempt): void {
    const call = this.#call;
    call.servedBy = attempt.options.provider;
    call.servedModel = this.#asked === 'candidate' ? this.#mapping.candidate : this.#facts.model;
    call.failover = this.#rescuedFrom?.kind ?? null;
  }

  #finish(attempt: Attempt): void {
    const call = this.#call;
    call.usage = usageOf(attempt);
    call.firstTokenMs = firstTokenOf(attempt);
    call.outcome = attempt.failure?.kind ?? 'success';
    this.#rememberMaker(attempt);
    call.measure(attempt, this.#asked, this.#facts);
    call.finish();
  }

  /** Responses, and completions that are stored, can be asked for later by their id. */
  #rememberMaker(attempt: Attempt): void {
    const { endpoint } = this.#call.traffic;
    const { store } = this.#facts;
    const isKept = endpoint === 'responses' ? store !== false : endpoint === 'chat' && store === true;
    const id = attempt.scanner?.objectId ?? attempt.plain?.objectId ?? null;
    if (isKept && id !== null) this.#call.route.makers.remember(id, this.#asked);
  }
}

function outcomeOf(failure: Failure | null): Observation['outcome'] {
  return failure === null ? 'success' : 'aborted';
}
