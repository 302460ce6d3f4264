import cluster, { type Worker as ClusterWorker } from 'node:cluster';
import type { Socket } from 'node:net';
import { join } from 'node:path';
import type { ListenAddress } from '../sockets/listen-address';
import type { MetricSamples } from '../telemetry/metrics';
import type { ProcessOrder, ProcessStart, Report, RouteProgress } from './process-messages';
import { SharedListener } from './shared-listener';

/** How long a round waits for a process; less than the worker waits for the admin listener. */
const PATIENCE_MS = 800;
const CHECK_EVERY_MS = 1_000;
/** Checks without an answer after which a process counts as hung: it is killed and replaced. */
const HUNG_AFTER_CHECKS = 10;
/** A process that ends this soon after its start is replaced with a growing delay. */
const SHORT_LIFE_MS = 10_000;
const LONGEST_DELAY_MS = 10_000;
/** What a process may take longer than the drain time to end. */
const LAST_GRACE_MS = 3_000;

export interface ProcessGroupOptions {
  readonly processes: number;
  readonly drainMs: number;
  /** Where all of them are reached. */
  readonly data: ListenAddress;
  readonly scheme: 'http' | 'https';
  /** Connections that may wait for a process. */
  readonly maxWaiting: number;
  /** What a process starts with, as things stand at this moment. */
  readonly start: () => ProcessStart;
  /** Called with what a process says of its own accord. */
  readonly heard: (report: Report, from: Member) => void;
  /** Called when a process is gone for good. */
  readonly ended: (member: Member) => void;
  /** Called with the ids of all processes that run, whenever they change. */
  readonly running: (pids: readonly number[]) => void;
  readonly warn: (message: string) => void;
}

/** One process that serves. */
export interface Member {
  readonly worker: ClusterWorker;
  readonly startedMs: number;
  /** It takes connections: only then can it have requests. */
  serves: boolean;
  /** The last round that it answered, and how. */
  answered: number;
  standings: Readonly<Record<string, RouteProgress>>;
  metrics: MetricSamples | null;
  /** Checks in a row that it has not answered. */
  missedChecks: number;
  /** It did not answer a round in time, and none since. */
  silent: boolean;
}

/** How all processes stand that can have requests. */
export interface Round {
  readonly standings: readonly Readonly<Record<string, RouteProgress>>[];
  /** Processes that gave no answer: nobody knows what they hold. */
  readonly silent: number;
}

interface AwaitedAnswer {
  readonly member: Member;
  readonly round: number;
  readonly answered: () => void;
}

/** The processes of a gateway that serve: starts, replaces and ends them, and asks them in rounds. */
export class ProcessGroup {
  readonly #options: ProcessGroupOptions;
  readonly #members = new Set<Member>();
  #waiting: AwaitedAnswer[] = [];
  #round = 0;
  #shortLives = 0;
  #restarts = 0;
  #stopping = false;
  #stopped: (() => void) | null = null;
  #checks: NodeJS.Timeout | null = null;
  readonly #delays = new Set<NodeJS.Timeout>();
  #starting: { readonly serves: () => void; readonly failed: (error: Error) => void } | null = null;
  readonly #listener: SharedListener<Member>;

