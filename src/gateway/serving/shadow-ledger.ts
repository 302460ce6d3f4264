import { createHash } from 'node:crypto';

/** Requests that are remembered, so that one that is sent again and again is compared once. */
const REMEMBERED = 10_000;

/** What one process has spent on copies of a route, or on judging them, under one epoch, and what it has copied. */
export class ShadowLedger {
  readonly #parts: number;
  #epoch = 0;
  #spentUsd = 0;
  /** What copies that are under way are expected to cost. */
  #reservedUsd = 0;
  #seen = new Set<string>();

  /** `parts`: how many processes divide what a gateway may spend. */
  constructor(parts: number) {
    this.#parts = parts;
  }

  /** Whether another copy may be sent: the last one may cost more than is left. Null: nothing bounds them. */
  hasRoom(epoch: number, gatewayUsd: number | null): boolean {
    this.#begin(epoch);
    return gatewayUsd === null || this.#spentUsd + this.#reservedUsd < gatewayUsd / this.#parts;
  }

  /** Whether the same request was copied under this epoch before; answers to it say the same again. */
  isRepeated(epoch: number, body: Buffer): boolean {
    this.#begin(epoch);
    const digest = createHash('sha256').update(body).digest('base64');
    if (this.#seen.has(digest)) return true;
    this.#seen.add(digest);
    if (this.#seen.size > REMEMBERED) {
      const [oldest] = this.#seen;
      if (oldest !== undefined) this.#seen.delete(oldest);
    }
    return false;
  }

  /** Reserves what a question may cost at most where all of it is left, so that nothing exceeds what may be spent. */
  reserveWithin(epoch: number, gatewayUsd: number, mostUsd: number): boolean {
    this.#begin(epoch);
    if (this.#spentUsd + this.#reservedUsd + mostUsd > gatewayUsd / this.#parts) return false;
    this.#reservedUsd += mostUsd;
    return true;
  }

  reserve(usd: number): void {
    this.#reservedUsd += usd;
  }

  /** A copy is over: what was reserved for it, and what it did cost. */
  settle(epoch: number, reservedUsd: number, costUsd: number): void {
    this.#reservedUsd = Math.max(0, this.#reservedUsd - reservedUsd);
    if (epoch === this.#epoch) this.#spentUsd += costUsd;
  }

  #begin(epoch: number): void {
    if (epoch === this.#epoch) return;
    this.#epoch = epoch;
    this.#spentUsd = 0;
    this.#seen = new Set();
  }
}
