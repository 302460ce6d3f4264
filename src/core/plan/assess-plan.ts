/** What a named person has to vouch for, since no endpoint can tell. */
export const ATTESTATION_ITEMS = ['sla', 'dataResidency', 'payment', 'contract'] as const;

export type AttestationItem = (typeof ATTESTATION_ITEMS)[number];

/** What a named person vouches for, or denies. */
export interface Attestation {
  readonly item: AttestationItem;
  readonly holds: boolean;
  readonly by: string;
  /** Date, as 2026-11-02. */
  readonly on: string;
}

/** A point of the plan's own checklist; `attestedBy` is null until somebody has vouched for it. */
export interface ChecklistPoint {
  readonly text: string;
  readonly attestedBy: string | null;
}

/** Candidate tokens for one of legacy's: what is likely at least, the estimate, what is likely at most. */
export interface TokenRatioRange {
  readonly low: number;
  readonly point: number;
  readonly high: number;
}

/** What a plan wants of the usage logs before anything is moved; files are read on the worker's machine. */
export interface AssessPlan {
  /** Files and globs. */
  readonly usage: readonly string[];
  /** The format of the files; null: told from their content. */
  readonly format: string | null;
  /** Files with usage mappings of the operator's own. */
  readonly mappings: readonly string[];
  readonly windowDays: number;
  /** Part of a file's rows that may be rejected, 0 to 1. */
  readonly rejectedRowsMost: number;
  /** Files with price books; earlier ones win. */
  readonly prices: readonly string[];
  readonly warmUpDays: number;
  /** Null: not measured, or in the parity report. */
  readonly tokenizerRatio: TokenRatioRange | null;
  /** A report of `cutover parity --json` on the worker's machine; absent or null: none. */
  readonly parityReport?: string | null;
  /** Whether the candidate is asked for models and limits, and probed for the features in use. */
  readonly ask: boolean;
  /** Tokens, by the candidate's model. */
  readonly contextLengths: Readonly<Record<string, number>>;
  /** The candidate's limits where the operator knows them. */
  readonly limits: { readonly requestsPerMinute: number | null; readonly tokensPerMinute: number | null };
  readonly targets: {
    readonly p50Ms: number | null;
    /** 0 to 1. */
    readonly errorRate: number | null;
    readonly savingPercent: number | null;
  };
  readonly checklist: {
    readonly attested: readonly AttestationItem[];
    readonly further: readonly ChecklistPoint[];
    /** The operator who is asked for what nobody has attested; null: anyone. */
    readonly asks: string | null;
  };
  readonly attestations: readonly Attestation[];
  /** A folder on the worker's machine that the whole report is written to; null: nowhere. */
  readonly report: string | null;
}
