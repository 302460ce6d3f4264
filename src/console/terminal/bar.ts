import type { Glyphs } from './frame-options';
import { type Line, type Style, span } from './styled-line';

/** A bar of so many columns, filled to a fraction; what is not nothing fills one at least. */
export function barSpans(fraction: number, width: number, style: Style, glyphs: Glyphs): Line {
  const filled = Math.min(width, Math.max(fraction > 0 ? 1 : 0, Math.round(fraction * width)));
  return [span(glyphs.full.repeat(filled), style), span(glyphs.empty.repeat(width - filled), 'dim')];
}
