import type { Configuration } from '../../core/configuration/configuration-schema';
import { LARGEST_PART } from '../sockets/memory-budget';

/** Thrown at a start when a limit of the configuration cannot be divided among so many processes. */
class IndivisibleLimit extends Error {
  override readonly name = 'IndivisibleLimit';
  constructor(
    readonly setting: string,
    readonly limit: number,
    readonly processes: number,
    needed: number,
  ) {
    super(
      `expected ${setting} of at least ${needed} with gateway.processes: ${processes}, which divides it, got ${limit}; raise it, or take fewer processes`,
    );
  }
}

/** A limit of the whole gateway, and the least of it that one process needs. */
interface DividedLimit {
  readonly setting: string;
  readonly limit: number;
  readonly leastEach: number;
}

/**
 * How many processes serve: as configured, or with `auto` one for each core for as long as every limit can be
 * divided among them. Throws `IndivisibleLimit`.
 */
export function countProcesses(configuration: Configuration, cores: number): number {
  const { processes } = configuration.gateway;
  const limits = dividedLimits(configuration);
  if (processes === 'auto') {
    const affordable = limits.map(({ limit, leastEach }) => Math.floor(limit / leastEach));
    return Math.max(1, Math.min(cores, ...affordable));
  }
  for (const { setting, limit, leastEach } of processes === 1 ? [] : limits) {
    if (limit < leastEach * processes) {
      throw new IndivisibleLimit(setting, limit, processes, leastEach * processes);
    }
  }
  return processes;
}

/** The configuration of one of so many processes: limits of the whole gateway are divided. */
export function configurationOfOne(configuration: Configuration, processes: number): Configuration {
  const { gateway, providers, routes } = configuration;
  const part = (limit: number) => Math.floor(limit / processes);
  return {
    ...configuration,
    gateway: { ...gateway, processes, maxBufferedBytes: part(gateway.maxBufferedBytes) },
    providers: mapValues(providers, (provider) => ({
      ...provider,
      maxConcurrent: part(provider.maxConcurrent),
      maxConnections: part(provider.maxConnections),
    })),
    routes: mapValues(routes, (route) => ({
      ...route,
      replayBudget: { ...route.replayBudget, burst: Math.ceil(route.replayBudget.burst / processes) },
    })),
  };
}

function dividedLimits({ gateway, providers }: Configuration): DividedLimit[] {
  return [
    {
      setting: 'gateway.maxBufferedBytes',
      limit: gateway.maxBufferedBytes,
      leastEach: Math.ceil(gateway.maxBodyBytes / LARGEST_PART),
    },
    ...Object.entries(providers).flatMap(([name, { maxConcurrent, maxConnections }]) => [
      { setting: `providers.${name}.maxConcurrent`, limit: maxConcurrent, leastEach: 1 },
      { setting: `providers.${name}.maxConnections`, limit: maxConnections, leastEach: 1 },
    ]),
  ];
}

function mapValues<Value>(
  record: Readonly<Record<string, Value>>,
  change: (value: Value) => Value,
): Record<string, Value> {
  return Object.fromEntries(Object.entries(record).map(([name, value]) => [name, change(value)]));
}
