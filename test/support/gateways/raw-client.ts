import { connect, type Socket } from 'node:net';

/** A connection that a test drives byte by byte; what arrived is kept. */
export interface RawClient {
  readonly socket: Socket;
  /** What arrived so far, as latin1. */
  received(): string;
  /** Resolves when the connection is over: `end` by the other side's FIN, `reset` by an error. */
  readonly over: Promise<'end' | 'reset'>;
  /** Resolves once a text has arrived; rejects when the connection is over before. */
  until(text: string): Promise<string>;
}

/** Connects to this machine; `half` keeps its own side open after the other one has ended. */
export async function rawClient(port: number, half = false): Promise<RawClient> {
  const socket = connect({ port, host: '127.0.0.1', allowHalfOpen: half });
  let text = '';
  let wake: () => void = () => undefined;
  let ended: 'end' | 'reset' | null = null;
  const over = new Promise<'end' | 'reset'>((resolve) => {
    const finish = (how: 'end' | 'reset') => {
      ended ??= how;
      wake();
      resolve(ended);
    };
    socket.on('end', () => finish('end'));
    socket.on('error', () => finish('reset'));
    socket.on('close', () => finish('end'));
  });
  socket.on('data', (piece) => {
    text += piece.toString('latin1');
    wake();
  });
  await new Promise<void>((resolve, reject) => {
    socket.once('connect', () => resolve());
    socket.once('error', reject);
  });
  return {
    socket,
    received: () => text,
    over,
    async until(wanted) {
      while (!text.includes(wanted)) {
        if (ended !== null) throw new Error(`expected "${wanted}", got "${text}" and ${ended}`);
        await new Promise<void>((resolve) => {
          wake = resolve;
        });
      }
      return text;
    },
  };
}
