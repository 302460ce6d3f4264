import type { Socket } from 'node:net';
import { environment, resolveSecret as resolveFromEnvironment } from '../../config';
import { Callers } from '../callers/callers';
import { openCohortSeals } from '../callers/cohort-seals';
import { type DataPlane, openDataPlane } from '../data-plane';
import { keepCollectionsShort, serveOn } from '../gateway-process';
import type { ReportedOutcome } from '../outcomes/outcome';
import { openOutcomeTokens } from '../outcomes/outcome-tokens';
import { openProviders } from '../routing/route';
import { openListenerTls } from '../sockets/listener-tls';
import type { Defects } from '../telemetry/defects';
import { GatewayMetrics } from '../telemetry/metrics';
import { openTracing } from '../telemetry/open-tracing';
import { type GatewayLog, openLog } from '../telemetry/request-log';
import { FollowedRoute } from './followed-route';
import { hostNowMs } from './host-clock';
import type { CallerSpending, ProcessOrder, ProcessStart, Report, SharedKnowledge } from './process-messages';

/** What was counted reaches the primary after so long; a process that dies takes no more with it. */
const COUNTED_EVERY_MS = 20;

/** One of the processes of a gateway that serve callers; everything is decided by the primary process. */
class ServingProcess {
  readonly #routes: ReadonlyMap<string, FollowedRoute>;
  readonly #callers: Callers;
  readonly #metrics: GatewayMetrics;
  readonly #log: GatewayLog;
  readonly #dataPlane: DataPlane<FollowedRoute>;
  #countedTimer: NodeJS.Timeout | null = null;

  constructor(start: ProcessStart) {
    const { configuration, startedAtMs } = start;
    const resolveSecret = (reference: string) => start.keys[reference] ?? resolveFromEnvironment(reference);
    const timing = {
      ...{ drainMs: configuration.gateway.drain, now: hostNowMs, startedAtMs },
      ...(start.readyAfterMs === undefined ? {} : { readyAfterMs: start.readyAfterMs }),
    };
    const counted = () => this.#sayCountedLater();
    this.#routes = new Map(
      Object.entries(start.routes).map(([name, route]) => {
        const held = configuration.routes[name];
        if (held === undefined) throw new RangeError(`expected a configured route, got "${name}"`);
        return [
          name,
          new FollowedRoute({
            name,
            configuration: held,
            start: route,
            ...timing,
            counted,
            learned: sendKnowledge(name),
            outcomes: sayOutcomes(name),
          }),
        ];
      }),
    );
    this.#callers = new Callers(configuration.callers, resolveSecret, counted);
    for (const [caller, levels] of Object.entries(start.callers)) {
      this.#callers.limits.get(caller)?.restore(levels, hostNowMs());
    }
    this.#metrics = new GatewayMetrics(this.#routes, null);
    this.#log = openLog(start.log, start.gateway, true);
    this.#dataPlane = openDataPlane({
      configuration,
      routes: this.#routes,
      providers: openProviders(configuration, resolveSecret),
      callers: this.#callers,
      resolveSecret,
      log: this.#log,
      metrics: this.#metrics,
      idPrefix: `${start.incarnation}.${process.pid}.`,
      now: hostNowMs,
      tls: openListenerTls('tls.data', configuration.tls.data, {
        resolveSecret,
        warn: (message) => this.#log.logger.warn(message),
      }),
      outcomes: openOutcomeTokens(configuration, resolveSecret),
      tracing: openTracing(environment, {
        gateway: start.gateway,
        now: hostNowMs,
        warn: (message) => this.#log.logger.warn(message),
      }),
      cohorts: openCohortSeals(configuration, resolveSecret),
    });
  }

  get defects(): Defects {
    return this.#dataPlane.defects;
  }

  take(socket: Socket): void {
    this.#dataPlane.take(socket);
    send({ report: 'free' });
  }

  obey(order: ProcessOrder): void {
    switch (order.order) {
      case 'start':
      case 'connection':
        return;
      case 'follow':
        this.#sayCounted();
        this.#routes.get(order.route)?.follow(order.change, order.inForce, order.inFlight);
        return;
      case 'learn':
        this.#routes.get(order.route)?.learn(order.learned);
        return;
      case 'spend':
        for (const { caller, ...spending } of order.spendings)
          this.#callers.limits.get(caller)?.add(spending, hostNowMs());
        return;
      case 'use key':
        this.#dataPlane.useKey(order.reference, order.key);
        return;
      case 'reload': {
        const { configuration, secrets } = order;
        // What the former callers have used is said while they are known.
        this.#sayCounted();
        this.#dataPlane.reload(
          configuration,
          (reference) => secrets[reference] ?? resolveFromEnvironment(reference),
        );
        return;
      }
      case 'report':
        void this.#report(order.round, order.withMetrics);
        return;
      case 'stop':
        void this.#stop();
    }
  }

  async #report(round: number, withMetrics: boolean): Promise<void> {
    const metrics = withMetrics ? { metrics: await this.#metrics.samples() } : {};
    this.#sayCounted();
    const routes = Object.fromEntries([...this.#routes].map(([name, route]) => [name, route.progress()]));
    send({ report: 'standing', round, routes, ...metrics });
  }

  async #stop(): Promise<void> {
    await this.#dataPlane.drain();
    await this.#report(0, true);
    await this.#dataPlane.release();
    this.#log.flush();
    // Once all that was sent before has left.
    process.send?.({ report: 'standing', round: 0, routes: {} }, undefined, undefined, () => process.exit(0));
  }

  #sayCountedLater(): void {
    this.#countedTimer ??= setTimeout(() => this.#sayCounted(), COUNTED_EVERY_MS);
  }

  #sayCounted(): void {
    if (this.#countedTimer !== null) clearTimeout(this.#countedTimer);
    this.#countedTimer = null;
    for (const [route, followed] of this.#routes) {
      const counted = followed.takeCounts();
      if (counted !== null) send({ report: 'counted', route, counted });
    }
    const spendings: CallerSpending[] = [];
    for (const [caller, limits] of this.#callers.limits) {
      const spending = limits.takeSpending();
      if (spending !== null) spendings.push({ caller, ...spending });
    }
    if (spendings.length > 0) send({ report: 'spent', spendings });
  }
}

