/** Prints one JSON document on one line to standard output. */
export function printJson(value: unknown): void {
  process.stdout.write(`${JSON.stringify(value)}\n`);
}

/** Prints one line to standard output, with terminal control characters made visible. */
export function printLine(line = ''): void {
  process.stdout.write(`${printable(line)}\n`);
}

/** Prints one line to standard error: progress and notes, so that standard output stays clean for pipes. */
export function printNote(line: string): void {
  process.stderr.write(`${printable(line)}\n`);
}

/** Prints rows as left-aligned columns, two spaces apart; `head` names the columns. */
export function printTable(head: readonly string[], rows: readonly (readonly string[])[]): void {
  const widths = head.map((title, column) =>
    Math.max(title.length, ...rows.map((row) => printable(row[column] ?? '').length)),
  );
  for (const row of [head, ...rows]) {
    printLine(
      row
        .map((cell, column) => printable(cell).padEnd(widths[column] ?? 0))
        .join('  ')
        .trimEnd(),
    );
  }
}

/** Text safe for a terminal: control characters (escape sequences among them) become visible `\xNN`. */
function printable(text: string): string {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what it looks for
  return text.replace(/[\u0000-\u0008\u000b-\u001f\u007f-\u009f]/g, (character) => {
    return `\\x${character.charCodeAt(0).toString(16).padStart(2, '0')}`;
  });
}
