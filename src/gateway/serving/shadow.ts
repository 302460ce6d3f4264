import type { ModelMapping } from '../../core/configuration/configuration-schema';
import type { JudgeOrder } from '../../core/routing/judge-order';
import { CALL, REFUSAL, TEXT } from '../answers/holdings';
import { hasGist } from '../answers/plain-answer';
import { costUsd, type TokenUsage } from '../answers/token-usage';
import type { Observation } from '../evidence/evidence-cell';
import { recordAttempt } from '../evidence/record-attempt';
import { spanOf } from '../json/json-fields';
import { spaceEnd } from '../json/json-scanner';
import type { JudgedPair } from '../judge/judge-tally';
import { answerText, askedText } from '../judge/pair-text';
import { candidateBody } from '../request/model-mapping';
import type { RequestFacts } from '../request/request-facts';
import { refusesUsageOption } from '../request/usage-option';
import type { Assignment } from '../routing/arm-draw';
import { Attempt, type AttemptOwner } from '../upstream/attempt';
import type { Call } from './call/call';
import { attemptLimits, isLate } from './limits';
import { modelRequest } from './model-request';
import { NOWHERE } from './nowhere';
import { comparePair, type ShadowAnswer } from './shadow-pair';

/**
 * Sends a copy of a request that legacy's arm is done with to the candidate, for the fraction that the routing asks for,
 * within what it may cost. Its answer is drained, counted apart and compared; the caller never notices. Legacy's
 * failures are copied as well: a pair that only the candidate could lose would compare nothing.
 */
export function copyToCandidate(
  call: Call,
  facts: RequestFacts,
  mapping: ModelMapping,
  assignment: Assignment,
  { attempt: legacy, said }: LegacyAnswer,
): void {
  const { route, services, caller } = call;
  if (call.copyDraw >= route.state.effectiveShadow() || mayAct(call, facts)) return;
  const { endpoint } = call.traffic;
  const { epoch } = assignment;
  const { shadows, mirror: provider } = route;
  const gatewayUsd = route.state.shadowUsd;
  const expectedUsd = expectedCost(call, mapping, legacy);
  const isCompared = hasGist(endpoint);
  if (gatewayUsd !== null && (expectedUsd === null || !isCompared)) return;
  const reservedUsd = expectedUsd ?? 0;
  if (!shadows.hasRoom(epoch, gatewayUsd)) return;
  if (provider.sheds(caller, services.now()) !== null || !call.memory.take(call.bodyBytes)) return;
  // The call lets go of it when it is over, and a copy may be sent once more.
  const { body } = call;
  let held = body.length;
  const order = legacy.options.keeps && isDrawnForJudge(call, facts) ? route.state.judge : null;
  // Held until the candidate has answered.
  const saidBytes = order === null || said === null ? 0 : Buffer.byteLength(said);
  const isHeld = call.memory.take(saidBytes);
  if (isHeld) held += saidBytes;
  const give = () => {
    call.memory.give(held);
    held = 0;
  };
  const isRepeated = isCompared && shadows.isRepeated(epoch, body);
  if (isRepeated && gatewayUsd !== null) {
    give();
    return;
  }
  const isExact = facts.asks?.json === true || isGreedy(body);
  shadows.reserve(reservedUsd);
  const send = (asksUsage: boolean): void => {
    const mapped = candidateBody(body, facts, mapping, asksUsage);
    const owner: AttemptOwner = {
      attemptCommitted: () => {
        if (!asksUsage && provider.asksUsage(endpoint)) provider.stopAskingUsage(endpoint);
        return NOWHERE;
      },
      attemptBroke: () => {
        shadows.settle(epoch, reservedUsd, reservedUsd);
        give();
      },
      attemptEnded: (attempt) => {
        if (refusesUsageOption(attempt)) send(false);
        else end(attempt);
      },
    };
    const permitted = { purpose: 'mirror', epoch } as const;
    const limits = attemptLimits(call, 'candidate');
    new Attempt(
      modelRequest(call, facts, {
        ...{ provider, mapped, limits, permitted, holds: true, replayable: true },
        keeps: order !== null,
      }),
      owner,
      services,
    ).dispatch();
  };
  const end = (attempt: Attempt): void => {
    const isJudged = attempt.failure?.kind !== 'withdrawn' && attempt.failure?.kind !== 'aborted';
    const outcome = judge(attempt, legacy);
    const now = order === null ? null : answerText(attempt.kept);
    if (isJudged) {
      const seen = { provider: 'candidate', kind: 'shadow', outcome, attempt } as const;
      recordAttempt(call, { facts, body }, assignment, seen);
    }
    give();
    const costUsd = costOf(attempt, mapping.candidate) ?? (mayHaveCost(attempt) ? reservedUsd : 0);
    shadows.settle(epoch, reservedUsd, costUsd);
    const copy = { epoch, bucket: assignment.bucket, costUsd } as const;
    if (!isJudged || !isCompared || isRepeated || !assignment.randomised) {
      route.evidence.recordCopy({ ...copy, pair: null });
      return;
    }
    if (order !== null && legacy.failure === null && attempt.failure === null) {
      judgePair(call, assignment, order, { body, said, now, isHeld });
    }
    const compare = () => {
      const was = shadowAnswer(legacy, facts.model, isLate(call, legacy));
      const pair = comparePair(was, shadowAnswer(attempt, mapping.candidate), isExact);
      route.evidence.recordCopy({ ...copy, pair });
    };
    whenJudged(legacy, () => whenJudged(attempt, compare));
  };
  try {
    send(provider.asksUsage(endpoint));
  } catch (error) {
    // Legacy's answer is the caller's whatever becomes of the copy.
    services.defects.report(error, { during: 'shadow copy' });
    shadows.settle(epoch, reservedUsd, 0);
    give();
  }
}

