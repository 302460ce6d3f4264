import type { Configuration, ModelMapping } from '../../core/configuration/configuration-schema';
import type { Dialect } from '../../core/configuration/dialect';
import type { Arm } from '../../core/routing/routing';
import { PairJudge } from '../judge/pair-judge';
import { withheldFrom } from '../request/forward-allowlist';
import { ReplayBudget } from '../request/replay-budget';
import { ShadowLedger } from '../serving/shadow-ledger';
import { Provider, type ProviderParts } from '../upstream/provider';
import type { RouteToServe } from './gateway-routes';
import { SharedOpenings } from './shared-openings';

const MIRROR_CONNECTIONS = 32;

/** A route with everything that serving it needs. */
export interface Route extends RouteToServe {
  readonly providers: Readonly<Record<Arm, Provider>>;
  /** The candidate once more for copies of legacy's traffic: its own pool, cap and breaker. */
  readonly mirror: Provider;
  /** What copies have cost here. */
  readonly shadows: ShadowLedger;
  /** Who says which answer of a pair is better. */
  readonly judge: PairJudge;
  readonly replays: ReplayBudget;
  /** For hedges that turn out to have been needless. */
  readonly hedges: ReplayBudget;
  /** Beginnings of conversations that are no keys, as this process sees them. */
  readonly openings: SharedOpenings;
}

/** One `Provider` a provider of the configuration, shared by the routes that name it. */
export function openProviders(
  configuration: Configuration,
  resolveSecret: (reference: string) => string,
  connections?: number,
): Map<string, Provider> {
  return new Map(
    Object.entries(configuration.providers).map(([name, provider]) => [
      name,
      new Provider(name, provider, providerParts(name, configuration, resolveSecret), connections),
    ]),
  );
}

export interface RouteParts {
  readonly configuration: Configuration;
  readonly providers: ReadonlyMap<string, Provider>;
  /** The same once more for judges: connections and breakers of their own. */
  readonly judges: ReadonlyMap<string, Provider>;
  readonly resolveSecret: (reference: string) => string;
  /** Monotonic clock, milliseconds. */
  readonly now: () => number;
}

/** Adds providers and budget to a route. */
export function completeRoute<Held extends RouteToServe>(route: Held, parts: RouteParts): Held & Route {
  const { legacy, candidate, replayBudget } = route.configuration;
  const { configuration, providers, judges } = parts;
  const processes = configuration.gateway.processes === 'auto' ? 1 : configuration.gateway.processes;
  const candidateProvider = providerOf(providers, candidate);
  return {
    ...route,
    providers: { legacy: providerOf(providers, legacy), candidate: candidateProvider },
    mirror: new Provider(
      candidate,
      { ...candidateProvider.configuration, maxConcurrent: MIRROR_CONNECTIONS },
      providerParts(candidate, configuration, parts.resolveSecret),
      MIRROR_CONNECTIONS,
    ),
    shadows: new ShadowLedger(processes),
    judge: new PairJudge(judges, processes),
    replays: new ReplayBudget(replayBudget.ratio, replayBudget.burst),
    hedges: new ReplayBudget(replayBudget.ratio, replayBudget.burst),
    openings: new SharedOpenings(parts.now),
  };
}

/** Whose API both providers of a route speak. */
export function dialectOf({ providers }: Route): Dialect {
  return providers.legacy.configuration.dialect;
}

/** How the route maps a model, null for one that it does not name. */
export function mappingOf(route: RouteToServe, model: string): ModelMapping | null {
  const { models } = route.configuration;
  return Object.hasOwn(models, model) ? (models[model] ?? null) : null;
}

/** Where callers' own keys of a provider are. */
export function callersKeysOf(
  provider: string,
  { callers }: Pick<Configuration, 'callers'>,
): readonly string[] {
  return callers.flatMap(({ keys }) => keys[provider] ?? []);
}

function providerParts(
  name: string,
  configuration: Configuration,
  resolveSecret: (reference: string) => string,
): ProviderParts {
  const { breaker } = configuration.gateway;
  return {
    breaker,
    resolveSecret,
    callersKeys: callersKeysOf(name, configuration),
    withheld: withheldFrom(name, configuration),
  };
}

function providerOf(providers: ReadonlyMap<string, Provider>, name: string): Provider {
  const provider = providers.get(name);
  if (provider === undefined) throw new RangeError(`expected a configured provider, got "${name}"`);
  return provider;
}
