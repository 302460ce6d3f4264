/** What a frame is drawn for. */
export interface FrameOptions {
  readonly columns: number;
  readonly rows: number;
  readonly nowMs: number;
  /** `14:05:31`, in the time zone of whoever looks. */
  readonly timeText: (atMs: number) => string;
  readonly glyphs: Glyphs;
  /** What the keys do, for the last row; absent: no such row. */
  readonly keys?: string;
}

/** The characters that are drawn with. */
export interface Glyphs {
  readonly full: string;
  readonly empty: string;
  readonly done: string;
  readonly now: string;
  readonly next: string;
  /** The stage that a rollback left. */
  readonly ended: string;
  readonly rule: string;
  readonly arrow: string;
  readonly more: string;
}

export const UNICODE: Glyphs = {
  full: '━',
  empty: '─',
  done: '●',
  now: '◉',
  next: '○',
  ended: '⊗',
  rule: '─',
  arrow: '→',
  more: '…',
};

/** For terminals that do not say that they take UTF-8. */
export const ASCII: Glyphs = {
  full: '#',
  empty: '.',
  done: '*',
  now: '@',
  next: 'o',
  ended: 'x',
  rule: '-',
  arrow: '->',
  more: '~',
};

/** Columns from which things stand side by side. */
export const TWO_COLUMNS_FROM = 76;
