import { type CommandName, isBadMessage, readCommand } from '../../src/core/migration/command';
import type { MigrationEvent } from '../../src/core/migration/events';
import { transition } from '../../src/core/migration/migration';
import { initialState, type MigrationState } from '../../src/core/migration/migration-state';
import { type Plan, stageKind } from '../../src/core/plan/plan';
import { planSchema } from '../../src/core/plan/plan-schema';
import { driftsOf, isKilled } from '../../src/core/routing/drift';
import type { Arm } from '../../src/core/routing/routing';
import type { StoredState } from '../../src/gateway/routing/record-file';
import { LawKeeper } from '../support/migrations/migration-laws';
import { countsOf, EvidenceLedger } from './evidence-ledger';
import { GroundTruth } from './ground-truth';
import { ModelGateway } from './model-gateway';
import { ModelNetwork } from './model-network';
import { ModelTemporal, type ServiceFaults } from './model-temporal';
import { ModelWorker, type PortFaults } from './model-worker';
import { VirtualTime } from './virtual-time';

/** What one order takes out of the program, so that a law must break; nothing, but for planted faults. */
export interface PlantedFault {
  readonly ports?: PortFaults;
  readonly service?: ServiceFaults;
  /** Changes a gateway after each of its starts. */
  readonly gateway?: (gateway: ModelGateway) => void;
}

const WIDE = {
  errors: { rollbackRatio: 3, promotionExcess: 0.5 },
  latency: { promotionIncrease: null },
  probes: { promotionStreak: 1, rollbackStreak: 3 },
} as const;

/** Seconds in place of days, and margins that a few hundred requests can meet. */
function planOf(stages: Readonly<Record<string, object>>): Plan {
  return planSchema.parse({
    route: 'chat',
    lease: '15s',
    renewal: '5s',
    probes: { interval: '5s', timeout: '4s' },
    handover: { probe: false },
    stages: [
      { name: 'assess', minimumSample: 2 },
      ...Object.entries(stages).map(([name, said]) => ({
        name,
        soak: name === 'complete' ? '10s' : '20s',
        window: name === 'rolling' ? '10s' : '20s',
        minimumSample: 10,
        minimumKeys: 0,
        burnIn: { time: '0s', requests: 0 },
        deadline: { hold: '2m', rollback: '10m' },
        gates: WIDE,
        ...said,
      })),
    ],
  });
}

const PLANS = {
  plain: planOf({ canary: {}, rolling: {}, complete: {} }),
  /** Takes as long: a step stands in for half of the soak. */
  ramped: planOf({ canary: {}, rolling: { ramp: { step: '20%', every: '10s' }, soak: '10s' }, complete: {} }),
  piloted: planOf({ pilot: { only: { teams: ['search'] } }, rolling: {}, complete: {} }),
} as const;

const TICK_MS = 1_000;

/** With what a world begins. */
export interface Beginning {
  readonly gateways: number;
  readonly workers: number;
  /** Whether gateways still serve what an earlier migration left. */
  readonly earlier: boolean;
  /** Whether gateways are found by a name that resolves to the addresses of those that run, or are configured. */
  readonly byAddress: boolean;
  /** `plain` when absent. */
  readonly plan?: keyof typeof PLANS;
}

const EARLIER: StoredState = {
  highestEpoch: 7,
  record: {
    ...{ migrationId: 'm-0', stage: 'complete', epoch: 7, share: 1, salt: 'salt-0', stickyKey: 'none' },
    ...{ leaseMs: 15_000, pinned: true, newConversationsOnly: false, shadow: 0 },
  },
  kill: null,
  withdrawn: false,
};

/** Gateways, workers, Temporal and providers in one process, under one law keeper that sees everything. */
export class ModelledWorld {
  readonly time = new VirtualTime();
  readonly truth = new GroundTruth(() => this.time.nowMs);
  readonly ledger = new EvidenceLedger();
  readonly providers = { answering: { legacy: true, candidate: true } as Record<Arm, boolean> };
  readonly hanging = { probes: false };
  readonly gateways: ModelGateway[] = [];
  readonly workers: ModelWorker[] = [];
  readonly temporal: ModelTemporal;
  /** Whether some requests are drawn now and sent a moment later. */
  holdsBack = false;
  #ticking = true;
  #addresses = 0;
  readonly #network: ModelNetwork;
  readonly #fault: PlantedFault;
  #broken: Error | null = null;

