import {
  CELLS,
  eachAspect,
  NO_KEY,
  NO_PAIRS,
  PAIR_ASPECTS,
  type PairAspect,
  type PairCounts,
  type PairRow,
  ratioCell,
} from '../../core/evidence/pair-counts';
import type { ComparedPair } from '../serving/shadow-pair';

/** One copy of a request that was sent to the candidate; `pair` is null where there is nothing to compare. */
export interface SeenCopy {
  readonly epoch: number;
  readonly bucket: number | null;
  readonly costUsd: number;
  readonly pair: ComparedPair | null;
}

/** Counts of pairs under one epoch; they only grow. */
export class PairTally {
  readonly #rows: Record<PairAspect, Map<number, number[]>>;
  readonly #lost: Map<string, number>;
  #costUsd = 0;
  #copies = 0;

  constructor(counts: PairCounts = NO_PAIRS) {
    this.#rows = eachAspect(
      (aspect) => new Map(counts[aspect].map(([bucket, ...cells]) => [bucket, [...cells]])),
    );
    this.#lost = new Map(Object.entries(counts.lost));
    this.#costUsd = counts.costUsd;
    this.#copies = counts.copies;
  }

  add({ bucket, costUsd, pair }: SeenCopy): void {
    this.#copies += 1;
    this.#costUsd += costUsd;
    if (pair === null) return;
    const { answers, ratios, decisions, lostBy } = pair;
    this.#count('answers', bucket, ANSWERS[answers]);
    if (lostBy !== null) this.#lost.set(lostBy, (this.#lost.get(lostBy) ?? 0) + 1);
    for (const aspect of ['latency', 'outputTokens', 'cost'] as const) {
      const ratio = ratios[aspect];
      if (ratio !== null) this.#count(aspect, bucket, ratioCell(ratio));
    }
    if (decisions !== null) this.#count('decisions', bucket, decisions === 'different' ? 0 : 1);
  }

  /** Adds what another process has counted. */
  merge(counts: PairCounts): void {
    for (const aspect of PAIR_ASPECTS) {
      for (const [bucket, ...cells] of counts[aspect]) {
        cells.forEach((count, cell) => {
          this.#add(aspect, bucket, cell, count);
        });
      }
    }
    for (const [name, count] of Object.entries(counts.lost)) {
      this.#lost.set(name, (this.#lost.get(name) ?? 0) + count);
    }
    this.#costUsd += counts.costUsd;
    this.#copies += counts.copies;
  }

  copy(): PairTally {
    return new PairTally(this.#counts(new PairTally()));
  }

  /** What was counted after an earlier copy; null where nothing was. */
  since(earlier: PairTally): PairCounts | null {
    return this.#copies === earlier.#copies ? null : this.#counts(earlier);
  }

  #counts(earlier: PairTally): PairCounts {
    const rows = (aspect: PairAspect): PairRow[] =>
      [...this.#rows[aspect]].flatMap(([bucket, cells]): PairRow[] => {
        const before = earlier.#rows[aspect].get(bucket);
        const grown = cells.map((count, cell) => count - (before?.[cell] ?? 0));
        return grown.some((count) => count > 0) ? [[bucket, ...grown]] : [];
      });
    const lost = [...this.#lost].map(
      ([name, count]) => [name, count - (earlier.#lost.get(name) ?? 0)] as const,
    );
    return {
      ...eachAspect(rows),
      lost: Object.fromEntries(lost.filter(([, count]) => count > 0)),
      costUsd: this.#costUsd - earlier.#costUsd,
      copies: this.#copies - earlier.#copies,
    };
  }

  #count(aspect: PairAspect, bucket: number | null, cell: number): void {
    this.#add(aspect, bucket ?? NO_KEY, cell, 1);
  }

  #add(aspect: PairAspect, bucket: number, cell: number, count: number): void {
    let cells = this.#rows[aspect].get(bucket);
    if (cells === undefined) {
      cells = new Array<number>(CELLS[aspect]).fill(0);
      this.#rows[aspect].set(bucket, cells);
    }
    cells[cell] = (cells[cell] ?? 0) + count;
  }
}

const ANSWERS = { lost: 0, won: 1, tied: 2, unchecked: 3 } as const;