/** What legacy has answered; its text where it may be shown to a judge, null otherwise. */
interface LegacyAnswer {
  readonly attempt: Attempt;
  readonly said: string | null;
}

/** Draws a request of legacy's arm for a copy, before legacy is asked: what a judge is to see has to be kept. */
export function drawCopy(call: Call): void {
  const { route, services } = call;
  if (route.state.effectiveShadow() > 0) call.copyDraw = services.random();
}

/** Whether a copied request is among those whose answers are shown to a judge. */
export function isDrawnForJudge(call: Call, { choices }: RequestFacts): boolean {
  if (call.copyDraw === 1) return false;
  const { judge } = call.route.state;
  if (judge === null || choices !== 1 || !hasGist(call.traffic.endpoint)) return false;
  return call.copyDraw < call.route.state.effectiveShadow() * judge.sample;
}

/** A request with what legacy and the candidate say; null where that is too long. */
interface AnswersToJudge {
  readonly body: Buffer;
  readonly said: string | null;
  readonly now: string | null;
  /** There was room for what legacy says. */
  readonly isHeld: boolean;
}

/** Has a judge say which answer is better, some time later. */
function judgePair(
  { route, services, memory }: Call,
  { epoch, bucket }: Assignment,
  order: JudgeOrder,
  { body, said, now, isHeld }: AnswersToJudge,
): void {
  const done = (result: JudgedPair['result'], costUsd: number) => {
    services.metrics.pairJudged(route.name, result, costUsd);
    route.evidence.recordJudged({ epoch, bucket, result, costUsd });
  };
  const prompt = askedText(body);
  if (prompt === null || said === null || now === null) {
    done('too long', 0);
    return;
  }
  if (!isHeld) {
    done('busy', 0);
    return;
  }
  const isWanted = () => route.state.epoch === epoch && route.state.judge !== null;
  const pair = { prompt, legacy: said, candidate: now };
  route.judge.take({ ...pair, epoch, account: memory, order, isWanted, done }, services);
}

/** What acts would act twice: tools that a provider runs, and answers that it keeps. */
function mayAct({ traffic: { endpoint } }: Call, { usesHostedTools, store }: RequestFacts): boolean {
  return usesHostedTools || (endpoint === 'responses' ? store !== false : store === true);
}

/** Where legacy's usage is not known, an English token takes so many bytes of the request, and an answer so many tokens. */
const BYTES_A_TOKEN = 4;
const ASSUMED_OUTPUT = 1_000;

/** What a copy will about cost at the candidate, as if it answers as legacy did; null without a price. */
function expectedCost(call: Call, { candidate }: ModelMapping, legacy: Attempt): number | null {
  const usage: TokenUsage = legacy.usage ?? {
    ...{ input: Math.ceil(call.bodyBytes / BYTES_A_TOKEN), cached: 0, written: 0 },
    output: ASSUMED_OUTPUT,
  };
  const { prices } = call.route.providers.candidate.configuration;
  return costUsd(prices, candidate, { ...usage, cached: 0, written: 0 });
}

function costOf(attempt: Attempt, model: string): number | null {
  const usage = attempt.usage;
  return usage === null ? null : costUsd(attempt.options.provider.configuration.prices, model, usage);
}

function mayHaveCost({ sent, failure }: Attempt): boolean {
  return sent && (failure === null || failure.ambiguous);
}

/** Whether the same answer is asked for each time. */
function isGreedy(body: Buffer): boolean {
  const span = spanOf(body, spaceEnd(body, 0), 'temperature');
  return span !== null && Number(body.toString('latin1', span.start, span.end)) === 0;
}

/** A refusal is a rejection where legacy has accepted the request. */
function judge(attempt: Attempt, legacy: Attempt): Observation['outcome'] {
  const kind = attempt.failure?.kind;
  if (kind === undefined) return 'success';
  if (kind !== 'status_4xx') return kind as Observation['outcome'];
  return legacy.failure?.kind === 'status_4xx' ? 'refused' : 'rejected';
}

/** Of a failure all is known at once. */
function whenJudged(attempt: Attempt, judged: () => void): void {
  if (attempt.failure === null) attempt.whenJudged(judged);
  else judged();
}

function shadowAnswer(attempt: Attempt, model: string, late = false): ShadowAnswer {
  const { failure, gist, scanner } = attempt;
  const kind = late ? 'timeout' : (failure?.kind ?? null);
  const held = gist === null ? 0 : gist.holds & (TEXT | CALL | REFUSAL);
  return {
    failure: kind === 'status_4xx' ? 'rejected' : (kind as ShadowAnswer['failure']),
    judgement: attempt.judgement ?? (failure !== null && attempt.isEmpty ? 'empty' : null),
    answerMs: scanner === null ? attempt.endedMs - attempt.startedMs : attempt.firstTokenMs,
    outputTokens: attempt.usage?.output ?? null,
    costUsd: costOf(attempt, model),
    decision: gist === null ? null : `${gist.end} ${held}`,
  };
}
