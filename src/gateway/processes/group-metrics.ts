import { AggregatorRegistry, Registry } from 'prom-client';
import type { FailedLogins } from '../../core/access/failed-logins';
import type { GatewayStatus } from '../../core/routing/routing';
import type { RouteToServe } from '../routing/gateway-routes';
import type { Connections } from '../sockets/connections';
import { registerScraped } from '../telemetry/metric-series';
import { GatewayMetrics, type MetricSamples } from '../telemetry/metrics';
import type { Credentials } from '../upstream/credentials';
import type { ProcessGroup, Round } from './process-group';

/** The metrics of a gateway of several processes: routing from here, everything else added up over all. */
export class GroupMetrics {
  readonly #group: ProcessGroup;
  readonly #own: GatewayMetrics;
  readonly #processes = new Registry();
  #round: Round = { standings: [], silent: 0 };
  /** What processes had counted that are gone. */
  #ended: Promise<MetricSamples> = Promise.resolve([]);

  constructor(
    group: ProcessGroup,
    routes: ReadonlyMap<string, Pick<RouteToServe, 'configuration' | 'outcomes'>>,
    statusesIn: (round: Round) => GatewayStatus[],
  ) {
    this.#group = group;
    this.#own = new GatewayMetrics(routes, () => statusesIn(this.#round));
    registerScraped(this.#processes, {
      name: 'cutover_gateway_processes',
      help: 'Processes of this gateway that are serving.',
      type: 'gauge',
      samples: () => [{ labels: {}, value: group.serving }],
    });
    registerScraped(this.#processes, {
      name: 'cutover_gateway_process_restarts_total',
      help: 'Processes of this gateway that ended unexpectedly and were replaced.',
      type: 'counter',
      samples: () => [{ labels: {}, value: group.restarts }],
    });
  }

  get contentType(): string {
    return this.#own.contentType;
  }

  /** Adds the connections of a listener of this process. */
  showConnections(listener: string, connections: Connections): void {
    this.#own.showConnections(listener, connections);
  }

  /** Adds the failed logins of a listener of this process. */
  showFailedLogins(listener: string, failedLogins: FailedLogins): void {
    this.#own.showFailedLogins(listener, failedLogins);
  }

  /** Adds the credentials of this process, which runs their commands for all. */
  showCredentials(credentials: Pick<Credentials, 'standings'>): void {
    this.#own.showCredentials(credentials);
  }

  async metrics(): Promise<string> {
    this.#round = await this.#group.round(true);
    const own = [await this.#own.samples(), await this.#processes.getMetricsAsJSON()];
    return AggregatorRegistry.aggregate([...own, ...this.#group.metrics, await this.#ended]).metrics();
  }

  /** Keeps what a process that is gone has counted; what it held at the end is gone with it. */
  keep(metrics: MetricSamples): void {
    const counted = metrics.filter(({ type }) => COUNTED.has(String(type)));
    this.#ended = this.#ended.then((before) =>
      AggregatorRegistry.aggregate([before, counted]).getMetricsAsJSON(),
    );
  }
}

const COUNTED = new Set(['counter', 'histogram']);
