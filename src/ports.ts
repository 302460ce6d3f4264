import type { AssessPlan } from './core/assess-plan';
import type { EvidenceReading } from './core/evidence';
import type { RosterEntry } from './core/migration-state';
import type {
  AdminError,
  GatewayStatus,
  PushAccepted,
  PushRequest,
  RenewRequest,
  Side,
} from './core/routing';
import type { UsageFindings } from './core/usage-digest';

/** What a gateway answered, or that it did not. */
export type GatewayAnswer<T> =
  | { readonly kind: 'ok'; readonly value: T }
  | { readonly kind: 'refused'; readonly refusal: AdminError }
  | { readonly kind: 'unreachable'; readonly reason: string };

/** The gateways' admin listeners. */
export interface GatewayPort {
  /** All gateways of the configuration, names resolved. */
  discover(): Promise<readonly RosterEntry[]>;
  status(gateway: RosterEntry, route: string): Promise<GatewayAnswer<GatewayStatus>>;
  push(gateway: RosterEntry, route: string, request: PushRequest): Promise<GatewayAnswer<PushAccepted>>;
  renew(gateway: RosterEntry, route: string, request: RenewRequest): Promise<GatewayAnswer<GatewayStatus>>;
  evidence(
    gateway: RosterEntry,
    route: string,
    epoch: number,
    since: string | null,
  ): Promise<GatewayAnswer<EvidenceReading>>;
}

/** What a probe sends. */
export type ProbeKind = 'models' | 'plain' | 'stream' | 'embeddings';

/** One synthetic request to one provider. */
export interface ProbeResult {
  readonly kind: ProbeKind;
  readonly ok: boolean;
  readonly latencyMs: number;
  readonly firstTokenMs: number | null;
  /** Class and short text of the error, without addresses or keys; null when ok. */
  readonly error: string | null;
  /** Model names, for `models`. */
  readonly models: readonly string[] | null;
}

/** The two providers of a route. */
export interface ProviderPort {
  probe(
    route: string,
    side: Side,
    kind: ProbeKind,
    limits: { readonly timeoutMs: number; readonly signal: AbortSignal },
  ): Promise<ProbeResult>;
  /** The route's models: as callers name them, and as the candidate does. */
  models(route: string): readonly { readonly legacy: string; readonly candidate: string }[];
}

/**
 * Whether this activity may still grant leases: its run is open, it is pending at this attempt and not asked to
 * cancel, and no workflow task is past attempt 2 or older than one lease.
 */
export interface StandingPort {
  hasStanding(leaseMs: number): Promise<{ readonly granted: boolean; readonly reason: string }>;
}

/** How far an analysis of usage logs is: what a person sees of it, and where a later attempt goes on. */
export interface UsageProgress {
  readonly phase: string;
  /** Of the phase, 0 to 1; null when it is not known. */
  readonly done: number | null;
  readonly filesRead: number;
  readonly files: number | null;
  /** Rows of the files that were read. */
  readonly rows: number;
  /** The folder on this machine that holds what was read so far. */
  readonly folder: string | null;
}

/** Usage logs on this machine. */
export interface UsagePort {
  analyse(
    request: { readonly route: string; readonly plan: AssessPlan },
    observed: {
      readonly progress: (progress: UsageProgress) => void;
      readonly signal: AbortSignal;
      /** How far an earlier attempt came; null for the first. */
      readonly earlier: UsageProgress | null;
    },
  ): Promise<UsageFindings>;
}

/** Time as an argument. */
export interface ClockPort {
  /** Monotonic milliseconds. */
  now(): number;
  /** Resolves after the time, or at once when the signal aborts. */
  sleep(durationMs: number, signal: AbortSignal): Promise<void>;
}

/** Everything that the activities need of the world. */
export interface Ports {
  readonly gateways: GatewayPort;
  readonly providers: ProviderPort;
  readonly standing: StandingPort;
  readonly usage: UsagePort;
  readonly clock: ClockPort;
}
