import { createServer, type Server, type Socket } from 'node:net';
import { setImmediate } from 'node:timers/promises';
import { takeSocket } from '../sockets/connections';
import { listen, urlOf } from '../sockets/listen';
import type { ListenAddress } from '../sockets/listen-address';

export interface SharedListenerOptions<Process> {
  /** What the processes speak. */
  readonly scheme: 'http' | 'https';
  /** Above so many connections that no process has taken yet, further ones are closed at once. */
  readonly maxWaiting: number;
  /** Gives a connection to a process; false for one that is gone. */
  readonly hand: (socket: Socket, process: Process) => boolean;
}

/**
 * The data listener of a gateway of several processes. It accepts here and gives each process its next connection
 * once it has taken the last: one that hangs keeps no second caller waiting. On a stop it closes before the processes
 * do: what was accepted until then is served, what comes later is refused.
 */
export class SharedListener<Process> {
  readonly #options: SharedListenerOptions<Process>;
  readonly #server: Server;
  readonly #waiting: Socket[] = [];
  readonly #processes = new Set<Process>();
  /** Who has taken all that it was given; whoever has waited longest comes first. */
  readonly #free = new Set<Process>();

  constructor(options: SharedListenerOptions<Process>) {
    this.#options = options;
    this.#server = createServer({ pauseOnConnect: true }, (socket) => {
      takeSocket(socket);
      if (this.#waiting.length >= options.maxWaiting) {
        socket.destroy();
        return;
      }
      this.#waiting.push(socket);
      this.#handOut();
    });
  }

  /** Resolves with `http://HOST:PORT`; rejects with the system's error. */
  async listen(address: ListenAddress): Promise<string> {
    await listen(this.#server, address);
    // A connection that could not be accepted (no descriptor left): without a listener it ends the process.
    this.#server.on('error', () => {});
    return urlOf(this.#server, this.#options.scheme);
  }

  /** A process takes connections, or has taken the one that it was given. */
  free(process: Process): void {
    this.#processes.add(process);
    this.#free.add(process);
    this.#handOut();
  }

  /** A process is gone. */
  leave(process: Process): void {
    this.#processes.delete(process);
    this.#free.delete(process);
  }

  /** Accepts nothing more and gives away all that waits. */
  async close(): Promise<void> {
    // Right after all that has arrived was accepted: closing resets what is left.
    await setImmediate();
    this.#server.close();
    while (this.#waiting.length > 0 && this.#processes.size > 0) {
      for (const process of this.#processes) this.#free.add(process);
      this.#handOut();
    }
    for (const socket of this.#waiting.splice(0)) socket.destroy();
  }

  #handOut(): void {
    for (const process of this.#free) {
      const socket = this.#waiting[0];
      if (socket === undefined) return;
      this.#free.delete(process);
      if (this.#options.hand(socket, process)) this.#waiting.shift();
      else this.#processes.delete(process);
    }
  }
}
