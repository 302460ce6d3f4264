import type { CommandNode, OptionNode, WordKind } from './command-tree';

export const SHELLS = ['bash', 'zsh', 'fish'] as const;

export type Shell = (typeof SHELLS)[number];

/** A script that completes the commands, options and fixed words of a program; needs no completion library. */
export function completionScript(shell: Shell, program: CommandNode): string {
  switch (shell) {
    case 'bash':
      return bashScript(program);
    case 'zsh':
      return zshScript(program);
    case 'fish':
      return fishScript(program);
    default:
      return shell satisfies never;
  }
}

/** Every command below a program with the words that lead to it; the program itself has none. */
function allCommands(
  command: CommandNode,
  path: readonly string[] = [],
): readonly { readonly command: CommandNode; readonly path: readonly string[] }[] {
  const below = command.commands.flatMap((child) => allCommands(child, [...path, child.name]));
  return [{ command, path }, ...below];
}

/** A text in single quotes, as all three shells read it. */
function quoted(text: string): string {
  return `'${text.replaceAll("'", "'\\''")}'`;
}

const firstLine = (text: string): string => text.split('\n')[0] ?? '';

const knownWords = ({ places }: CommandNode): readonly WordKind[] =>
  places.filter((kind) => kind !== null && kind !== 'files');

/** What prints the names of the configuration; nothing where there is none. */
const listing = (kind: WordKind): string => `cutover completion --words ${kind} 2>/dev/null`;

function bashScript(program: CommandNode): string {
  const all = allCommands(program);
  const known = all.filter(({ path }) => path.length > 0).map(({ path }) => quoted(path.join(' ')));
  const words = all.map(({ command, path }) => {
    const flags = command.options.flatMap((option) => option.flags);
    const plain = [...command.commands.map(({ name }) => name), ...command.choices];
    const { places, takesMore } = command;
    const known = places.every((kind) => kind === null)
      ? ''
      : ` places=(${places.map((kind) => kind ?? "''").join(' ')})${takesMore ? ' more=1' : ''}`;
    return `    ${quoted(path.join(' '))}) plain=${quoted(plain.join(' '))} flags=${quoted(flags.join(' '))}${known} ;;`;
  });
  const casesOf = (path: readonly string[], { flags }: OptionNode) =>
    flags.map((flag) => quoted(`${path.join(' ')} ${flag}`)).join('|');
  const takers = all.flatMap(({ command, path }) =>
    command.options.filter(({ value }) => value !== null).map((option) => casesOf(path, option)),
  );
  const values = all.flatMap(({ command, path }) =>
    command.options.flatMap((option) => {
      const { value } = option;
      if (value === null) return [];
      const cases = casesOf(path, option);
      const act = value.isFile
        ? '_cutover_files'
        : value.words !== null
          ? `COMPREPLY=($(compgen -W "$(${listing(value.words)})" -- "$word"))`
          : `COMPREPLY=($(compgen -W ${quoted(value.choices.join(' '))} -- "$word"))`;
      return [`    ${cases}) ${act}; return ;;`];
    }),
  );
  return `# bash completion for cutover; made by \`cutover completion bash\`

_cutover_files() {
  compopt -o filenames 2>/dev/null
  local IFS=$'\\n'
  COMPREPLY=($(compgen -f -- "$word"))
}

_cutover() {
  local word=\${COMP_WORDS[COMP_CWORD]} previous=\${COMP_WORDS[COMP_CWORD-1]}
  local path='' plain='' flags='' more='' kind='' places=() place=0 at next
  COMPREPLY=()
  # The shell takes --name=value apart at the sign.
  [[ $word == '=' ]] && word=''
  [[ $previous == '=' ]] && previous=\${COMP_WORDS[COMP_CWORD-2]}
  for ((at = 1; at < COMP_CWORD; at++)); do
    next="\${path:+$path }\${COMP_WORDS[at]}"
    case "$next" in
      ${known.join('|')}) path=$next; continue ;;
    esac
    [[ \${COMP_WORDS[at]} == -* || \${COMP_WORDS[at]} == '=' || \${COMP_WORDS[at-1]} == '=' ]] && continue
    case "$path \${COMP_WORDS[at-1]}" in
      ${takers.join('|')}) ;;
      *) place=$((place + 1)) ;;
    esac
  done
  case "$path $previous" in
${values.join('\n')}
  esac
  case "$path" in
${words.join('\n')}
  esac
  [[ -n $more && place -ge \${#places[@]} ]] && place=$((\${#places[@]} - 1))
  kind=\${places[place]}
  if [[ $word == -* ]]; then
    COMPREPLY=($(compgen -W "$flags" -- "$word"))
  elif [[ $kind == files ]]; then
    _cutover_files
  else
    [[ -n $kind ]] && plain+=" $(cutover completion --words "$kind" 2>/dev/null)"
    COMPREPLY=($(compgen -W "$plain" -- "$word"))
  fi
}

complete -F _cutover cutover
`;
}

