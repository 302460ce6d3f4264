import { Command, InvalidArgumentError, Option } from 'commander';

/** What a benchmark's option is about, and its value where none is given. */
type BenchOption = readonly [about: string, value: Value];

/** A number takes numbers above 0, and so does null, which has none of its own; `false` is a switch, `[]` a list. */
type Value = number | null | string | false | readonly string[];

const HELP_WIDTH = 120;

type Given<Default extends Value> = Default extends number
  ? number
  : Default extends null
    ? number | null
    : Default extends string
      ? string
      : Default extends false
        ? boolean
        : readonly string[];

/**
 * Reads the command line of a benchmark. `--help` prints its options; what it does not know or cannot take ends the
 * process with one line and exit code 1.
 */
export function readOptions<const Options extends Readonly<Record<string, BenchOption>>>(
  name: string,
  about: string,
  options: Options,
): { readonly [Name in keyof Options]: Given<Options[Name][1]> } {
  const command = new Command(name).description(about).configureOutput({ getOutHelpWidth: () => HELP_WIDTH });
  const values: Record<string, Value> = {};
  for (const [option, [what, value]] of Object.entries(options)) {
    values[option] = value;
    command.addOption(optionOf(`--${option}`, what, value));
  }
  return { ...values, ...command.parse().opts() } as { [Name in keyof Options]: Given<Options[Name][1]> };
}

function optionOf(flag: string, about: string, value: Value): Option {
  if (value === false) return new Option(flag, about);
  if (value === '') return new Option(`${flag} <text>`, about);
  if (typeof value === 'string') return new Option(`${flag} <text>`, about).default(value);
  if (value === null) return new Option(`${flag} <number>`, about).argParser(positive);
  if (typeof value === 'number')
    return new Option(`${flag} <number>`, about).default(value).argParser(positive);
  return new Option(`${flag} <text>`, `${about}; may be given several times`).argParser(
    (text: string, earlier: readonly string[] = []) => [...earlier, text],
  );
}

function positive(text: string): number {
  const value = Number(text);
  if (!(value > 0 && value < Number.POSITIVE_INFINITY)) {
    throw new InvalidArgumentError(`Expected a number above 0, got "${text}".`);
  }
  return value;
}

/** Runs a benchmark and then `stop`, and exits; what it throws is one line and exit code 1. */
export async function runBench(
  name: string,
  run: () => Promise<void> | void,
  stop: () => Promise<void> = async () => {},
): Promise<void> {
  try {
    await run();
  } catch (error) {
    process.stderr.write(`${name}: ${error instanceof Error ? error.message : String(error)}\n`);
    process.exitCode = 1;
  }
  await stop();
  process.exit();
}
