import { digestOf, sha256Hex } from './digest';

/** What a migration takes in from outside, each kind in its own order: which came first across kinds differs by who looks. */
export const SEALED_KINDS = ['signals', 'updates', 'cancels', 'windows'] as const;
export type SealedKind = (typeof SEALED_KINDS)[number];

/** How many entries of a kind were taken in, and one SHA-256 over all of them. */
interface Fold {
  readonly count: number;
  readonly hash: string;
}

/** Everything that was taken in so far: grows by folding, so that a long migration carries no more than a short one. */
export type SealedEntries = Readonly<Record<SealedKind, Fold>> & {
  /** SHA-256 of the start, its plan and salt included. */
  readonly start: string;
};

/** What a checkpoint says of all that came before it; `hash` is SHA-256 in hex. */
export type Seal = Readonly<Record<SealedKind, number>> & { readonly hash: string };

const NOTHING: Fold = { count: 0, hash: sha256Hex('') };

/** Nothing taken in but the start, a `MigrationStart`. */
export function sealedStart(start: object): SealedEntries {
  const entries = { signals: NOTHING, updates: NOTHING, cancels: NOTHING, windows: NOTHING };
  return { start: digestOf(start), ...entries };
}

/** With one more entry of a kind; `fact` is what both the workflow and its history know of it. */
export function withEntry(sealed: SealedEntries, kind: SealedKind, fact: unknown): SealedEntries {
  const { count, hash } = sealed[kind];
  return { ...sealed, [kind]: { count: count + 1, hash: sha256Hex(`${hash}\n${digestOf(fact)}`) } };
}

/** The seal over everything that was taken in. */
export function sealOf(sealed: SealedEntries): Seal {
  const { start, signals, updates, cancels, windows } = sealed;
  const counts = {
    signals: signals.count,
    updates: updates.count,
    cancels: cancels.count,
    windows: windows.count,
  };
  const hashes = [start, signals.hash, updates.hash, cancels.hash, windows.hash];
  return { ...counts, hash: sha256Hex(hashes.join('\n')) };
}

/** What is sealed of a message: its name and its payload, as far as a record keeps it. */
export function messageFact(name: string, payload: unknown): object {
  return { name, payload: keptPayload(payload) };
}

/** An observation window as far as it is sealed. */
interface SealedWindow {
  readonly epoch: number;
  readonly ended: string;
  readonly observedMs: number;
  readonly verdict: object;
}

/** What is sealed of an observation window: what a record keeps of it, without its time. */
export function windowFact({ epoch, ended, observedMs, verdict }: SealedWindow): object {
  return { epoch, ended, observedMs, verdict };
}

/** Characters of a payload that are kept whole: above what any command needs. */
const PAYLOAD_LIMIT = 32_000;

/** What was sent may be anything: a long one is kept as the beginning of its text. */
export function keptPayload(payload: unknown): unknown {
  const text = JSON.stringify(payload) ?? 'null';
  return text.length <= PAYLOAD_LIMIT ? JSON.parse(text) : { cut: text.slice(0, PAYLOAD_LIMIT) };
}
