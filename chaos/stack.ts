import { execFile } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { appendFileSync, cpSync, existsSync, mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';
import { SEARCH_ATTRIBUTES } from '../src/contract';
import { type RunningTemporal, startTemporalServer } from '../src/temporal-server/dev-server';
import { Callers } from './callers';
import { Child } from './child';
import { PROVIDERS, type ProviderName } from './expected-answer';
import { Operators } from './operators';
import type { ProviderBehaviour } from './provider-behaviour';
import {
  choosePorts,
  configurationOf,
  GATEWAYS,
  type GatewayName,
  MODELS,
  type Ports,
  type ProcessName,
  type WayName,
  WORKERS,
} from './stack-layout';
import { programOf, type Start } from './stack-programs';
import { TcpProxy, type WayMode } from './tcp-proxy';

export interface StackOptions {
  readonly folder: string;
  readonly seed: number;
  /** Path of the Temporal command. */
  readonly temporal: string;
  readonly ratePerSecond: number;
}

const READY_MS = 60_000;
const RESTART_MS = 500;

/**
 * A whole stack on loopback, each part a process of its own, with a proxy on every way that an episode may break.
 * What it and its operators do is logged as it happens: the checker reads nothing else.
 */
export class Stack {
  readonly #children = new Map<ProcessName, Child>();
  readonly #lives = new Map<ProcessName, number>();
  readonly #stopped = new Set<ProcessName>();
  /** What somebody killed and not yet started again: nobody else starts it. */
  readonly #down = new Set<ProcessName>();
  readonly #starts = new Map<ProcessName, Start>();
  readonly #full = new Set<GatewayName>();
  readonly #ways = new Map<WayName, TcpProxy>();
  readonly #modes = new Map<WayName, WayMode['mode']>();
  readonly #secrets: Readonly<Record<string, string>>;
  #ports!: Ports;
  #temporal: RunningTemporal | null = null;
  #isTemporalUp = false;
  #callers: Callers | null = null;
  #canRenew = true;
  #ending = false;

  private constructor(private readonly options: StackOptions) {
    const secret = (name: string) => `${name}-${randomBytes(12).toString('hex')}`;
    this.#secrets = {
      LEGACY_KEY: secret('legacy-key'),
      CANDIDATE_KEY: secret('candidate-key'),
      CUTOVER_ADMIN_TOKEN: secret('admin-token'),
    };
  }

  /** Starts all of it; whatever fails, what was started is stopped again. */
  static async start(options: StackOptions): Promise<Stack> {
    const stack = new Stack(options);
    try {
      await stack.#startParts();
      return stack;
    } catch (error) {
      await stack.stop();
      throw error;
    }
  }

  async #startParts(): Promise<void> {
    const { folder } = this.options;
    mkdirSync(folder, { recursive: true });
    this.#ports = await choosePorts();
    const { providers, gateways, ways, temporal } = this.#ports;
    const secretsOfCallers = { authorization: `Bearer caller-${randomBytes(8).toString('hex')}` };
    writeFileSync(
      join(folder, 'keys.json'),
      JSON.stringify({
        providers: { legacy: this.#secrets['LEGACY_KEY'], candidate: this.#secrets['CANDIDATE_KEY'] },
        callers: secretsOfCallers,
      }),
    );
    const adminPorts = {
      workers: (name: GatewayName) => ways[`admin:${name}`],
      operators: (name: GatewayName) => gateways[name].admin,
    };
    for (const [who, adminPort] of Object.entries(adminPorts)) {
      writeFileSync(
        join(folder, `${who}.json`),
        JSON.stringify(configurationOf(this.#ports, adminPort), null, 1),
      );
    }
    const targets = Object.entries(ways) as [WayName, number][];
    for (const [way, port] of targets) {
      this.#ways.set(way, await TcpProxy.start(port, this.#targetOf(way)));
    }
    await Promise.all([
      this.#startTemporal(),
      ...PROVIDERS.map((name) => this.#startChild(name, {}).untilReady(READY_MS)),
    ]);
    await Promise.all(
      [...GATEWAYS, ...WORKERS].map((name) => this.#startChild(name, {}).untilReady(READY_MS)),
    );
    this.#callers = new Callers({
      seed: this.options.seed,
      ratePerSecond: this.options.ratePerSecond,
      model: MODELS.legacy,
      gateways: GATEWAYS.map((name) => ({ name, port: ways[`data:${name}`] })),
      secrets: { ...secretsOfCallers, cookie: 'session=of-a-caller', 'x-internal': 'note-of-a-caller' },
      log: join(folder, 'callers.jsonl'),
    });
    this.note({ what: 'serving', temporal, providers });
  }

  get callers(): Callers {
    if (this.#callers === null) throw new Error('expected a stack that serves');
    return this.#callers;
  }

  get operators(): Operators {
    const { folder, temporal } = this.options;
    return new Operators({ folder, temporal, temporalAddress: this.temporalAddress, secrets: this.#secrets });
  }

  get temporalAddress(): string {
    return `127.0.0.1:${this.#ports.temporal}`;
  }

  /** Appends to the log of what was done to the stack. */
  note(line: object): void {
    appendFileSync(
      join(this.options.folder, 'events.jsonl'),
      `${JSON.stringify({ atMs: Date.now(), ...line })}\n`,
    );
  }

  signal(
    name: ProcessName,
    signal: 'SIGKILL' | 'SIGSTOP' | 'SIGCONT' | 'SIGTERM' | 'SIGUSR2',
  ): Promise<void> {
    if (signal === 'SIGSTOP') this.#stopped.add(name);
    if (signal === 'SIGCONT') this.#stopped.delete(name);
    if (signal === 'SIGCONT') this.#noteRenewals();
    const isEnd = signal === 'SIGKILL' || signal === 'SIGTERM';
    if (isEnd) this.#down.add(name);
    const ended = this.#send(name, signal);
    this.note({ what: 'signal', process: name, signal });
    const done = isEnd ? ended.then(() => void this.#stopped.delete(name)) : Promise.resolve();
    return done.then(() => this.#noteRenewals());
  }

  async #send(name: ProcessName, signal: NodeJS.Signals): Promise<void> {
    if (name !== 'temporal') {
      const child = this.#children.get(name);
      if (child === undefined || child.isGone) return;
      // A second SIGTERM would end it at once.
      if (signal === 'SIGTERM') await child.end('SIGTERM');
      else child.signal(signal);
      if (signal === 'SIGKILL') await child.gone;
      return;
    }
    if (this.#temporal === null) return;
    process.kill(this.#temporal.pid, signal);
    if (signal !== 'SIGKILL' && signal !== 'SIGTERM') return;
    await this.#temporal.ended;
    this.#temporal = null;
    this.#isTemporalUp = false;
  }

  /** Starts a process that is down; resolves when it serves, or has ended again. */
  async start(name: ProcessName, start?: Start): Promise<void> {
    this.#down.delete(name);
    if (start !== undefined) this.#starts.set(name, start);
    if (name === 'temporal') {
      if (this.#temporal === null) await this.#startTemporal();
    } else {
      const running = this.#children.get(name);
      if (running !== undefined && !running.isGone) return;
      await this.#startChild(name, this.#starts.get(name) ?? {})
        .untilReady(READY_MS)
        .catch((error: Error) =>
          this.note({ what: 'start failed', process: name, problem: error.message.slice(0, 300) }),
        );
    }
    this.#noteRenewals();
  }

  set(way: WayName, mode: WayMode): void {
    this.#modes.set(way, mode.mode);
    if (mode.mode === 'open' || mode.mode === 'delay') this.#noteRenewals();
    this.#ways.get(way)?.set(mode);
    this.note({ what: 'way', way, ...mode });
    this.#noteRenewals();
  }

  behave(name: ProviderName, behaviour: ProviderBehaviour): void {
    this.note({ what: 'provider', provider: name, ...behaviour });
    this.#children.get(name)?.send(behaviour);
  }

  /** A disk that takes nothing more: the kernel refuses every write of the process to a file (RLIMIT_FSIZE), root's too. */
  async fill(name: GatewayName, isFull: boolean): Promise<void> {
    if (isFull) this.#full.add(name);
    else this.#full.delete(name);
    const child = this.#children.get(name);
    this.note({ what: 'disk', gateway: name, isFull });
    if (child === undefined || child.isGone) return;
    await promisify(execFile)('prlimit', [
      '--pid',
      String(child.pid),
      `--fsize=${isFull ? '0' : 'unlimited'}:`,
    ]);
  }

  /** What happens to the state directory of a gateway that is down. */
  state(name: GatewayName, what: 'keep' | 'restore' | 'lose'): void {
    const { folder } = this.options;
    const [held, copy] = [join(folder, name), join(folder, `${name}.kept`)];
    if (what === 'keep') {
      rmSync(copy, { recursive: true, force: true });
      if (existsSync(held)) cpSync(held, copy, { recursive: true });
    } else {
      rmSync(held, { recursive: true, force: true });
      if (what === 'restore' && existsSync(copy)) cpSync(copy, held, { recursive: true });
    }
    this.note({ what: 'state', gateway: name, done: what });
  }

  /** Ends every fault: all ways open, disks with room, providers well, every process running. */
  async heal(): Promise<void> {
    for (const way of this.#ways.keys())
      if (this.#modes.get(way) !== undefined) this.set(way, { mode: 'open' });
    for (const name of [...this.#stopped]) await this.signal(name, 'SIGCONT');
    for (const name of this.#full) await this.fill(name, false);
    for (const name of PROVIDERS) this.behave(name, { failPart: 0, faults: [], latencyMs: 10 });
    for (const name of GATEWAYS) this.callers.avoid(name, false);
    await this.start('temporal');
    await Promise.all([...PROVIDERS, ...GATEWAYS, ...WORKERS].map((name) => this.start(name)));
    this.note({ what: 'healed' });
  }

  async stop(): Promise<void> {
    this.#ending = true;
    await this.#callers?.stop();
    await Promise.all(
      [...this.#children.values()].map((child) => child.end(child.isReady ? 'SIGTERM' : 'SIGKILL', 4_000)),
    );
    if (this.#temporal !== null) {
      process.kill(this.#temporal.pid, 'SIGCONT');
      await this.#temporal.stop();
    }
    await Promise.all([...this.#ways.values()].map((way) => way.stop()));
  }

  async #startTemporal(): Promise<void> {
    this.#isTemporalUp = true;
    this.#noteRenewals();
    this.#temporal = await startTemporalServer({
      executable: this.options.temporal,
      searchAttributes: SEARCH_ATTRIBUTES,
      dbFilename: join(this.options.folder, 'temporal.db'),
      port: this.#ports.temporal,
      uiPort: 'off',
    });
  }

  #startChild(name: Exclude<ProcessName, 'temporal'>, start: Start): Child {
    const { folder } = this.options;
    const life = (this.#lives.get(name) ?? 0) + 1;
    this.#lives.set(name, life);
    const log = `${name}.${life}.log`;
    const { clockOffsetMs = 0, clockJumpMs = 0 } = start;
    const program = programOf(name, start, {
      folder,
      ports: this.#ports,
      secrets: this.#secrets,
      isFull: GATEWAYS.some((gateway) => gateway === name && this.#full.has(gateway)),
    });
    const child = new Child({ ...program, cwd: folder, log: join(folder, log) });
    this.#children.set(name, child);
    this.#noteRenewals();
    this.note({
      what: 'started',
      process: name,
      log,
      clockOffsetMs,
      clockJumpMs,
      settled: start.settled ?? 'legacy',
    });
    void child.gone.then(() => this.#ended(name, child));
    return child;
  }

  /** What ends by itself is started again, as by every way to run it. */
  #ended(name: ProcessName, child: Child): void {
    this.note({ what: 'ended', process: name, how: child.how });
    this.#noteRenewals();
    if (this.#ending || this.#down.has(name) || this.#children.get(name) !== child) return;
    this.note({ what: 'ended by itself', process: name, how: child.how });
    const isWanted = () => !this.#ending && !this.#down.has(name) && this.#children.get(name) === child;
    void sleep(RESTART_MS).then(() => (isWanted() ? this.start(name) : undefined));
  }

  /** Logs since when no worker can renew a lease, and until when. */
  #noteRenewals(): void {
    const isUp = (name: ProcessName) => {
      const child = this.#children.get(name);
      return child !== undefined && !child.isGone && !this.#stopped.has(name);
    };
    const reaches = (way: WayName) => !['cut', 'hold'].includes(this.#modes.get(way) ?? 'open');
    const canRenew =
      this.#isTemporalUp &&
      !this.#stopped.has('temporal') &&
      WORKERS.some((name) => isUp(name) && reaches(`temporal:${name}`));
    if (canRenew === this.#canRenew) return;
    this.#canRenew = canRenew;
    this.note({ what: 'renewals', possible: canRenew });
  }

  #targetOf(way: WayName): number {
    const { temporal, gateways } = this.#ports;
    const [kind, name] = way.split(':') as ['temporal' | 'admin' | 'data', GatewayName];
    return kind === 'temporal' ? temporal : gateways[name][kind];
  }
}
