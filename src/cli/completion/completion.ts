import { Argument, type Command } from 'commander';
import { printJson } from '../options/output';
import { commandTree } from './command-tree';
import { completionScript, SHELLS, type Shell } from './completion-script';

/** Adds `cutover completion`: a script that completes commands and options; `all` gives the program with all commands. */
export function registerCompletion(program: Command, all: () => Promise<Command>): void {
  program
    .command('completion')
    .description('print a script that completes commands and options in your shell')
    .addArgument(new Argument('<shell>', 'which shell').choices(SHELLS))
    .option('--json', 'print the script as one JSON document')
    .addHelpText(
      'after',
      '\nExamples:\n' +
        '  $ cutover completion bash > ~/.local/share/bash-completion/completions/cutover\n' +
        '  $ cutover completion zsh > "$' +
        '{fpath[1]}/_cutover"\n' +
        '  $ cutover completion fish > ~/.config/fish/completions/cutover.fish',
    )
    .action(async (shell: Shell, { json }: { json?: true }) => {
      const script = completionScript(shell, commandTree(await all()));
      if (json === true) printJson({ shell, script });
      else process.stdout.write(script);
    });
}
