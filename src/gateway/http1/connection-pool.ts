import { lookup } from 'node:dns';
import { connect as connectTcp, isIP, type Socket } from 'node:net';
import { connect as connectTls } from 'node:tls';
import { guardedLookup } from '../../core/access/address-guard';
import { Connection, ConnectionClosed, type ConnectionOwner } from './connection';
import { Exchange, type ExchangeHandler, type UpstreamRequest } from './exchange';
import { type Writer, writeThisTurn } from './write-turn';

export interface ConnectionPoolOptions {
  /** `http:` or `https:`; path and query do not matter. */
  readonly origin: URL;
  /** Sockets that may be open at a time; further requests wait. */
  readonly connections: number;
  /** How long a connection may take to open, TLS included, milliseconds. */
  readonly connectMs: number;
}

/** A connection that did not open in time. */
class ConnectTimeout extends Error {
  override readonly name = 'ConnectTimeout';
  readonly code = 'CONNECT_TIMEOUT';
  constructor(afterMs: number) {
    super(`expected a connection within ${afterMs} ms`);
  }
}

/** Whoever owns a provider's name could have it lead to a metadata service, which would be sent key and prompt. */
const LOOKUP = guardedLookup((...asked) => lookup(...asked), true);
const SWEEP_MS = 1_000;
const TCP_KEEP_ALIVE_MS = 60_000;

/**
 * The connections to one provider over HTTP/1.1, one request on each at a time. A request is sent once: whether it
 * is made again is not decided here.
 */
export class ConnectionPool implements ConnectionOwner, Writer {
  readonly #options: ConnectionPoolOptions;
  readonly #open = new Set<Connection>();
  /** The one used last is taken first, so that those that are not needed grow old. */
  readonly #idle: Connection[] = [];
  readonly #waiting: Exchange[] = [];
  /** To be sent in this turn. */
  readonly #due: Exchange[] = [];
  readonly #sweep: NodeJS.Timeout;
  #connecting = 0;
  #destroyed = false;
  #session: Buffer | undefined;

  constructor(options: ConnectionPoolOptions) {
    this.#options = options;
    this.#sweep = setInterval(() => this.#closeOld(), SWEEP_MS);
    this.#sweep.unref();
  }

  /** Sends a request, now or when there is a connection for it. */
  dispatch(request: UpstreamRequest, handler: ExchangeHandler): void {
    const exchange = new Exchange(request, handler);
    if (this.#destroyed) {
      handler.onError(new ConnectionClosed());
      return;
    }
    this.#due.push(exchange);
    if (this.#due.length === 1) writeThisTurn(this);
  }

  writeOut(): void {
    for (const exchange of this.#due.splice(0)) {
      const connection = this.#waiting.length === 0 ? this.#takeIdle() : null;
      if (connection === null) {
        this.#waiting.push(exchange);
        this.#openMore();
      } else if (!this.#start(connection, exchange)) this.#idle.push(connection);
    }
  }

  /** Ends every connection and fails every request. */
  async destroy(): Promise<void> {
    this.#destroyed = true;
    clearInterval(this.#sweep);
    for (const connection of this.#open) connection.destroy();
    for (const exchange of [...this.#due.splice(0), ...this.#waiting.splice(0)])
      exchange.handler.onError(new ConnectionClosed());
  }

  connectionOpened(connection: Connection): void {
    this.#connecting -= 1;
    connection.idleUntilMs = performance.now() + TCP_KEEP_ALIVE_MS;
    this.connectionFreed(connection);
  }

  connectionFreed(connection: Connection): void {
    for (let exchange = this.#waiting.shift(); exchange !== undefined; exchange = this.#waiting.shift()) {
      if (this.#start(connection, exchange)) return;
    }
    this.#idle.push(connection);
  }

  connectionClosed(connection: Connection, error: Error | null): void {
    this.#open.delete(connection);
    const place = this.#idle.indexOf(connection);
    if (place >= 0) this.#idle.splice(place, 1);
    if (error !== null) {
      this.#connecting -= 1;
      // Each connection is opened for one that waits, unless that one has found another meanwhile.
      if (this.#waiting.length > this.#connecting) this.#waiting.shift()?.handler.onError(error);
    }
    this.#openMore();
  }

  /** False when its handler has aborted it, and the connection is still free. */
  #start(connection: Connection, exchange: Exchange): boolean {
    try {
      exchange.handler.onConnect(exchange);
    } catch (error) {
      exchange.aborted = true;
      exchange.handler.onError(error as Error);
    }
    if (exchange.aborted) return false;
    connection.send(exchange);
    return true;
  }

  #takeIdle(): Connection | null {
    for (let connection = this.#idle.pop(); connection !== undefined; connection = this.#idle.pop()) {
      if (connection.usable && connection.idleUntilMs > performance.now()) return connection;
      connection.destroy();
    }
    return null;
  }

  #openMore(): void {
    if (this.#destroyed) return;
    while (this.#connecting < this.#waiting.length && this.#open.size < this.#options.connections) {
      this.#connecting += 1;
      this.#open.add(this.#connect());
    }
  }

  #connect(): Connection {
    const { origin, connectMs } = this.#options;
    const host = origin.hostname.replace(/^\[|\]$/g, '');
    const isSecure = origin.protocol === 'https:';
    const port = Number(origin.port === '' ? (isSecure ? 443 : 80) : origin.port);
    const socket = isSecure ? this.#connectTls(host, port) : connectTcp({ host, port, lookup: LOOKUP });
    socket.setNoDelay(true);
    socket.setKeepAlive(true, TCP_KEEP_ALIVE_MS);
    const openEvent = isSecure ? 'secureConnect' : 'connect';
    const timer = setTimeout(() => socket.destroy(new ConnectTimeout(connectMs)), connectMs);
    socket.once(openEvent, () => clearTimeout(timer));
    socket.once('close', () => clearTimeout(timer));
    return new Connection(socket, origin.host, openEvent, this);
  }

  #connectTls(host: string, port: number): Socket {
    const socket = connectTls({
      host,
      port,
      lookup: LOOKUP,
      ALPNProtocols: ['http/1.1'],
      ...(isIP(host) === 0 ? { servername: host } : {}),
      ...(this.#session === undefined ? {} : { session: this.#session }),
    });
    socket.on('session', (session) => {
      this.#session = session;
    });
    return socket;
  }

  #closeOld(): void {
    const nowMs = performance.now();
    for (const connection of this.#idle) {
      if (connection.idleUntilMs <= nowMs) connection.destroy();
    }
  }
}
