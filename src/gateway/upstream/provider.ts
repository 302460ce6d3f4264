import type { ProviderConfiguration } from '../../core/configuration/configuration-schema';
import { keyReferencesOf } from '../../core/configuration/provider-schema';
import type { Caller } from '../callers/callers';
import { ConnectionPool } from '../http1/connection-pool';
import { type ForwardAllowlist, queryOf } from '../request/forward-allowlist';
import type { Endpoint } from '../request/traffic-class';
import { Breaker, type BreakerSettings } from './breaker';
import { KeyRing } from './key-ring';
import { ProviderKeys } from './provider-keys';

/** Why a provider is not asked now: its breaker, its concurrency cap, or its own Retry-After. */
export type ShedReason = 'breaker open' | 'concurrency cap' | 'retry-after';

const MAX_HOLD_OFF_MS = 60_000;
/** One of several keys that was refused is tried again after this long. */
const REFUSED_REST_MS = 60_000;
/** One that was throttled, where the answer does not say for how long. */
const THROTTLED_REST_MS = 1_000;

/** Keys that were in use before, which answers on their way may quote. */
const FORMER_KEYS = 8;

/** These of a caller's headers never reach the list of forwarded ones, so nothing needs to be put over them. */
const NEVER_FORWARDED = new Set(['accept-encoding', 'authorization', 'api-key', 'x-api-key']);

interface OwnHeaders {
  /** Flat list. */
  readonly list: readonly string[];
  /** Lower-case names of the caller's that are replaced or withheld; null when there are none. */
  readonly overrides: ReadonlySet<string> | null;
}

export interface ProviderParts {
  readonly breaker: BreakerSettings;
  readonly resolveSecret: (reference: string) => string;
  /** Where callers' own keys of this provider are. */
  readonly callersKeys: readonly string[];
  /** What of callers' heads other providers get and this one does not. */
  readonly withheld: ForwardAllowlist;
}

/** One provider of this gateway: its pool (shared with no other), breaker, cap and the way its key is sent. */
export class Provider {
  readonly pool: ConnectionPool;
  readonly breaker: Breaker;
  readonly base: URL;
  inFlight = 0;
  /** Where it has refused `stream_options.include_usage`, and answered without it. */
  readonly #refusesUsage = new Set<Endpoint>();
  readonly #basePath: string;
  #query: string;
  /** Names of query parameters of the caller's that are replaced or withheld; null when there are none. */
  #queryOverrides: ReadonlySet<string> | null;
  readonly #withheld: ForwardAllowlist;
  #configuration: ProviderConfiguration;
  /** By reference: its own key, and those that callers have here. */
  #current: ReadonlyMap<string, string>;
  /** The newest last. */
  #former: readonly string[] = [];
  #keys: ProviderKeys;
  /** By caller, and by the reference of the provider's key. */
  readonly #ownHeaders = new Map<Caller, Map<string | null, OwnHeaders>>();
  #ring: KeyRing;
  /** By caller where it has an identity of its own here, else under null for all who share one. */
  readonly #heldOffUntilMs = new Map<Caller | null, number>();

  constructor(
    readonly name: string,
    configuration: ProviderConfiguration,
    { breaker, resolveSecret, callersKeys, withheld }: ProviderParts,
    connections = configuration.maxConnections,
  ) {
    this.base = new URL(configuration.baseUrl);
    this.#basePath = this.base.pathname.replace(/\/+$/, '');
    this.breaker = new Breaker(breaker);
    this.#configuration = configuration;
    this.#ring = new KeyRing(ownReferences(configuration));
    this.#withheld = withheld;
    this.#current = keysOf(configuration, callersKeys, resolveSecret);
    this.#keys = this.#hideKeys();
    this.#query = queryTextOf(configuration);
    this.#queryOverrides = queryOverridesOf(configuration, withheld);
    this.pool = new ConnectionPool({
      origin: this.base,
      connections,
      connectMs: configuration.timeouts.connect,
    });
  }

  get configuration(): ProviderConfiguration {
    return this.#configuration;
  }

