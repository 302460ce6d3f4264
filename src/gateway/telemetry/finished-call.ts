import type { TokenUsage } from '../answers/token-usage';

/** What is said of a call that is over, in its log line and its spans. */
export interface FinishedCall {
  readonly request: { readonly method?: string | undefined };
  readonly response: { readonly statusCode: number };
  readonly route: { readonly name: string };
  readonly caller: { readonly team: string };
  readonly path: string;
  readonly traffic: { readonly class: string };
  readonly startedMs: number;
  readonly endedMs: number | null;
  readonly record: {
    readonly epoch: number;
    /** The arm as drawn; null outside of both. */
    readonly arm: string | null;
    readonly servedBy: { readonly name: string } | null;
    readonly failover: string | null;
    readonly outcome: string;
    readonly firstTokenMs: number | null;
    readonly usage: TokenUsage | null;
  };
}
