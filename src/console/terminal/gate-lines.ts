import { type EvidenceBar, type GateView, type MetricView, toneOf } from '../view/gate-view';
import { evidenceNumber } from '../view/number-text';
import { barSpans } from './bar';
import type { FrameOptions, Glyphs } from './frame-options';
import { type Line, padLine, span, wrap } from './styled-line';

const TONE_STYLES = { good: 'good', bad: 'bad', open: 'plain' } as const;

/** What the gate says, each metric with its evidence as a bar. */
export function gateLines(gate: GateView, width: number, { glyphs }: FrameOptions): Line[] {
  const { outcome, word, isNeutral, sentence, metrics, blockers, usage } = gate;
  return [
    [span('gate ', 'dim'), span(word, isNeutral ? 'plain' : TONE_STYLES[toneOf(outcome)])],
    ...metricLines(metrics, width, glyphs),
    ...blockers.flatMap((text) => wrap(`blocker: ${text}`, width, 'bad')),
    ...(sentence === '' ? [] : wrap(sentence, width, 'dim')),
    ...usage.flatMap((text) => wrap(text, width, 'dim')),
  ];
}

const BAR_AT_LEAST = 5;

/** A metric's name where its own has no room. */
function shortName(metric: string): string {
  return metric
    .replace(/^minimum /, 'min. ')
    .replace(/ of plain answers$/, ' plain')
    .replace(/ of all answers$/, ' all')
    .replace(/ to first token$/, ' first')
    .replace(/ between tokens$/, ' gaps')
    .replace(/ per (request|answer)$/, '');
}

function metricLines(metrics: readonly MetricView[], width: number, glyphs: Glyphs): Line[] {
  const numbersWidth = Math.max(0, ...metrics.map(({ bar }) => (bar === null ? 0 : numbersText(bar).length)));
  const nameWidth = Math.max(8, Math.min(22, width - numbersWidth - BAR_AT_LEAST - 2));
  const barWidth = width - nameWidth - numbersWidth - 2;
  return metrics.map(({ metric, outcome, harm, bar }): Line => {
    const style = TONE_STYLES[toneOf(outcome, harm)];
    const fitting = metric.length > nameWidth ? shortName(metric) : metric;
    const name = padLine([span(fitting, style)], nameWidth, glyphs.more);
    if (bar === null)
      return [...name, span(` ${outcome === 'not applicable' ? 'not judged' : outcome}`, style)];
    const tone = bar.toward === 'harm' ? 'bad' : 'good';
    const drawn = barWidth < 3 ? [] : [span(' '), ...barSpans(bar.fraction, barWidth, tone, glyphs)];
    return [...name, ...drawn, span(` ${numbersText(bar)}`, 'dim')];
  });
}

function numbersText({ value, threshold, toward }: EvidenceBar): string {
  const found = value >= 1e6 ? '>1M' : evidenceNumber(value);
  return `${found}/${evidenceNumber(threshold)}${toward === 'harm' ? ' harm' : ''}`;
}
