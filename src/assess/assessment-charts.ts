import { bucketValue } from '../core/statistics/histogram';
import { DAY_MS } from '../core/text/duration';
import { markup } from '../core/text/markup';
import { dollars, shown, WEEKDAYS } from './assessment-texts';
import type { CostProjection } from './cost-projection';
import type { Distribution, UsageAnalysis } from './usage/usage-analysis';

const WIDTH = 860;
const HEIGHT = 260;
const MARGIN = { left: 76, right: 16, top: 12, bottom: 34 };
const PLOT = { width: WIDTH - MARGIN.left - MARGIN.right, height: HEIGHT - MARGIN.top - MARGIN.bottom };
/** Told apart by people who see few colours (Okabe and Ito). */
const COLOURS = ['#0072b2', '#e69f00', '#009e73', '#cc79a7', '#56b4e9', '#d55e00', '#999999'];
const MODELS_SHOWN = 6;

/** Tokens by day, stacked by model; null when there are none to show. */
export function tokensByDayChart(usage: UsageAnalysis): string | null {
  if (usage.totals.inputTokens === null && usage.totals.outputTokens === null) return null;
  const tokens = (sums: { inputTokens: number | null; outputTokens: number | null }) =>
    (sums.inputTokens ?? 0) + (sums.outputTokens ?? 0);
  const ranked = [...usage.byModel].sort((a, b) => tokens(b) - tokens(a)).map(({ model }) => model);
  const named = ranked.slice(0, MODELS_SHOWN);
  const series = ranked.length > named.length ? [...named, 'other'] : named;
  const days = daysBetween(usage.byDay.map(({ day }) => day));
  const sums = new Map<string, number>();
  for (const each of usage.byDay) {
    const key = `${each.day} ${named.includes(each.model) ? named.indexOf(each.model) : MODELS_SHOWN}`;
    sums.set(key, (sums.get(key) ?? 0) + tokens(each));
  }
  const stacks = days.map((day) => series.map((_, at) => sums.get(`${day} ${at}`) ?? 0));
  const most = Math.max(1, ...stacks.map((stack) => stack.reduce((a, b) => a + b, 0)));
  const step = PLOT.width / days.length;
  const bars = stacks.flatMap((stack, day) => {
    let below = 0;
    return stack.map((value, at) => {
      const y = MARGIN.top + PLOT.height * (1 - (below + value) / most);
      below += value;
      const title = `${days[day]} ${shown(series[at] ?? '')}: ${Math.round(value).toLocaleString('en-US')} tokens`;
      return bar(
        MARGIN.left + day * step + step * 0.1,
        y,
        step * 0.8,
        (PLOT.height * value) / most,
        colour(at),
        title,
      );
    });
  });
  const every = Math.ceil(days.length / 10);
  const labels = days.flatMap((day, at) =>
    at % every === 0 ? [label(MARGIN.left + (at + 0.5) * step, HEIGHT - 14, day.slice(5), 'middle')] : [],
  );
  return figure('Tokens by day and model', [...axis(most, compact), ...bars, ...labels], series);
}

