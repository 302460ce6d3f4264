import type { ModelMapping } from '../../core/configuration/configuration-schema';
import type { Arm } from '../../core/routing/routing';
import type { StreamScanner } from '../answers/stream-scanner';
import { isInCohort } from '../callers/cohort-seals';
import { ArmRecord } from '../evidence/arm-record';
import { answerText } from '../judge/pair-text';
import { candidateBody, legacyBody, type MappedBody } from '../request/model-mapping';
import type { RequestFacts } from '../request/request-facts';
import { refusesUsageOption } from '../request/usage-option';
import type { Assignment } from '../routing/arm-draw';
import { Attempt, type AttemptOwner } from '../upstream/attempt';
import type { AnswerSink } from '../upstream/attempt-options';
import type { Failure } from '../upstream/failure';
import type { AnswerSource, Call } from './call/call';
import { drawKey } from './draw-key';
import { callerLeavesAt, mayHedge, patienceMs } from './hedge';
import { attemptLimits, isLate } from './limits';
import { modelRequest } from './model-request';
import { NOWHERE } from './nowhere';
import { copyToCandidate, drawCopy, isDrawnForJudge } from './shadow';

/** Serves a request of the randomised class whose model the route maps. */
export function serveRandomised(call: Call, facts: RequestFacts, mapping: ModelMapping): void {
  new RandomisedCall(call, facts, mapping).start();
}

/** Why an attempt was made, as the log tells it. */
type Purpose = 'drawn' | 'failover' | 'hedge' | 'routing changed' | 'without usage option';

/**
 * Draws the arm, asks that arm's provider, and lets legacy answer where the candidate fails, or takes long,
 * before its commit point. Nothing ever goes from legacy to the candidate.
 */
class RandomisedCall implements AttemptOwner, AnswerSource {
  readonly #call: Call;
  readonly #facts: RequestFacts;
  readonly #mapping: ModelMapping;
  readonly #assignment: Assignment;
  readonly #record: ArmRecord;
  /** The last attempt at each provider. */
  #candidate: Attempt | null = null;
  #legacy: Attempt | null = null;
  #candidatePurpose: Purpose = 'drawn';
  #legacyPurpose: Purpose = 'drawn';
  /** The attempt whose answer is passed on. */
  #answering: Attempt | null = null;
  /** Why the candidate gives no answer, once it is known. */
  #failure: Failure | null = null;

