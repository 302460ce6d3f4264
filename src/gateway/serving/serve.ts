import { isEmpty } from '../../core/configuration/request-rules';
import { readBody, type UnreadBody } from '../request/body-reader';
import { badRequest, GATEWAY_BUSY } from '../request/gateway-error';
import { candidateBody, legacyBody } from '../request/model-mapping';
import { readMultipartModel } from '../request/multipart-model';
import { formFacts, type RequestFacts, readFacts } from '../request/request-facts';
import { isStateful } from '../request/traffic-class';
import { mappingOf } from '../routing/route';
import type { Call } from './call/call';
import { serveRandomised } from './failover';
import { serveSingle } from './single';
import { serveStateful } from './stateful';

/** Serves a call by its traffic class, once its body has been read where it matters. */
export function serve(call: Call): void {
  guard(call, () => route(call));
}

function route(call: Call): void {
  const { services } = call;
  const { head, traffic, request } = call;
  const { maxBodyBytes } = services.configuration.gateway;
  const length = head.contentLength ?? 0;
  const needsBody =
    traffic.class === 'randomised' ||
    traffic.class === 'whole' ||
    (traffic.class === 'stateful' && head.contentType.includes('json') && length <= maxBodyBytes);
  const hasRoom = call.memory.hasRoom(length);
  if (!hasRoom && traffic.class === 'whole' && call.route.state.wholeProvider() === 'candidate') {
    // Unread it could only go to legacy, into another vector space than the rest.
    refuseBody(call, 'no-room', maxBodyBytes);
    return;
  }
  if (!needsBody || !hasRoom) {
    serveUnread(call);
    return;
  }
  if (length > maxBodyBytes) {
    refuseBody(call, 'too-large', maxBodyBytes);
    return;
  }
  readBody(request, { length: head.contentLength, maxBytes: maxBodyBytes }, call.memory, (body) =>
    guard(call, () => {
      if (typeof body === 'string') {
        refuseBody(call, body, maxBodyBytes);
        return;
      }
      call.takeBody(body);
      serveRead(call);
    }),
  );
}

/** Passed on as it comes: nothing of the body matters, or there is no room to hold it. */
function serveUnread(call: Call): void {
  const { head, request, traffic } = call;
  if (traffic.class === 'stateful') {
    serveStateful(call, true);
    return;
  }
  const body = head.hasBody ? request.stream() : null;
  serveSingle(call, { provider: 'legacy', body, model: null, permitted: false, reads: false });
}

function serveRead(call: Call): void {
  const { traffic, route } = call;
  const facts = factsOf(call);
  call.facts = facts;
  if (isStateful(traffic, facts)) {
    serveStateful(call, false);
    return;
  }
  const mapping = facts === null ? null : mappingOf(route, facts.model);
  if (facts === null && traffic.class === 'whole' && route.state.wholeProvider() === 'candidate') {
    call.answer.refuse(UNREADABLE_WHOLE);
    call.finish();
    return;
  }
  if (facts === null || mapping === null) {
    serveAtLegacy(call);
    return;
  }
  if (traffic.class === 'whole') serveWhole(call, facts);
  else if (facts.fields === null && (mapping.candidate !== facts.model || !isEmpty(mapping.parameters)))
    serveAtLegacy(call);
  else serveRandomised(call, facts, mapping);
}

/** Legacy could understand what the gateway cannot, and answer in another vector space than the rest. */
const UNREADABLE_WHOLE = badRequest(
  'unreadable_body',
  'expected a JSON object with a model, without content coding: the gateway has to read the model, because embeddings are moved as a whole',
);

/** Embeddings: all of them at one provider, never failed over to another vector space. */
function serveWhole(call: Call, facts: RequestFacts): void {
  const { route, body } = call;
  const mapping = mappingOf(route, facts.model);
  if (mapping === null || route.state.wholeProvider() === 'legacy') {
    serveAtLegacy(call);
    return;
  }
  const mapped = candidateBody(body, facts, mapping, false).body;
  const ask = {
    provider: 'candidate',
    body: mapped,
    model: mapping.candidate,
    permitted: true,
    reads: false,
  } as const;
  serveSingle(call, ask, (attempt) => {
    if (attempt.sent || attempt.failure?.kind !== 'withdrawn') return false;
    serveAtLegacy(call);
    return true;
  });
}

function serveAtLegacy(call: Call): void {
  const { facts, route } = call;
  const body =
    facts === null ? call.body : legacyBody(call.body, facts, mappingOf(route, facts.model), false).body;
  const model = facts?.model ?? null;
  serveSingle(call, { provider: 'legacy', body, model, permitted: false, reads: false });
}

/** A multipart body can be read but not written: it has no fields, and moves only where nothing changes. */
function factsOf(call: Call): RequestFacts | null {
  const { contentType } = call.head;
  if (!contentType.toLowerCase().startsWith('multipart/')) return readFacts(call.body, call.dialect);
  const fields = readMultipartModel(contentType, call.body);
  return fields === null ? null : formFacts(fields.model, fields.stream);
}

function refuseBody(call: Call, reason: UnreadBody, maxBytes: number): void {
  // The rest is read and thrown away, or the caller would see a reset in place of the answer.
  call.request.resume();
  if (reason === 'too-large') {
    const message = `expected a body of at most ${maxBytes} bytes (gateway.maxBodyBytes), got more`;
    call.answer.refuse(badRequest('body_too_large', message, 413), true);
  } else if (reason === 'no-room') call.answer.refuse(GATEWAY_BUSY, true);
  else call.record.endedAs('aborted');
  call.finish();
}

/** A defect in serving one request must end that request and nothing else. */
function guard(call: Call, act: () => void): void {
  try {
    act();
  } catch (error) {
    call.broke(error);
  }
}
