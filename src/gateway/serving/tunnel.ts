import { lookup } from 'node:dns';
import { type ClientRequest, request as httpRequest, type IncomingMessage, STATUS_CODES } from 'node:http';
import { request as httpsRequest } from 'node:https';
import type { Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import { guardedLookup } from '../../core/access/address-guard';
import { isPassed } from '../answers/answer-head';
import type { Caller } from '../callers/callers';
import type { CallerRequest } from '../http1/caller-request';
import { errorBody, type GatewayError, upstreamError } from '../request/gateway-error';
import { closeWith, takeSocket } from '../sockets/connections';
import type { Defects } from '../telemetry/defects';
import type { Provider } from '../upstream/provider';
import { RedactedFrames } from './redacted-frames';
import type { OpenTunnel, Tunnels } from './tunnels';

export interface TunnelOptions {
  readonly provider: Provider;
  readonly caller: Caller;
  /** Path and query at the provider. */
  readonly path: string;
  /** Flat list of the caller's headers that are passed on. */
  readonly forward: readonly string[];
  /** When it was asked for, by the clock of all of the gateway. */
  readonly startedMs: number;
  readonly connectMs: number;
  /** Without a byte in either direction. */
  readonly idleMs: number;
  /** Where it is counted while it is open. */
  readonly tunnels: Tunnels;
  readonly defects: Defects;
  /** Called once with how it ended. */
  readonly ended: (outcome: string, status: number) => void;
}

/** A WebSocket has closed by its own handshake before TCP does: the other direction gets this long to end too. */
const HALF_CLOSED_MS = 5_000;
const ABOUT = { during: 'tunnel' };
const LOOKUP = guardedLookup((...asked) => lookup(...asked), true);

/** Tunnels a WebSocket upgrade to a provider: its own key, then bytes both ways until either side ends. */
export class Tunnel implements OpenTunnel {
  readonly caller: Caller;
  readonly #options: TunnelOptions;
  readonly #socket: Duplex;
  /** What the caller sent behind its request. */
  readonly #head: Buffer;
  readonly #protocol: string;
  #upstream: ClientRequest | null = null;
  #peer: Duplex | null = null;
  #timer: NodeJS.Timeout | undefined;
  #status = 502;
  #over = false;

  constructor(request: CallerRequest, socket: Duplex, head: Buffer, options: TunnelOptions) {
    takeSocket(socket);
    this.caller = options.caller;
    this.#options = options;
    this.#socket = socket;
    this.#head = head;
    this.#protocol = request.headers.upgrade ?? 'websocket';
  }

  open(): void {
    const { tunnels, connectMs } = this.#options;
    tunnels.add(this);
    this.#timer = setTimeout(() => this.#guard(() => this.#fail('timeout')), connectMs);
    this.#socket.once('close', () => this.#end(this.#status === 101 ? 'success' : 'aborted'));
    this.#guard(() => this.#connect());
  }

  cut(outcome: string): void {
    this.#end(outcome);
  }

  #connect(): void {
    const { provider, caller, path, forward, startedMs } = this.#options;
    const send = provider.base.protocol === 'https:' ? httpsRequest : httpRequest;
    const headers = [
      ...withoutKeyProtocol(provider.headers(forward, caller, startedMs)),
      ...['host', provider.base.host, 'connection', 'Upgrade', 'upgrade', this.#protocol],
    ];
    const upstream = send(provider.base.origin, {
      method: 'GET',
      path,
      headers,
      agent: false,
      lookup: LOOKUP,
    });
    this.#upstream = upstream;
    upstream.on('error', (error: NodeJS.ErrnoException) =>
      this.#guard(() => this.#fail(error.code ?? 'error')),
    );
    upstream.on('upgrade', (answer, peer, peerHead) => {
      takeSocket(peer);
      this.#guard(() => this.#join(answer, peer, peerHead));
    });
    upstream.on('response', (answer) => this.#guard(() => this.#decline(answer)));
    upstream.end();
  }

  #join(answer: IncomingMessage, peer: Socket, peerHead: Buffer): void {
    if (this.#over) {
      peer.destroy();
      return;
    }
    const socket = this.#socket;
    this.#peer = peer;
    this.#status = 101;
    clearTimeout(this.#timer);
    const headers = ['connection', 'Upgrade', 'upgrade', this.#protocol, ...this.#passedHeaders(answer)];
    socket.write(headText(101, 'Switching Protocols', headers));
    const redactor = this.#options.provider.keys.redactor();
    const frames = redactor === null ? socket : new RedactedFrames(redactor);
    if (peerHead.length > 0) frames.write(peerHead);
    if (this.#head.length > 0) peer.write(this.#head);
    // Whatever one side sends is written to the other: one of the two sockets sees all that happens.
    peer.setTimeout(this.#options.idleMs, () => this.#end('idle'));
    socket.pipe(peer);
    peer.pipe(frames);
    if (frames !== socket) frames.pipe(socket);
    socket.once('end', () => this.#halfClosed());
    peer.once('end', () => this.#halfClosed());
    peer.once('close', () => this.#end('success'));
  }

  /** The provider declined: its answer is the caller's to see. */
  #decline(answer: IncomingMessage): void {
    if (this.#over) return;
    const { statusCode = 502 } = answer;
    if (statusCode >= 300 && statusCode < 400) {
      this.#fail('malformed', `status ${statusCode}: redirects are not followed`);
      return;
    }
    this.#status = statusCode;
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.#end('timeout'), this.#options.connectMs);
    answer.on('error', () => this.#end('truncated'));
    // Bytes that arrive decoded end with the connection.
    const headers = [...this.#passedHeaders(answer), 'connection', 'close'];
    this.#socket.write(headText(statusCode, STATUS_CODES[statusCode] ?? 'Declined', headers));
    this.#passBody(answer, () => {
      closeWith(this.#socket, '');
      this.#end(`status ${statusCode}`);
    });
  }

  #passBody(answer: IncomingMessage, ended: () => void): void {
    const redactor = this.#options.provider.keys.redactor();
    const socket = this.#socket;
    answer.on('data', (chunk: Buffer) => {
      if (!socket.write(redactor === null ? chunk : redactor.push(chunk))) answer.pause();
    });
    socket.on('drain', () => answer.resume());
    answer.once('end', () => {
      const rest = redactor?.end() ?? null;
      if (rest !== null) socket.write(rest);
      ended();
    });
  }

  /** What callers may see of a provider's headers. */
  #passedHeaders({ rawHeaders }: IncomingMessage): string[] {
    const { keys } = this.#options.provider;
    const kept: string[] = [];
    for (let index = 0; index < rawHeaders.length; index += 2) {
      const name = rawHeaders[index] as string;
      const value = rawHeaders[index + 1] as string;
      const lower = name.toLowerCase();
      if (lower !== 'connection' && isPassed(lower, value)) kept.push(name, keys.redactHeader(value));
    }
    return kept;
  }

  #halfClosed(): void {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.#end('success'), HALF_CLOSED_MS);
  }

  /** It never came to a tunnel, and the caller has not been answered yet. */
  #fail(outcome: string, why: string | null = null): void {
    if (this.#over) return;
    if (this.#status === 502) {
      const message = `No answer from ${this.#options.provider.name}${why === null ? '' : `: ${why}`}.`;
      refuseUpgrade(this.#socket, upstreamError(502, why === null ? 'connect' : outcome, message));
    }
    this.#end(outcome);
  }

  #end(outcome: string): void {
    if (this.#over) return;
    this.#over = true;
    clearTimeout(this.#timer);
    this.#options.tunnels.remove(this);
    this.#upstream?.destroy();
    this.#peer?.destroy();
    // What was refused or declined closes by itself, once its answer is read.
    if (!this.#socket.writableEnded || this.#status === 101) this.#socket.destroy();
    try {
      this.#options.ended(outcome, this.#status);
    } catch (error) {
      this.#options.defects.report(error, ABOUT);
    }
  }

  /** A defect ends this tunnel and nothing else. */
  #guard(act: () => void): void {
    try {
      act();
    } catch (error) {
      this.#options.defects.report(error, ABOUT);
      this.#end('defect');
    }
  }
}

/** Answers an upgrade with an error and closes. */
export function refuseUpgrade(socket: Duplex, error: GatewayError): void {
  const body = errorBody(error, 'openai');
  const headers = [
    ...['content-type', 'application/json', 'content-length', `${Buffer.byteLength(body)}`],
    ...['connection', 'close'],
  ];
  if (error.retryAfterS !== undefined) headers.push('retry-after', `${error.retryAfterS}`);
  closeWith(socket, headText(error.status, 'Refused', headers) + body);
}

function headText(status: number, message: string, headers: readonly string[]): string {
  let text = `HTTP/1.1 ${status} ${message}\r\n`;
  for (let index = 0; index < headers.length; index += 2) {
    text += `${headers[index]}: ${headers[index + 1]}\r\n`;
  }
  return `${text}\r\n`;
}

/** Browsers carry keys as a WebSocket subprotocol: the caller's own is never passed on. */
function withoutKeyProtocol(headers: readonly string[]): string[] {
  const kept: string[] = [];
  for (let index = 0; index < headers.length; index += 2) {
    const name = headers[index] as string;
    const value = headers[index + 1] as string;
    if (name.toLowerCase() !== 'sec-websocket-protocol') {
      kept.push(name, value);
      continue;
    }
    const protocols = value
      .split(',')
      .map((protocol) => protocol.trim())
      .filter((protocol) => protocol !== '' && !protocol.startsWith('openai-insecure-api-key.'));
    if (protocols.length > 0) kept.push(name, protocols.join(', '));
  }
  return kept;
}
