import { DAY_MS, formatDuration } from '../core/text/duration';
import {
  cellText,
  type ReportDocument,
  type ReportSection,
  type ReportTable,
  section,
  type Tone,
} from '../report/report-document';
import { costChart, distributionChart, hourOfWeekChart, tokensByDayChart } from './assessment-charts';
import type { AssessmentReport } from './assessment-report';
import { count, dollars, integer, minute, NOT_HERE, short, shown, WEEKDAYS } from './assessment-texts';
import { type CostProjection, WEEK_DAYS } from './cost-projection';
import type { CostRange } from './cost-range';
import type { Readiness } from './readiness';
import { FEATURES, sumOf, sumOfKnown, type UsageSums } from './usage/usage-analysis';

/** A section without what is empty in it. */
type Part = Pick<ReportSection, 'title'> & Partial<ReportSection>;

/** An assessment as a report, for the terminal, Markdown and HTML alike. Names are made safe to show. */
export function assessmentDocument(report: AssessmentReport): ReportDocument {
  return {
    title: report.route === null ? 'Assessment' : `Assessment of ${report.route}`,
    status: statusOf(report),
    sections: [
      verdict(report),
      sources(report),
      totals(report),
      models(report),
      days(report),
      weekdays(report),
      callers(report),
      features(report),
      ...projection(report),
      ...readiness(report),
    ].map((part) => section({ ...part, table: part.table == null ? null : withNumbers(part.table) })),
  };
}

const TONES: Readonly<Record<Readiness['verdict'], Tone>> = { pass: 'good', hold: 'open', rejected: 'bad' };

function statusOf({ readiness }: AssessmentReport): ReportDocument['status'] {
  return readiness === null
    ? { text: 'usage only', tone: 'plain' }
    : { text: readiness.verdict, tone: TONES[readiness.verdict] };
}

/** Columns that hold numbers, with a unit or a percentage at most, where they hold anything. */
function withNumbers(table: ReportTable): ReportTable {
  const numeric = table.head.flatMap((_, at) => {
    const filled = table.rows
      .map((cells) => cellText(cells[at] ?? ''))
      .filter((cell) => cell !== NOT_HERE && cell !== '-');
    const numbers = filled.every((cell) => /^-?\$?[\d,.:]+(?: \([\d.]+%\)| [A-Z]{3})?$/.test(cell));
    return filled.length > 0 && numbers ? [at] : [];
  });
  return { ...table, numeric };
}

function verdict({ readiness, projection }: AssessmentReport): Part {
  const lines = [
    ...(readiness === null ? [] : [`Verdict: ${readiness.verdict}${reasons(readiness)}.`]),
    ...(projection === null ? [] : [monthly(projection), projection.recommendation.sentence]),
  ];
  return {
    title: 'Summary',
    lines: lines.length > 0 ? lines : ['Usage only: no candidate was named, or no tokens are known.'],
  };
}

const REASONS = [
  ['blocker', 'blocker', 'blockers'],
  ['approval', 'question to be answered', 'questions to be answered'],
  ['doubt', 'doubt', 'doubts'],
  ['warning', 'warning', 'warnings'],
] as const;

function reasons({ findings }: Readiness): string {
  const counted = REASONS.flatMap(([kind, one, several]) => {
    const found = findings.filter((finding) => finding.kind === kind).length;
    return found === 0 ? [] : [`${found} ${found === 1 ? one : several}`];
  });
  return counted.length === 0 ? '' : `, with ${counted.join(', ')}`;
}

function monthly({ legacy, candidate, days }: CostProjection): string {
  const { usd, lowUsd, highUsd } = candidate.monthly;
  const between = lowUsd === highUsd ? '' : ` (${dollars(lowUsd)} to ${dollars(highUsd)})`;
  return `30 days cost ${dollars(legacy.monthly.usd)} now, and ${dollars(usd)}${between} at the candidate${days < WEEK_DAYS ? `, extrapolated from ${formatDuration(days * DAY_MS)} of usage` : ''}.`;
}

