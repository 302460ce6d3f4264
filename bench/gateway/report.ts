import type { Measured } from './measure';

/** What was measured of one subject in one cell: medians over the rounds. */
export interface Row extends Measured {
  readonly cell: string;
  readonly subject: string;
  /** Medians of ratios within rounds; absent where the other was not measured. */
  readonly to: Readonly<Record<string, Ratios>>;
  /** p99 above that of the provider itself, where that was measured; median of differences within rounds. */
  readonly addedP99Ms: number | null;
}

interface Ratios {
  readonly perSecond: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
  readonly cpuMicros: number;
}

/** Results of a round by cell and subject. */
export type Round = ReadonlyMap<string, ReadonlyMap<string, Measured>>;

/** The rows of all cells; each subject is compared with each other one of its cell. */
export function rowsOf(cells: readonly string[], rounds: readonly Round[]): Row[] {
  return cells.flatMap((cell) => {
    const subjects = [...(rounds[0]?.get(cell)?.keys() ?? [])];
    return subjects.map((subject) => rowOf(cell, subject, subjects, rounds));
  });
}

function rowOf(cell: string, subject: string, subjects: readonly string[], rounds: readonly Round[]): Row {
  const each = (pick: (own: Measured) => number) => medianOver(rounds, cell, [subject], ([own]) => pick(own));
  const compared = (other: string, pick: (measured: Measured) => number) =>
    medianOver(rounds, cell, [subject, other], ([own, others]) => pick(own) / pick(others));
  return {
    cell,
    subject,
    perSecond: each((own) => own.perSecond),
    p50Ms: each((own) => own.p50Ms),
    p99Ms: each((own) => own.p99Ms),
    cpuMicros: each((own) => own.cpuMicros),
    residentMb: each((own) => own.residentMb),
    failed: rounds.reduce((sum, round) => sum + (round.get(cell)?.get(subject)?.failed ?? 0), 0),
    to: Object.fromEntries(
      subjects
        .filter((other) => other !== subject)
        .map((other) => [
          other,
          {
            perSecond: compared(other, (measured) => measured.perSecond),
            p50Ms: compared(other, (measured) => measured.p50Ms),
            p99Ms: compared(other, (measured) => measured.p99Ms),
            cpuMicros: compared(other, (measured) => measured.cpuMicros),
          },
        ]),
    ),
    addedP99Ms:
      subject !== 'direct' && subjects.includes('direct')
        ? medianOver(rounds, cell, [subject, 'direct'], ([own, direct]) => own.p99Ms - direct.p99Ms)
        : null,
  };
}

/** Median over the rounds of a figure of some subjects of the same round. */
function medianOver(
  rounds: readonly Round[],
  cell: string,
  subjects: readonly string[],
  figure: (measured: readonly [Measured, Measured]) => number,
): number {
  const figures = rounds.flatMap((round) => {
    const measured = subjects.map((subject) => round.get(cell)?.get(subject));
    return measured.includes(undefined) ? [] : [figure(measured as unknown as [Measured, Measured])];
  });
  return median(figures);
}

function median(numbers: readonly number[]): number {
  const sorted = numbers.filter((number) => !Number.isNaN(number)).sort((a, b) => a - b);
  return sorted[Math.floor(sorted.length / 2)] ?? Number.NaN;
}

/** The rows as a table for a terminal. */
export function tableOf(rows: readonly Row[]): string[] {
  const lines = rows.map((row) => {
    const nginx = row.to['nginx'];
    const go = row.to['go'];
    return [
      row.cell,
      row.subject,
      row.perSecond.toFixed(0),
      row.p50Ms.toFixed(3),
      row.p99Ms.toFixed(3),
      row.subject === 'direct' ? '' : row.cpuMicros.toFixed(0),
      row.subject === 'direct' ? '' : row.residentMb.toFixed(0),
      `${row.failed}`,
      nginx?.perSecond.toFixed(3) ?? '',
      nginx?.p50Ms.toFixed(2) ?? '',
      nginx?.p99Ms.toFixed(2) ?? '',
      nginx?.cpuMicros.toFixed(2) ?? '',
      go?.cpuMicros.toFixed(2) ?? '',
      row.to['portkey']?.perSecond.toFixed(1) ?? '',
      row.addedP99Ms?.toFixed(3) ?? '',
    ];
  });
  return [TITLES, ...lines].map((line) =>
    line
      .map((text, index) => (index < 2 ? text.padEnd(WIDTHS[index] as number) : text.padStart(12)))
      .join(''),
  );
}

const WIDTHS = [18, 9];
const TITLES = [
  'cell',
  'subject',
  'per second',
  'p50 ms',
  'p99 ms',
  'CPU us',
  'MB',
  'failed',
  'rate:nginx',
  'p50:nginx',
  'p99:nginx',
  'CPU:nginx',
  'CPU:go',
  'rate:portkey',
  'p99 added ms',
];
