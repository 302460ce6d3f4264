import { setTimeout as sleep } from 'node:timers/promises';
import type { EvidenceReading } from '../../core/evidence/evidence';
import type { RosterEntry } from '../../core/migration/migration-state';
import { type FoundGateway, identifyGateways } from '../../core/routing/gateway-identity';
import type { GatewayStatus } from '../../core/routing/routing';
import type { GatewayAnswer } from '../../ports';
import type { GatewaySighting } from '../view/gateway-view';

/** The part of the gateways' admin listeners that only looks. */
export interface GatewayReader {
  discover(): Promise<readonly FoundGateway[]>;
  status(gateway: RosterEntry, route: string): Promise<GatewayAnswer<GatewayStatus>>;
  peek(gateway: RosterEntry, route: string, epoch: number): Promise<GatewayAnswer<EvidenceReading>>;
}

/** How long a look waits for slow gateways before it makes do with what they said before, milliseconds. */
const PATIENCE_MS = 400;
/** Evidence is many times larger than a status: it is read less often, milliseconds. */
const EVIDENCE_EVERY_MS = 2_000;

/** What all gateways say about one route: a gateway that hangs never delays what is known of the others' past. */
export class GatewayWatch {
  readonly #reader: GatewayReader;
  readonly #route: string;
  readonly #now: () => number;
  #seen: readonly GatewaySighting[] = [];
  #looking: Promise<void> | null = null;
  #evidenceAtMs = Number.NEGATIVE_INFINITY;
  #epoch = -1;

  /** `now` is a monotonic clock in milliseconds. */
  constructor(reader: GatewayReader, route: string, now: () => number) {
    this.#reader = reader;
    this.#route = route;
    this.#now = now;
  }

  /** The newest sightings, after a short wait for new ones; evidence is that of `epoch`. */
  async look(epoch: number): Promise<readonly GatewaySighting[]> {
    this.#looking ??= this.#lookNow(epoch).finally(() => {
      this.#looking = null;
    });
    const waited = new AbortController();
    await Promise.race([
      this.#looking,
      sleep(PATIENCE_MS, undefined, { signal: waited.signal }).catch(() => undefined),
    ]);
    waited.abort();
    return this.#seen;
  }

  async #lookNow(epoch: number): Promise<void> {
    const gateways = await this.#reader.discover().catch(() => null);
    if (gateways === null) {
      const reason = 'the name of the gateways does not resolve';
      this.#seen = this.#seen.map((sighting) => ({ ...sighting, status: { kind: 'unreachable', reason } }));
      return;
    }
    const nowMs = this.#now();
    const withEvidence = epoch !== this.#epoch || nowMs - this.#evidenceAtMs >= EVIDENCE_EVERY_MS;
    if (withEvidence) {
      this.#evidenceAtMs = nowMs;
      this.#epoch = epoch;
    }
    const asked = await Promise.all(
      gateways.map(async (found) => {
        const [answer, evidence] = await Promise.all([
          this.#reader.status(found, this.#route),
          withEvidence && epoch > 0 ? this.#reader.peek(found, this.#route, epoch) : null,
        ]);
        return { found, answer, evidence };
      }),
    );
    this.#seen = identifyGateways(asked, []).map(({ gateway: { name, admin }, answer: status }) => {
      const evidence = asked.find(({ found }) => found.admin === admin)?.evidence ?? null;
      const before = this.#seen.find((sighting) => sighting.name === name)?.evidence ?? null;
      // A gateway that fell silent takes its numbers with it: they would stand still and look alive.
      const kept = status.kind === 'ok' ? before : null;
      return { name, admin, status, evidence: evidence ?? kept };
    });
  }
}
