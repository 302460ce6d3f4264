import { hash } from 'node:crypto';
import { OUTCOME_BUCKETS, OUTCOME_STEPS } from '../../core/evidence/outcome-counts';
import type { Caller } from '../callers/callers';
import type { CallerAnswer } from '../http1/caller-answer';
import type { CallerRequest } from '../http1/caller-request';
import type { ReportedOutcome } from '../outcomes/outcome';
import {
  BadOutcome,
  MOST_OUTCOME_BYTES,
  MOST_OUTCOMES,
  readOutcomes,
  type SentOutcome,
} from '../outcomes/outcome-list';
import type { OutcomeTokens } from '../outcomes/outcome-tokens';
import { readBody } from '../request/body-reader';
import { badRequest, GATEWAY_BUSY, type GatewayError, sendError } from '../request/gateway-error';
import type { RequestHead } from '../request/request-head';
import type { Route } from '../routing/route';
import type { Services } from './services';

/** Below /v1: what applications say of answers. It is never passed on. */
export const OUTCOMES_PATH = '/outcomes';

interface OutcomeCall {
  readonly services: Services;
  readonly route: Route;
  readonly request: CallerRequest;
  readonly response: CallerAnswer;
  readonly head: RequestHead;
  readonly caller: Caller;
}

/** Takes what an application says of answers: all of it, or with one clear error none. */
export function takeOutcomes(call: OutcomeCall): void {
  const { services, request, response, head, caller } = call;
  const { limits } = caller;
  const limited = limits?.begin(0, services.now()) ?? null;
  if (limited !== null) {
    request.resume();
    sendError(response, { ...limited, dialect: 'openai', close: head.hasBody });
    return;
  }
  const end = (error: GatewayError | null, received = 0) => {
    limits?.end(0, null);
    if (error === null) answer(response, received);
    else {
      call.route.outcomes.results.refused += 1;
      request.resume();
      const headers = error.status === 405 ? ['allow', 'POST'] : [];
      sendError(response, { error, dialect: 'openai', headers, close: error.status !== 400 });
    }
  };
  if (request.method !== 'POST') {
    end(badRequest('bad_method', `expected POST for outcomes, got ${request.method}`, 405));
    return;
  }
  const { outcomes: tokens } = services;
  if (tokens === null) {
    end(NOT_CONFIGURED);
    return;
  }
  const account = services.memory.account(caller.team);
  const limitsOfBody = { length: head.contentLength, maxBytes: MOST_OUTCOME_BYTES };
  if ((head.contentLength ?? 0) > MOST_OUTCOME_BYTES) {
    end(TOO_LARGE);
    return;
  }
  readBody(request, limitsOfBody, account, (body) => {
    if (body === 'gone') limits?.end(0, null);
    else if (body === 'too-large') end(TOO_LARGE);
    else if (body === 'no-room') end(GATEWAY_BUSY);
    else {
      try {
        end(null, count(call, tokens, body));
      } catch (error) {
        if (error instanceof BadOutcome) end(badRequest('bad_outcome', error.message));
        else {
          services.defects.report(error, { during: 'outcomes' });
          end(DEFECT);
        }
      } finally {
        account.give(body.length);
      }
    }
  });
}

/** How many were received; throws `BadOutcome` before any of them counts. */
function count({ services, route }: OutcomeCall, tokens: OutcomeTokens, body: Buffer): number {
  const sent = readOutcomes(body);
  const outcomes = sent.map((each) => outcomeOf(each, { route, tokens, random: services.random }));
  const { outcomes: intake } = route;
  const refused = intake.refusedName(sent.map(({ name }) => name));
  if (refused !== null) {
    const at = sent.find(({ name }) => name === refused)?.place ?? '';
    throw new BadOutcome(
      `${at}name: expected one of the names in use, because no further name is accepted, got "${refused}"`,
    );
  }
  const assigned = outcomes.filter((outcome) => outcome !== null);
  intake.results.unassigned += outcomes.length - assigned.length;
  intake.count(assigned);
  return sent.length;
}

