import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import OpenAI from 'openai';
import {
  type Configuration,
  configurationSchema,
} from '../../../src/core/configuration/configuration-schema';
import type { EvidenceCell } from '../../../src/core/evidence/evidence';
import type { PushRequest, RoutingRecord } from '../../../src/core/routing/routing';
import { type GatewayOptions, type RunningGateway, startGatewayServer } from '../../../src/gateway/main';

export const ADMIN_TOKEN = 'admin-token-of-tests';
export const MODEL = 'gpt-4o';
/** A chat that any test may ask. */
export const ASK = { model: MODEL, messages: [{ role: 'user' as const, content: 'Hello?' }] };
/** The candidate's name of `MODEL`, unless a test maps otherwise. */
export const MAPPED_MODEL = 'gpt-4o-mini';
export const ROUTE = 'chat';

type Input = Record<string, unknown>;

export interface TestGatewayOptions {
  readonly legacyUrl: string;
  readonly candidateUrl: string;
  readonly route?: Input;
  readonly legacy?: Input;
  readonly candidate?: Input;
  readonly settings?: Input;
  readonly configuration?: Input;
  readonly secrets?: Readonly<Record<string, string>>;
  readonly options?: Partial<GatewayOptions>;
}

export interface TestGateway extends RunningGateway {
  readonly configuration: Configuration;
  /** Log lines of requests, parsed. */
  readonly log: Record<string, unknown>[];
  /** The next epoch with this share, confirmed. */
  route(share: number, record?: Partial<RoutingRecord>, inFlight?: PushRequest['inFlight']): Promise<void>;
  /** An openai client of the default route, without retries. */
  client(path?: string): OpenAI;
  /** Evidence cells of an epoch (the current one when absent). */
  cells(epoch?: number): readonly EvidenceCell[];
}

/** A gateway in this process with one route between two providers, in a state directory of its own. */
export async function startTestGateway(wanted: TestGatewayOptions): Promise<TestGateway> {
  const stateDirectory = mkdtempSync(join(tmpdir(), 'cutover-gateway-'));
  const configuration = configurationSchema.parse({
    providers: {
      old: { baseUrl: wanted.legacyUrl, ...wanted.legacy },
      new: { baseUrl: wanted.candidateUrl, ...wanted.candidate },
    },
    routes: {
      [ROUTE]: {
        legacy: 'old',
        candidate: 'new',
        models: { [MODEL]: MAPPED_MODEL, 'text-embedding-3-small': 'text-embedding-3-small' },
        ...wanted.route,
      },
    },
    gateway: { stateDirectory, drain: '2s', ...wanted.settings },
    ...wanted.configuration,
  });
  const secrets: Readonly<Record<string, string>> = {
    'env:CUTOVER_ADMIN_TOKEN': ADMIN_TOKEN,
    ...wanted.secrets,
  };
  const log: Record<string, unknown>[] = [];
  const gateway = await startGatewayServer({
    configuration,
    name: 'g1',
    data: { host: '127.0.0.1', port: 0 },
    admin: { host: '127.0.0.1', port: 0 },
    log: { write: (line: string) => void log.push(JSON.parse(line)) },
    readyAfterMs: 0,
    resolveSecret: (reference) => secrets[reference] ?? 'a-secret',
    ...wanted.options,
  });
  const held = gateway.routes.get(ROUTE);
  if (held === undefined) throw new Error(`expected the route ${ROUTE}`);
  return {
    ...gateway,
    configuration,
    log,
    async route(share, record = {}, inFlight = 'drain') {
      const { state } = held;
      const before = state.status();
      const pushed = await state.push({
        expected: { incarnation: before.incarnation, epoch: before.record?.epoch ?? before.highestEpoch },
        asOfMs: before.asOfMs,
        inFlight,
        record: {
          migrationId: 'migration',
          stage: 'canary',
          epoch: before.highestEpoch + 1,
          share,
          salt: 'salt',
          stickyKey: 'body',
          leaseMs: 600_000,
          pinned: false,
          newConversationsOnly: false,
          shadow: 0,
          ...record,
        },
      });
      if ('code' in pushed) throw new Error(pushed.message);
    },
    client: (path = '/v1') =>
      new OpenAI({ baseURL: `${gateway.dataUrl}${path}`, apiKey: 'a-callers-key', maxRetries: 0 }),
    cells: (epoch = held.state.epoch) => held.evidence.read(epoch).evidence.cells,
    async stop() {
      await gateway.stop();
      rmSync(stateDirectory, { recursive: true, force: true });
    },
  };
}
