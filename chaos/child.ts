import { type ChildProcess, spawn } from 'node:child_process';
import { appendFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';

export interface ChildOptions {
  readonly command: string;
  readonly args: readonly string[];
  readonly env: Readonly<Record<string, string>>;
  readonly cwd: string;
  /** What it prints once it serves. */
  readonly ready: string;
  /** All that it prints is appended here. A pipe lies between, so that a limit on its files does not reach it. */
  readonly log: string;
  readonly ipc?: boolean;
}

/** A process of the stack that may be killed, stopped and continued. */
export class Child {
  readonly #child: ChildProcess;
  readonly gone: Promise<void>;
  #ready = false;
  #tail = '';

  constructor(private readonly options: ChildOptions) {
    const { PATH = '', HOME = '' } = process.env;
    this.#child = spawn(options.command, options.args, {
      cwd: options.cwd,
      env: { PATH, HOME, TEMPORAL_CONFIG_FILE: `${options.cwd}/no-temporal.toml`, ...options.env },
      stdio: ['ignore', 'pipe', 'pipe', ...(options.ipc === true ? (['ipc'] as const) : [])],
    });
    for (const stream of [this.#child.stdout, this.#child.stderr]) {
      stream?.on('data', (chunk: Buffer) => this.#printed(chunk));
    }
    this.#child.on('error', () => undefined);
    const killAtExit = () => void this.#child.kill('SIGKILL');
    process.once('exit', killAtExit);
    this.gone = new Promise((resolve) => {
      this.#child.once('close', () => {
        process.off('exit', killAtExit);
        resolve();
      });
    });
  }

  get pid(): number {
    return this.#child.pid ?? 0;
  }

  get isReady(): boolean {
    return this.#ready;
  }

  get isGone(): boolean {
    return this.#child.exitCode !== null || this.#child.signalCode !== null;
  }

  get how(): string {
    return this.#child.signalCode ?? `exit code ${this.#child.exitCode}`;
  }

  signal(name: NodeJS.Signals): void {
    this.#child.kill(name);
  }

  send(message: object): void {
    if (this.#child.connected) this.#child.send(message, () => undefined);
  }

  /** Waits until it serves; throws with the end of what it printed when it ends before or takes too long. */
  async untilReady(withinMs: number): Promise<void> {
    const deadlineMs = performance.now() + withinMs;
    while (!this.#ready) {
      if (this.isGone || performance.now() > deadlineMs) {
        const { command, args, ready } = this.options;
        const how = this.isGone ? `it ended (${this.how})` : `${withinMs} ms passed`;
        throw new Error(`expected "${ready}" from ${command} ${args.join(' ')}, but ${how}:\n${this.#tail}`);
      }
      await sleep(20);
    }
  }

  /** Asks it to end, kills it when it does not, and resolves when it is gone. */
  async end(name: 'SIGTERM' | 'SIGKILL', patienceMs = 8_000): Promise<void> {
    this.signal(name);
    // A stopped process takes no other signal until it continues.
    this.signal('SIGCONT');
    const timer = setTimeout(() => this.signal('SIGKILL'), patienceMs);
    await this.gone;
    clearTimeout(timer);
  }

  #printed(chunk: Buffer): void {
    const text = chunk.toString();
    this.#tail = (this.#tail + text).slice(-3_000);
    if (!this.#ready) this.#ready = this.#tail.includes(this.options.ready);
    appendFileSync(this.options.log, chunk);
  }
}
