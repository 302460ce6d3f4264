/** One way in which a provider fails: a status, or what it does to the connection. */
export type ProviderFault = '429' | '500' | 'reset' | 'cut' | 'stall';

/** How a provider behaves from now on. Which requests fail follows from their nonce alone. */
export interface ProviderBehaviour {
  /** Part of the callers' requests that fail, 0 to 1. */
  readonly failPart: number;
  readonly faults: readonly ProviderFault[];
  /** Before each answer, milliseconds. */
  readonly latencyMs: number;
}
