import type { ModelMapping } from '../../core/configuration/configuration-schema';
import type { Observation } from '../evidence/evidence-cell';
import { usageOf } from '../evidence/observation';
import { recordAttempt } from '../evidence/record-attempt';
import { candidateBody } from '../request/model-mapping';
import type { RequestFacts } from '../request/request-facts';
import { refusesUsageOption } from '../request/usage-option';
import type { Assignment } from '../routing/arm-draw';
import { Attempt, type AttemptOwner } from '../upstream/attempt';
import type { Call } from './call';
import { attemptLimits } from './limits';
import { modelRequest } from './model-request';
import { NOWHERE } from './nowhere';
import type { ShadowSide } from './shadow-pair';

/**
 * Sends a copy of a request that legacy has answered to the candidate, for the fraction that the routing asks
 * for. Its answer is drained and counted apart; the caller never notices.
 */
export function copyToCandidate(
  call: Call,
  facts: RequestFacts,
  mapping: ModelMapping,
  assignment: Assignment,
  legacy: Attempt,
): void {
  const { route, services, caller } = call;
  const shadow = route.state.effectiveShadow();
  if (shadow === 0 || services.random() >= shadow || facts.usesHostedTools) return;
  const provider = route.mirror;
  if (provider.sheds(caller, services.now()) !== null || !call.memory.take(call.bodyBytes)) return;
  const { endpoint } = call.traffic;
  // The call lets go of it when it is over, and a copy may be sent once more.
  const { body } = call;
  let held = body.length;
  const give = () => {
    call.memory.give(held);
    held = 0;
  };
  const send = (asksUsage: boolean): void => {
    const mapped = candidateBody(body, facts, mapping, asksUsage);
    const owner: AttemptOwner = {
      attemptCommitted: () => {
        if (!asksUsage && provider.asksUsage(endpoint)) provider.stopAskingUsage(endpoint);
        return NOWHERE;
      },
      attemptBroke: give,
      attemptEnded: (attempt) => {
        if (refusesUsageOption(attempt)) send(false);
        else end(attempt);
      },
    };
    const permitted = { purpose: 'mirror', epoch: assignment.epoch } as const;
    const limits = attemptLimits(call, 'candidate');
    new Attempt(
      modelRequest(call, facts, { provider, mapped, holds: true, replayable: true, limits, permitted }),
      owner,
      services,
    ).dispatch();
  };
  const end = (attempt: Attempt): void => {
    const isJudged = attempt.failure?.kind !== 'withdrawn' && attempt.failure?.kind !== 'aborted';
    const outcome = judge(attempt);
    if (isJudged) {
      const seen = { side: 'candidate', kind: 'shadow', outcome, attempt } as const;
      recordAttempt(call, { facts, body }, assignment, seen);
    }
    give();
    if (!isJudged) return;
    services.compareShadow?.({
      route: route.name,
      model: facts.model,
      legacy: sideOf(legacy, 'success'),
      candidate: sideOf(attempt, outcome),
    });
  };
  try {
    send(provider.asksUsage(endpoint));
  } catch (error) {
    // Legacy's answer is the caller's whatever becomes of the copy.
    services.defects.report(error, { during: 'shadow copy' });
    give();
  }
}

/** Legacy has accepted the request, so a refusal by the candidate is a rejection. */
function judge(attempt: Attempt): Observation['outcome'] {
  const kind = attempt.failure?.kind;
  if (kind === undefined) return 'success';
  return kind === 'status_4xx' ? 'rejected' : (kind as Observation['outcome']);
}

function sideOf(attempt: Attempt, outcome: string): ShadowSide {
  return {
    status: attempt.status,
    outcome,
    totalMs: attempt.endedMs - attempt.startedMs,
    tokensOut: usageOf(attempt)?.output ?? null,
  };
}
