import type { Dialect } from '../../../core/configuration/dialect';
import type { CallerAnswer } from '../../http1/caller-answer';
import type { CallerRequest } from '../../http1/caller-request';
import { errorEvent, type GatewayError, sendError, upstreamError } from '../../request/gateway-error';
import { lengthOf } from '../../request/long-body';
import type { Route } from '../../routing/route';
import { cutOff } from '../../sockets/connections';
import type { MemoryAccount } from '../../sockets/memory-budget';
import type { Attempt } from '../../upstream/attempt';
import type { AnswerSink } from '../../upstream/attempt-options';
import { type Failure, gatewayStatus } from '../../upstream/failure';
import type { Services } from '../services';
import type { CallRecord } from './call-record';
import { UnsentAnswer } from './unsent-answer';

/** The call whose answer it is. */
export interface AnsweredCall {
  readonly services: Services;
  readonly route: Route;
  readonly request: CallerRequest;
  readonly response: CallerAnswer;
  /** What the caller's team holds of the memory of this process. */
  readonly memory: MemoryAccount;
  /** In which the gateway's own errors are said. */
  readonly dialect: Dialect;
  readonly record: CallRecord;
  /** Whether the answer that is passed on is a stream. */
  readonly streams: boolean;
  /** The caller has read what it was given: more may come. */
  resume(): void;
  /** What was left of the answer is read, or its caller is gone. */
  answerLeft(): void;
}

/** The one place where a caller's answer is written: a provider's, or the gateway's own error. */
export class CallAnswer implements AnswerSink {
  readonly #call: AnsweredCall;
  #unsent: UnsentAnswer | null = null;

  constructor(call: AnsweredCall) {
    this.#call = call;
  }

  /** Something of the answer has not been read yet. */
  get isUnread(): boolean {
    return this.#unsent !== null;
  }

  begin(status: number, headers: string[], contentLength: number | null): void {
    const { response } = this.#call;
    if (response.headersSent || response.destroyed) return;
    if (contentLength !== null) headers.push('content-length', `${contentLength}`);
    response.writeHead(status, this.#withGatewayHeaders(headers));
    response.on('drain', () => this.#call.resume());
  }

  flush(): void {
    const { response } = this.#call;
    if (!response.destroyed) response.flushHeaders();
  }

  write(bytes: Buffer): boolean {
    const { response } = this.#call;
    return response.destroyed || response.write(bytes);
  }

  end(): void {
    this.#call.response.end();
  }

  whole(status: number, headers: string[], pieces: Buffer[]): void {
    const { response } = this.#call;
    if (response.headersSent || response.destroyed) return;
    const length = lengthOf(pieces);
    headers.push('content-length', `${length}`);
    response.writeHead(status, this.#withGatewayHeaders(headers));
    if (length > ONE_WRITE_BYTES) {
      this.#sendRest(pieces);
      return;
    }
    const [first] = pieces;
    response.end(pieces.length === 1 && first !== undefined ? first : Buffer.concat(pieces));
  }

  breakOff(failure: Failure): void {
    const { response, request, dialect, streams } = this.#call;
    if (response.destroyed) return;
    if (failure.kind === 'aborted' && response.socket.writableNeedDrain) {
      // A caller that does not read would not read of its end either.
      response.destroy();
      return;
    }
    if (!response.headersSent) {
      this.fail(failure);
      return;
    }
    if (streams) {
      const error = upstreamError(502, 'stream_cut', `The answer could not be completed: ${failure.why}.`);
      response.write(errorEvent(error, dialect));
    }
    // Without the end of the coding: the caller sees a connection that was cut, never a clean end.
    response.writeOut();
    cutOff(response.socket, request.httpVersion === '1.0');
  }

  /** The answer that an attempt held back, or where it has none the gateway's own error. */
  deliver(attempt: Attempt, failure: Failure): void {
    const { head } = attempt;
    if (!attempt.holdsAnswer) this.fail(failure);
    else if (head !== null) this.whole(attempt.status, head.headers, [attempt.heldBody]);
  }

  /** Answers with an error of the gateway. */
  refuse(error: GatewayError, close = false): void {
    const { response, dialect, record } = this.#call;
    record.endedAs(error.code);
    sendError(response, { error, dialect, headers: this.#withGatewayHeaders([]), close });
  }

  /** The gateway's own error for an attempt that gave no answer at all. */
  fail(failure: Failure): void {
    const name = this.#call.record.servedBy?.name ?? 'the provider';
    const message = `No answer from ${name}: ${failure.why}.`;
    this.refuse(upstreamError(gatewayStatus(failure), failure.kind, message));
  }

  /** Nothing more is written: what the caller has still to read is held for as long as it reads. */
  finish(): void {
    const { response } = this.#call;
    if (this.#unsent === null && response.writableLength > 0 && !response.destroyed) this.#sendRest([]);
  }

  /** Ends the connection of a caller that has not read all of it. */
  cut(): void {
    this.#unsent?.cut();
  }

  /** The connection is gone, or all of the answer has left. */
  closed(): void {
    this.#unsent?.closed();
  }

  #sendRest(pieces: Buffer[]): void {
    const { response, memory, services, record, route } = this.#call;
    const { timeouts } = (record.servedBy ?? route.providers.legacy).configuration;
    const idleMs = timeouts.streamIdle;
    const unsent = new UnsentAnswer(
      { response, pieces, account: memory, idleMs, over: () => this.#sent(unsent) },
      services,
    );
    this.#unsent = unsent;
    unsent.start();
  }

  #sent(unsent: UnsentAnswer): void {
    this.#unsent = null;
    if (!unsent.isSent) this.#call.record.cut();
    this.#call.answerLeft();
  }

  #withGatewayHeaders(headers: string[]): string[] {
    const { record, route } = this.#call;
    if (!route.configuration.exposeHeaders) return headers;
    const { servedBy, servedModel, failover } = record;
    if (servedBy !== null) headers.push('x-cutover-provider', servedBy.name);
    headers.push('x-cutover-epoch', `${record.epoch}`);
    if (servedModel !== null && isSafeValue(servedModel)) headers.push('x-cutover-model', servedModel);
    if (failover !== null) headers.push('x-cutover-failover', failover);
    if (record.draw !== 'none') headers.push('x-cutover-request', this.#token());
    return headers;
  }

  /** By what an application reports on this answer. */
  #token(): string {
    const { services, route, record } = this.#call;
    const arm = record.draw === 'as asked' ? record.arm : null;
    return services.outcomes?.issue(route.name, record.epoch, arm, record.bucket) ?? '';
  }
}

/** Longer answers leave in pieces, as fast as their callers read. */
const ONE_WRITE_BYTES = 16_384;

let lastSafeValue = '';

/** Whether a text may stand in a header; nearly always it is the same as the last time. */
function isSafeValue(text: string): boolean {
  if (text === lastSafeValue) return true;
  if (!SAFE_VALUE.test(text)) return false;
  lastSafeValue = text;
  return true;
}

const SAFE_VALUE = /^[\x21-\x7e][\x20-\x7e]{0,255}$/;
