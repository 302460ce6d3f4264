import type { Arm } from '../../src/core/routing/routing';
import { EvidenceStore } from '../../src/gateway/evidence/evidence-store';
import type { CandidatePermit } from '../../src/gateway/routing/candidate-permits';
import { RouteState } from '../../src/gateway/routing/route-state';
import type { EvidenceLedger } from './evidence-ledger';
import { CLOCK_ERROR, type GroundTruth } from './ground-truth';
import { ModelDisk } from './model-disk';
import type { VirtualTime } from './virtual-time';

const ROUTE = 'chat';
const REQUESTS_A_TICK = 5;
const DRAIN_MS = 20_000;

/** What a provider does with requests, the same for every gateway. */
export interface Providers {
  readonly answering: Record<Arm, boolean>;
}

/** A request that was drawn for the candidate. */
interface Held {
  readonly permit: CandidatePermit;
  readonly epoch: number;
  readonly isMember: boolean;
  /** It was drawn as one of a cohort, and is in neither arm. */
  readonly ofCohort: boolean;
}

/** A gateway's process: gone with it are lease, counters and unsent attempts. */
interface Process {
  readonly incarnation: string;
  readonly state: RouteState;
  readonly evidence: EvidenceStore;
  readonly slow: Held[];
  drawn: number;
}

/**
 * A gateway as it is met on a network: the real routing state and evidence store, in a process that can die, on a disk
 * that can be lost, by a clock of its own. It has traffic, and says to the ground truth what it sends the candidate.
 */
export class ModelGateway {
  readonly disk = new ModelDisk();
  settled: Arm = 'legacy';
  /** Stopped as by SIGSTOP: it takes requests and answers none, until it goes on. */
  isStopped = false;
  /** It never comes back, though the configuration may still name it. */
  isGone = false;
  isConfigured = true;
  /** Milliseconds that a call takes in each direction. */
  delayMs = 0;
  /** What the network does with calls to it. */
  link: 'well' | 'no requests' | 'no answers' = 'well';
  process: Process | null = null;
  #starts = 0;
  readonly #waiting: (() => void)[] = [];
  readonly #clock: { readonly rate: number; readonly offsetMs: number };

  constructor(
    readonly name: string,
    public address: string,
    private readonly world: {
      readonly time: VirtualTime;
      readonly truth: GroundTruth;
      readonly ledger: EvidenceLedger;
      readonly providers: Providers;
    },
    skew: number,
  ) {
    this.#clock = { rate: 1 + skew * CLOCK_ERROR, offsetMs: 1_000_000 * (skew + 2) };
  }

  now(): number {
    return this.#clock.offsetMs + this.world.time.elapsedMs * this.#clock.rate;
  }

  start(): void {
    if (this.process !== null) return;
    this.#starts += 1;
    const incarnation = `${this.name}-${this.#starts}`;
    const state = new RouteState({
      gateway: this.name,
      route: ROUTE,
      incarnation,
      defaults: { settled: this.settled, stickyKey: 'none', newConversationsOnly: false, shadow: 0 },
      drainMs: DRAIN_MS,
      keeper: this.disk,
      now: () => this.now(),
      warn: () => undefined,
    });
    this.process = { incarnation, state, evidence: new EvidenceStore(incarnation), slow: [], drawn: 0 };
  }

  /** As by SIGKILL. */
  die(): void {
    this.process?.state.close();
    this.process = null;
    this.isStopped = false;
    for (const waiting of this.#waiting.splice(0)) waiting();
  }

  /** As by SIGCONT: what waited in its sockets is taken now. */
  continue(): void {
    this.isStopped = false;
    for (const waiting of this.#waiting.splice(0)) waiting();
  }

  /** Resolves when the process takes what has arrived; false where there is none any more. */
  async takes(): Promise<boolean> {
    while (this.isStopped && this.process !== null) {
      await new Promise<void>((resolve) => this.#waiting.push(resolve));
    }
    return this.process !== null;
  }

  async kill(by: string): Promise<void> {
    if (this.process === null || this.isStopped) return;
    const { state } = this.process;
    const held = state.status().highestEpoch;
    await state.kill({ by, reason: 'smoke', at: new Date(this.world.time.nowMs).toISOString() });
    if (!this.disk.isFull) this.world.truth.killed(this.name, held);
  }

  async clearKill(): Promise<void> {
    if (this.process !== null && !this.isStopped) await this.process.state.clearKill();
  }

  loseDisk(): void {
    this.disk.lose();
    this.world.truth.diskLost(this.name);
  }

  /** Draws some requests and has them answered; some drawn for the candidate are sent later. */
  serve(holdBack = false): void {
    const { process } = this;
    if (process === null || this.isStopped) return;
    this.sendHeldBack();
    for (let request = 0; request < REQUESTS_A_TICK; request += 1) this.#serveOne(process, holdBack);
  }

  #serveOne(process: Process, holdBack: boolean): void {
    const { state, evidence } = process;
    process.drawn += 1;
    // Every other caller is of the team that a plan may serve alone.
    const isMember = process.drawn % 2 === 0;
    const id = `${process.incarnation} ${process.drawn}`;
    const { arm, epoch, cohort = false } = state.draw(null, id, false, 'unused', isMember);
    if (arm === 'candidate') {
      const held = { permit: state.permit(epoch), epoch, isMember, ofCohort: cohort };
      if (holdBack && process.slow.length < 2) process.slow.push(held);
      else this.#send(process, held);
      return;
    }
    this.#count(evidence, arm, epoch, false);
  }

  /** Sends what was held back; a permit that is refused is nobody's failure and counted nowhere. */
  sendHeldBack(): void {
    const { process } = this;
    if (process === null || this.isStopped) return;
    for (const held of process.slow.splice(0)) this.#send(process, held);
  }

  #send({ state, evidence }: Process, { permit, epoch, isMember, ofCohort }: Held): void {
    if (!permit.send()) return;
    const { record, withdrawn } = state.inForce.stored;
    this.world.truth.dispatched({
      gateway: this.name,
      record: withdrawn ? null : record,
      drawnUnder: epoch,
      isMember,
      atMs: this.world.time.nowMs,
    });
    permit.close();
    this.#count(evidence, 'candidate', epoch, ofCohort);
  }

  #count(evidence: EvidenceStore, arm: Arm, epoch: number, ofCohort: boolean): void {
    evidence.record({
      epoch,
      side: arm,
      kind: ofCohort ? 'cohort' : 'live',
      shape: 'plain',
      model: 'm',
      outcome: this.world.providers.answering[arm] ? 'success' : 'status_5xx',
      retry: false,
      totalMs: 100,
      firstTokenMs: null,
      interTokenMs: [],
      tokensIn: 1,
      tokensCached: 0,
      tokensOut: 1,
      costUsd: null,
      bucket: null,
      answer: null,
    });
    this.world.ledger.counted(this.process?.incarnation ?? '', epoch, ofCohort ? 'cohort' : arm);
  }
}
