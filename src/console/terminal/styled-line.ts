import { visibleText } from '../../core/text/visible-text';

/** What a piece of text looks like; each terminal turns it into what it can. */
export type Style =
  | 'plain'
  | 'strong'
  | 'dim'
  | 'good'
  | 'bad'
  | 'warning'
  | 'info'
  | 'legacy'
  | 'candidate'
  | 'alarm';

export interface StyledSpan {
  readonly text: string;
  readonly style: Style;
}

export type Line = readonly StyledSpan[];

/** A piece of text; whatever it holds, nothing in it steers the terminal. */
export function span(text: string, style: Style = 'plain'): StyledSpan {
  return { text: visibleText(text), style };
}

/** Columns that a text takes: two for wide characters, none for marks. */
export function widthOf(text: string): number {
  let width = 0;
  for (const { segment } of GRAPHEMES.segment(text)) width += graphemeWidth(segment);
  return width;
}

/** Columns of a line. */
export function lineWidth(line: Line): number {
  return line.reduce((width, { text }) => width + widthOf(text), 0);
}

/** The line in at most `width` columns, its end cut off with `more`. */
export function fitLine(line: Line, width: number, more: string): Line {
  if (lineWidth(line) <= width) return line;
  const room = width - widthOf(more);
  if (room < 0) return [];
  const kept: StyledSpan[] = [];
  let used = 0;
  for (const { text, style } of line) {
    let part = '';
    for (const { segment } of GRAPHEMES.segment(text)) {
      const next = used + graphemeWidth(segment);
      if (next > room) return [...kept, { text: part + more, style }];
      part += segment;
      used = next;
    }
    kept.push({ text: part, style });
  }
  return kept;
}

/** The line with blanks after it, in exactly `width` columns. */
export function padLine(line: Line, width: number, more: string): Line {
  const fitted = fitLine(line, width, more);
  return [...fitted, { text: ' '.repeat(Math.max(0, width - lineWidth(fitted))), style: 'plain' }];
}

/** Two parts at both ends of `width` columns; below each other where they do not fit. */
export function spread(left: Line, right: Line, width: number): readonly Line[] {
  const gap = width - lineWidth(left) - lineWidth(right);
  return gap < 2 ? [left, right] : [[...left, { text: ' '.repeat(gap), style: 'plain' }, ...right]];
}

/** A text as lines of at most `width` columns, broken between words where there are any. */
export function wrap(text: string, width: number, style: Style): Line[] {
  const lines: Line[] = [];
  let row = '';
  for (const word of visibleText(text).split(' ')) {
    const longer = row === '' ? word : `${row} ${word}`;
    if (row !== '' && widthOf(longer) > width) {
      lines.push([{ text: row, style }]);
      row = word;
    } else row = longer;
  }
  return row === '' ? lines : [...lines, [{ text: row, style }]];
}

/** Select graphic rendition, ECMA-48 8.3.117. */
const COLOURED: Readonly<Record<Style, string>> = {
  plain: '',
  strong: '1',
  dim: '2',
  good: '32',
  bad: '31',
  warning: '33',
  info: '36',
  legacy: '34',
  candidate: '36',
  alarm: '1;97;41',
};

/** Without colour: weight and inversion say what matters. */
const COLOURLESS: Readonly<Record<Style, string>> = {
  plain: '',
  strong: '1',
  dim: '2',
  good: '',
  bad: '1',
  warning: '1',
  info: '',
  legacy: '',
  candidate: '1',
  alarm: '1;7',
};

/** A line with the escape sequences of its styles. */
export function ansiLine(line: Line, colour: boolean): string {
  const codes = colour ? COLOURED : COLOURLESS;
  return line
    .map(({ text, style }) => {
      const code = codes[style];
      return code === '' ? text : `\u001b[${code}m${text}\u001b[0m`;
    })
    .join('');
}

const GRAPHEMES = new Intl.Segmenter('en', { granularity: 'grapheme' });

const WIDE =
  /\p{Emoji_Presentation}|\ufe0f|[\p{Script=Han}\p{Script=Hiragana}\p{Script=Katakana}\p{Script=Hangul}\u3000-\u303e\uff01-\uff60\uffe0-\uffe6]/u;

function graphemeWidth(grapheme: string): number {
  if (WIDE.test(grapheme)) return 2;
  return /^[\p{M}\u200b-\u200d]*$/u.test(grapheme) ? 0 : 1;
}