const FILES_SHOWN = 20;

function sources({ usage }: AssessmentReport): Part {
  // Files with rejected rows first: they want to be looked at.
  const ordered = [...usage.sources].sort((a, b) => b.rejects.total - a.rejects.total);
  const shownFiles = ordered.length > FILES_SHOWN ? ordered.slice(0, FILES_SHOWN) : usage.sources;
  const others = ordered.slice(shownFiles.length);
  const rejects = shownFiles.flatMap(({ file, rejects: { total, byReason, examples } }) =>
    total === 0
      ? []
      : [
          ...byReason.map(([reason, rows]) => `${shown(file)}: ${integer(rows)} rejected: ${shown(reason)}`),
          ...examples.map(({ place, reason }) => `  ${place}: ${shown(reason)}`),
        ],
  );
  const ignored = shownFiles
    .filter(({ ignoredLatencies }) => ignoredLatencies > 0)
    .map(
      ({ file, ignoredLatencies }) =>
        `${shown(file)}: ${integer(ignoredLatencies)} impossible latencies excluded from percentiles`,
    );
  return {
    title: 'Sources',
    lines: [
      ...rejects,
      ...ignored,
      ...shownFiles
        .filter(({ untold }) => untold > 0)
        .map(
          ({ file, untold }) =>
            `${shown(file)}: calls without token counts, which are in neither tokens nor cost: ${integer(untold)}`,
        ),
      ...(others.length === 0
        ? []
        : [
            `and ${integer(others.length)} more files with ${integer(others.reduce((sum, { rows }) => sum + rows, 0))} rows, ` +
              `${integer(others.reduce((sum, source) => sum + source.rejects.total, 0))} of them rejected`,
          ]),
    ],
    table: {
      head: ['file', 'format', 'rows', 'no calls', 'rejected', 'per'],
      rows: shownFiles.map((source) => [
        shown(source.file),
        `${shown(source.title)} (${source.chosen})`,
        integer(source.rows),
        integer(source.skipped),
        integer(source.rejects.total),
        source.granularity === 'request' ? 'request' : 'bucket',
      ]),
    },
  };
}

function totals({ usage }: AssessmentReport): Part {
  const { window, totals: sums, peak, latencyMs, firstTokenMs, promptTokens } = usage;
  const perDay = (value: number | null) => (value === null ? NOT_HERE : integer(value / window.days));
  const quantiles = (of: typeof latencyMs, unit: string) =>
    of === null
      ? NOT_HERE
      : `p50 ${short(of.p50)}${unit}, p95 ${short(of.p95)}${unit}, p99 ${short(of.p99)}${unit} (${integer(of.count)} calls)`;
  const rows: [string, string, string][] = [
    ['calls', count(sums.calls), perDay(sums.calls)],
    ['input tokens', count(sums.inputTokens), perDay(sums.inputTokens)],
    ['  of them cached', count(sums.cachedTokens), perDay(sums.cachedTokens)],
    ['output tokens', count(sums.outputTokens), perDay(sums.outputTokens)],
    ['failed calls', failures(sums), perDay(sums.failed)],
  ];
  return {
    title: `Usage from ${minute(window.fromMs)} to ${minute(window.toMs)} UTC, ${formatDuration(window.days * DAY_MS)} of data`,
    figure: figures(
      distributionChart('Latency', latencyMs),
      distributionChart('Time to first token', firstTokenMs),
    ),
    lines: [
      `latency: ${quantiles(latencyMs, ' ms')}`,
      `first token: ${quantiles(firstTokenMs, ' ms')}`,
      `prompt size: ${quantiles(promptTokens, ' tokens')}`,
      peak === null
        ? `peak per minute: ${NOT_HERE}`
        : `peak per minute: ${integer(peak.requestsPerMinute)} requests (${minute(peak.requestsAtMs)})` +
          (peak.tokensPerMinute === null
            ? ''
            : `, ${integer(peak.tokensPerMinute)} tokens (${minute(peak.tokensAtMs ?? 0)})`),
      ...usage.recordedCosts.map(
        ({ amount, currency, where }) =>
          `recorded cost: ${amount.toFixed(4)} ${shown(currency)}, by ${shown(where)}`,
      ),
      ...(usage.callsOutside > 0 ? [`${integer(usage.callsOutside)} calls are outside this window`] : []),
    ],
    table: { head: ['', 'total', 'a day'], rows },
  };
}

