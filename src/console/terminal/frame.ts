import type { MigrationView } from '../view/migration-view';
import { armsLines } from './arms-table';
import { bannerLines } from './banner-lines';
import { type Block, stack } from './block';
import { checkpointLines } from './checkpoint-lines';
import { clockLines } from './clock-lines';
import { type FrameOptions, TWO_COLUMNS_FROM } from './frame-options';
import { gateLines } from './gate-lines';
import { gatewayLine } from './gateway-line';
import { headLines, stageLines } from './head-lines';
import { fitLine, type Line, padLine, span, wrap } from './styled-line';

const COLUMN_GAP = 3;
/** With fewer rows every one of them is for the migration. */
const KEYS_FROM_ROWS = 16;

/** A migration on a terminal of any size: exactly as many lines as fit, none longer than a row. */
export function drawFrame(view: MigrationView, options: FrameOptions): readonly Line[] {
  const { columns, rows, glyphs } = options;
  const { keys = '' } = options;
  const others = view.banners.filter(({ leads }) => !leads);
  const blocks: Block[] = [
    {
      lines: view.banners.filter(({ leads }) => leads).flatMap((banner) => bannerLines(banner, options)),
      least: 2,
    },
    { lines: [...headLines(view, options), ...stageLines(view, options)], least: 3 },
    { lines: others.flatMap((banner) => bannerLines(banner, options)), least: 4 },
    {
      lines: view.orders
        .filter(({ open }) => open)
        .map(({ label, text }) => [span(`${label}: ${text}`, 'info')]),
      least: 2,
    },
    { lines: clockLines(view, options), least: 1 },
    { lines: middleLines(view, options), least: 5 },
    { lines: view.gateways.map((gateway) => gatewayLine(gateway, view, options)), least: 1 },
    { lines: checkpointLines(view.checkpoints.newest.slice(0, rows), options), least: 1 },
  ];
  const withKeys = keys !== '' && rows >= KEYS_FROM_ROWS;
  const lines = stack(blocks, withKeys ? rows - 1 : rows, glyphs.more);
  if (withKeys) {
    while (lines.length < rows - 1) lines.push([]);
    lines.push([span(keys, 'dim')]);
  }
  return lines.map((line) => fitLine(line, columns, glyphs.more));
}

/** Before anything is known: why. */
export function drawNotice(text: string, { columns, rows, glyphs }: FrameOptions): readonly Line[] {
  return wrap(text, Math.max(1, columns), 'plain')
    .slice(0, rows)
    .map((line) => fitLine(line, columns, glyphs.more));
}

function middleLines(view: MigrationView, options: FrameOptions): Line[] {
  const { columns, glyphs } = options;
  if (columns < TWO_COLUMNS_FROM) {
    return [
      ...armsLines(view.sides, view.head.providers, columns, glyphs.more),
      ...gateLines(view.gate, columns, options),
    ];
  }
  const leftWidth = Math.max(42, Math.min(52, Math.floor((columns - COLUMN_GAP) * 0.45)));
  const rightWidth = columns - COLUMN_GAP - leftWidth;
  const left = armsLines(view.sides, view.head.providers, leftWidth, glyphs.more);
  const right = gateLines(view.gate, rightWidth, options);
  // A long sentence gets what is left beside the table, and two lines at least.
  const rows = Math.max(left.length, Math.min(right.length, view.gate.metrics.length + 3));
  return Array.from(
    { length: rows },
    (_, row): Line => [
      ...padLine(left[row] ?? [], leftWidth, glyphs.more),
      span(' '.repeat(COLUMN_GAP)),
      ...fitLine(right[row] ?? [], rightWidth, glyphs.more),
    ],
  );
}