/** The distribution of a latency on a logarithmic axis, with its percentiles; null when there is none. */
export function distributionChart(title: string, distribution: Distribution | null): string | null {
  if (distribution === null || distribution.histogram.buckets.length === 0) return null;
  const { buckets } = distribution.histogram;
  const low = Math.log10(bucketValue((buckets[0] as readonly number[])[0] as number));
  const high = Math.max(
    low + 0.1,
    Math.log10(bucketValue((buckets.at(-1) as readonly number[])[0] as number)),
  );
  const columns = 60;
  const counts = Array<number>(columns).fill(0);
  const place = (value: number) => (Math.log10(value) - low) / (high - low);
  for (const [bucket, count] of buckets) {
    const at = Math.min(columns - 1, Math.floor(place(bucketValue(bucket)) * columns));
    counts[at] = (counts[at] as number) + count;
  }
  const most = Math.max(...counts);
  const step = PLOT.width / columns;
  const bars = counts.map((count, at) => {
    const height = (PLOT.height * count) / most;
    const from = 10 ** (low + ((high - low) * at) / columns);
    return bar(
      MARGIN.left + at * step,
      MARGIN.top + PLOT.height - height,
      step * 0.92,
      height,
      colour(0),
      `about ${compact(from)} ms: ${count} calls`,
    );
  });
  const percentiles = (['p50', 'p95', 'p99'] as const).flatMap((name, at) => {
    const x = MARGIN.left + PLOT.width * Math.min(1, Math.max(0, place(distribution[name])));
    return [
      `<line x1="${x.toFixed(1)}" x2="${x.toFixed(1)}" y1="${MARGIN.top}" y2="${MARGIN.top + PLOT.height}" class="mark" stroke-dasharray="4 3"/>`,
      label(
        x + 4,
        MARGIN.top + 12 + at * 14,
        `${name} ${compact(distribution[name])} ms`,
        x > WIDTH - 130 ? 'end' : 'start',
        x > WIDTH - 130 ? -8 : 0,
      ),
    ];
  });
  const powers = Array.from(
    { length: Math.floor(high) - Math.ceil(low) + 1 },
    (_, at) => Math.ceil(low) + at,
  );
  // Values of one decade have no two powers of ten among them: then the ends are named.
  const ticks = (powers.length < 2 ? [low, high] : powers).map((power) =>
    label(
      MARGIN.left + PLOT.width * ((power - low) / (high - low)),
      HEIGHT - 14,
      `${compact(10 ** power)} ms`,
      power === high ? 'end' : 'middle',
    ),
  );
  return figure(title, [...axis(most, compact), ...bars, ...percentiles, ...ticks], []);
}

const CELL = { width: 32, height: 24, gap: 2 };

/** Calls (tokens where calls are not counted) by weekday and hour: the darker, the more; null when it is not known. */
export function hourOfWeekChart({ byHourOfWeek }: UsageAnalysis): string | null {
  if (byHourOfWeek === null) return null;
  const counted = byHourOfWeek.every(({ calls }) => calls !== null) ? 'calls' : 'tokens';
  const values = byHourOfWeek.map((hour) => hour[counted] ?? 0);
  const most = Math.max(...values);
  if (most === 0) return null;
  const x = (hour: number) => MARGIN.left + hour * CELL.width;
  const y = (weekday: number) => MARGIN.top + weekday * CELL.height;
  const cells = values.map((value, at) => {
    const [weekday, hour] = [Math.floor(at / 24), at % 24];
    const title = `${WEEKDAYS[weekday]} ${String(hour).padStart(2, '0')}:00 UTC: ${value.toLocaleString('en-US')} ${counted}`;
    return `<rect x="${x(hour)}" y="${y(weekday)}" width="${CELL.width - CELL.gap}" height="${CELL.height - CELL.gap}" fill="${colour(0)}" fill-opacity="${(value / most).toFixed(3)}" class="cell"><title>${title}</title></rect>`;
  });
  const names = WEEKDAYS.map((weekday, at) => label(MARGIN.left - 6, y(at) + 15, weekday, 'end'));
  const hours = Array.from({ length: 8 }, (_, at) => label(x(3 * at), y(7) + 14, `${3 * at}:00`, 'start'));
  return figure(
    `${counted === 'calls' ? 'Calls' : 'Tokens'} by weekday and hour (UTC), at most ${most.toLocaleString('en-US')}`,
    [...cells, ...names, ...hours],
    [],
    y(7) + 22,
  );
}