function zshScript(program: CommandNode): string {
  const functions = allCommands(program).map(({ command, path }) => zshFunction(command, path));
  return `#compdef cutover
# zsh completion for cutover; made by \`cutover completion zsh\`

${functions.join('\n\n')}

if [[ $funcstack[1] == _cutover ]]; then
  _cutover "$@"
else
  compdef _cutover cutover
fi
`;
}

const zshName = (path: readonly string[]): string => ['_cutover', ...path].join('_');

function zshFunction(command: CommandNode, path: readonly string[]): string {
  const options = command.options.map((option) => `    ${quoted(zshOption(option))}`);
  if (command.commands.length === 0) {
    const specs = [...options, ...zshPlaces(command).map((place) => `    ${quoted(place)}`)];
    return `${zshName(path)}() {\n  _arguments -s \\\n${specs.join(' \\\n')}\n}`;
  }
  const described = command.commands.map(
    ({ name, description }) => `      ${quoted(`${name.replaceAll(':', '\\:')}:${firstLine(description)}`)}`,
  );
  const branches = command.commands.map(({ name }) => `      ${name}) ${zshName([...path, name])} ;;`);
  return `${zshName(path)}() {
  local curcontext="$curcontext" state line
  typeset -A opt_args
  _arguments -C \\
${options.join(' \\\n')} \\
    '1: :->command' \\
    '*:: :->rest'
  case $state in
    command)
      local -a commands
      commands=(
${described.join('\n')}
      )
      _describe -t commands command commands
      ;;
    rest)
      case $line[1] in
${branches.join('\n')}
      esac
      ;;
  esac
}`;
}

/** What each argument can be, as _arguments takes it. */
function zshPlaces({ places, takesMore, choices }: CommandNode): readonly string[] {
  if (choices.length > 0) return [`*:word:(${choices.join(' ')})`];
  // A message in place of an empty list would make every option ambiguous.
  if (places.every((kind) => kind === null)) return ['*:word:()'];
  return places.map((kind, at) => {
    const place = takesMore && at === places.length - 1 ? '*' : at + 1;
    if (kind === 'files') return `${place}:file:_files`;
    return kind === null ? `${place}:word:()` : `${place}:word:{compadd -- $(${listing(kind)})}`;
  });
}

/** As _arguments takes it: \`(--out -o)--out[where to write it]:file:_files\`. */
function zshOption({ flags, description, value }: OptionNode): string {
  const [flag = ''] = flags;
  const text = firstLine(description).replace(/[\\[\]:]/g, '\\$&');
  const action = value === null ? '' : `:${value.name.replaceAll(':', '\\:')}:${zshValue(value)}`;
  return `(${flags.join(' ')})${flag}[${text}]${action}`;
}

function zshValue({ isFile, choices, words }: NonNullable<OptionNode['value']>): string {
  if (isFile) return '_files';
  if (words !== null) return `{compadd -- $(${listing(words)})}`;
  return choices.length > 0 ? `(${choices.join(' ')})` : '';
}

function fishScript(program: CommandNode): string {
  const lines = allCommands(program).flatMap(({ command, path }) => {
    const children = command.commands.map(({ name }) => name);
    const here = fishCondition(path, children);
    return [
      ...command.commands.map(
        ({ name, description }) =>
          `complete -c cutover -n ${quoted(here)} -a ${name} -d ${quoted(firstLine(description))}`,
      ),
      ...command.choices.map((choice) => `complete -c cutover -n ${quoted(here)} -a ${choice}`),
      ...knownWords(command).map(
        (kind) => `complete -c cutover -n ${quoted(here)} -a ${quoted(`(${listing(kind)})`)}`,
      ),
      ...(command.places.includes('files') ? [`complete -c cutover -n ${quoted(here)} -F`] : []),
      ...command.options.map((option) => fishOption(option, here)),
    ];
  });
  return `# fish completion for cutover; made by \`cutover completion fish\`

complete -c cutover -f
${lines.join('\n')}
`;
}

function fishCondition(path: readonly string[], children: readonly string[]): string {
  if (path.length === 0) return '__fish_use_subcommand';
  const seen = path.map((name) => `__fish_seen_subcommand_from ${name}`);
  const none = children.length === 0 ? [] : [`not __fish_seen_subcommand_from ${children.join(' ')}`];
  return [...seen, ...none].join('; and ');
}

function fishOption({ flags, description, value }: OptionNode, condition: string): string {
  const names = flags.map((flag) => (flag.startsWith('--') ? `-l ${flag.slice(2)}` : `-s ${flag.slice(1)}`));
  const action =
    value === null
      ? ''
      : value.isFile
        ? ' -r -F'
        : value.choices.length > 0
          ? ` -x -a ${quoted(value.choices.join(' '))}`
          : value.words !== null
            ? ` -x -a ${quoted(`(${listing(value.words)})`)}`
            : ' -x';
  return `complete -c cutover -n ${quoted(condition)} ${names.join(' ')}${action} -d ${quoted(firstLine(description))}`;
}
