import { randomUUID } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { FailedLogins } from '../../../src/core/access/failed-logins';
import {
  type Configuration,
  configurationSchema,
} from '../../../src/core/configuration/configuration-schema';
import type { PushRequest, RoutingRecord } from '../../../src/core/routing/routing';
import { createAdminServer } from '../../../src/gateway/admin/admin';
import type { Observation } from '../../../src/gateway/evidence/evidence-cell';
import { type GatewayRoute, openRoutes, watchDisks } from '../../../src/gateway/routing/gateway-routes';
import type { Restart } from '../../../src/gateway/routing/restart-trust';

/** A monotonic clock that a test moves, as SIGSTOP and SIGCONT would. */
export class TestClock {
  #nowMs = 1_000;
  readonly now = () => this.#nowMs;

  advance(durationMs: number): void {
    this.#nowMs += durationMs;
  }
}

export function record(overrides: Partial<RoutingRecord> = {}): RoutingRecord {
  return {
    migrationId: 'm-1',
    stage: 'canary',
    epoch: 1,
    share: 0.1,
    salt: 'salt',
    stickyKey: 'body',
    leaseMs: 45_000,
    pinned: false,
    newConversationsOnly: false,
    shadow: 0,
    ...overrides,
  };
}

export function observation(overrides: Partial<Observation> = {}): Observation {
  return {
    epoch: 1,
    side: 'candidate',
    kind: 'live',
    shape: 'plain',
    model: 'gpt-4o',
    outcome: 'success',
    retry: false,
    totalMs: 100,
    firstTokenMs: null,
    interTokenMs: [],
    tokensIn: 10,
    tokensCached: 2,
    tokensOut: 5,
    costUsd: 0.001,
    bucket: null,
    answer: null,
    ...overrides,
  };
}

/** A temporary directory that is gone after the test file. */
export function temporaryDirectory(): string {
  const directory = mkdtempSync(join(tmpdir(), 'cutover-test-'));
  afterAll(() => rmSync(directory, { recursive: true, force: true }));
  return directory;
}

function configuration(overrides: object = {}): Configuration {
  return configurationSchema.parse({
    providers: { old: { baseUrl: 'http://127.0.0.1:1/v1' }, new: { baseUrl: 'http://127.0.0.1:2/v1' } },
    routes: { main: { legacy: 'old', candidate: 'new', models: { 'gpt-4o': 'model-b' } } },
    ...overrides,
  });
}

/** A gateway's control plane: its routes and its admin listener on loopback. */
export class TestGateway {
  readonly warnings: string[] = [];
  readonly notices: string[] = [];
  readonly incarnation = randomUUID();
  readonly failedLogins = new FailedLogins({
    listener: 'admin',
    now: () => 0,
    log: ({ address }) => this.warnings.push(`a failed login from ${address}`),
  });
  readonly routes: ReadonlyMap<string, GatewayRoute>;
  #server: ReturnType<typeof createAdminServer> | null = null;

  constructor(
    readonly options: {
      readonly directory: string;
      readonly clock: TestClock;
      readonly name?: string;
      readonly route?: object;
      /** Names of its routes; `main` when absent. */
      readonly routes?: readonly string[];
      readonly restart?: Restart;
      /** How long a route without a record waits for one; a minute when absent. */
      readonly readyAfterMs?: number;
    },
  ) {
    this.routes = openRoutes({
      configuration: configuration({
        routes: Object.fromEntries(
          (options.routes ?? ['main']).map((name) => [
            name,
            { legacy: 'old', candidate: 'new', ...options.route },
          ]),
        ),
        gateway: { stateDirectory: options.directory, drain: '1s' },
      }),
      gateway: options.name ?? 'gw-1',
      incarnation: this.incarnation,
      now: options.clock.now,
      warn: (message) => this.warnings.push(message),
      restart: options.restart ?? 'stopped',
      ...(options.readyAfterMs === undefined ? {} : { readyAfterMs: options.readyAfterMs }),
    });
  }

  get route(): GatewayRoute {
    return this.routes.get('main') as GatewayRoute;
  }

  get state(): GatewayRoute['state'] {
    return this.route.state;
  }

  /** The push that a worker would send now: it read the status a moment ago. */
  pushRequest(overrides: Partial<RoutingRecord> = {}, rest: Partial<PushRequest> = {}): PushRequest {
    const status = this.state.status();
    return {
      expected: { incarnation: status.incarnation, epoch: status.record?.epoch ?? status.highestEpoch },
      asOfMs: status.asOfMs,
      record: record({ epoch: status.highestEpoch + 1, ...overrides }),
      inFlight: 'drain',
      ...rest,
    };
  }

  /** Starts the admin listener and gives its address. */
  async listen(port = 0, host = '127.0.0.1'): Promise<string> {
    const server = createAdminServer({
      gateway: this.options.name ?? 'gw-1',
      incarnation: this.incarnation,
      routes: this.routes,
      token: 'test-token',
      hosts: ['gateways.test'],
      failedLogins: this.failedLogins,
      wallNow: () => new Date(0),
      notice: (message) => this.notices.push(message),
    });
    this.#server = server;
    await watchDisks(this.routes);
    await new Promise<void>((resolve) => server.listen(port, host, resolve));
    return `http://${host}:${(server.address() as AddressInfo).port}`;
  }

  async close(): Promise<void> {
    for (const { state } of this.routes.values()) state.close();
    const server = this.#server;
    if (server === null) return;
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
  }
}
