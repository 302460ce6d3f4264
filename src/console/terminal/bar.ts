import type { Glyphs } from './frame-options';
import { type Line, type Style, span } from './styled-line';

/** A bar of the given number of columns, filled to a fraction; anything above zero fills at least one. */
export function barSpans(fraction: number, width: number, style: Style, glyphs: Glyphs): Line {
  const filled = Math.min(width, Math.max(fraction > 0 ? 1 : 0, Math.round(fraction * width)));
  return [span(glyphs.full.repeat(filled), style), span(glyphs.empty.repeat(width - filled), 'dim')];
}
