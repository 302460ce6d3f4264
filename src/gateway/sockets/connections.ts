import type { Server, Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import { TLSSocket } from 'node:tls';

/**
 * For how long a connection that was answered and closed may still send: a caller that is cut while it writes loses
 * the answer.
 */
const LINGER_MS = 2_000;

/** An error without a listener ends the process. The socket destroys itself, and whoever needs to know hears `close`. */
const HEARD = () => {};

/**
 * Takes a socket that HTTP has let go of, or never had. To be called before anything is written to it: HTTP has
 * removed its own listener for errors by then.
 */
export function takeSocket(socket: Duplex): void {
  if (!socket.listeners('error').includes(HEARD)) socket.on('error', HEARD);
}

/** Writes the last bytes to a socket of any state and closes it, whatever its other end does. */
export function closeWith(socket: Duplex, lastBytes: string): void {
  takeSocket(socket);
  if (!socket.writable) {
    socket.destroy();
    return;
  }
  const timer = setTimeout(() => socket.destroy(), LINGER_MS);
  socket.once('close', () => clearTimeout(timer));
  socket.end(lastBytes);
  // Unread, what still comes would hide that the other end has closed too.
  socket.unpipe();
  socket.resume();
}

/**
 * Cuts a connection in the middle of an answer, as soon as what was written has left. A caller of HTTP/1.0 has
 * nothing but the end of the connection to know the end of an answer by: `resets` makes that end an error.
 */
export function cutOff(socket: Socket, resets: boolean): void {
  const timer = setTimeout(() => socket.destroy(), LINGER_MS);
  socket.once('close', () => clearTimeout(timer));
  if (!resets) socket.end(() => socket.destroy());
  else socket.write('', () => setTimeout(reset, BEFORE_RESET_MS, socket));
}

/** libuv, and so a caller on Node, takes data and a reset that it finds together for a clean end. */
const BEFORE_RESET_MS = 100;

function reset(socket: Socket): void {
  // Without the closing alert of TLS its end is an error already; there is no way to reset below it.
  if (socket instanceof TLSSocket) socket.destroy();
  else socket.resetAndDestroy();
}

/** Every open connection of one listener, whatever HTTP makes of it: a request, a tunnel, or a refusal. */
export class Connections {
  readonly #server: Server;
  readonly #open = new Set<Socket>();
  #refused = 0;

  /** Above `atMost` open connections further ones are closed as soon as they are made. */
  constructor(
    server: Server,
    readonly atMost: number,
  ) {
    this.#server = server;
    server.maxConnections = atMost;
    server.on('connection', (socket: Socket) => {
      if (this.#open.has(socket)) return;
      takeSocket(socket);
      this.#open.add(socket);
      socket.once('close', () => this.#open.delete(socket));
    });
    const refuse = () => {
      this.#refused += 1;
    };
    server.on('drop', refuse);
    // A connection that could not be accepted (no descriptor left): without a listener it ends the process.
    server.on('error', refuse);
  }

  get open(): number {
    return this.#open.size;
  }

  /** How many were closed at once because of `atMost`, or could not be accepted, since the start. */
  get refused(): number {
    return this.#refused;
  }

  /** Gives the listener a connection that another process has accepted. */
  take(socket: Socket): void {
    if (this.open < this.atMost) {
      this.#server.emit('connection', socket);
      return;
    }
    this.#refused += 1;
    socket.destroy();
  }

  destroyAll(): void {
    for (const socket of this.#open) socket.destroy();
  }
}