/** Cost by month at both providers' prices, then for 30 days with its range. */
export function costChart({ byMonth, legacy, candidate }: CostProjection): string {
  const groups = [
    ...byMonth.map(({ month, legacyUsd, candidateUsd }) => ({
      name: month,
      values: [legacyUsd, candidateUsd],
      ranges: null,
    })),
    {
      name: '30 days',
      values: [legacy.monthly.usd, candidate.monthly.usd],
      ranges: [legacy.monthly, candidate.monthly],
    },
  ];
  const most = Math.max(
    1e-9,
    ...groups.flatMap(({ values }) => values),
    legacy.monthly.highUsd,
    candidate.monthly.highUsd,
  );
  const step = PLOT.width / groups.length;
  const width = Math.min(70, step * 0.36);
  const y = (usd: number) => MARGIN.top + PLOT.height * (1 - usd / most);
  const marks = groups.flatMap(({ name, values, ranges }, group) => {
    const centre = MARGIN.left + (group + 0.5) * step;
    return [
      ...values.flatMap((usd, index) => {
        const x = centre + (index === 0 ? -width - 2 : 2);
        const range = ranges?.[index];
        const middle = x + width / 2;
        return [
          bar(
            x,
            y(usd),
            width,
            PLOT.height - (y(usd) - MARGIN.top),
            colour(index),
            `${name} ${index === 0 ? 'legacy' : 'candidate'}: ${dollars(usd)}`,
          ),
          ...(range === undefined || range.lowUsd === range.highUsd
            ? []
            : [
                `<line x1="${middle}" x2="${middle}" y1="${y(range.lowUsd).toFixed(1)}" y2="${y(range.highUsd).toFixed(1)}" class="range"/>`,
              ]),
        ];
      }),
      label(centre, HEIGHT - 14, name, 'middle'),
    ];
  });
  return figure('Cost by month, now and then', [...axis(most, dollars), ...marks], ['legacy', 'candidate']);
}

function figure(
  title: string,
  marks: readonly string[],
  series: readonly string[],
  height: number = HEIGHT,
): string {
  const legend = series.map(
    (name, at) => `<span><i style="background:${colour(at)}"></i>${markup(shown(name))}</span>`,
  );
  return (
    `<figure><figcaption>${markup(title)}</figcaption>` +
    `<div class="chart"><svg viewBox="0 0 ${WIDTH} ${height}" role="img" aria-label="${markup(title)}">${marks.join('')}</svg></div>` +
    `${legend.length > 0 ? `<p class="legend">${legend.join(' ')}</p>` : ''}</figure>`
  );
}

function axis(most: number, format: (value: number) => string): string[] {
  return [0, 0.5, 1].flatMap((part) => {
    const y = MARGIN.top + PLOT.height * (1 - part);
    return [
      `<line x1="${MARGIN.left}" x2="${WIDTH - MARGIN.right}" y1="${y}" y2="${y}" class="axis"/>`,
      label(MARGIN.left - 6, y + 4, format(most * part), 'end'),
    ];
  });
}

function bar(x: number, y: number, width: number, height: number, fill: string, title: string): string {
  if (height <= 0) return '';
  return `<rect x="${x.toFixed(1)}" y="${y.toFixed(1)}" width="${width.toFixed(1)}" height="${height.toFixed(1)}" fill="${fill}"><title>${markup(title)}</title></rect>`;
}

function label(x: number, y: number, text: string, anchor: 'start' | 'middle' | 'end', shift = 0): string {
  return `<text x="${(x + shift).toFixed(1)}" y="${y}" text-anchor="${anchor}">${markup(text)}</text>`;
}

function colour(at: number): string {
  return COLOURS[at % COLOURS.length] as string;
}

function compact(value: number): string {
  return value.toLocaleString('en-US', { notation: 'compact', maximumSignificantDigits: 3 });
}

/** Days without usage are shown as such; beyond a year only days with usage are. */
function daysBetween(days: readonly string[]): string[] {
  const sorted = [...new Set(days)].sort();
  const first = Date.parse(sorted[0] ?? '');
  const last = Date.parse(sorted.at(-1) ?? '');
  if (Number.isNaN(first) || last - first > 366 * DAY_MS) return sorted;
  const all: string[] = [];
  for (let at = first; at <= last; at += DAY_MS) all.push(new Date(at).toISOString().slice(0, 10));
  return all;
}
