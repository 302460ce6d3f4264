import type { JudgeCounts, JudgedSums, UnjudgedReason } from '../../core/evidence/judge-counts';
import { NO_KEY } from '../../core/evidence/pair-counts';

/** A pair that was drawn for the judge, and what came of it. */
export interface JudgedPair {
  readonly epoch: number;
  readonly bucket: number | null;
  readonly result: 'won' | 'lost' | 'tie' | UnjudgedReason;
  readonly costUsd: number;
}

/** What a judge has said of pairs under one epoch; counts only grow. */
export class JudgeTally {
  readonly #rows = new Map<number, JudgedSums>();
  readonly #unjudged = new Map<UnjudgedReason, number>();
  #pairs = 0;
  #costUsd = 0;

  add({ bucket, result, costUsd }: Omit<JudgedPair, 'epoch'>): void {
    this.#pairs += 1;
    this.#costUsd += costUsd;
    if (result === 'lost' || result === 'won' || result === 'tie')
      this.#addSums(bucket ?? NO_KEY, ONE[result]);
    else this.#unjudged.set(result, (this.#unjudged.get(result) ?? 0) + 1);
  }

  /** Adds what another process has counted. */
  merge({ rows, unjudged, costUsd }: JudgeCounts): void {
    for (const [bucket, ...sums] of rows) this.#addSums(bucket, sums);
    for (const [reason, count] of Object.entries(unjudged) as [UnjudgedReason, number][]) {
      this.#unjudged.set(reason, (this.#unjudged.get(reason) ?? 0) + count);
      this.#pairs += count;
    }
    this.#pairs += rows.reduce((sum, [, lost, won, tied]) => sum + lost + won + tied, 0);
    this.#costUsd += costUsd;
  }

  copy(): JudgeTally {
    const copy = new JudgeTally();
    copy.merge(this.#counts(copy));
    return copy;
  }

  /** What was counted after an earlier copy; null where nothing was. */
  since(earlier: JudgeTally): JudgeCounts | null {
    return this.#pairs === earlier.#pairs ? null : this.#counts(earlier);
  }

  #counts(earlier: JudgeTally): JudgeCounts {
    const rows = [...this.#rows].map(([bucket, [lost, won, tied]]) => {
      const [lostBefore, wonBefore, tiedBefore] = earlier.#rows.get(bucket) ?? [0, 0, 0];
      return [bucket, lost - lostBefore, won - wonBefore, tied - tiedBefore] as const;
    });
    const unjudged = [...this.#unjudged].map(
      ([reason, count]) => [reason, count - (earlier.#unjudged.get(reason) ?? 0)] as const,
    );
    return {
      rows: rows.filter(([, ...sums]) => sums.some((count) => count > 0)),
      unjudged: Object.fromEntries(unjudged.filter(([, count]) => count > 0)),
      costUsd: this.#costUsd - earlier.#costUsd,
    };
  }

  #addSums(bucket: number, [lost, won, tied]: JudgedSums): void {
    const held = this.#rows.get(bucket) ?? [0, 0, 0];
    this.#rows.set(bucket, [held[0] + lost, held[1] + won, held[2] + tied]);
  }
}

const ONE: Readonly<Record<'lost' | 'won' | 'tie', JudgedSums>> = {
  lost: [1, 0, 0],
  won: [0, 1, 0],
  tie: [0, 0, 1],
};