function models({ usage }: AssessmentReport): Part {
  return {
    title: 'By model',
    table: {
      head: [
        'model',
        'calls',
        'input',
        'cached',
        'output',
        'failed',
        'p50 ms',
        'p95 ms',
        'first token p50 ms',
        'longest request',
      ],
      rows: usage.byModel.map((model) => [
        shown(model.model),
        count(model.calls),
        count(model.inputTokens),
        count(model.cachedTokens),
        count(model.outputTokens),
        failures(model),
        model.latencyMs === null ? NOT_HERE : short(model.latencyMs.p50),
        model.latencyMs === null ? NOT_HERE : short(model.latencyMs.p95),
        model.firstTokenMs === null ? NOT_HERE : short(model.firstTokenMs.p50),
        count(model.maxContextTokens),
      ]),
    },
  };
}

const DAYS_SHOWN = 31;

function days({ usage }: AssessmentReport): Part {
  const all = [...new Set(usage.byDay.map(({ day }) => day))];
  const last = all.slice(-DAYS_SHOWN);
  return {
    title: 'By day (UTC)',
    figure: tokensByDayChart(usage),
    lines:
      all.length > last.length ? [`the last ${last.length} of ${integer(all.length)} days with usage`] : [],
    table: {
      head: ['day', 'calls', 'input', 'cached', 'output', 'failed'],
      rows: last.map((day) => {
        const sums = sumOf(usage.byDay.filter((each) => each.day === day));
        return [
          day,
          count(sums.calls),
          count(sums.inputTokens),
          count(sums.cachedTokens),
          count(sums.outputTokens),
          failures(sums),
        ];
      }),
    },
  };
}

function weekdays({ usage }: AssessmentReport): Part {
  const { byHourOfWeek } = usage;
  const title = 'By weekday and hour (UTC)';
  if (byHourOfWeek === null) return { title, lines: [NOT_HERE] };
  return {
    title,
    figure: hourOfWeekChart(usage),
    table: {
      head: ['weekday', 'calls', 'tokens', 'busiest hour', 'its calls', 'its tokens'],
      rows: WEEKDAYS.map((weekday, at) => {
        const hours = byHourOfWeek.slice(24 * at, 24 * at + 24);
        const busy = (hour: (typeof hours)[number]) => hour.calls ?? hour.tokens ?? 0;
        const most = hours.reduce(
          (best, hour, index) => (busy(hour) > busy(hours[best] ?? hour) ? index : best),
          0,
        );
        const used = hours.some((hour) => busy(hour) > 0);
        return [
          weekday,
          count(sumOfKnown(hours.map(({ calls }) => calls))),
          count(sumOfKnown(hours.map(({ tokens }) => tokens))),
          used ? `${String(most).padStart(2, '0')}:00` : '-',
          used ? count(hours[most]?.calls ?? null) : '-',
          used ? count(hours[most]?.tokens ?? null) : '-',
        ];
      }),
    },
  };
}

function callers({ usage }: AssessmentReport): Part {
  if (usage.byCaller === null) return { title: 'By key or project', lines: [NOT_HERE] };
  const most = usage.byCaller.slice(0, 10);
  return {
    title: 'By key or project',
    lines:
      (usage.callers ?? 0) > most.length
        ? [`the ${most.length} busiest of ${integer(usage.callers ?? 0)}`]
        : [],
    table: {
      head: ['caller', 'calls', 'input', 'output', 'failed'],
      rows: most.map((caller) => [
        shown(caller.caller),
        count(caller.calls),
        count(caller.inputTokens),
        count(caller.outputTokens),
        failures(caller),
      ]),
    },
  };
}

