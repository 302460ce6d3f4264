import type { RehearsalSummary } from '../../core/rehearsal/rehearsal-summary';
import { formatDuration } from '../../core/text/duration';
import { markup } from '../../core/text/markup';

const ROW = 34;
const TOP = 74;
const LEFT = 290;
const BAR = 420;
const WIDTH = 1000;

const KINDS = [
  { name: 'promoted', colour: '#2a9d62' },
  { name: 'undecided', colour: '#b9c0ca' },
  { name: 'paused', colour: '#d99a2b' },
  { name: 'rolledBack', colour: '#c8453b' },
] as const;

const NAMES = {
  promoted: 'promoted',
  undecided: 'undecided',
  paused: 'paused',
  rolledBack: 'rolled back',
} as const;

/** What became of each scenario, as one SVG file that loads nothing: outcomes, and what was wrong about them. */
export function rehearsalChart(title: string, summaries: readonly RehearsalSummary[]): string {
  const height = TOP + summaries.length * ROW + 20;
  const legend = KINDS.map(
    ({ name, colour }, index) =>
      `<rect x="${LEFT + index * 165}" y="42" width="12" height="12" rx="2" fill="${colour}"/><text x="${LEFT + 18 + index * 165}" y="52">${NAMES[name]}</text>`,
  );
  return (
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${height}" role="img" aria-label="${markup(title)}">` +
    '<style>text{font:13px system-ui,sans-serif;fill:#1c2430}.soft{fill:#5c6675;font-size:12px}.bad{fill:#b3261e;font-weight:600}.head{font-size:16px;font-weight:650}</style>' +
    `<rect width="${WIDTH}" height="${height}" fill="#fff"/><text class="head" x="16" y="26">${markup(title)}</text>` +
    `${legend.join('')}${summaries.map(row).join('')}</svg>\n`
  );
}

function row(summary: RehearsalSummary, index: number): string {
  const y = TOP + index * ROW;
  let x = LEFT;
  const bars = KINDS.map(({ name, colour }) => {
    const width = BAR * summary[name];
    const from = x;
    x += width;
    if (width === 0) return '';
    return `<rect x="${from.toFixed(1)}" y="${y}" width="${width.toFixed(1)}" height="18" fill="${colour}"><title>${NAMES[name]} ${percent(summary[name])}</title></rect>`;
  });
  const { falseRollback, falsePromotion, untilRollback, hurtBeforeRollback } = summary;
  const wrong = [
    falseRollback > 0 ? `false rollback ${percent(falseRollback)}` : '',
    falsePromotion > 0 ? `false promotion ${percent(falsePromotion)}` : '',
  ].filter((text) => text !== '');
  const told =
    untilRollback === null
      ? ''
      : `back after ${formatDuration(untilRollback.medianMs)}, ${percent(hurtBeforeRollback ?? 0)} hurt`;
  return (
    `<text x="16" y="${y + 14}">${markup(summary.scenario)}</text><text class="soft" x="${LEFT - 12}" y="${y + 14}" text-anchor="end">${markup(summary.stage)}</text>` +
    `${bars.join('')}<text class="soft" x="${LEFT + BAR + 14}" y="${y + (wrong.length > 0 && told !== '' ? 7 : 14)}">${told}</text>` +
    `<text class="soft bad" x="${LEFT + BAR + 14}" y="${y + (told === '' ? 14 : 21)}">${wrong.join(', ')}</text>`
  );
}

function percent(part: number): string {
  return `${Number((part * 100).toFixed(part > 0 && part < 0.01 ? 2 : 1))}%`;
}
