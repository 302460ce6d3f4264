import { activityInfo, Context } from '@temporalio/activity';
import type { CheckIdentityInput } from '../../contract';
import type { Finding } from '../../core/assessment/finding';
import type { IdentityFindings } from '../../core/assessment/identity-findings';
import { judgeServedModel, servedModelAsks, unseenText } from '../../core/gates/judge-served-model';
import {
  afterAcceptance,
  afterFirstLook,
  contextEvent,
  type IdentityKnowledge,
  identityProblem,
  withIdentityEvent,
} from '../../core/identity/identity-audit';
import { ASSESSED_TURNS } from '../../core/identity/identity-questions';
import type { ReferencePlan } from '../../core/plan/identity-plan';
import type { Ports } from '../../ports';
import { asFailure } from '../failures';
import { withHeartbeats } from '../heartbeats';
import { askNext, knowledgeBy, readReference } from './ask-identity';

/**
 * Asks the candidate which model it serves, before anything is moved. What differs from the reference is a person's to
 * accept; what the candidate calls itself is what later changes are held against.
 */
export function createCheckIdentity(ports: Ports): (input: CheckIdentityInput) => Promise<IdentityFindings> {
  return async ({ route, identity: plan, timeoutMs }) => {
    const { cancellationSignal: signal } = Context.current();
    let standing = (activityInfo().heartbeatDetails as IdentityKnowledge | null | undefined) ?? null;
    try {
      return await withHeartbeats(
        async () => {
          const reference = await readReference(ports, plan);
          if ('problem' in reference) return doubt(reference.problem);
          standing = knowledgeBy(reference, plan.reference, standing);
          while (standing.turns < ASSESSED_TURNS) {
            standing = await askNext(ports, { route, plan, timeoutMs, signal }, reference, standing);
          }
          const context = await ports.identity.contextTokens(route, plan.model ?? null, {
            timeoutMs,
            signal,
          });
          const event = contextEvent(reference, context);
          const known = event === null ? standing : withIdentityEvent(standing, event);
          return found(known, plan);
        },
        () => standing,
      );
    } catch (error) {
      throw asFailure(error);
    }
  };
}

function doubt(problem: string): IdentityFindings {
  return { findings: [{ kind: 'doubt', text: `identity: not known, ${problem}` }], standing: null };
}

function found(standing: IdentityKnowledge, { alpha }: ReferencePlan): IdentityFindings {
  const problem = identityProblem(standing);
  if (problem !== null) return doubt(problem);
  const sentences = [
    ...(standing.events.length === 0 ? [] : [judgeServedModel({ standing, alpha }).sentence]),
    ...servedModelAsks({ standing, alpha }),
  ];
  const approvals = sentences.map(
    (text): Finding => ({ kind: 'approval', item: 'identity', asks: null, text }),
  );
  const seen: Finding = {
    kind: 'warning',
    text: `identity: ${standing.answered} answers asked for; ${unseenText(standing, alpha)}`,
  };
  // Whoever approves has seen it: from here on only what changes counts.
  return { findings: [...approvals, seen], standing: afterFirstLook(afterAcceptance(standing)) };
}
