import type { UsageField } from '../formats/mapping-sql';

/** A few rejected rows of one file, to show; `place` is a line or a record, counted from 1. */
export interface RejectExample {
  readonly place: string;
  readonly reason: string;
}

/** Rows that are not counted, by reason. */
export interface Rejects {
  readonly total: number;
  readonly byReason: readonly (readonly [reason: string, rows: number])[];
  readonly examples: readonly RejectExample[];
}

/** Money that a provider says it charged, apart from usage rows. */
export interface RecordedCost {
  readonly startMs: number;
  readonly endMs: number;
  readonly amount: number;
  readonly currency: string;
  readonly item: string;
}

/** One file as it was read. */
export interface UsageSource {
  readonly file: string;
  readonly format: string;
  readonly title: string;
  /** `detected` by content, or `given` by the user. */
  readonly chosen: 'detected' | 'given';
  readonly granularity: 'request' | 'aggregate';
  /** Whether a row may stand for several calls. */
  readonly countsCalls: boolean;
  /** Currency of the costs in its rows. */
  readonly currency: string;
  /** Fields that this source carries; all others are "not in this source". */
  readonly carried: readonly UsageField[];
  readonly rows: number;
  /** Rows that are no model calls. */
  readonly skipped: number;
  readonly rejects: Rejects;
  /** Latencies that are negative or no number: left out of percentiles, the rows count. */
  readonly ignoredLatencies: number;
  /** Rows that did not fail and have no input tokens, in a source that carries them: neither tokens nor cost know them. */
  readonly untold: number;
  readonly firstMs: number | null;
  readonly lastMs: number | null;
  /** Whether every time is a midnight: the log knows days only. */
  readonly daysOnly: boolean;
  readonly costs: readonly RecordedCost[];
}
