import type { CheckpointLine } from '../view/checkpoint-line';
import { type FrameOptions, TWO_COLUMNS_FROM } from './frame-options';
import { type Line, padLine, type Style, span, widthOf } from './styled-line';

/** The newest checkpoints, in columns where there is room. */
export function checkpointLines(
  newest: readonly CheckpointLine[],
  { columns, timeText, glyphs }: FrameOptions,
): Line[] {
  const styles = { danger: 'bad', warning: 'warning', good: 'good', info: 'plain', plain: 'plain' } as const;
  const rows = newest.map((line) => ({ ...line, where: whereText(line) }));
  const aligned = columns >= TWO_COLUMNS_FROM;
  const widest = (text: (row: (typeof rows)[number]) => string) =>
    aligned ? Math.max(0, ...rows.map((row) => widthOf(text(row)))) : 0;
  const [whatWidth, whereWidth] = [widest(({ what }) => what), widest(({ where }) => where)];
  return rows.map(({ seq, atMs, what, where, by, why, tone }): Line => {
    const who = [by === '' ? '' : `by ${by}`, why].filter((text) => text !== '').join(': ');
    const cell = (text: string, width: number, style: Style): Line =>
      width === 0 ? [span(text, style)] : padLine([span(text, style)], width, glyphs.more);
    return [
      span(`${String(seq).padStart(3)} ${timeText(atMs)}  `, 'dim'),
      ...cell(what, whatWidth, styles[tone]),
      span('  '),
      ...cell(where, whereWidth, 'plain'),
      span(`  ${who}`, 'dim'),
    ];
  });
}

function whereText({ stage, share, epoch }: CheckpointLine): string {
  return [stage, share, epoch === null ? '' : `epoch ${epoch}`].filter((text) => text !== '').join(' ');
}
