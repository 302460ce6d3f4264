import type { EvidenceKind, FailureClass } from '../../core/evidence/evidence';
import type { Arm } from '../../core/routing/routing';
import { costUsd, type TokenUsage } from '../answers/token-usage';
import type { RequestFacts } from '../request/request-facts';
import type { Assignment } from '../routing/arm-draw';
import { mappingOf } from '../routing/route';
import type { Call } from '../serving/call/call';
import type { Attempt } from '../upstream/attempt';
import type { SeenAnswer } from './answer-tally';
import type { Observation } from './evidence-cell';

type Outcome = Observation['outcome'];

const NO_GAPS: readonly number[] = [];
/** What an English token takes in a request body, for the estimate where no provider counted. */
const BYTES_A_TOKEN = 4;

/** An attempt that is counted; null attempt: it was drawn and never made (shed). */
export interface SeenAttempt {
  readonly provider: Arm;
  readonly kind: EvidenceKind;
  readonly outcome: Outcome;
  readonly attempt: Attempt | null;
}

/** What is counted for an attempt; `answer` is null where it is judged later, or is none. */
export function observeAttempt(
  call: Call,
  facts: RequestFacts,
  assignment: Assignment,
  seen: SeenAttempt,
  answer: SeenAnswer | null,
): Observation {
  const { attempt, outcome, provider } = seen;
  const usage = attempt === null ? null : (attempt.usage ?? estimate(attempt, outcome));
  return {
    epoch: assignment.epoch,
    side: provider,
    kind: seen.kind,
    shape: facts.stream || (facts.oddStream && attempt?.scanner != null) ? 'stream' : 'plain',
    model: facts.model,
    outcome,
    retry: call.head.retry,
    totalMs: attempt === null ? 0 : attempt.endedMs - attempt.startedMs,
    firstTokenMs: attempt?.firstTokenMs ?? null,
    interTokenMs: attempt?.scanner?.gapsMs ?? NO_GAPS,
    tokensIn: usage?.input ?? 0,
    tokensCached: usage?.cached ?? 0,
    tokensOut: usage?.output ?? 0,
    costUsd: usage === null ? null : costOf(call, facts, provider, usage),
    bucket: assignment.bucket,
    answer,
  };

  /** A failure that the provider may have worked for is charged with the tokens of its request. */
  function estimate(failed: Attempt, how: Outcome): TokenUsage | null {
    const isCharged =
      how !== 'success' && how !== 'aborted' && how !== 'refused' && failed.failure?.ambiguous === true;
    return isCharged
      ? { input: Math.ceil(call.bodyBytes / BYTES_A_TOKEN), cached: 0, written: 0, output: 0 }
      : null;
  }
}

/** What an attempt cost, by the model's name at its provider. */
function costOf(call: Call, facts: RequestFacts, provider: Arm, usage: TokenUsage): number | null {
  const { prices } = call.route.providers[provider].configuration;
  const mapped = provider === 'candidate' ? mappingOf(call.route, facts.model)?.candidate : undefined;
  return costUsd(prices, mapped ?? facts.model, usage);
}

/** The failure class of an attempt that counts as evidence; null for what is nobody's fault. */
export function failureClassOf(attempt: Attempt): FailureClass | null {
  const kind = attempt.failure?.kind ?? null;
  return kind === null || kind === 'withdrawn' || kind === 'aborted' ? null : kind;
}
