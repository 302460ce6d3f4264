import { markdownText } from '../core/markup';
import type { ReportSection } from './report-sections';

/** Sections as Markdown; text from logs cannot end a table cell or become markup. */
export function reportMarkdown(title: string, sections: readonly ReportSection[]): string {
  const parts = [`# ${markdownText(title)}`];
  for (const { title: heading, lines, table } of sections) {
    parts.push(`## ${markdownText(heading)}`);
    if (lines.length > 0) parts.push(lines.map((line) => `- ${markdownText(line.trim())}`).join('\n'));
    if (table !== null) {
      const row = (cells: readonly string[]) => `| ${cells.map(markdownText).join(' | ')} |`;
      parts.push(
        [row(table.head), `|${table.head.map(() => '---').join('|')}|`, ...table.rows.map(row)].join('\n'),
      );
    }
  }
  return `${parts.join('\n\n')}\n`;
}
