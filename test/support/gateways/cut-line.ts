import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net';

/** A line to a server that a test can cut in the ways in which networks do. */
export interface CutLine {
  /** `host:port` to connect to in place of the server. */
  readonly address: string;
  /** Nothing passes any more in either direction, and nobody hears of it: what a stopped process looks like. */
  freeze(): void;
  /** What the server sends no longer arrives; what is sent to it does. */
  halfClose(): void;
  /** Open connections are reset and new ones are refused. */
  refuse(): Promise<void>;
  /** Everything passes again; what was frozen is delivered. */
  heal(): Promise<void>;
  stop(): Promise<void>;
}

/** Opens a line to a server on loopback. */
export async function openCutLine(target: string): Promise<CutLine> {
  const [host = '', port = ''] = target.split(':');
  const pairs = new Set<readonly [Socket, Socket]>();
  let isFrozen = false;
  const accept = (caller: Socket): void => {
    const server = connect(Number(port), host);
    const pair = [caller, server] as const;
    pairs.add(pair);
    for (const [from, to] of [pair, [server, caller] as const]) {
      from.setNoDelay(true);
      from.on('data', (chunk) => void to.write(chunk));
      from.on('end', () => to.end());
      from.on('error', () => undefined);
      from.on('close', () => {
        to.destroy();
        pairs.delete(pair);
      });
    }
    if (isFrozen) pause(pair);
  };
  const pause = ([caller, server]: readonly [Socket, Socket]): void => {
    caller.pause();
    server.pause();
  };
  const listener = createServer(accept);
  const address = await listen(listener, 0);
  const closeAll = (): void => {
    for (const pair of pairs) for (const socket of pair) socket.resetAndDestroy();
  };
  return {
    address,
    freeze() {
      isFrozen = true;
      for (const pair of pairs) pause(pair);
    },
    halfClose() {
      for (const [, server] of pairs) server.pause();
    },
    async refuse() {
      const closed = once(listener, 'close');
      listener.close();
      closeAll();
      await closed;
    },
    async heal() {
      isFrozen = false;
      if (!listener.listening) await listen(listener, Number(address.split(':')[1]));
      for (const pair of pairs) for (const socket of pair) socket.resume();
    },
    async stop() {
      closeAll();
      if (!listener.listening) return;
      const closed = once(listener, 'close');
      listener.close();
      await closed;
    },
  };
}

async function listen(server: Server, port: number): Promise<string> {
  server.listen(port, '127.0.0.1');
  await once(server, 'listening');
  return `127.0.0.1:${(server.address() as AddressInfo).port}`;
}