function features({ usage }: AssessmentReport): Part {
  const calls = new Map(usage.features.map((each) => [each.feature, each.calls]));
  return {
    title: 'Features',
    table: {
      head: ['feature', 'calls'],
      rows: FEATURES.map((feature) => [feature, count(calls.get(feature) ?? null)]),
    },
  };
}

function projection({ projection: found, migrationCost }: AssessmentReport): Part[] {
  if (found === null) return [];
  const { legacy, candidate, saving, savingPercent } = found;
  const percent = savingPercent === null ? '' : ` (${savingPercent.percent.toFixed(1)}%)`;
  const targets = new Map(found.mapping.map(({ from, to }) => [from, to]));
  return [
    {
      title: 'Cost of 30 days',
      figure: costChart(found),
      lines: found.assumptions,
      table: {
        head: ['', 'expected', 'at least', 'at most'],
        rows: [
          [`legacy${named(legacy.provider)}`, ...range(legacy.monthly)],
          [`candidate${named(candidate.provider)}`, ...range(candidate.monthly)],
          [`saving${percent}`, ...range(saving)],
        ],
      },
    },
    {
      title: 'Cost of 30 days by model',
      table: {
        head: ['legacy model', 'legacy', 'candidate model'],
        rows: legacy.byModel.map(({ model, monthly }) => [
          shown(model),
          dollars(monthly.usd),
          shown(targets.get(model) ?? 'stays with legacy'),
        ]),
      },
    },
    {
      title: 'What the migration itself costs, at most',
      table: {
        head: ['item', 'cost', 'how'],
        rows: migrationCost.map(({ item, usd, how }) => [item, usd === null ? NOT_HERE : dollars(usd), how]),
      },
    },
    {
      title: 'Prices used, per million tokens',
      table: {
        head: ['provider', 'model', 'tier', 'window', 'input', 'cached', 'output', 'source', 'as of'],
        rows: found.prices.map((price) => [
          shown(price.provider),
          shown(price.model),
          shown(price.serviceTier ?? 'default'),
          shown(price.window ?? 'all hours'),
          `${price.inputPerMillion} ${price.currency}`,
          price.cachedInputPerMillion === null
            ? 'as input'
            : `${price.cachedInputPerMillion} ${price.currency}`,
          `${price.outputPerMillion} ${price.currency}`,
          shown(price.source) +
            (price.currencyRate === null
              ? ''
              : `; 1 ${price.currency} = $${price.currencyRate.usd} on ${price.currencyRate.asOf} (${shown(price.currencyRate.source)})`),
          shown(price.asOf),
        ]),
      },
    },
  ];
}

function readiness({ readiness: found }: AssessmentReport): Part[] {
  if (found === null) return [];
  return [
    {
      title: `Readiness: ${found.verdict}`,
      lines: found.findings.flatMap((finding) =>
        finding.kind === 'approval'
          ? [`to be answered by ${shown(finding.asks ?? 'an operator')}: ${shown(finding.text)}`]
          : [],
      ),
      table: {
        head: ['', 'finding'],
        rows: found.findings.flatMap(({ kind, text }) => (kind === 'approval' ? [] : [[kind, shown(text)]])),
      },
    },
  ];
}

function named(provider: string | null): string {
  return provider === null ? '' : ` (${shown(provider)})`;
}

function range({ usd, lowUsd, highUsd }: CostRange): string[] {
  return [dollars(usd), dollars(lowUsd), dollars(highUsd)];
}

function failures({ failed, calls }: UsageSums): string {
  if (failed === null) return NOT_HERE;
  return calls === null || calls === 0
    ? integer(failed)
    : `${integer(failed)} (${((failed / calls) * 100).toFixed(2)}%)`;
}

function figures(...charts: readonly (string | null)[]): string | null {
  return charts.join('') || null;
}