  constructor(call: Call, facts: RequestFacts, mapping: ModelMapping) {
    this.#call = call;
    this.#facts = facts;
    this.#mapping = mapping;
    const { key, opening } = drawKey(call, facts);
    this.#assignment = call.route.state.draw(
      key,
      key ?? call.services.randomId(),
      facts.isContinued,
      opening,
      isMember(call),
    );
    this.#record = new ArmRecord(call, facts, this.#assignment);
  }

  start(): void {
    const call = this.#call;
    const isTold = call.services.outcomes !== null;
    const draw = call.route.state.splitsAsAsked ? 'as asked' : 'otherwise';
    call.record.drawn(this.#assignment, isTold ? draw : 'none');
    call.current = this;
    call.route.replays.earn();
    call.route.hedges.earn();
    if (this.#assignment.arm === 'candidate') this.#askCandidate();
    else {
      drawCopy(call);
      this.#ask('legacy', 'drawn');
    }
  }

  get scanner(): StreamScanner | null {
    return this.#answering?.scanner ?? null;
  }

  resume(): void {
    this.#answering?.resume();
  }

  abandon(why: string): void {
    // A candidate that legacy was faster than is only counted, and has its own end.
    const [one, other] = this.#answering === null ? [this.#candidate, this.#legacy] : [this.#answering];
    one?.abandon(why);
    other?.abandon(why);
  }

  attemptCommitted(attempt: Attempt): AnswerSink {
    const isCandidate = attempt === this.#candidate;
    const purpose = isCandidate ? this.#candidatePurpose : this.#legacyPurpose;
    const { provider, endpoint } = attempt.options;
    if (purpose === 'without usage option') provider.stopAskingUsage(endpoint);
    if (this.#answering !== null) return NOWHERE;
    this.#answering = attempt;
    this.#claim(attempt);
    if (isCandidate) this.#candidateIsFirst();
    else if (isRunning(this.#candidate)) this.#candidate.leaveAt(callerLeavesAt(this.#call));
    return this.#call.answer;
  }

  attemptEnded(attempt: Attempt): void {
    const isCandidate = attempt === this.#candidate;
    this.#call.attemptEnded(attempt, isCandidate ? this.#candidatePurpose : this.#legacyPurpose);
    if (isCandidate) {
      this.#candidateEnded(attempt);
      this.#letBodyGo();
    } else this.#legacyEnded(attempt);
  }

  /** The candidate takes a good part of the caller's time: legacy is asked as well. */
  attemptWaits(): void {
    if (this.#legacy === null && mayHedge(this.#call)) this.#ask('legacy', 'hedge');
  }

  discard(): void {
    this.#candidate?.discard();
    this.#legacy?.discard();
  }

  attemptBroke(): void {
    this.#letBodyGo();
    this.#call.endBroken();
  }

  /** Nothing that outlives the call needs the body any more. */
  #letBodyGo(): void {
    const call = this.#call;
    if (!call.keepsBody || isRunning(this.#candidate)) return;
    call.keepsBody = false;
    if (call.ended) call.letBodyGo();
  }

  #askCandidate(): void {
    const { route, caller, services } = this.#call;
    const provider = route.providers.candidate;
    const shed = provider.sheds(caller, services.now());
    if (shed === null) {
      this.#ask('candidate', 'drawn');
      return;
    }
    this.#call.record.shed(provider.name, 'drawn', shed);
    this.#failure = { kind: 'shed', why: shed, ambiguous: false };
    this.#ask('legacy', 'failover');
  }

  #ask(provider: Arm, purpose: Purpose): void {
    const call = this.#call;
    const { route, services } = call;
    const upstream = route.providers[provider];
    const isCandidate = provider === 'candidate';
    if (!isCandidate && upstream.inFlight >= upstream.configuration.maxConcurrent) {
      this.#recordLegacy(null);
      call.refuseBusy('legacy');
      return;
    }
    const { endpoint } = call.traffic;
    const mapped = this.#body(provider, purpose !== 'without usage option' && upstream.asksUsage(endpoint));
    const limits = attemptLimits(call, provider);
    const attempt = new Attempt(
      modelRequest(call, this.#facts, {
        provider: upstream,
        mapped,
        holds: isCandidate || purpose === 'hedge',
        keeps: !isCandidate && isDrawnForJudge(call, this.#facts),
        replayable: !this.#facts.usesHostedTools,
        limits: isCandidate ? { ...limits, patienceMs: patienceMs(call, this.#facts) } : limits,
        permitted: isCandidate ? { purpose: 'live', epoch: this.#assignment.epoch } : null,
      }),
      this,
      services,
    );
    if (isCandidate) {
      this.#candidate = attempt;
      this.#candidatePurpose = purpose;
    } else {
      this.#legacy = attempt;
      this.#legacyPurpose = purpose;
    }
    attempt.dispatch();
  }

  #body(provider: Arm, usage: boolean): MappedBody {
    return provider === 'candidate'
      ? candidateBody(this.#call.body, this.#facts, this.#mapping, usage)
      : legacyBody(this.#call.body, this.#facts, this.#mapping, usage);
  }

  /** The hedge was needless; only these count against its budget, so that a candidate that hangs cannot spend it. */
  #candidateIsFirst(): void {
    if (this.#legacyPurpose === 'hedge') this.#call.route.hedges.charge();
    this.#legacy?.abandon('the candidate answered first');
  }

  #candidateEnded(attempt: Attempt): void {
    const { failure } = attempt;
    if (this.#answering === attempt || failure === null) {
      this.#record.candidate(attempt);
      if (this.#answering === attempt) this.#finish(attempt);
      return;
    }
    if (failure.kind === 'withdrawn') this.#withdraw();
    if (this.#answering !== null) this.#record.failedCandidate(attempt, failure, this.#answering);
    else if (failure.kind === 'aborted' || this.#call.callerIsGone) this.#abandoned(attempt);
    else if (refusesUsageOption(attempt)) this.#ask('candidate', 'without usage option');
    else this.#candidateFailed(attempt, failure);
  }

  /** Not the candidate's failure, so in no arm. */
  #withdraw(): void {
    this.#record.inArm = false;
    this.#call.record.leftArm();
  }

  #abandoned(attempt: Attempt): void {
    this.#record.leftCandidate(attempt);
    if (!isRunning(this.#legacy)) this.#finish(attempt);
  }

  /** Legacy answers in its place, if it has not failed already and if what may have begun may be done twice. */
  #candidateFailed(attempt: Attempt, failure: Failure): void {
    const legacy = this.#legacy;
    const isWithdrawn = failure.kind === 'withdrawn';
    if (!isWithdrawn) this.#failure = failure;
    if (legacy === null) {
      const mayAsk =
        !failure.ambiguous || (isWithdrawn ? attempt.options.replayable : this.#mayReplay(attempt));
      if (mayAsk) this.#ask('legacy', isWithdrawn ? 'routing changed' : 'failover');
      else {
        this.#record.candidate(attempt);
        this.#giveUp(attempt, failure);
      }
    } else if (legacy.ended) {
      this.#record.failedCandidate(attempt, failure, legacy);
      this.#giveUp(legacy, legacy.failure ?? failure);
    } else legacy.release();
  }

  #mayReplay(attempt: Attempt): boolean {
    if (!attempt.options.replayable) return false;
    const { route, record } = this.#call;
    if (route.replays.spend()) return true;
    record.shed(route.providers.legacy.name, 'failover', 'replay budget exhausted');
    return false;
  }

  #legacyEnded(attempt: Attempt): void {
    const { failure } = attempt;
    // What it says is let go once it is recorded.
    const said = attempt.options.keeps ? answerText(attempt.kept) : null;
    if (this.#answering === attempt) {
      this.#recordLegacy(attempt);
      this.#copy(attempt, said);
      this.#finish(attempt);
    } else if (this.#answering !== null) this.#record.rescue(attempt);
    else if (failure?.kind !== 'aborted' && refusesUsageOption(attempt)) {
      this.#ask('legacy', 'without usage option');
    } else {
      this.#recordLegacy(attempt);
      this.#copy(attempt, said);
      // The candidate may still answer.
      if (isRunning(this.#candidate)) return;
      if (failure === null || failure.kind === 'aborted') this.#finish(attempt);
      else this.#giveUp(attempt, failure);
    }
  }

  /** What legacy's arm has ended with is asked of the candidate as well, where the routing says so. */
  #copy(attempt: Attempt, said: string | null): void {
    const isOpen = attempt.failure?.kind === 'aborted' && !isLate(this.#call, attempt);
    if (this.#assignment.arm !== 'legacy' || isOpen) return;
    copyToCandidate(this.#call, this.#facts, this.#mapping, this.#assignment, { attempt, said });
  }

  /** Counts legacy, and the candidate whose failure it makes good; null: legacy's cap let no attempt be made. */
  #recordLegacy(attempt: Attempt | null): void {
    if (this.#assignment.arm === 'legacy') {
      this.#record.legacy(attempt);
      return;
    }
    if (this.#failure !== null) this.#record.failedCandidate(this.#candidate, this.#failure, attempt);
    this.#record.rescue(attempt);
  }

  /** The caller gets what there is: the answer that was held back, or the gateway's word that there is none. */
  #giveUp(attempt: Attempt, failure: Failure): void {
    this.#claim(attempt);
    this.#call.answer.deliver(attempt, failure);
    this.#finish(attempt);
  }

  #claim(attempt: Attempt): void {
    const { record } = this.#call;
    if (attempt === this.#candidate) record.served(attempt, this.#mapping.candidate);
    else {
      const hedge = this.#legacyPurpose === 'hedge' ? 'hedge' : null;
      record.served(attempt, this.#facts.model, this.#failure?.kind ?? hedge);
    }
  }

  #finish(attempt: Attempt): void {
    const call = this.#call;
    const provider = attempt === this.#candidate ? 'candidate' : 'legacy';
    this.#rememberMaker(attempt, provider);
    if (provider === 'legacy' && isRunning(this.#candidate)) this.#noteOutrun(this.#candidate);
    call.servedBy(attempt, provider);
  }

  /** The log line is written before the candidate's end is known. */
  #noteOutrun(candidate: Attempt): void {
    const call = this.#call;
    // Its answer is judged by what the request asks for.
    call.keepsBody = this.#facts.asks !== null;
    call.record.outrun(candidate, this.#candidatePurpose, call.services.now());
  }

  /** Responses, stored completions and the containers of tools can be asked for later by their id. */
  #rememberMaker(attempt: Attempt, provider: Arm): void {
    const { endpoint } = this.#call.traffic;
    const { store } = this.#facts;
    const isKept =
      endpoint === 'responses'
        ? store !== false
        : endpoint === 'messages' || (endpoint === 'chat' && store === true);
    const id = attempt.scanner?.objectId ?? attempt.plain?.objectId ?? null;
    if (isKept && id !== null) this.#call.route.makers.remember(id, provider);
  }
}

/** Whether the request is of those whom alone the candidate serves. */
function isMember({ route, caller, request, services }: Call): boolean {
  const { cohort } = route.state;
  return cohort !== null && isInCohort(cohort, { team: caller.team, headers: request.rawHeaders }, services);
}

function isRunning(attempt: Attempt | null): attempt is Attempt {
  return attempt !== null && !attempt.ended;
}
