import { Argument, type Command, Option } from 'commander';
import { CliError, EXIT } from '../options/cli-error';
import { printJson, printLine } from '../options/output';
import { commandTree, WORD_KINDS, type WordKind } from './command-tree';
import { completionScript, SHELLS, type Shell } from './completion-script';

/** Adds `cutover completion`: a script that completes commands and options; `all` gives the program with all commands. */
export function registerCompletion(program: Command, all: () => Promise<Command>): void {
  program
    .command('completion')
    .description('print a script that completes commands, options and names in your shell')
    .addArgument(new Argument('[shell]', 'which shell').choices(SHELLS))
    .addOption(
      new Option(
        '--words <kind>',
        'instead: names that the configuration, the plan or a running migration has, one per line',
      ).choices(WORD_KINDS),
    )
    .option('--json', 'print the script as one JSON document')
    .addHelpText(
      'after',
      '\nExamples:\n' +
        '  $ cutover completion bash > ~/.local/share/bash-completion/completions/cutover\n' +
        '  $ cutover completion zsh > "$' +
        '{fpath[1]}/_cutover"\n' +
        '  $ cutover completion fish > ~/.config/fish/completions/cutover.fish',
    )
    .action(async (shell: Shell | undefined, { json, words }: { json?: true; words?: WordKind }) => {
      if (words !== undefined) {
        const { namesOf } = await import('./names.js');
        for (const name of await namesOf(words)) printLine(name);
        // A connection that still waits must not hold up the shell.
        process.exit(EXIT.ok);
      }
      if (shell === undefined) {
        throw new CliError(`expected a shell: ${SHELLS.join(', ')}`, EXIT.badInput);
      }
      const script = completionScript(shell, commandTree(await all()));
      if (json === true) printJson({ shell, script });
      else process.stdout.write(script);
    });
}
