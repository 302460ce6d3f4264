import { markup } from '../core/markup';
import type { AssessmentReport } from './assessment-report';
import { costChart, distributionChart, hourOfWeekChart, tokensByDayChart } from './report-charts';
import { NOT_HERE, type ReportSection } from './report-sections';

const STYLE = `:root{color-scheme:light dark;--ink:#222;--soft:#555;--line:#ddd;--ground:#fff;--mark:#b84a00}
@media(prefers-color-scheme:dark){:root{--ink:#e8e8e8;--soft:#b0b0b0;--line:#444;--ground:#161616;--mark:#ff9a4d}}
body{font:15px/1.5 system-ui,sans-serif;color:var(--ink);background:var(--ground);max-width:1000px;margin:2rem auto;padding:0 1rem}
h1{font-size:1.6rem}h2{font-size:1.15rem;margin-top:2rem}table{border-collapse:collapse;font-size:13px;display:block;overflow-x:auto}
th,td{border-bottom:1px solid var(--line);padding:4px 12px 4px 0;text-align:left;vertical-align:top;max-width:22rem;overflow-wrap:break-word}th{color:var(--soft);font-weight:600}.n{text-align:right;font-variant-numeric:tabular-nums;white-space:nowrap}
ul{padding-left:1.2rem}figure{margin:1.5rem 0}figcaption{font-weight:600;margin-bottom:.3rem}.chart{overflow-x:auto}svg{width:100%;min-width:640px;height:auto;display:block}svg text{font:12px system-ui,sans-serif;fill:var(--soft);paint-order:stroke;stroke:var(--ground);stroke-width:4px}
.axis{stroke:var(--line)}.mark{stroke:var(--mark)}.range{stroke:var(--ink);stroke-width:2}.cell{stroke:var(--line);stroke-width:.5}
.legend span{display:inline-block;margin-right:1rem;font-size:13px}.legend i{display:inline-block;width:10px;height:10px;margin-right:5px}`;

/** One page with everything in it: no script, no font, no address is loaded. */
export function reportHtml(
  title: string,
  report: AssessmentReport,
  sections: readonly ReportSection[],
): string {
  const charts = [
    tokensByDayChart(report.usage),
    hourOfWeekChart(report.usage),
    distributionChart('Latency', report.usage.latencyMs),
    distributionChart('Time to first token', report.usage.firstTokenMs),
    report.projection === null ? null : costChart(report.projection),
  ].filter((chart) => chart !== null);
  const [summary, ...rest] = sections.map(sectionHtml);
  return (
    `<!doctype html><html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width">` +
    // Whatever a log contains, nothing is loaded and nothing runs.
    `<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'">` +
    `<title>${markup(title)}</title><style>${STYLE}</style></head><body><h1>${markup(title)}</h1>` +
    `<p>Made ${markup(report.madeAt)}</p>${summary ?? ''}${charts.join('')}${rest.join('')}</body></html>\n`
  );
}

function sectionHtml({ title, lines, table }: ReportSection): string {
  const list =
    lines.length === 0 ? '' : `<ul>${lines.map((line) => `<li>${markup(line)}</li>`).join('')}</ul>`;
  const numeric = table?.head.map((_, at) => isNumeric(table.rows.map((cells) => cells[at] ?? ''))) ?? [];
  const row = (cells: readonly string[], tag: 'th' | 'td') =>
    `<tr>${cells.map((cell, at) => `<${tag}${numeric[at] === true ? ' class="n"' : ''}>${markup(cell)}</${tag}>`).join('')}</tr>`;
  const rows =
    table === null
      ? ''
      : `<table><thead>${row(table.head, 'th')}</thead><tbody>${table.rows.map((cells) => row(cells, 'td')).join('')}</tbody></table>`;
  return `<section><h2>${markup(title)}</h2>${list}${rows}</section>`;
}

/** Whether a column holds numbers, with a unit or a percentage at most, where it holds anything. */
function isNumeric(cells: readonly string[]): boolean {
  const told = cells.filter((cell) => cell !== NOT_HERE && cell !== '-');
  return told.length > 0 && told.every((cell) => /^-?\$?[\d,.:]+(?: \([\d.]+%\)| [A-Z]{3})?$/.test(cell));
}
