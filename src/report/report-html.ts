import { markup } from '../core/text/markup';
import type { ReportCell, ReportDocument, ReportSection, ReportTable } from './report-document';

const STYLE = `
:root{color-scheme:light dark;--ink:#1c2430;--soft:#5c6675;--line:#dfe3e9;--card:#f6f7f9;--page:#fff;--accent:#2f5fb3;--good:#166a3f;--bad:#b3261e;--open:#8a5a00;--good-bg:#e5f4ec;--bad-bg:#fbe9e7;--open-bg:#fcf1dc;--band:#c9d7ee}
@media (prefers-color-scheme:dark){:root{--ink:#e6e9ee;--soft:#9aa5b4;--line:#2c333d;--card:#1a1f27;--page:#12161c;--accent:#86aef0;--good:#5fce95;--bad:#ff9a91;--open:#ecb95c;--good-bg:#15301f;--bad-bg:#3a1a18;--open-bg:#362a12;--band:#2f4469}}
*{box-sizing:border-box}
body{margin:0;background:var(--page);color:var(--ink);font:15px/1.55 system-ui,-apple-system,"Segoe UI",Roboto,sans-serif;font-variant-numeric:tabular-nums}
main{max-width:1080px;margin:0 auto;padding:2.5rem 1.25rem 5rem}
header{display:flex;flex-wrap:wrap;align-items:baseline;gap:.5rem 1rem;margin-bottom:1.25rem}
h1{font-size:1.65rem;line-height:1.25;margin:0;font-weight:650;overflow-wrap:anywhere}
h2{font-size:1.15rem;margin:2.75rem 0 .75rem;padding-top:1.25rem;border-top:1px solid var(--line);font-weight:650}
h3{font-size:1rem;margin:1.75rem 0 .5rem;font-weight:650}
main>section:first-of-type h2{border:0;padding:0;margin-top:0}
dl{display:grid;grid-template-columns:repeat(auto-fit,minmax(230px,1fr));gap:.75rem 1.5rem;margin:0 0 1rem;padding:1rem 1.1rem;background:var(--card);border-radius:8px}
dt{color:var(--soft);font-size:.8rem}dd{margin:0;overflow-wrap:anywhere}
p{margin:.35rem 0;font-size:1.05rem;max-width:46rem;overflow-wrap:anywhere}
ul{margin:.25rem 0 1rem;padding-left:1.15rem}li{margin:.2rem 0;overflow-wrap:anywhere}
.scroll{overflow-x:auto;margin:.25rem 0 1rem}
table{border-collapse:collapse;width:100%;font-size:.86rem}
th{color:var(--soft);font-weight:600;text-align:left;white-space:nowrap;font-size:.78rem}
th,td{padding:.4rem .9rem .4rem 0;border-bottom:1px solid var(--line);vertical-align:top}
td{min-width:3.5rem;max-width:26rem;overflow-wrap:break-word}td:first-child{min-width:5.5rem}td.n:first-child,th.n:first-child{min-width:2rem;width:2rem}td:last-child:not(.n){min-width:15rem}td svg{margin:.3rem 0 0 auto}
.n{text-align:right;white-space:nowrap}time{white-space:nowrap}
.good,.bad,.open{display:inline-block;padding:.05rem .5rem;border-radius:99px;white-space:nowrap;font-size:.92em}
.good{color:var(--good);background:var(--good-bg)}.bad{color:var(--bad);background:var(--bad-bg)}.open{color:var(--open);background:var(--open-bg)}
header .good,header .bad,header .open{font-size:1rem;padding:.15rem .8rem}
details{margin:.5rem 0 1rem}summary{cursor:pointer;color:var(--accent);padding:.25rem 0}
figure{margin:.5rem 0 1rem}figcaption{color:var(--soft);font-size:.82rem;margin-top:.25rem}
svg{display:block}svg.wide{width:100%;height:auto}
svg text{font:12px system-ui,sans-serif;fill:var(--soft)}
.grid{stroke:var(--line)}.asked{stroke:var(--accent);fill:none;stroke-width:2}.area{fill:var(--band);opacity:.45}
.zero{stroke:var(--soft)}.margin{stroke:var(--bad);stroke-dasharray:3 2}.interval{stroke:var(--accent);stroke-width:4;opacity:.5}.estimate{fill:var(--accent)}
.track{fill:var(--line)}.value{fill:var(--accent)}
.axis{stroke:var(--line)}.range{stroke:var(--ink);stroke-width:2}.cell{stroke:var(--line);stroke-width:.5}
.chart{overflow-x:auto}.chart svg{width:100%;min-width:640px;height:auto}.legend span{display:inline-block;margin-right:1rem;font-size:13px}.legend i{display:inline-block;width:10px;height:10px;margin-right:5px}
.dot-good{fill:var(--good)}.dot-bad{fill:var(--bad)}.dot-open{fill:var(--open)}.dot-plain{fill:var(--soft)}.mark{stroke:var(--bad);stroke-dasharray:2 3}
footer{margin-top:3rem;color:var(--soft);font-size:.82rem}
@media (max-width:640px){main{padding:1.5rem 1rem 3rem}h1{font-size:1.35rem}svg.wide text{font-size:26px}svg.wide circle{r:7px}dl{grid-template-columns:repeat(auto-fit,minmax(135px,1fr));gap:.75rem 1rem}}
@media print{details>*{display:block}main{max-width:none}}`;

