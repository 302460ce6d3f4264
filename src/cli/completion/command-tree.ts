import type { Command } from 'commander';

/** A command as far as a shell completes it. */
export interface CommandNode {
  readonly name: string;
  readonly description: string;
  /** Words that its arguments can be, where they are few. */
  readonly choices: readonly string[];
  readonly takesFiles: boolean;
  /** For each argument, the names of the configuration that it can be, asked for when it is completed. */
  readonly words: readonly (WordKind | null)[];
  readonly options: readonly OptionNode[];
  readonly commands: readonly CommandNode[];
}

export interface OptionNode {
  /** `--out`, and `-o` where there is one. */
  readonly flags: readonly string[];
  readonly description: string;
  /** What comes after it; null for one that stands alone. */
  readonly value: {
    readonly name: string;
    readonly isFile: boolean;
    readonly choices: readonly string[];
    readonly words: WordKind | null;
  } | null;
}

/** What `cutover completion --words` lists. */
export const WORD_KINDS = ['routes', 'stages', 'gateways'] as const;

export type WordKind = (typeof WORD_KINDS)[number];

const FILES = /^(file|files|path|folder|output|plan|book|claims)$/;

/** What can be completed of a program and all its commands. */
export function commandTree(command: Command): CommandNode {
  const help = command.createHelp();
  const args = command.registeredArguments;
  return {
    name: command.name(),
    description: command.description(),
    choices: args.flatMap(({ argChoices = [] }) => argChoices),
    takesFiles: args.some((argument) => FILES.test(argument.name())),
    words: args.map((argument) => wordKind(argument.name())),
    options: help.visibleOptions(command).map((option) => {
      const [, name = ''] = /[<[]([^>\]]+)[>\]]/.exec(option.flags) ?? [];
      const takesValue = option.required || option.optional;
      return {
        flags: [option.long, option.short].filter((flag): flag is string => typeof flag === 'string'),
        description: option.description,
        value: takesValue
          ? {
              name,
              isFile: FILES.test(name.replace(/\.+$/, '')),
              choices: option.argChoices ?? [],
              words: wordKind(option.attributeName()) ?? wordKind(name),
            }
          : null,
      };
    }),
    commands: command.commands.map(commandTree),
  };
}

function wordKind(name: string): WordKind | null {
  return WORD_KINDS.find((kind) => kind === `${name}s`) ?? null;
}
