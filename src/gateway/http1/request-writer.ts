import type { Socket } from 'node:net';
import type { Readable } from 'node:stream';
import { latin1 } from '../json/latin1';
import type { UpstreamRequest } from './exchange';
import { isField } from './field-lines';

/** Thrown for a request that cannot be written as HTTP/1.1. */
class InvalidRequest extends Error {
  override readonly name = 'InvalidRequest';
}

/** Head and body up to this leave in one piece, which costs a copy and saves a call of the system. */
const ONE_PIECE_BYTES = 16_384;
const METHOD = /^[A-Z]+$/;
const NOT_IN_PATH = /[^\x21-\x7e\x80-\xff]/;
const BODY_METHODS = new Set(['POST', 'PUT', 'PATCH']);

/**
 * Writes a request whose body is in memory; for one with a stream only the head, and its length or null for
 * chunked is returned. Throws `InvalidRequest` before anything is written.
 */
export function writeRequest(socket: Socket, host: string, request: UpstreamRequest): number | null {
  const { body, method } = request;
  if (typeof body === 'string') {
    const isLatin1 = Buffer.byteLength(body) === body.length;
    if (isLatin1 && body.length <= ONE_PIECE_BYTES) {
      socket.write(`${headOf(request, host, body.length)}\r\n${body}`, 'latin1');
    } else writeBytes(socket, request, host, Buffer.from(body));
    return 0;
  }
  if (body === null) {
    socket.write(`${headOf(request, host, BODY_METHODS.has(method) ? 0 : null)}\r\n`, 'latin1');
    return 0;
  }
  if (Buffer.isBuffer(body)) {
    writeBytes(socket, request, host, body);
    return 0;
  }
  const length = givenLength(request.headers);
  const head = headOf(request, host, length);
  socket.write(`${head}${length === null ? 'transfer-encoding: chunked\r\n' : ''}\r\n`, 'latin1');
  return length;
}

function writeBytes(socket: Socket, request: UpstreamRequest, host: string, body: Buffer): void {
  const head = `${headOf(request, host, body.length)}\r\n`;
  if (body.length <= ONE_PIECE_BYTES) {
    socket.write(head + latin1(body), 'latin1');
    return;
  }
  socket.cork();
  socket.write(head, 'latin1');
  socket.write(body);
  socket.uncork();
}

/** The head without its last line; null length: none is said. */
function headOf({ method, path, headers }: UpstreamRequest, host: string, length: number | null): string {
  if (!METHOD.test(method)) throw new InvalidRequest(`expected a method, got "${method.slice(0, 20)}"`);
  if (NOT_IN_PATH.test(path))
    throw new InvalidRequest('expected a path without blanks and control characters');
  let lines = '';
  let named = host;
  for (let index = 0; index < headers.length; index += 2) {
    const name = headers[index] as string;
    const value = headers[index + 1] as string;
    const role = roleOf(name);
    if (role === 'length') continue;
    if (role === 'host') {
      named = value;
      continue;
    }
    if (!isField(name, value))
      throw new InvalidRequest(`expected a valid header, got "${name.slice(0, 60)}"`);
    lines += `${name}: ${value}\r\n`;
  }
  if (!isField('host', named)) throw new InvalidRequest('expected a valid host header');
  const framing = length === null ? '' : `content-length: ${length}\r\n`;
  return `${method} ${path} HTTP/1.1\r\nhost: ${named}\r\nconnection: keep-alive\r\n${lines}${framing}`;
}

/** Headers that are written from elsewhere; throws for those that would change how the message is framed. */
function roleOf(name: string): 'host' | 'length' | null {
  switch (name.length) {
    case 4:
      return name.toLowerCase() === 'host' ? 'host' : null;
    case 14:
      return name.toLowerCase() === 'content-length' ? 'length' : null;
    case 6:
    case 7:
    case 10:
    case 17:
      if (FRAMING.has(name.toLowerCase())) {
        throw new InvalidRequest(`expected no header ${name}: the gateway frames its own messages`);
      }
  }
  return null;
}

const FRAMING = new Set(['connection', 'keep-alive', 'transfer-encoding', 'upgrade', 'expect']);

function givenLength(headers: readonly string[]): number | null {
  for (let index = 0; index < headers.length; index += 2) {
    if ((headers[index] as string).toLowerCase() === 'content-length') return Number(headers[index + 1]);
  }
  return null;
}

/**
 * Sends a body as it comes. `ended` is called once: with null when all of it was given to the socket, or with why
 * the request cannot be completed.
 */
export function pumpBody(
  body: Readable,
  socket: Socket,
  length: number | null,
  ended: (error: Error | null) => void,
): void {
  let sent = 0;
  let over = false;
  const end = (error: Error | null) => {
    if (over) return;
    over = true;
    socket.off('drain', resume);
    socket.off('close', gone);
    body.destroy();
    ended(error);
  };
  const resume = () => body.resume();
  const gone = () => end(null);
  socket.on('drain', resume);
  // Taken off again: a connection outlives many bodies, and would keep each of them.
  socket.on('close', gone);
  body.on('data', (piece: Buffer) => {
    if (over || piece.length === 0) return;
    sent += piece.length;
    if (length !== null && sent > length) {
      end(new InvalidRequest(`expected a body of ${length} bytes, got more`));
      return;
    }
    if (length === null) {
      socket.cork();
      socket.write(`${piece.length.toString(16)}\r\n`, 'latin1');
    }
    let hasRoom = socket.write(piece);
    if (length === null) {
      hasRoom = socket.write('\r\n', 'latin1');
      socket.uncork();
    }
    if (!hasRoom) body.pause();
  });
  body.on('end', () => {
    if (over) return;
    if (length !== null && sent < length) {
      end(new InvalidRequest(`expected a body of ${length} bytes, got ${sent}`));
      return;
    }
    if (length === null) socket.write('0\r\n\r\n', 'latin1');
    end(null);
  });
  body.on('error', (error: Error) => end(error));
  body.on('close', () => end(new InvalidRequest('expected the whole body, got its beginning')));
}