  /**
   * How it is asked from now on; the address, caps and connections stay. `prepare` throws what `resolveSecret` throws;
   * what it returns changes everything at once.
   */
  prepare(
    configuration: ProviderConfiguration,
    callersKeys: readonly string[],
    resolveSecret: (reference: string) => string,
  ): () => void {
    const { maxConcurrent, maxConnections } = this.#configuration;
    const next = { ...configuration, maxConcurrent, maxConnections };
    const keys = keysOf(next, callersKeys, resolveSecret);
    return () => {
      const inUse = new Set(keys.values());
      const gone = [...this.#current.values()].filter((key) => !inUse.has(key));
      this.#former = [...this.#former, ...gone].slice(-Math.max(FORMER_KEYS, gone.length));
      this.#configuration = next;
      this.#ring = new KeyRing(ownReferences(next));
      this.#current = keys;
      this.#keys = this.#hideKeys();
      this.#query = queryTextOf(next);
      this.#queryOverrides = queryOverridesOf(next, this.#withheld);
      this.#ownHeaders.clear();
      // Callers are others from now on.
      for (const whose of this.#heldOffUntilMs.keys()) if (whose !== null) this.#heldOffUntilMs.delete(whose);
    };
  }

  /** All that must not be in an answer. */
  get keys(): ProviderKeys {
    return this.#keys;
  }

  /** Where its keys are: its own, and those that callers have here. */
  get references(): Iterable<string> {
    return this.#current.keys();
  }

  /** From now on requests carry this key where they carry that of this reference; answers show neither it nor the last. */
  useKey(reference: string, key: string): void {
    const last = this.#current.get(reference);
    if (last === undefined) return;
    this.#ownHeaders.clear();
    if (last === key) return;
    this.#current = new Map(this.#current).set(reference, key);
    this.#former = [...this.#former, last].slice(-FORMER_KEYS);
    this.#keys = this.#hideKeys();
  }

  #hideKeys(): ProviderKeys {
    return new ProviderKeys([...this.#current.values(), ...this.#former]);
  }

  /** Path with the provider's base and query; `rest` is below /v1 and starts with a slash. */
  path(rest: string, query: string, caller: Caller): string {
    if (this.#query === '' && query === '' && !this.#keyInQuery) return this.#basePath + rest;
    const passed = this.#queryOverrides === null ? query : queryOf(query, this.#queryOverrides, true);
    const parts = [passed, this.#query, this.#queryKey(caller)].filter((part) => part !== '');
    return `${this.#basePath}${rest}${parts.length === 0 ? '' : `?${parts.join('&')}`}`;
  }

  /** A request's own headers with the provider's and the caller's configured ones put over them. */
  headers(forward: readonly string[], caller: Caller, nowMs: number): string[] {
    const reference = caller.keys.has(this.name) ? null : this.#ring.next(nowMs);
    const own = this.#ownHeaders.get(caller)?.get(reference) ?? this.#buildHeaders(caller, reference);
    if (own.overrides === null) return forward.concat(own.list);
    const kept: string[] = [];
    for (let index = 0; index < forward.length; index += 2) {
      const name = forward[index] as string;
      if (!own.overrides.has(name.toLowerCase())) kept.push(name, forward[index + 1] as string);
    }
    return kept.concat(own.list);
  }

  /** Whether usage may be asked for in a stream of this endpoint: where the option exists and is not refused. */
  asksUsage(endpoint: Endpoint): boolean {
    if (endpoint !== 'chat' && endpoint !== 'completions') return false;
    return this.configuration.streamUsage && !this.#refusesUsage.has(endpoint);
  }

  /** It has refused the option at this endpoint, and then answered the same request without it. */
  stopAskingUsage(endpoint: Endpoint): void {
    this.#refusesUsage.add(endpoint);
  }

  /** Why the candidate's part of the work is not sent now, null when it may be. */
  sheds(caller: Caller, nowMs: number): ShedReason | null {
    const reason = this.closedTo(caller, nowMs);
    if (reason !== null) return reason;
    return this.breaker.admits(nowMs) ? null : 'breaker open';
  }

  /** Why a request of this caller would not be sent at this moment, null when it would; asking changes nothing. */
  closedTo(caller: Caller, nowMs: number): ShedReason | null {
    if (this.inFlight >= this.configuration.maxConcurrent) return 'concurrency cap';
    if (this.#heldOffUntilMs.size > 0 && this.#isHeldOff(caller, nowMs)) return 'retry-after';
    return this.breaker.wouldAdmit(nowMs) ? null : 'breaker open';
  }

  /** The provider said how long it wants to be left alone with the key that this caller uses. */
  holdOff(caller: Caller, forMs: number, nowMs: number): void {
    const whose = this.#hasOwnIdentity(caller) ? caller : null;
    this.#heldOffUntilMs.set(whose, nowMs + Math.min(forMs, MAX_HOLD_OFF_MS));
  }

  /**
   * Has the key rest with which a request was refused, where it is one of several that requests are spread over.
   * Returns whether another one can be used: then the answer says nothing of the provider.
   */
  restKey(
    refused: {
      readonly headers: readonly string[];
      readonly status: number;
      readonly retryAfterMs: number | null;
    },
    nowMs: number,
  ): boolean {
    const { headers, status, retryAfterMs } = refused;
    if (this.#ring.size < 2 || (status !== 429 && status !== 401)) return false;
    const reference = this.#referenceIn(headers);
    if (reference === null) return false;
    const forMs = status === 401 ? REFUSED_REST_MS : (retryAfterMs ?? THROTTLED_REST_MS);
    this.#ring.rest(reference, Math.min(forMs, MAX_HOLD_OFF_MS), nowMs);
    return this.#ring.isAwake(nowMs);
  }

  /** Which of its own keys is among the headers of a request; null where none is. */
  #referenceIn(headers: readonly string[]): string | null {
    const { auth } = this.configuration;
    if (auth === undefined || 'query' in auth) return null;
    const name = 'bearer' in auth ? 'authorization' : auth.header.toLowerCase();
    const at = headers.findLastIndex((text, index) => index % 2 === 0 && text.toLowerCase() === name);
    const sent = at < 0 ? '' : (headers[at + 1] ?? '');
    const written = (key: string) => ('bearer' in auth ? `Bearer ${key}` : key);
    return keyReferencesOf(auth).find((each) => written(this.#current.get(each) ?? '') === sent) ?? null;
  }

  /** Whether a status may be about this caller's own key or organisation, and so says nothing of the others. */
  blamesOnly(caller: Caller, status: number): boolean {
    const isAboutKey = status === 401 || status === 402 || status === 403 || status === 429;
    return isAboutKey && this.#hasOwnIdentity(caller);
  }

  #isHeldOff(caller: Caller, nowMs: number): boolean {
    const whose = this.#hasOwnIdentity(caller) ? caller : null;
    const untilMs = this.#heldOffUntilMs.get(whose);
    if (untilMs === undefined) return false;
    if (nowMs < untilMs) return true;
    this.#heldOffUntilMs.delete(whose);
    return false;
  }

  #hasOwnIdentity(caller: Caller): boolean {
    return caller.keys.has(this.name) || Object.keys(caller.headers).length > 0;
  }

  /** `reference`: of the provider's own key, for callers without one of theirs. */
  #keyOf(caller: Caller, reference: string | null): string | null {
    const own = reference === null ? null : (this.#current.get(reference) ?? null);
    return caller.keys.get(this.name) ?? own;
  }

  get #keyInQuery(): boolean {
    return this.configuration.auth !== undefined && 'query' in this.configuration.auth;
  }

  #queryKey(caller: Caller): string {
    const { auth } = this.configuration;
    const key = this.#keyOf(caller, this.#ring.next(0));
    if (auth === undefined || !('query' in auth) || key === null) return '';
    return `${encodeURIComponent(auth.query)}=${encodeURIComponent(key)}`;
  }

  #buildHeaders(caller: Caller, reference: string | null): OwnHeaders {
    const { auth, headers } = this.configuration;
    const key = this.#keyOf(caller, reference);
    const list: string[] = ['accept-encoding', 'identity'];
    if (auth !== undefined && key !== null) {
      if ('bearer' in auth) list.push('authorization', `Bearer ${key}`);
      if ('header' in auth) list.push(auth.header, key);
    }
    for (const [name, value] of Object.entries({ ...headers, ...caller.headers })) list.push(name, value);
    const names = list.filter((_, index) => index % 2 === 0).map((name) => name.toLowerCase());
    const overrides = new Set([
      ...this.#withheld.headers,
      ...names.filter((name) => !NEVER_FORWARDED.has(name)),
    ]);
    const own = { list, overrides: overrides.size === 0 ? null : overrides };
    const byReference = this.#ownHeaders.get(caller) ?? new Map<string | null, OwnHeaders>();
    this.#ownHeaders.set(caller, byReference.set(reference, own));
    return own;
  }
}

/** Names of the query parameters that the provider's configuration sets itself. */
function ownParameters({ auth, query }: ProviderConfiguration): string[] {
  return [...Object.keys(query), ...(auth !== undefined && 'query' in auth ? [auth.query] : [])];
}

function keysOf(
  { auth }: ProviderConfiguration,
  callersKeys: readonly string[],
  resolveSecret: (reference: string) => string,
): ReadonlyMap<string, string> {
  const references = [...ownReferences({ auth }), ...callersKeys];
  return new Map(references.map((reference) => [reference, resolveSecret(reference)]));
}

function ownReferences({ auth }: Pick<ProviderConfiguration, 'auth'>): readonly string[] {
  return auth === undefined ? [] : keyReferencesOf(auth);
}

function queryTextOf({ query }: ProviderConfiguration): string {
  return new URLSearchParams(query).toString();
}

function queryOverridesOf(
  configuration: ProviderConfiguration,
  { query }: ForwardAllowlist,
): ReadonlySet<string> | null {
  const overrides = new Set([...query, ...ownParameters(configuration)]);
  return overrides.size === 0 ? null : overrides;
}
