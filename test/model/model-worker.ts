import { createActivities } from '../../src/activities';
import { createLeaseGrants } from '../../src/adapters/lease-grants';
import type { GatewayPort, LeaseGrantPort, Ports, ProviderPort } from '../../src/ports';
import type { Providers } from './model-gateway';
import type { ModelNetwork } from './model-network';
import type { VirtualTime } from './virtual-time';

/** Ends what still runs in a worker that was killed. */
class WorkerDied extends Error {
  override readonly name = 'WorkerDied';
}

/** What a test takes out of the ports, to see a law break. */
export interface PortFaults {
  readonly gateways?: (port: GatewayPort) => GatewayPort;
  readonly leaseGrants?: (port: LeaseGrantPort) => LeaseGrantPort;
}

/** One worker's process with the real activities: it can be killed, stopped and continued, and cut off from Temporal. */
export class ModelWorker {
  isDead = false;
  isStopped = false;
  /** Without a connection to Temporal. */
  isCut = false;
  readonly activities: ReturnType<typeof createActivities>;
  #going: (() => void)[] = [];

  constructor(
    readonly name: string,
    world: {
      readonly time: VirtualTime;
      readonly network: ModelNetwork;
      readonly providers: Providers;
      readonly hanging: { readonly probes: boolean };
    },
    faults: PortFaults,
  ) {
    const gateways = world.network.port(() => this.running());
    const leaseGrants = createLeaseGrants();
    const ports: Partial<Ports> = {
      gateways: faults.gateways?.(gateways) ?? gateways,
      leaseGrants: faults.leaseGrants?.(leaseGrants) ?? leaseGrants,
      providers: this.#providers(world),
      clock: {
        now: () => world.time.nowMs,
        sleep: async (durationMs, signal) => {
          await untilAborted(world.time.wait(durationMs), signal);
          await this.running();
        },
      },
      telemetry: {
        effect: () => ({ end: () => undefined }),
        stage: () => ({ round: () => undefined, end: () => undefined }),
        change: () => ({ pushed: () => undefined, end: () => undefined }),
      },
    };
    this.activities = createActivities(ports as Ports);
  }

  /** Resolves while the process runs; throws once it was killed. */
  async running(): Promise<void> {
    while (this.isStopped && !this.isDead) await new Promise<void>((resolve) => this.#going.push(resolve));
    if (this.isDead) throw new WorkerDied(`${this.name} was killed`);
  }

  /** As by SIGKILL. */
  die(): void {
    this.isDead = true;
    this.continue();
  }

  continue(): void {
    this.isStopped = false;
    for (const go of this.#going.splice(0)) go();
  }

  #providers({
    time,
    providers,
    hanging,
  }: {
    readonly time: VirtualTime;
    readonly providers: Providers;
    readonly hanging: { readonly probes: boolean };
  }): ProviderPort {
    return {
      probe: async (_route, provider, kind, { timeoutMs, signal }) => {
        if (hanging.probes) await untilAborted(time.wait(timeoutMs), signal);
        await this.running();
        const ok = providers.answering[provider] && !hanging.probes;
        const error = ok ? null : 'status_5xx';
        return { kind, ok, latencyMs: 40, firstTokenMs: null, error, models: ok ? ['m'] : null };
      },
      ask: () => Promise.reject(new Error('nothing is asked of providers in this world')),
      models: () => [{ legacy: 'm', candidate: 'm' }],
    };
  }
}

/** Resolves with the work, or at once when the signal aborts. */
function untilAborted(work: Promise<void>, signal: AbortSignal): Promise<void> {
  if (signal.aborted) return Promise.resolve();
  return new Promise((resolve) => {
    const end = () => {
      signal.removeEventListener('abort', end);
      resolve();
    };
    signal.addEventListener('abort', end);
    void work.then(end);
  });
}
