import type { Command } from 'commander';

/** A command as far as a shell completes it. */
export interface CommandNode {
  readonly name: string;
  readonly description: string;
  /** Words that its arguments can be, where they are few. */
  readonly choices: readonly string[];
  /** For each argument, what it can be: a file, or names that are asked for when it is completed; null for anything. */
  readonly places: readonly (PlaceKind | null)[];
  /** The last argument may be given many times. */
  readonly takesMore: boolean;
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

export type PlaceKind = WordKind | 'files';

const FILES = /^(file|files|folder|plan|book|claims|report|module|target)$/;

/** What can be completed of a program and all its commands. */
export function commandTree(command: Command): CommandNode {
  const help = command.createHelp();
  const args = command.registeredArguments;
  return {
    name: command.name(),
    description: command.description(),
    choices: args.flatMap(({ argChoices = [] }) => argChoices),
    places: args.map((argument) => (FILES.test(argument.name()) ? 'files' : wordKind(argument.name()))),
    takesMore: args.at(-1)?.variadic ?? false,
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
