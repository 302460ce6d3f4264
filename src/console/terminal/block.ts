import { type Line, span } from './styled-line';

/** Lines that belong together; with little room it gives lines up, but not below `least`. */
export interface Block {
  readonly lines: readonly Line[];
  readonly least: number;
}

/** Blocks below each other in at most `rows` lines, apart from each other where there is room. */
export function stack(blocks: readonly Block[], rows: number, more: string): Line[] {
  const filled = blocks.filter(({ lines }) => lines.length > 0);
  const gaps = filled.length - 1;
  const least = filled.map((block) => Math.min(block.least, block.lines.length));
  // Gaps are worth less than lines of all blocks but the last, which may be as long as a history.
  const before = filled.slice(0, -1).reduce((sum, { lines }) => sum + lines.length, 0);
  const apart = before + (least.at(-1) ?? 0) + gaps <= rows;
  let left = rows - (apart ? gaps : 0);
  const granted = least.map((count) => {
    const given = Math.min(count, Math.max(0, left));
    left -= given;
    return given;
  });
  for (const [index, { lines }] of filled.entries()) {
    const extra = Math.min(lines.length - (granted[index] ?? 0), Math.max(0, left));
    granted[index] = (granted[index] ?? 0) + extra;
    left -= extra;
  }
  return filled.flatMap(({ lines }, index) => {
    const count = granted[index] ?? 0;
    if (count === 0) return [];
    const gap: Line[] = apart && index > 0 ? [[]] : [];
    // The newest checkpoints are enough by themselves; elsewhere what is left out is told.
    const isLast = index === filled.length - 1;
    if (count === lines.length || isLast || count === 1) return [...gap, ...lines.slice(0, count)];
    return [
      ...gap,
      ...lines.slice(0, count - 1),
      [span(`${more} ${lines.length - count + 1} more lines`, 'dim')],
    ];
  });
}
