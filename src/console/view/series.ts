import type { MetricVerdict } from '../../core/gates/verdict';
import type { Checkpoint } from '../../core/migration/checkpoint';
import { barOf, type EvidenceBar, type ShownVerdict } from './gate-view';

/** What the charts are drawn from: a column a quantity, a row a window, oldest first. */
export interface SeriesView {
  readonly atMs: readonly number[];
  readonly stage: readonly string[];
  /** The candidate's measured share. */
  readonly observed: Column;
  readonly errors: Pair;
  /** p95 in milliseconds of plain answers and to the first token of streams. */
  readonly plainP95: Pair;
  readonly firstTokenP95: Pair;
  /** How much of the evidence that decides is there, 0 to 1, a metric each. */
  readonly evidence: readonly {
    readonly metric: string;
    readonly toward: EvidenceBar['toward'];
    readonly fractions: Column;
  }[];
  /** The shares that took effect, and when. */
  readonly asked: readonly { readonly atMs: number; readonly share: number; readonly stage: string }[];
}

export type Column = readonly (number | null)[];

export interface Pair {
  readonly legacy: Column;
  readonly candidate: Column;
}

/** Windows as columns; `verdicts` and `checkpoints` are in their order. */
export function seriesOf(verdicts: readonly ShownVerdict[], checkpoints: readonly Checkpoint[]): SeriesView {
  const pair = (name: string): Pair => {
    const metrics = verdicts.map((verdict) => largest(verdict, name));
    return {
      legacy: metrics.map((metric) => metric?.legacy ?? null),
      candidate: metrics.map((metric) => metric?.candidate ?? null),
    };
  };
  return {
    atMs: verdicts.map(({ atMs }) => atMs),
    stage: verdicts.map(({ stage }) => stage),
    observed: verdicts.map(({ observedShare }) => rounded(observedShare)),
    errors: pair('errors'),
    plainP95: pair('p95 of plain answers'),
    firstTokenP95: pair('p95 to first token'),
    evidence: evidenceOf(verdicts),
    asked: checkpoints.flatMap((entry) =>
      entry.kind === 'took effect' ? [{ atMs: entry.atMs, share: entry.share, stage: entry.stage }] : [],
    ),
  };
}

/** Of the metrics whose name begins so (one a model), the one that rests on most requests. */
function largest({ metrics }: ShownVerdict, name: string): MetricVerdict | null {
  return metrics
    .filter(({ metric }) => metric.startsWith(name))
    .reduce<MetricVerdict | null>(
      (most, metric) => (most === null || metric.n.candidate > most.n.candidate ? metric : most),
      null,
    );
}

const LINES_AT_MOST = 6;

/** A line a metric and direction: evidence of harm and of being within the margin are never joined. */
function evidenceOf(verdicts: readonly ShownVerdict[]): SeriesView['evidence'] {
  const lines = new Map<
    string,
    { metric: string; toward: EvidenceBar['toward']; fractions: (number | null)[] }
  >();
  for (const [index, { metrics }] of verdicts.entries()) {
    for (const verdict of metrics) {
      const bar = barOf(verdict);
      if (bar?.kind !== 'e-value') continue;
      const key = `${verdict.metric} ${bar.toward}`;
      const line = lines.get(key) ?? {
        metric: verdict.metric,
        toward: bar.toward,
        fractions: Array<number | null>(verdicts.length).fill(null),
      };
      line.fractions[index] = bar.fraction;
      lines.set(key, line);
    }
  }
  const newest = verdicts.length - 1;
  // What is judged now comes first; what only an earlier stage judged gives way.
  return [...lines.values()]
    .sort((a, b) => Number(b.fractions[newest] !== null) - Number(a.fractions[newest] !== null))
    .slice(0, LINES_AT_MOST);
}

function rounded(value: number | null): number | null {
  return value === null ? null : Number(value.toPrecision(4));
}