  constructor(fault: PlantedFault, { gateways, workers, earlier, byAddress, plan = 'plain' }: Beginning) {
    this.time.start();
    this.#fault = fault;
    this.#network = new ModelNetwork(() => this.gateways, {
      byAddress,
      time: this.time,
      truth: this.truth,
      ledger: this.ledger,
      // Under a newer epoch a person has asked for it.
      knowsOfKill: (epoch) =>
        isKilled(driftsOf(this.temporal.state)) && epoch <= (this.state.inEffect?.record.epoch ?? 0),
    });
    for (let index = 0; index < gateways; index += 1) this.#addGateway(index - 1, earlier);
    for (let index = 0; index < workers; index += 1) this.workers.push(this.#newWorker(index));
    const keeper = new LawKeeper();
    this.temporal = new ModelTemporal(
      initialState(
        {
          migrationId: 'm-1',
          plan: PLANS[plan],
          by: 'ana',
          reason: 'cheaper',
          stickyKey: 'none',
          newConversationsOnly: false,
          shadow: 0,
          salt: 'salt-1',
        },
        this.time.nowMs,
      ),
      {
        time: this.time,
        truth: this.truth,
        workers: () => this.workers,
        step: fault.service?.transition ?? transition,
        faults: fault.service ?? {},
        looks: (before, event, after) => {
          try {
            keeper.check(before, event, after);
            this.#checkEvidence(before, event, after);
          } catch (error) {
            this.#broken ??= error as Error;
          }
        },
      },
    );
    this.temporal.start();
    void this.#tick();
  }

  get state(): MigrationState {
    return this.temporal.state;
  }

  get stage(): string {
    return this.state.plan.stages[this.state.stageIndex]?.name ?? '';
  }

  /** Throws the first law that was broken. */
  check(): void {
    if (this.#broken !== null) throw this.#broken;
    if (this.truth.breach !== null) throw new Error(this.truth.breach);
  }

  async pass(durationMs: number): Promise<void> {
    await this.time.pass(durationMs, () => this.#broken !== null || this.truth.breach !== null);
    this.check();
  }

  stop(): void {
    this.#ticking = false;
    for (const gateway of this.gateways) gateway.die();
    this.time.stop();
  }

  #addGateway(skew: number, earlier: boolean): void {
    const name = `gw-${this.gateways.length + 1}`;
    const gateway = new ModelGateway(name, this.#newAddress(), this, skew);
    if (earlier) gateway.disk.begin(EARLIER);
    this.gateways.push(gateway);
    this.startGateway(gateway);
  }

  startGateway(gateway: ModelGateway): void {
    if (gateway.process !== null || gateway.isGone) return;
    gateway.start();
    this.#fault.gateway?.(gateway);
  }

  /** As a pod that is started anew: the same name and disk at an address that nobody had. */
  moveGateway(gateway: ModelGateway): void {
    gateway.die();
    gateway.address = this.#newAddress();
    this.startGateway(gateway);
  }

  replaceWorker(index: number): void {
    this.workers[index]?.die();
    this.workers[index] = this.#newWorker(index);
  }

  /** Sends what a person could type, as a signal; false where it did not arrive. */
  says(name: CommandName, payload: Record<string, unknown> = {}): boolean {
    const command = readCommand(name, payload);
    if (isBadMessage(command)) throw new Error(command.problem);
    return this.temporal.send({ type: 'command', command });
  }

  #newWorker(index: number): ModelWorker {
    return new ModelWorker(
      `worker-${index + 1}`,
      { time: this.time, network: this.#network, providers: this.providers, hanging: this.hanging },
      this.#fault.ports ?? {},
    );
  }

  #newAddress(): string {
    this.#addresses += 1;
    return `http://10.0.0.${this.#addresses}:8082`;
  }

  async #tick(): Promise<void> {
    while (this.#ticking) {
      for (const gateway of this.gateways) gateway.serve(this.holdsBack);
      await this.time.wait(TICK_MS);
    }
  }

  /** What gateways counted is what the workflow holds, once; and no stage is left on less than its plan asks for. */
  #checkEvidence(before: MigrationState, event: MigrationEvent, after: MigrationState): void {
    if (event.type === 'watched' && after.inEffect === before.inEffect) {
      const difference = this.ledger.difference(before, event.window, after);
      if (difference !== null) throw new Error(`evidence: ${difference}`);
      const { verdict } = after.stage;
      const said = event.window.verdict.outcome;
      if (after !== before && verdict !== null && verdict.outcome !== said) {
        throw new Error(`law 3: a window that says ${said} is remembered as ${verdict.outcome}`);
      }
      const inStageMs = event.atMs - after.stage.enteredAtMs;
      if (after.stage.observedMs > inStageMs) {
        throw new Error(`evidence: a soak of ${after.stage.observedMs} ms in ${inStageMs} ms`);
      }
    }
    const stage = before.plan.stages[before.stageIndex];
    const entry = after.checkpoints.at(-1);
    const advanced = after.checkpoints.length > before.checkpoints.length && entry?.kind === 'intended';
    if (!advanced || entry.cause !== 'advance' || event.type === 'command' || stage === undefined) return;
    if (stageKind(stage) === 'assess') return;
    // A step of a ramp takes no minimum.
    if (entry.stage === stage.name) return;
    const { candidate, cohort } = countsOf(before.stage.evidence);
    const counted = stageKind(stage) === 'cohort' ? cohort : candidate;
    if (counted < stage.minimumSample) {
      throw new Error(`law 3: ${stage.name} was left on ${counted} of ${stage.minimumSample} requests`);
    }
  }
}
