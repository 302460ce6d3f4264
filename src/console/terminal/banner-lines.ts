import { visibleText } from '../../core/text/visible-text';
import type { Banner } from '../view/banner';
import { timeLeftText } from '../view/number-text';
import type { FrameOptions } from './frame-options';
import { fitLine, type Line, lineWidth, type Style, span, widthOf, wrap } from './styled-line';

/** A banner takes no more lines where there are few rows, so that several fit. */
const BANNER_LINES = 2;
const TALL_FROM_ROWS = 36;
const BANNER_STYLES: Readonly<Record<Banner['tone'], Style>> = {
  danger: 'alarm',
  warning: 'warning',
  info: 'info',
  good: 'good',
};

/** A banner: its title and since when, then its text, cut where rows are few. */
export function bannerLines(
  { tone, title, text, sinceMs, facts = [], id }: Banner,
  { columns, rows, nowMs, timeText, glyphs }: FrameOptions,
): Line[] {
  // What is over shows when it ended, what continues shows for how long.
  const since =
    sinceMs === null ? '' : id === 'closed' ? ` ${timeText(sinceMs)}` : `  ${timeLeftText(nowMs - sinceMs)}`;
  const label = tone === 'danger' ? ` ${title} ` : title;
  const head: Line = [span(label, BANNER_STYLES[tone]), span(since, 'dim')];
  const body = [text, ...facts].join(' ').replaceAll('`', '');
  const firstWidth = columns - lineWidth(head) - 2;
  const [first = '', rest] = firstWidth < FIRST_LINE_LEAST ? ['', body] : cutAtWord(body, firstWidth);
  const most = rows < TALL_FROM_ROWS ? BANNER_LINES : Number.POSITIVE_INFINITY;
  const below = wrap(rest, Math.max(1, columns - 2), 'plain');
  const shown = below.slice(0, most - 1);
  const last = shown.at(-1);
  if (shown.length < below.length && last !== undefined) {
    shown[shown.length - 1] = fitLine(
      [...last, span(` ${below[shown.length]?.[0]?.text ?? ''}`)],
      columns - 2,
      glyphs.more,
    );
  }
  return [
    first === '' ? head : [...head, span(`  ${first}`)],
    ...shown.map((line): Line => [span('  '), ...line]),
  ];
}

/** Columns below which a text begins on a line of its own. */
const FIRST_LINE_LEAST = 20;

/** As many words as fit into `width` columns, and the rest. */
function cutAtWord(text: string, width: number): readonly [string, string] {
  const [first] = wrap(text, width, 'plain');
  const head = (first ?? []).map((each) => each.text).join('');
  return widthOf(head) > width ? ['', text] : [head, visibleText(text).slice(head.length).trimStart()];
}