/** A report as one HTML page with everything in it: no script, no font, no address is loaded. */
export function reportHtml({ title, status, sections }: ReportDocument, madeAt: string): string {
  return (
    '<!doctype html><html lang="en"><head><meta charset="utf-8">' +
    '<meta name="viewport" content="width=device-width,initial-scale=1">' +
    // Whatever a reason or a name contains, nothing is loaded and nothing runs.
    `<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'">` +
    `<title>${markup(`${title}: ${status.text}`)}</title><style>${STYLE}</style></head><body><main>` +
    `<header><h1>${markup(title)}</h1>${badge(status.text, status.tone)}</header>` +
    `${sections.map(sectionHtml).join('')}<footer>Made by cutover, ${markup(madeAt)}. All times are UTC.</footer></main></body></html>\n`
  );
}

function sectionHtml({ title, level, prose, lines, facts, figure, table, folded }: ReportSection): string {
  const paragraphs = prose.map((text) => `<p>${markup(text)}</p>`).join('');
  const list =
    lines.length === 0 ? '' : `<ul>${lines.map((line) => `<li>${markup(line)}</li>`).join('')}</ul>`;
  const pairs = facts.map(
    ([name, value]) => `<div><dt>${markup(name)}</dt><dd>${cellHtml(value)}</dd></div>`,
  );
  const rows = table === null || table.rows.length === 0 ? '' : tableHtml(table);
  const body =
    folded && rows !== ''
      ? `<details><summary>${table?.rows.length === 1 ? '1 row' : `${table?.rows.length} rows`}</summary>${rows}</details>`
      : rows;
  return (
    `<section><h${level}>${markup(title)}</h${level}>${paragraphs}` +
    `${pairs.length === 0 ? '' : `<dl>${pairs.join('')}</dl>`}${figure ?? ''}${list}${body}</section>`
  );
}

function tableHtml({ head, rows, numeric = [] }: ReportTable): string {
  const kind = (index: number) => (numeric.includes(index) ? ' class="n"' : '');
  const heads = head.map((name, index) => `<th${kind(index)}>${markup(name)}</th>`).join('');
  const body = rows.map(
    (cells) => `<tr>${cells.map((cell, index) => `<td${kind(index)}>${cellHtml(cell)}</td>`).join('')}</tr>`,
  );
  return `<div class="scroll"><table><thead><tr>${heads}</tr></thead><tbody>${body.join('')}</tbody></table></div>`;
}

const INSTANT = /^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d$/;

function cellHtml(cell: ReportCell): string {
  if (typeof cell === 'string') return INSTANT.test(cell) ? `<time>${cell}</time>` : markup(cell);
  const { text, tone = 'plain', chart = '' } = cell;
  return `${badge(text, tone)}${chart}`;
}

function badge(text: string, tone: 'good' | 'bad' | 'open' | 'plain'): string {
  return tone === 'plain' ? markup(text) : `<span class="${tone}">${markup(text)}</span>`;
}
