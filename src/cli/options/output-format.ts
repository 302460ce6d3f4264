import { type Command, Option } from 'commander';
import { printAsYaml } from './output';

const FORMATS = ['json', 'yaml', 'wide'] as const;

/** Adds `-o` to every command that answers with JSON: `json` is `--json`, `yaml` the same as YAML, `wide` the table. */
export function withOutputFormats(command: Command): void {
  for (const each of command.commands) withOutputFormats(each);
  const takes = (flag: string) => command.options.some(({ long, short }) => long === flag || short === flag);
  if (!takes('--json') || takes('-o') || takes('--output')) return;
  command.addOption(
    new Option('-o, --output <format>', 'json (as --json), yaml, or wide (the default: a table)').choices(
      FORMATS,
    ),
  );
  command.on('option:output', (format: string) => {
    if (format === 'wide') return;
    command.setOptionValue('json', true);
    if (format === 'yaml') printAsYaml();
  });
}