interface OutcomeContext {
  readonly route: Route;
  readonly tokens: OutcomeTokens;
  readonly random: () => number;
}

/** Whose answer it was; null for one that counts in no arm. Throws `BadOutcome`. */
function outcomeOf(sent: SentOutcome, reading: OutcomeContext): ReportedOutcome | null {
  return 'key' in sent.of ? ofKey(sent, sent.of.key, reading) : ofRequest(sent, sent.of.request, reading);
}

function ofRequest(
  { place, name, value }: SentOutcome,
  request: string,
  { route, tokens }: OutcomeContext,
): ReportedOutcome | null {
  const mark = tokens.read(request);
  if (mark === null) {
    throw new BadOutcome(
      `${place}request: expected the x-cutover-request of an answer, unchanged, as this gateway or another of the route signed it, got something else`,
    );
  }
  if (mark.route !== route.name) {
    throw new BadOutcome(
      `${place}request: expected an answer of the route "${route.name}", got one of "${mark.route}": post it to /routes/${mark.route}/v1/outcomes`,
    );
  }
  const { epoch, arm, id, bucket } = mark;
  if (arm === null) return null;
  // Of one request and one name always the same: whoever counts it twice counts the same.
  const digest = hash('sha256', `${id}\n${name}`, 'buffer');
  return {
    ...{ epoch, side: arm, name, request: id },
    bucket: (bucket ?? digest.readUInt8(30)) % OUTCOME_BUCKETS,
    value: onGrid(value, digest.readUInt32LE(24) / 2 ** 32),
  };
}

function ofKey(
  { place, name, value }: SentOutcome,
  key: string,
  { route, random }: OutcomeContext,
): ReportedOutcome | null {
  const { state } = route;
  if (state.stickyKey === 'none' || state.keepsConversations) {
    const why = state.keepsConversations
      ? 'a conversation stays where it began (newConversationsOnly)'
      : 'requests are drawn at random (stickyKey: none)';
    throw new BadOutcome(
      `${place}key: expected request, got a key, which does not determine the arm on this route: ${why}`,
    );
  }
  const draw = state.armOf(key);
  if (draw === null) return null;
  const { epoch, arm, bucket } = draw;
  return {
    epoch,
    side: arm,
    name,
    request: null,
    bucket: (bucket ?? 0) % OUTCOME_BUCKETS,
    value: onGrid(value, random()),
  };
}

/**
 * A number is rounded to a step of the grid, up with the probability that it lies above the step below: so its mean is
 * exactly what it was.
 */
function onGrid(value: boolean | number, chance: number): boolean | number {
  if (typeof value === 'boolean') return value;
  const exact = Number((value * OUTCOME_STEPS).toPrecision(12));
  return Math.min(OUTCOME_STEPS, Math.floor(exact + chance));
}

function answer(response: CallerAnswer, received: number): void {
  const body = JSON.stringify({ received });
  response.writeHead(200, ['content-type', 'application/json', 'content-length', `${body.length}`]);
  response.end(body);
}

const NOT_CONFIGURED: GatewayError = {
  status: 501,
  type: 'invalid_request_error',
  code: 'outcomes_not_configured',
  message:
    'expected gateway.outcomes in the configuration of this gateway, such as {key: env:CUTOVER_OUTCOME_KEY}, the same for all gateways of the route: without it answers bear no x-cutover-request and outcomes are not taken',
};

const TOO_LARGE = badRequest(
  'body_too_large',
  `expected at most ${MOST_OUTCOMES} outcomes in at most ${MOST_OUTCOME_BYTES} bytes, got more`,
  413,
);

const DEFECT: GatewayError = {
  status: 500,
  type: 'server_error',
  code: 'gateway_defect',
  message: 'The gateway could not handle these outcomes; its log has the reason.',
};
