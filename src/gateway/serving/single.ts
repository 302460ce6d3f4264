import type { Readable } from 'node:stream';
import type { Arm } from '../../core/routing/routing';
import { LongBody } from '../request/long-body';
import { Attempt, type AttemptOwner } from '../upstream/attempt';
import type { AnswerSink, AttemptOptions } from '../upstream/attempt-options';
import type { Call } from './call/call';
import { attemptLimits } from './limits';

/** What to ask of one provider, outside of the arms. */
export interface SingleAsk {
  readonly provider: Arm;
  readonly body: Buffer | LongBody | Readable | null;
  readonly model: string | null;
  /** Sent under the routing's permit, for what belongs to the candidate only while it is completely there. */
  readonly permitted: boolean;
  /** Read the answer's id on the side. */
  readonly reads: boolean;
}

/** Told how an attempt ended before anything was passed on; true when it takes over from here. */
export type TakeOver = (attempt: Attempt) => boolean;

/** Serves a request from one provider as it is; its errors are the caller's to see. */
export function serveSingle(call: Call, ask: SingleAsk, takeOver: TakeOver = () => false): void {
  const { route, services, caller, head } = call;
  const upstream = route.providers[ask.provider];
  if (upstream.inFlight >= upstream.configuration.maxConcurrent) {
    call.refuseBusy(ask.provider);
    return;
  }
  const options: AttemptOptions = {
    provider: upstream,
    caller,
    method: call.request.method ?? 'GET',
    path: upstream.path(call.path, call.query, caller),
    headers: withLength(
      upstream.headers(call.forward(), caller, services.now()),
      ask.body,
      head.contentLength,
    ),
    body: ask.body,
    endpoint: ask.reads ? (call.traffic.endpoint === 'responses' ? 'responses' : 'json') : 'opaque',
    streams: call.facts?.stream ?? false,
    mayStream: true,
    choices: 1,
    asks: null,
    keeps: false,
    holds: false,
    reads: ask.reads,
    removesUsage: false,
    replayable: false,
    limits: attemptLimits(call, 'legacy'),
    maxHeldBytes: services.configuration.gateway.maxBodyBytes,
    permit: ask.permitted ? route.state.permit(route.state.epoch) : null,
  };
  const attempt = new Attempt(options, new SingleOwner(call, ask, takeOver), services);
  call.current = attempt;
  attempt.dispatch();
}

class SingleOwner implements AttemptOwner {
  constructor(
    private readonly call: Call,
    private readonly ask: SingleAsk,
    private readonly takeOver: TakeOver,
  ) {}

  attemptCommitted(attempt: Attempt): AnswerSink {
    this.#claim(attempt);
    return this.call.answer;
  }

  attemptEnded(attempt: Attempt): void {
    const { call } = this;
    const { failure, committed } = attempt;
    call.attemptEnded(attempt, call.traffic.class);
    if (failure !== null && !committed && !call.callerIsGone) {
      if (this.takeOver(attempt)) return;
      this.#claim(attempt);
      call.answer.deliver(attempt, failure);
    }
    if (this.ask.reads) this.#rememberMade(attempt);
    call.servedBy(attempt, this.ask.provider);
  }

  attemptBroke(): void {
    this.call.endBroken();
  }

  /** Keeps who made what a creation's answer names. */
  #rememberMade(attempt: Attempt): void {
    const { call, ask } = this;
    if (call.request.method !== 'POST' || !attempt.committed) return;
    const id = attempt.scanner?.objectId ?? attempt.plain?.objectId ?? null;
    if (id !== null) call.route.makers.remember(id, ask.provider);
  }

  #claim(attempt: Attempt): void {
    this.call.record.served(attempt, this.ask.model);
  }
}

/** A body that is passed on as it comes keeps the length that its caller gave. */
function withLength(headers: string[], body: SingleAsk['body'], length: number | null): string[] {
  if (body !== null && !Buffer.isBuffer(body) && !(body instanceof LongBody) && length !== null) {
    headers.push('content-length', `${length}`);
  }
  return headers;
}
