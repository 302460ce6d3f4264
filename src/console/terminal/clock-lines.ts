import { rampText } from '../../core/plan/ramp';
import { formatDuration } from '../../core/text/duration';
import type { MigrationView } from '../view/migration-view';
import { timeLeftText } from '../view/number-text';
import { outlookText } from '../view/outlook';
import { barSpans } from './bar';
import type { FrameOptions } from './frame-options';
import { type Line, span, spread, wrap } from './styled-line';

/** Soak, deadline, and what happens next by itself. */
export function clockLines({ clock }: MigrationView, { columns, nowMs, glyphs }: FrameOptions): Line[] {
  const { soak, ramp, deadlineAtMs, deadlineThen = 'deadline', nextPossibleAtMs, outlook } = clock;
  const next = outlook === null ? [] : wrap(outlookText(outlook, nowMs, timeLeftText), columns, 'good');
  const hours = nextPossibleAtMs === null ? '' : `next possible in ${timeLeftText(nextPossibleAtMs - nowMs)}`;
  const deadline: Line =
    hours !== ''
      ? [span(hours, 'info')]
      : deadlineAtMs === null
        ? []
        : deadlineAtMs > nowMs
          ? [span(`${deadlineThen} in ${timeLeftText(deadlineAtMs - nowMs)}`, 'dim')]
          : [span(`${deadlineThen} due ${timeLeftText(nowMs - deadlineAtMs)} ago`, 'warning')];
  const width = columns < 60 ? 8 : 20;
  if (ramp !== undefined) {
    const { observedMs, everyMs } = ramp;
    const step: Line = [
      span('ramp ', 'dim'),
      ...barSpans(Math.min(1, observedMs / everyMs), width, 'candidate', glyphs),
      span(` ${rampText(ramp)}`),
    ];
    return [...spread(step, deadline, columns), ...next].filter((line) => line.length > 0);
  }
  if (soak === null) return deadline.length === 0 ? next : [deadline, ...next];
  const { observedMs, requiredMs } = soak;
  const leftMs = Math.max(0, requiredMs - observedMs);
  const told = `${formatDuration(Math.min(observedMs, requiredMs))} of ${formatDuration(requiredMs)}`;
  const left: Line = [
    span('soak ', 'dim'),
    ...barSpans(Math.min(1, observedMs / requiredMs), width, 'candidate', glyphs),
    // Where the outlook counts the same time down, two numbers would contradict each other.
    ...(leftMs === 0
      ? [span(' complete')]
      : outlook?.atMs == null
        ? [span(` ${timeLeftText(leftMs)} left`)]
        : []),
    span(`  ${told}`, 'dim'),
  ];
  return [...spread(left, deadline, columns), ...next].filter((line) => line.length > 0);
}
