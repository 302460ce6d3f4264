import type { EvidenceReading } from '../../src/core/evidence/evidence';
import type { RosterEntry } from '../../src/core/migration/migration-state';
import type { FoundGateway } from '../../src/core/routing/gateway-identity';
import type { GatewayStatus, PushAccepted } from '../../src/core/routing/routing';
import { UnknownCursor } from '../../src/gateway/evidence/evidence-store';
import type { PushRefusal } from '../../src/gateway/routing/push-decision';
import type { GatewayAnswer, GatewayPort } from '../../src/ports';
import type { EvidenceLedger } from './evidence-ledger';
import type { GroundTruth } from './ground-truth';
import type { ModelGateway } from './model-gateway';
import type { VirtualTime } from './virtual-time';

/** As the real adapter's: a whole call. */
const CALL_MS = 3_000;

type Process = NonNullable<ModelGateway['process']>;
type Reply<T> = T | PushRefusal | Promise<T | PushRefusal>;

/** The way from a worker to the gateways: calls are delayed, or lost before or after they were taken. */
export class ModelNetwork {
  constructor(
    private readonly gateways: () => readonly ModelGateway[],
    private readonly world: {
      readonly time: VirtualTime;
      readonly truth: GroundTruth;
      readonly ledger: EvidenceLedger;
      /** As of `Beginning`. */
      readonly byAddress: boolean;
      /** Whether the workflow knows that a kill switch withdrew what it applied under an epoch. */
      readonly knowsOfKill: (epoch: number) => boolean;
    },
  ) {}

  /** The gateways' admin listeners as the activities see them; `running` resolves while their worker runs. */
  port(running: () => Promise<void>): GatewayPort {
    const { truth, ledger } = this.world;
    const ask = async <T>(
      to: RosterEntry,
      work: (process: Process, gateway: ModelGateway) => Reply<T>,
    ): Promise<GatewayAnswer<T>> => {
      await running();
      const answer = await this.#call(to, work);
      await running();
      return answer;
    };
    return {
      discover: async () => {
        await running();
        return this.#found();
      },
      status: (to) => ask<GatewayStatus>(to, ({ state }) => state.status()),
      push: (to, _route, request) => {
        const isKilled = this.world.knowsOfKill(request.record.epoch) && request.record.share > 0;
        return ask<PushAccepted>(to, async ({ state }, { name }) => {
          const before = state.inForce.stored.record;
          const taken = await state.push(request);
          if (isKilled && !('code' in taken)) truth.breaks(`law 9: ${name} is pushed what a kill withdrew`);
          const { record } = state.inForce.stored;
          if (record !== null && record !== before && record.epoch !== before?.epoch) {
            truth.took(name, before, record);
          }
          return taken;
        });
      },
      renew: (to, _route, request) => ask<GatewayStatus>(to, ({ state }) => state.renew(request)),
      peek: async () => ({ kind: 'unreachable', reason: 'nobody looks here' }),
      evidence: (to, _route, epoch, since) =>
        ask<EvidenceReading>(to, ({ evidence, incarnation }) => {
          try {
            const reading = evidence.read(epoch, since ?? undefined);
            ledger.read(incarnation, epoch, reading.cursor);
            return reading;
          } catch (error) {
            if (!(error instanceof UnknownCursor)) throw error;
            return { code: 'unknown cursor' as const, message: error.message };
          }
        }),
    };
  }

  /** A name resolves to what runs; a configuration lists what there should be. */
  #found(): readonly FoundGateway[] {
    if (!this.world.byAddress) {
      return this.gateways()
        .filter(({ isConfigured }) => isConfigured)
        .map(({ name, address }) => ({ name, admin: address }));
    }
    return this.gateways()
      .filter(({ process }) => process !== null)
      .map(({ address }) => ({
        name: address.replace('http://', ''),
        admin: address,
        byAddress: true,
      }));
  }

  async #call<T>(
    { admin }: RosterEntry,
    work: (process: Process, gateway: ModelGateway) => Reply<T>,
  ): Promise<GatewayAnswer<T>> {
    const gateway = this.gateways().find(({ address }) => address === admin);
    if (gateway === undefined) return { kind: 'unreachable', reason: `${admin}: EHOSTUNREACH` };
    const taken = this.#arrive(gateway, work);
    if (gateway.link === 'well' && gateway.delayMs === 0 && !gateway.isStopped) return taken;
    return Promise.race([
      taken,
      this.world.time.wait(CALL_MS).then(() => unreachable<T>(admin, 'no answer in time')),
    ]);
  }

  async #arrive<T>(
    gateway: ModelGateway,
    work: (process: Process, gateway: ModelGateway) => Reply<T>,
  ): Promise<GatewayAnswer<T>> {
    const { link, delayMs, address } = gateway;
    if (link === 'no requests') return new Promise(() => undefined);
    if (delayMs > 0) await this.world.time.wait(delayMs);
    if (!(await gateway.takes()) || gateway.process === null) {
      return unreachable(address, 'ECONNREFUSED');
    }
    const reply = await work(gateway.process, gateway);
    if (link === 'no answers') return new Promise(() => undefined);
    if (delayMs > 0) await this.world.time.wait(delayMs);
    if (typeof reply === 'object' && reply !== null && 'code' in reply) {
      return { kind: 'refused', refusal: { error: reply } };
    }
    return { kind: 'ok', value: reply as T };
  }
}

function unreachable<T>(admin: string, why: string): GatewayAnswer<T> {
  return { kind: 'unreachable', reason: `${admin}: ${why}` };
}
