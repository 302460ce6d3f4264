import type { ModelMapping } from '../../core/configuration/configuration-schema';
import type { Arm } from '../../core/routing/routing';
import { bodyIds, isId } from '../request/body-ids';
import type { LongBody } from '../request/long-body';
import { candidateBody, legacyBody } from '../request/model-mapping';
import { mappingOf } from '../routing/route';
import type { Attempt } from '../upstream/attempt';
import type { Call } from './call/call';
import { type SingleAsk, serveSingle } from './single';

/**
 * Serves a request that is bound to what one provider keeps. It goes to the known maker of what it names, else
 * to the route's `stateful` provider; after a not-found the other one is tried once, where asking twice does
 * no harm: GET, and a response that continues another one.
 */
export function serveStateful(call: Call, streamed: boolean): void {
  const { route, facts, request } = call;
  const ids = streamed ? pathIds(call.path) : [...pathIds(call.path), ...bodyIds(call.body)];
  const first = route.makers.findAny(ids) ?? route.configuration.stateful;
  const asksTwice = request.method === 'GET' || facts?.continuesResponse === true;
  serveSingle(call, askOf(call, first, streamed), (attempt) => {
    if (!asksTwice || !isNotFound(attempt)) return false;
    if (first === 'candidate') serveSingle(call, askOf(call, 'legacy', streamed));
    else return tryCandidate(call, streamed);
    return true;
  });
}

/**
 * What nobody knows of is looked for at the candidate only while the routing lets it serve, and under a
 * permit: else something new would reach it after a rollback, under a kill latch, or before any migration.
 */
function tryCandidate(call: Call, streamed: boolean): boolean {
  if (call.route.state.effectiveShare() === 0) return false;
  serveSingle(call, { ...askOf(call, 'candidate', streamed), permitted: true }, (attempt) => {
    if (attempt.failure?.kind !== 'withdrawn') return false;
    serveSingle(call, askOf(call, 'legacy', streamed));
    return true;
  });
  return true;
}

function askOf(call: Call, provider: Arm, streamed: boolean): SingleAsk {
  const { facts, route, head, request } = call;
  const mapping = facts === null ? null : mappingOf(route, facts.model);
  const maps = provider === 'candidate' && facts !== null && mapping !== null;
  return {
    provider,
    body: streamed ? (head.hasBody ? request.stream() : null) : bodyFor(provider, call, mapping),
    model: maps ? mapping.candidate : (facts?.model ?? null),
    permitted: false,
    reads: request.method === 'POST',
  };
}

function bodyFor(provider: Arm, { facts, body }: Call, mapping: ModelMapping | null): Buffer | LongBody {
  if (facts === null || mapping === null) return body;
  return provider === 'candidate'
    ? candidateBody(body, facts, mapping, false).body
    : legacyBody(body, facts, mapping, false).body;
}

/** OpenAI answers 400 or 404 for a previous response that it does not have. */
function isNotFound(attempt: Attempt): boolean {
  if (attempt.status === 404) return true;
  return attempt.status === 400 && attempt.heldBody.includes('previous_response_not_found');
}

function pathIds(path: string): string[] {
  return path.split('/').filter((segment) => isId(segment));
}
