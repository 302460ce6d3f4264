import type { ProviderNames } from '../view/action';
import type { ArmsView, ArmView, Quantiles } from '../view/arm-view';
import { countText, latencyText, rateText, shortCountText, usdText } from '../view/number-text';
import { type Line, padLine, type Style, span, widthOf } from './styled-line';

const CLASSES_SHOWN = 3;
/** `108, 146 ms` */
const QUANTILES_WIDTH = 11;

/** Both providers side by side in `width` columns; rows without a number on either side are left out. */
export function armsLines(arms: ArmsView, providers: ProviderNames, width: number, more: string): Line[] {
  const { legacy, candidate, source, rescued, cohort } = arms;
  const labelWidth = Math.min(14, Math.max(4, Math.floor(width * 0.36)));
  const cellWidth = Math.max(3, Math.floor((width - labelWidth - 2) / 2));
  const isNarrow = cellWidth < QUANTILES_WIDTH;
  const classes = [...legacy.failuresByClass, ...candidate.failuresByClass].map(({ name }) => name);
  const rows: [string, (arm: ArmView) => string][] = [
    ['requests', ({ requests }) => countText(requests)],
    ['errors', ({ errorRate }) => rateText(errorRate)],
    ...[...new Set(classes)]
      .slice(0, CLASSES_SHOWN)
      .map((name): [string, (arm: ArmView) => string] => [
        `  ${name.replace('_', ' ')}`,
        (arm) => countText(arm.failuresByClass.find((one) => one.name === name)?.count ?? 0),
      ]),
    ['broken answers', ({ breachRate }) => rateText(breachRate)],
    [isNarrow ? 'plain p95' : 'plain p50, p95', ({ plain }) => quantilesText(plain, isNarrow)],
    [isNarrow ? 'token p95' : 'token p50, p95', ({ firstToken }) => quantilesText(firstToken, isNarrow)],
    ['tokens in, out', tokensText],
    ['cost each', ({ costPerRequestUsd }) => usdText(costPerRequestUsd)],
    ['cost', ({ costUsd }) => usdText(costUsd)],
    ['probes failed', ({ probes }) => (probes.all === 0 ? '–' : `${probes.failed} of ${probes.all}`)],
  ];
  const shown = rows.filter(([, cell]) => cell(legacy) !== '–' || cell(candidate) !== '–');
  const line = (label: string, cells: readonly [string, string], styles: readonly [Style, Style]): Line => [
    ...padLine([span(label, 'dim')], labelWidth, more),
    ...rightAligned(cells[0], cellWidth, styles[0], more),
    ...rightAligned(cells[1], cellWidth, styles[1], more),
  ];
  const from = source === 'verdict' ? 'last window' : '';
  return [
    line(from, [providers.legacy, providers.candidate], ['legacy', 'candidate']),
    ...shown.map(([label, cell]) => line(label, [cell(legacy), cell(candidate)], ['plain', 'plain'])),
    ...(cohort === undefined
      ? []
      : [
          [
            span(`${cohort.whom}, in neither arm: `, 'dim'),
            span(`${countText(cohort.side.requests)} requests, ${rateText(cohort.side.errorRate)} errors`),
          ],
        ]),
    ...(rescued === null || rescued === 0
      ? []
      : [[span(`${countText(rescued)} failed at the candidate, answered by legacy`, 'dim')]]),
  ];
}

function rightAligned(text: string, width: number, style: Style, more: string): Line {
  const fitted = span(text, style);
  const blank = width + 1 - widthOf(fitted.text);
  return blank < 1 ? [span(' '), ...padLine([fitted], width, more)] : [span(' '.repeat(blank)), fitted];
}

function quantilesText(quantiles: Quantiles | null, isNarrow: boolean): string {
  if (quantiles === null) return '–';
  const { p50Ms, p95Ms } = quantiles;
  if (p50Ms === null || isNarrow) return latencyText(p95Ms);
  if (p95Ms === null || p95Ms >= 1_000) return `${latencyText(p50Ms)}, ${latencyText(p95Ms)}`;
  return `${latencyText(p50Ms).replace(' ms', '')}, ${latencyText(p95Ms)}`;
}

function tokensText({ tokensIn, tokensOut }: ArmView): string {
  if (tokensIn === null || tokensOut === null || tokensIn + tokensOut === 0) return '–';
  return `${shortCountText(tokensIn)}, ${shortCountText(tokensOut)}`;
}
