import type { MetricVerdict } from '../core/gates/verdict';
import { metricTexts } from '../core/gates/verdict-text';
import { formatShare } from '../core/plan/plan';
import { DAY_MS } from '../core/text/duration';
import { markup } from '../core/text/markup';
import type { Tone } from '../report/report-document';
import type { ReportedMigration } from './reported-migration';

const WIDTH = 1000;
const HEIGHT = 260;
const PLOT = { left: 80, right: 14, top: 16, bottom: 40 };

/** Shares over time: what was asked for as a line, what each window observed as dots in its verdict's colour. */
export function shareChart(
  migration: Pick<ReportedMigration, 'windows' | 'changes'>,
  fromMs: number,
  toMs: number,
  toneOf: (outcome: string) => Tone,
): string {
  const spanMs = Math.max(1, toMs - fromMs);
  const right = WIDTH - PLOT.right;
  const bottom = HEIGHT - PLOT.bottom;
  const x = (atMs: number) =>
    PLOT.left + (Math.min(Math.max(atMs, fromMs), toMs) - fromMs) * ((right - PLOT.left) / spanMs);
  const y = (share: number) => bottom - share * (bottom - PLOT.top);
  const steps: string[] = [];
  let share = 0;
  for (const { confirmedAtMs, share: next } of migration.changes) {
    if (confirmedAtMs === null) continue;
    steps.push(`L${point(x(confirmedAtMs), y(share))}L${point(x(confirmedAtMs), y(next))}`);
    share = next;
  }
  const line = `${steps.join('')}L${point(right, y(share))}`;
  const dots = migration.windows.flatMap(({ endedAtMs, stage, stageWindow, result: { verdict } }) => {
    if (verdict.observedShare === null) return [];
    const title = `${stage.name}, window ${stageWindow}: ${formatShare(verdict.observedShare)} observed, ${verdict.outcome}`;
    return [
      `<circle class="dot-${toneOf(verdict.outcome)}" cx="${x(endedAtMs).toFixed(1)}" cy="${y(verdict.observedShare).toFixed(1)}" r="3.5"><title>${markup(title)}</title></circle>`,
    ];
  });
  const harm = migration.windows
    .filter(({ result }) => result.ended === 'harm')
    .map(({ endedAtMs }) => {
      const at = x(endedAtMs).toFixed(1);
      return `<line class="mark" x1="${at}" x2="${at}" y1="${PLOT.top}" y2="${bottom}"><title>harm</title></line>`;
    });
  const grid = [0, 0.5, 1].map(
    (part) =>
      `<line class="grid" x1="${PLOT.left}" x2="${right}" y1="${y(part)}" y2="${y(part)}"/><text x="${PLOT.left - 8}" y="${y(part) + 4}" text-anchor="end">${formatShare(part)}</text>`,
  );
  const times = [0, 0.5, 1].map((part) => {
    const anchor = part === 0 ? 'start' : part === 1 ? 'end' : 'middle';
    return `<text x="${x(fromMs + part * spanMs)}" y="${HEIGHT - 12}" text-anchor="${anchor}">${timeText(fromMs + part * spanMs, spanMs)}</text>`;
  });
  const start = point(PLOT.left, y(0));
  return (
    `<figure><svg class="wide" viewBox="0 0 ${WIDTH} ${HEIGHT}" role="img" aria-label="Shares asked for and observed">` +
    `${grid.join('')}<path class="area" d="M${start}${line}L${point(right, bottom)}Z"/><path class="asked" d="M${start}${line}"/>` +
    `${harm.join('')}${dots.join('')}${times.join('')}</svg>` +
    "<figcaption>The candidate's share: the line is what every gateway had confirmed, dots are what windows observed, in the colour of their verdict.</figcaption></figure>"
  );
}

function timeText(atMs: number, spanMs: number): string {
  const text = new Date(atMs).toISOString();
  return spanMs > 2 * DAY_MS ? text.slice(5, 16).replace('T', ' ') : text.slice(11, 19);
}

function point(x: number, y: number): string {
  return `${x.toFixed(1)} ${y.toFixed(1)}`;
}

const BAR = { width: 150, height: 20 };

/** Units whose margin says how much more is allowed than at legacy. */
const COMPARED: readonly MetricVerdict['unit'][] = ['rate', 'ms', 'usd', 'tokens'];

/** Where a metric's estimate and interval lie against its margin; null where it compares nothing. */
export function intervalChart(metric: MetricVerdict): string | null {
  const { estimate = null, interval = null, margin, unit } = metric;
  if (estimate === null || unit === 'p-value') return null;
  const limit = COMPARED.includes(unit) ? margin : null;
  const [low, high] = interval ?? [estimate, estimate];
  const reach = 1.15 * Math.max(1e-9, Math.abs(estimate), Math.abs(limit ?? 0), ...near([low, high], limit));
  const x = (value: number) => (BAR.width / 2) * (1 + Math.min(1, Math.max(-1, value / reach)));
  const middle = BAR.height / 2;
  const texts = metricTexts(metric);
  const title = `${texts.estimate}${texts.interval === '' ? '' : `, interval ${texts.interval}`}${limit === null ? '' : `, margin ${texts.margin}`}`;
  const vertical = (name: string, at: number) =>
    `<line class="${name}" x1="${at.toFixed(1)}" x2="${at.toFixed(1)}" y1="1" y2="${BAR.height - 1}"/>`;
  return (
    `<svg width="${BAR.width}" height="${BAR.height}" viewBox="0 0 ${BAR.width} ${BAR.height}" role="img" aria-label="${markup(title)}"><title>${markup(title)}</title>` +
    `${vertical('zero', x(0))}${limit === null ? '' : vertical('margin', x(limit))}` +
    `<line class="interval" x1="${x(low ?? -reach).toFixed(1)}" x2="${x(high ?? reach).toFixed(1)}" y1="${middle}" y2="${middle}"/>` +
    `<circle class="estimate" cx="${x(estimate).toFixed(1)}" cy="${middle}" r="4"/></svg>`
  );
}

/** Bounds that are not so far out that all else would shrink to a point. */
function near(bounds: readonly (number | null)[], limit: number | null): number[] {
  const most = 6 * Math.abs(limit ?? 1);
  return bounds.flatMap((bound) => (bound === null ? [] : [Math.min(Math.abs(bound), most)]));
}

/** How far the evidence has come to what decides, on a logarithmic scale; null where there is none. */
export function evidenceBar({ eValue = null, threshold = null }: MetricVerdict): string | null {
  if (eValue === null || threshold === null || threshold <= 1) return null;
  const part = Math.min(1, Math.max(0, Math.log(Math.max(eValue, 1)) / Math.log(threshold)));
  const title = `evidence ${eValue} of ${threshold} needed`;
  return (
    `<svg width="90" height="14" viewBox="0 0 90 14" role="img" aria-label="${title}"><title>${title}</title>` +
    `<rect class="track" x="0" y="3" width="90" height="8" rx="4"/><rect class="value" x="0" y="3" width="${(90 * part).toFixed(1)}" height="8" rx="4"/></svg>`
  );
}
