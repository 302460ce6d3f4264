import { freePorts } from '../src/temporal-server/free-port';
import type { ProviderName } from './expected-answer';

export const WORKERS = ['worker-1', 'worker-2'] as const;
export const GATEWAYS = ['gw-1', 'gw-2'] as const;
export type WorkerName = (typeof WORKERS)[number];
export type GatewayName = (typeof GATEWAYS)[number];
export type ProcessName = WorkerName | GatewayName | ProviderName | 'temporal';
/** Ways with a proxy: each worker's to Temporal, the workers' to a gateway, the callers' to a gateway. */
export type WayName = `temporal:${WorkerName}` | `admin:${GatewayName}` | `data:${GatewayName}`;

export const ROUTE = 'chat';
/** The model by the name that each provider knows it by; callers use legacy's. */
export const MODELS: Readonly<Record<ProviderName, string>> = { legacy: 'old-model', candidate: 'new-model' };

/** Where everything listens. */
export interface Ports {
  readonly temporal: number;
  readonly providers: Readonly<Record<ProviderName, number>>;
  readonly gateways: Readonly<Record<GatewayName, { readonly data: number; readonly admin: number }>>;
  readonly ways: Readonly<Record<WayName, number>>;
}

/** Free ports for a whole stack. */
export async function choosePorts(): Promise<Ports> {
  const ports = await freePorts('127.0.0.1', 13);
  const next = () => ports.shift() as number;
  return {
    temporal: next(),
    providers: { legacy: next(), candidate: next() },
    gateways: { 'gw-1': { data: next(), admin: next() }, 'gw-2': { data: next(), admin: next() } },
    ways: {
      'temporal:worker-1': next(),
      'temporal:worker-2': next(),
      'admin:gw-1': next(),
      'admin:gw-2': next(),
      'data:gw-1': next(),
      'data:gw-2': next(),
    },
  };
}

/** What one gateway has for itself. */
export interface OwnSettings {
  readonly stateDirectory: string;
  readonly settled: ProviderName;
}

/** The configuration of workers, operators and gateways, who differ in how they reach the admin listeners. */
export function configurationOf(
  { providers, gateways }: Ports,
  adminPort: (name: GatewayName) => number,
  own: OwnSettings | null = null,
): object {
  const timeouts = { connect: '1s', firstContent: '2s', streamIdle: '2s', plainTotal: '4s' };
  const provider = (port: number, key: string) => ({
    baseUrl: `http://127.0.0.1:${port}/v1`,
    auth: { bearer: `env:${key}` },
    timeouts,
  });
  const address = (port: number) => `http://127.0.0.1:${port}`;
  return {
    providers: {
      legacy: provider(providers.legacy, 'LEGACY_KEY'),
      candidate: provider(providers.candidate, 'CANDIDATE_KEY'),
    },
    routes: {
      [ROUTE]: {
        legacy: 'legacy',
        candidate: 'candidate',
        models: { [MODELS.legacy]: MODELS.candidate },
        stickyKey: 'none',
        settled: own?.settled ?? 'legacy',
      },
    },
    gateways: GATEWAYS.map((name) => ({
      name,
      data: address(gateways[name].data),
      admin: address(adminPort(name)),
    })),
    ...(own === null ? {} : { gateway: { stateDirectory: own.stateDirectory, drain: '2s' } }),
  };
}
