import type { ProviderName } from './expected-answer';
import type { ProviderBehaviour } from './provider-behaviour';
import type { GatewayName, ProcessName, WayName } from './stack-layout';
import type { Start } from './stack-programs';
import type { WayMode } from './tcp-proxy';

/** Where a migration stands when the faults begin. */
export type Strike = 'canary' | 'rolling' | 'complete' | 'handover';

/** What is tried once the faults are over: a rollback, or the way to the end of the plan. */
export type Ending = 'rollback' | 'emergency-rollback' | 'complete';

/** One thing that is done to a stack or asked of it. */
export type Deed =
  | {
      readonly do: 'signal';
      readonly process: ProcessName;
      readonly signal: 'SIGKILL' | 'SIGSTOP' | 'SIGCONT' | 'SIGTERM' | 'SIGUSR2';
    }
  | { readonly do: 'start'; readonly process: ProcessName; readonly start?: Start }
  | { readonly do: 'way'; readonly way: WayName; readonly mode: WayMode }
  | { readonly do: 'disk'; readonly gateway: GatewayName; readonly isFull: boolean }
  | { readonly do: 'state'; readonly gateway: GatewayName; readonly what: 'keep' | 'restore' | 'lose' }
  | { readonly do: 'provider'; readonly provider: ProviderName; readonly behaviour: ProviderBehaviour }
  | {
      readonly do: 'operator';
      readonly by: string;
      readonly args: readonly string[];
      /** How long the steps that follow wait for the answer at most, milliseconds; not at all when absent. */
      readonly waitMs?: number;
    }
  | { readonly do: 'temporal'; readonly what: 'cancel' | 'terminate' | 'reset' }
  | { readonly do: 'avoid'; readonly gateway: GatewayName; readonly isAvoided: boolean };

/** A deed at its time, milliseconds after the strike (or after the end, for what follows it); waiting stops that clock. */
export type Step = Deed & { readonly atMs: number };

/** All that happens in one episode; it follows from its seed. */
export interface Episode {
  readonly seed: number;
  readonly kind: string;
  readonly strike: Strike;
  readonly steps: readonly Step[];
  readonly ending: Ending;
  /** Done after the migration has ended and was verified. */
  readonly after: readonly Step[];
}
