import { request as httpRequest, type IncomingMessage } from 'node:http';
import { request as httpsRequest } from 'node:https';
import type { Duplex } from 'node:stream';
import type { Caller } from './callers';
import { errorBody, type GatewayError, upstreamError } from './openai-error';
import type { Provider } from './provider';

export interface TunnelOptions {
  readonly provider: Provider;
  readonly caller: Caller;
  /** Path and query at the provider. */
  readonly path: string;
  /** Flat list of the caller's headers that are passed on. */
  readonly forward: readonly string[];
  readonly connectMs: number;
  /** Told once how it ended. */
  readonly ended: (outcome: string, status: number) => void;
}

/** Tunnels a WebSocket upgrade to a provider: its own key, then bytes both ways until either side ends. */
export function openTunnel(
  request: IncomingMessage,
  socket: Duplex,
  head: Buffer,
  options: TunnelOptions,
): void {
  const { provider, caller, path, forward, ended } = options;
  let over = false;
  const end = (outcome: string, status: number) => {
    if (over) return;
    over = true;
    ended(outcome, status);
  };
  const send = provider.base.protocol === 'https:' ? httpsRequest : httpRequest;
  const headers = [
    ...withoutKeyProtocol(provider.headers(forward, caller)),
    'host',
    provider.base.host,
    'connection',
    'Upgrade',
    'upgrade',
    request.headers.upgrade ?? 'websocket',
  ];
  const upstream = send(provider.base.origin, { method: 'GET', path, headers, agent: false });
  const timer = setTimeout(() => upstream.destroy(new Error('no answer to the upgrade')), options.connectMs);
  socket.on('error', () => upstream.destroy());
  socket.on('close', () => upstream.destroy());
  upstream.on('upgrade', (answer, peer, peerHead) => {
    clearTimeout(timer);
    socket.write(headText(101, 'Switching Protocols', answer.rawHeaders));
    if (peerHead.length > 0) socket.write(peerHead);
    if (head.length > 0) peer.write(head);
    socket.pipe(peer);
    peer.pipe(socket);
    peer.on('error', () => socket.destroy());
    peer.on('close', () => {
      socket.destroy();
      end('success', 101);
    });
    socket.on('close', () => peer.destroy());
  });
  upstream.on('response', (answer) => {
    clearTimeout(timer);
    // The provider declined: its answer is the caller's to see.
    const { statusCode = 502, statusMessage = '' } = answer;
    socket.write(headText(statusCode, statusMessage, closing(answer.rawHeaders)));
    answer.pipe(socket);
    end(`status ${statusCode}`, statusCode);
  });
  upstream.on('error', (error) => {
    clearTimeout(timer);
    if (!over) refuseUpgrade(socket, upstreamError(502, 'connect', `No answer from ${provider.name}.`));
    end((error as NodeJS.ErrnoException).code ?? 'error', 502);
  });
  upstream.end();
}

/** Answers an upgrade with an error and closes. */
export function refuseUpgrade(socket: Duplex, error: GatewayError): void {
  if (!socket.writable) {
    socket.destroy();
    return;
  }
  const body = errorBody(error);
  const headers = [
    ...['content-type', 'application/json', 'content-length', `${Buffer.byteLength(body)}`],
    ...['connection', 'close'],
  ];
  socket.end(headText(error.status, 'Refused', headers) + body);
}

function headText(status: number, message: string, headers: readonly string[]): string {
  let text = `HTTP/1.1 ${status} ${message}\r\n`;
  for (let index = 0; index < headers.length; index += 2) {
    if ((headers[index] as string).toLowerCase() !== 'set-cookie') {
      text += `${headers[index]}: ${headers[index + 1]}\r\n`;
    }
  }
  return `${text}\r\n`;
}

function closing(headers: readonly string[]): string[] {
  const kept: string[] = [];
  for (let index = 0; index < headers.length; index += 2) {
    const name = (headers[index] as string).toLowerCase();
    // The body arrives decoded, so its end is the end of the connection.
    if (name !== 'connection' && name !== 'transfer-encoding' && name !== 'keep-alive') {
      kept.push(headers[index] as string, headers[index + 1] as string);
    }
  }
  return [...kept, 'connection', 'close'];
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
