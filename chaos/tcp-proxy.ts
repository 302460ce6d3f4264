import { connect, createServer, type Server, type Socket } from 'node:net';

/**
 * What a way does to the bytes on it. `cut`: connections are reset and new ones refused. `hold`: nothing passes in
 * either direction; what waited arrives when the way is open again, as after a partition. `delay`: all of it is late.
 */
export type WayMode =
  | { readonly mode: 'open' | 'cut' | 'hold' }
  | { readonly mode: 'delay'; readonly delayMs: number };

/** A TCP proxy on loopback in front of one address, whose way can be broken. */
export class TcpProxy {
  readonly #server: Server;
  readonly #pairs = new Set<Pair>();
  #way: WayMode = { mode: 'open' };

  private constructor(targetPort: number) {
    this.#server = createServer({ allowHalfOpen: true }, (near) => {
      if (this.#way.mode === 'cut') {
        near.resetAndDestroy();
        return;
      }
      const pair = new Pair(near, targetPort, this.#way, () => this.#pairs.delete(pair));
      this.#pairs.add(pair);
    });
  }

  static async start(port: number, targetPort: number): Promise<TcpProxy> {
    const proxy = new TcpProxy(targetPort);
    await new Promise<void>((resolve, reject) => {
      proxy.#server.once('error', reject);
      proxy.#server.listen(port, '127.0.0.1', resolve);
    });
    return proxy;
  }

  set(way: WayMode): void {
    this.#way = way;
    for (const pair of this.#pairs) {
      if (way.mode === 'cut') pair.reset();
      else pair.follow(way);
    }
  }

  stop(): Promise<void> {
    for (const pair of this.#pairs) pair.reset();
    return new Promise((resolve) => this.#server.close(() => resolve()));
  }
}

/** One connection through the proxy. */
class Pair {
  readonly #far: Socket;
  readonly #directions: readonly Direction[];

  constructor(
    readonly near: Socket,
    targetPort: number,
    way: WayMode,
    gone: () => void,
  ) {
    this.#far = connect({ port: targetPort, host: '127.0.0.1', allowHalfOpen: true });
    for (const socket of [near, this.#far]) {
      socket.setNoDelay(true);
      socket.on('error', () => this.reset());
      socket.once('close', (hadError) => {
        gone();
        if (hadError) this.reset();
      });
    }
    this.#directions = [new Direction(near, this.#far, way), new Direction(this.#far, near, way)];
  }

  follow(way: WayMode): void {
    for (const direction of this.#directions) direction.follow(way);
  }

  reset(): void {
    for (const socket of [this.near, this.#far]) if (!socket.destroyed) socket.resetAndDestroy();
  }
}

/** Bytes from one socket to the other, in their order; `null` stands for the end. */
class Direction {
  readonly #waiting: { readonly piece: Buffer | null; readonly dueMs: number }[] = [];
  #timer: NodeJS.Timeout | null = null;

  constructor(
    from: Socket,
    private readonly to: Socket,
    private way: WayMode,
  ) {
    const take = (piece: Buffer | null) => {
      const delayMs = this.way.mode === 'delay' ? this.way.delayMs : 0;
      this.#waiting.push({ piece, dueMs: performance.now() + delayMs });
      this.#pass();
    };
    from.on('data', take);
    from.once('end', () => take(null));
  }

  follow(way: WayMode): void {
    this.way = way;
    this.#pass();
  }

  #pass(): void {
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#timer = null;
    while (this.way.mode !== 'hold') {
      const next = this.#waiting[0];
      if (next === undefined) return;
      const lateMs = next.dueMs - performance.now();
      if (lateMs > 0) {
        this.#timer = setTimeout(() => this.#pass(), lateMs);
        return;
      }
      this.#waiting.shift();
      if (next.piece === null) this.to.end();
      else this.to.write(next.piece);
    }
  }
}