  constructor(options: ProcessGroupOptions) {
    this.#options = options;
    this.#listener = new SharedListener({
      maxWaiting: options.maxWaiting,
      scheme: options.scheme,
      hand: (socket, { worker }) => sendConnection(worker, socket),
    });
  }

  /** Processes that serve at this moment. */
  get serving(): number {
    let serving = 0;
    for (const member of this.#members) if (member.serves) serving += 1;
    return serving;
  }

  /** Processes that were replaced since the start. */
  get restarts(): number {
    return this.#restarts;
  }

  /** The newest metrics of each process. */
  get metrics(): MetricSamples[] {
    return [...this.#members].flatMap(({ metrics }) => (metrics === null ? [] : [metrics]));
  }

  /** Starts all, then listens; resolves with `http://HOST:PORT`, rejects when one fails and with the system's error. */
  async start(): Promise<string> {
    cluster.setupPrimary({ exec: join(__dirname, 'serving-process.js'), args: [] });
    await new Promise<void>((resolve, reject) => {
      this.#starting = {
        serves: () => {
          if (this.serving === this.#options.processes) resolve();
        },
        failed: reject,
      };
      for (let started = 0; started < this.#options.processes; started += 1) this.#fork();
    }).finally(() => {
      this.#starting = null;
    });
    this.#checks = setInterval(() => this.#check(), CHECK_EVERY_MS);
    return this.#listener.listen(this.#options.data);
  }

  /** Sends to all, at once; what one does not read yet it reads in this order, before any later connection. */
  send(order: ProcessOrder, except: Member | null = null): void {
    for (const member of this.#members) if (member !== except) sendTo(member, order);
  }

  /** Asks all that serve, and waits a little for their answers. */
  async round(withMetrics = false): Promise<Round> {
    this.#round += 1;
    const round = this.#round;
    const asked = [...this.#members].filter(({ serves }) => serves);
    for (const member of asked) sendTo(member, { order: 'report', round, withMetrics });
    let timer: NodeJS.Timeout | undefined;
    const patience = new Promise((resolve) => {
      timer = setTimeout(resolve, PATIENCE_MS);
    });
    // Who was silent before holds up nobody.
    const answers = asked.filter(({ silent }) => !silent).map((member) => this.#answerOf(member, round));
    await Promise.race([Promise.all(answers), patience]);
    clearTimeout(timer);
    // Who has died meanwhile sends nothing any more.
    const alive = asked.filter((member) => this.#members.has(member));
    const silent = alive.filter(({ answered }) => answered < round);
    for (const member of silent) member.silent = true;
    return {
      standings: alive.filter(({ answered }) => answered >= round).map(({ standings }) => standings),
      silent: silent.length,
    };
  }

  /** Lets all end what they do; resolves when none is left. */
  async stop(): Promise<void> {
    if (this.#stopping) return;
    this.#stopping = true;
    if (this.#checks !== null) clearInterval(this.#checks);
    for (const timer of this.#delays) clearTimeout(timer);
    await this.#listener.close();
    this.send({ order: 'stop' });
    const kill = setTimeout(() => {
      for (const { worker } of this.#members) worker.process.kill('SIGKILL');
    }, this.#options.drainMs + LAST_GRACE_MS);
    await new Promise<void>((resolve) => {
      this.#stopped = resolve;
      if (this.#members.size === 0) resolve();
    });
    clearTimeout(kill);
  }

  #fork(): void {
    const worker = cluster.fork();
    const member: Member = {
      ...{ worker, startedMs: performance.now(), serves: false, answered: 0, standings: {}, metrics: null },
      ...{ missedChecks: 0, silent: false },
    };
    this.#members.add(member);
    worker.on('message', (report: Report) => this.#hear(report, member));
    worker.on('error', (error) => this.#options.warn(`Process ${worker.process.pid}: ${error.message}`));
    let how: string | null = null;
    let isRead = false;
    const end = () => {
      if (how !== null && isRead) this.#ended(member, how);
    };
    worker.once('exit', (code, signal) => {
      how = signal ?? `code ${code}`;
      end();
    });
    // Its last words may still be in the channel when it is gone.
    worker.once('disconnect', () => {
      isRead = true;
      end();
    });
    sendTo(member, { order: 'start', start: this.#options.start() });
    this.#sayRunning();
  }

  #hear(report: Report, member: Member): void {
    switch (report.report) {
      case 'free':
        member.serves = true;
        this.#listener.free(member);
        this.#starting?.serves();
        return;
      case 'failed': {
        const { message, code, syscall } = report;
        this.#fail(member, Object.assign(new Error(message), { code, syscall }));
        return;
      }
      case 'standing':
        this.#takeProgress(report, member);
        return;
      case 'counted':
      case 'learned':
      case 'outcomes':
      case 'spent':
        this.#options.heard(report, member);
    }
  }

  #takeProgress(report: Report & { readonly report: 'standing' }, member: Member): void {
    member.missedChecks = 0;
    member.silent = false;
    member.metrics = report.metrics ?? member.metrics;
    if (report.round < member.answered) return;
    member.answered = report.round;
    member.standings = report.routes;
    this.#release((waiting) => waiting.member === member && waiting.round <= report.round);
  }

  #fail(member: Member, error: Error): void {
    if (this.#starting === null) this.#options.warn(`A process cannot serve: ${error.message}`);
    else this.#starting.failed(error);
    member.worker.process.kill('SIGKILL');
  }

  #ended(member: Member, how: string): void {
    this.#members.delete(member);
    this.#listener.leave(member);
    this.#release((waiting) => waiting.member === member);
    this.#options.ended(member);
    this.#sayRunning();
    if (this.#members.size === 0) this.#stopped?.();
    if (this.#stopping) return;
    const { pid } = member.worker.process;
    this.#starting?.failed(new Error(`expected process ${pid} to serve, but it ended (${how})`));
    const livedMs = performance.now() - member.startedMs;
    this.#shortLives = livedMs < SHORT_LIFE_MS ? this.#shortLives + 1 : 0;
    const delayMs = this.#shortLives < 2 ? 0 : Math.min(LONGEST_DELAY_MS, 100 * 2 ** this.#shortLives);
    this.#options.warn(
      `Process ${pid} ended (${how}) and is replaced${delayMs === 0 ? '' : ` in ${delayMs} ms`}`,
    );
    this.#restarts += 1;
    const timer = setTimeout(() => {
      this.#delays.delete(timer);
      this.#fork();
    }, delayMs);
    this.#delays.add(timer);
  }

  #answerOf(member: Member, round: number): Promise<void> {
    return new Promise((answered) => this.#waiting.push({ member, round, answered }));
  }

  #release(isOver: (waiting: AwaitedAnswer) => boolean): void {
    const over = this.#waiting.filter(isOver);
    this.#waiting = this.#waiting.filter((waiting) => !isOver(waiting));
    for (const { answered } of over) answered();
  }

  /** Counts checks, not time: where this process was stopped as well, nobody is called hung for it. */
  #check(): void {
    for (const member of this.#members) {
      if (!member.serves) continue;
      if (member.missedChecks >= HUNG_AFTER_CHECKS) {
        const { pid } = member.worker.process;
        this.#options.warn(`Process ${pid} has not answered for ${HUNG_AFTER_CHECKS} s and is killed`);
        member.worker.process.kill('SIGKILL');
      }
      member.missedChecks += 1;
    }
    void this.round(true);
  }

  #sayRunning(): void {
    this.#options.running([...this.#members].flatMap(({ worker }) => worker.process.pid ?? []));
  }
}

function sendTo({ worker }: Member, order: ProcessOrder): void {
  // One that has just died is replaced by one that starts with all of this.
  if (worker.isConnected()) worker.send(order, () => {});
}

function sendConnection(worker: ClusterWorker, socket: Socket): boolean {
  if (!worker.isConnected()) return false;
  const order: ProcessOrder = { order: 'connection' };
  worker.send(order, socket, () => {});
  return true;
}
