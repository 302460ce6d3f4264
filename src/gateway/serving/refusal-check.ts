import { legacyBody } from '../request/model-mapping';
import type { RequestFacts } from '../request/request-facts';
import { mappingOf } from '../routing/route';
import { Attempt, type AttemptOwner } from '../upstream/attempt';
import type { Call } from './call/call';
import { attemptLimits } from './limits';
import { modelRequest } from './model-request';
import { NOWHERE } from './nowhere';

/** What legacy said when it was asked once more: it accepts, it refuses again, or it could not say. */
export type SecondAnswer = 'accepts' | 'refuses' | 'unknown';

/** At once in one process: a caller who sends nothing but bad requests must not double legacy's load. */
const AT_ONCE = 32;
let running = 0;

/**
 * Asks legacy once more what it has just refused (4xx) in its own arm, as it is asked about each refusal of the
 * candidate: a refusal at random would otherwise be a failure in one arm alone. The answer is drained; the caller has
 * the first one. False where it cannot be asked.
 */
export function askLegacyAgain(
  call: Call,
  facts: RequestFacts,
  told: (answer: SecondAnswer) => void,
): boolean {
  const { route, services, caller, body } = call;
  const provider = route.providers.legacy;
  if (facts.usesHostedTools || running >= AT_ONCE || provider.closedTo(caller, services.now()) !== null) {
    return false;
  }
  const held = call.bodyBytes;
  if (!call.memory.take(held)) return false;
  running += 1;
  let isOver = false;
  const end = (answer: SecondAnswer) => {
    if (isOver) return;
    isOver = true;
    running -= 1;
    call.memory.give(held);
    told(answer);
  };
  const owner: AttemptOwner = {
    attemptCommitted: () => NOWHERE,
    attemptBroke: () => end('unknown'),
    attemptEnded: ({ failure }) => {
      if (failure === null) end('accepts');
      else end(failure.kind === 'status_4xx' ? 'refuses' : 'unknown');
    },
  };
  try {
    const mapped = legacyBody(body, facts, mappingOf(route, facts.model), false);
    const limits = attemptLimits(call, 'legacy');
    new Attempt(
      modelRequest(call, facts, {
        provider,
        mapped,
        holds: true,
        keeps: false,
        replayable: true,
        limits,
        permitted: null,
      }),
      owner,
      services,
    ).dispatch();
  } catch (error) {
    // The caller has the first answer whatever becomes of the question.
    services.defects.report(error, { during: 'second question' });
    end('unknown');
  }
  return true;
}
