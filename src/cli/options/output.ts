import { stringify } from 'yaml';
import { visibleJson, visibleLines } from '../../core/text/visible-text';
import { asTyped } from './typed-command';

let isYaml = false;

/** From now on what would be JSON is printed as YAML documents. */
export function printAsYaml(): void {
  isYaml = true;
}

/** Prints one JSON document on one line to standard output; a YAML document where that was asked for. */
export function printJson(value: unknown): void {
  if (isYaml) {
    // As JSON would have it: without functions, and dates as texts.
    const text = stringify(JSON.parse(JSON.stringify(value)), { aliasDuplicateObjects: false });
    process.stdout.write(`---\n${visibleLines(text)}`);
    return;
  }
  process.stdout.write(`${visibleJson(JSON.stringify(value))}\n`);
}

/** Prints one line to standard output, with everything that a terminal does not show made visible. */
export function printLine(line = ''): void {
  process.stdout.write(`${asTyped(visibleLines(line))}\n`);
}

/** Prints one line to standard error: progress and notes, so that standard output stays clean for pipes. */
export function printNote(line: string): void {
  process.stderr.write(`${asTyped(visibleLines(line))}\n`);
}

/** Prints rows as left-aligned columns, two spaces apart; `head` names the columns. */
export function printTable(head: readonly string[], rows: readonly (readonly string[])[]): void {
  const widths = head.map((title, column) =>
    Math.max(title.length, ...rows.map((row) => shownCell(row[column]).length)),
  );
  for (const row of [head, ...rows]) {
    printLine(
      row
        .map((cell, column) => shownCell(cell).padEnd(widths[column] ?? 0))
        .join('  ')
        .trimEnd(),
    );
  }
}

function shownCell(cell = ''): string {
  return asTyped(visibleLines(cell));
}