/** At once: the next request about what was made here may already be on its way to another process. */
function sendKnowledge(route: string): (learned: SharedKnowledge) => void {
  return (learned) => send({ report: 'learned', route, learned });
}

/** They are counted where all processes are added up, each once. */
function sayOutcomes(route: string): (outcomes: readonly ReportedOutcome[]) => void {
  return (outcomes) => send({ report: 'outcomes', route, outcomes });
}

function send(report: Report): void {
  // Without a channel the primary is gone, and this process is about to end.
  if (process.connected) process.send?.(report, undefined, undefined, () => {});
}

keepCollectionsShort();
let serving: ServingProcess | null = null;

process.on('message', (order: ProcessOrder, socket?: Socket) => {
  if (order.order === 'connection') {
    // A connection that its caller has given up arrives without a socket.
    if (socket !== undefined) serving?.take(socket);
    else send({ report: 'free' });
    return;
  }
  if (order.order !== 'start') {
    serving?.obey(order);
    return;
  }
  try {
    serving = new ServingProcess(order.start);
    serveOn(serving.defects);
    send({ report: 'free' });
  } catch (error) {
    fail(error);
  }
});

function fail(error: unknown): void {
  const { message, code, syscall } = error as NodeJS.ErrnoException;
  send({
    ...{ report: 'failed', message },
    ...(code === undefined ? {} : { code }),
    ...(syscall === undefined ? {} : { syscall }),
  });
}

// A terminal and a service manager signal all processes of a group; the primary says when to stop, and how.
process.on('SIGINT', () => {});
process.on('SIGTERM', () => {});
// A terminal that goes says it to all; the primary sends what it has read again.
process.on('SIGHUP', () => {});
