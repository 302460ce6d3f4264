import { markdownText } from '../core/text/markup';
import { cellText, type ReportCell, type ReportDocument, type ReportSection } from './report-document';

/** A report as Markdown: tables and lists, no charts. */
export function reportMarkdown({ title, status, sections }: ReportDocument): string {
  const parts = [`# ${markdownText(title)}: ${markdownText(status.text)}`, ...sections.flatMap(sectionParts)];
  return `${parts.join('\n\n')}\n`;
}

function sectionParts({ title, level, prose, lines, facts, table }: ReportSection): string[] {
  const parts = [`${'#'.repeat(level)} ${markdownText(title)}`];
  parts.push(...prose.map(markdownText));
  if (facts.length > 0) parts.push(tableText(['', ''], facts));
  if (lines.length > 0) parts.push(lines.map((line) => `- ${markdownText(line)}`).join('\n'));
  if (table !== null && table.rows.length > 0) parts.push(tableText(table.head, table.rows));
  return parts;
}

function tableText(head: readonly string[], rows: readonly (readonly ReportCell[])[]): string {
  const line = (cells: readonly ReportCell[]) =>
    `| ${cells.map((cell) => markdownText(cellText(cell))).join(' | ')} |`;
  return [line(head), `|${head.map(() => '---').join('|')}|`, ...rows.map(line)].join('\n');
}
