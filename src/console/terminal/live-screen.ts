import { ansiLine, type Line } from './styled-line';

/** The part of a terminal that is drawn on. */
export interface TerminalOutput {
  readonly columns: number;
  readonly rows: number;
  write(text: string): unknown;
}

const ENTER = '\u001b[?1049h\u001b[?25l\u001b[?7l\u001b[2J';
/** Written below what the terminal showed before, where it stays. */
const END_OF_LINE = '\r\n';
const LEAVE = '\u001b[0m\u001b[?7h\u001b[?25h\u001b[?1049l';
/** Terminals that know synchronised updates show a frame at once; the others ignore these two. */
const BEGIN_FRAME = '\u001b[?2026h';
const END_FRAME = '\u001b[?2026l';

/** The alternate screen of a terminal: only rows that changed are written again, and everything is restored. */
export class LiveScreen {
  readonly #output: TerminalOutput;
  readonly #colour: boolean;
  #shown: readonly string[] = [];
  #entered = false;

  constructor(output: TerminalOutput, colour: boolean) {
    this.#output = output;
    this.#colour = colour;
  }

  enter(): void {
    if (this.#entered) return;
    this.#entered = true;
    this.#shown = [];
    this.#output.write(ENTER);
  }

  /** Gives the terminal back as it was; harmless a second time. */
  leave(): void {
    if (!this.#entered) return;
    this.#entered = false;
    this.#output.write(LEAVE);
  }

  /** Writes lines where the former screen ends, so that they stay when this program is gone. */
  leaveBehind(lines: readonly Line[]): void {
    this.leave();
    const texts = lines.map((line) => ansiLine(line, this.#colour));
    while (texts.at(-1) === '') texts.pop();
    if (texts.length > 0) this.#output.write(`${texts.join(END_OF_LINE)}${END_OF_LINE}`);
  }

  /** Forgets what is on the screen, as after a change of its size. */
  invalidate(): void {
    this.#shown = [];
    if (this.#entered) this.#output.write('\u001b[2J');
  }

  draw(lines: readonly Line[]): void {
    if (!this.#entered) return;
    const rows = Math.max(1, this.#output.rows);
    const next = Array.from({ length: rows }, (_, row) => ansiLine(lines[row] ?? [], this.#colour));
    const changed = next.flatMap((text, row) =>
      text === this.#shown[row] ? [] : [`\u001b[${row + 1};1H\u001b[2K${text}`],
    );
    this.#shown = next;
    if (changed.length > 0) this.#output.write(`${BEGIN_FRAME}${changed.join('')}${END_FRAME}`);
  }
}
