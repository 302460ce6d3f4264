import { formatShare, stageShareText } from '../../core/plan/plan';
import type { MigrationView } from '../view/migration-view';
import { rateText } from '../view/number-text';
import type { FrameOptions } from './frame-options';
import { type Line, lineWidth, type Style, span, spread } from './styled-line';

/** Route, providers, shares and what is done now. */
export function headLines({ head }: MigrationView, { columns, glyphs }: FrameOptions): Line[] {
  const { route, providers, outcome, phase, stage, shareAsked, share, observedShare, epoch, doing } = head;
  const left: Line = [
    span(route, 'strong'),
    span('  '),
    span(providers.legacy, 'legacy'),
    span(` ${glyphs.arrow} `, 'dim'),
    span(providers.candidate, 'candidate'),
  ];
  const asked =
    shareAsked === share
      ? formatShare(share)
      : `${formatShare(share)} ${glyphs.arrow} ${formatShare(shareAsked)}`;
  const right: Line = [
    span(asked, 'strong'),
    span(` asked, ${observedShare === null ? '–' : rateText(observedShare)} measured  epoch ${epoch}`, 'dim'),
  ];
  const state = outcome ?? (phase === 'observing' ? stage : `${stage}, ${phase}`);
  return [
    ...spread(left, right, columns),
    [span(state, 'strong'), ...(outcome === null ? [span(`  ${doing}`, 'dim')] : [])],
  ];
}

/** The stages as a rail; where that does not fit, the current one alone. */
export function stageLines({ stages }: MigrationView, { columns, glyphs }: FrameOptions): Line[] {
  const { done, now: current, next, ended } = glyphs;
  const mark = { done, now: current, next, ended };
  const style: Record<keyof typeof mark, Style> = {
    ...{ done: 'candidate', now: 'strong', next: 'dim', ended: 'bad' },
  };
  const rail = stages.flatMap((stage, index) => [
    ...(index === 0 ? [] : [span(` ${glyphs.rule}${glyphs.rule} `, 'dim')]),
    span(mark[stage.state], stage.state === 'now' ? 'candidate' : style[stage.state]),
    span(` ${stage.name} ${stageShareText(stage)}`, style[stage.state]),
  ]);
  if (lineWidth(rail) <= columns) return [rail];
  const at = stages.find(({ state }) => state === 'now' || state === 'ended');
  const marks = stages.map(({ state }) => mark[state]).join('');
  const where = at === undefined ? '' : ` ${at.name} ${stageShareText(at)}`;
  return [[span(marks, 'candidate'), span(where, 'strong')]];
}
