/** How good what a cell says is: for colours. */
export type Tone = 'good' | 'bad' | 'open' | 'plain';

/** A cell of a table; a chart is SVG of our own making and shows in HTML only. */
export type ReportCell = string | { readonly text: string; readonly tone?: Tone; readonly chart?: string };

export interface ReportTable {
  readonly head: readonly string[];
  readonly rows: readonly (readonly ReportCell[])[];
  /** Columns of numbers, by index: aligned right. */
  readonly numeric?: readonly number[];
}

/** A part of a report in no format yet. All text is plain: each format escapes it. */
export interface ReportSection {
  readonly title: string;
  readonly level: 2 | 3;
  /** Paragraphs that stand before everything else. */
  readonly prose: readonly string[];
  readonly lines: readonly string[];
  readonly facts: readonly (readonly [name: string, value: ReportCell])[];
  /** SVG of our own making. */
  readonly figure: string | null;
  readonly table: ReportTable | null;
  /** Long: shown folded in HTML. */
  readonly folded: boolean;
}

/** A whole report. */
export interface ReportDocument {
  readonly title: string;
  readonly status: { readonly text: string; readonly tone: Tone };
  readonly sections: readonly ReportSection[];
}

/** A section; what is not given is empty. */
export function section(given: Pick<ReportSection, 'title'> & Partial<ReportSection>): ReportSection {
  return { level: 2, prose: [], lines: [], facts: [], figure: null, table: null, folded: false, ...given };
}

/** The plain text of a cell. */
export function cellText(cell: ReportCell): string {
  return typeof cell === 'string' ? cell : cell.text;
}
