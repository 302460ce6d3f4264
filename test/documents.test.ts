import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';
import type { CommandNode } from '../src/cli/completion/command-tree';
import { built, runNode } from './support/cli';
import { headingAnchors } from './support/documents/markdown';

const ROOT = join(__dirname, '..');
const FILES = [
  ...['README.md', 'CONTRIBUTING.md'],
  ...readdirSync(join(ROOT, 'docs'), { recursive: true, encoding: 'utf8' })
    .filter((file) => file.endsWith('.md'))
    .map((file) => join('docs', file)),
];
const text = (file: string) => readFileSync(join(ROOT, file), 'utf8');

it.each(FILES)('%s links only to files and headings that there are', (file) => {
  // What stands in code is shown, not linked.
  const prose = text(file)
    .replace(/^```[\s\S]*?^```$/gm, '')
    .replace(/`[^`\n]*`/g, '');
  const links = [...prose.matchAll(/\]\(([^)\s]+)\)/g)].map(([, link]) => link ?? '');
  for (const link of links.filter((each) => !each.startsWith('http'))) {
    const [path = '', anchor] = link.split('#');
    const target = path === '' ? file : relative(ROOT, join(ROOT, dirname(file), path));
    expect({ link, exists: existsSync(join(ROOT, target)) }).toEqual({ link, exists: true });
    if (anchor !== undefined) expect(headingAnchors(text(target))).toContain(anchor);
  }
});

const PRINT_TREE = `
  const { createProgram } = require(process.argv[1]);
  const { commandTree } = require(process.argv[2]);
  createProgram(undefined).then((program) => console.log(JSON.stringify(commandTree(program))));
`;

describe('commands', () => {
  let program: CommandNode;

  beforeAll(async () => {
    const files = [built('src', 'cli', 'program.js'), built('src', 'cli', 'completion', 'command-tree.js')];
    const { stdout } = await runNode('--eval', [PRINT_TREE, ...files]);
    program = JSON.parse(stdout) as CommandNode;
  });

  it.each(FILES)('that %s shows are commands and options of the program', (file) => {
    const shown = [...text(file).matchAll(/(?:`|^|\| |&& |\$ )cutover ([a-z][^`|\n#]*)/gm)].map(
      ([, words]) => words?.trim() ?? '',
    );
    for (const words of shown) {
      expect({ words, unknown: unknownIn(program, words.split(/\s+/)) }).toEqual({ words, unknown: [] });
    }
  });
});

/** Words of a command line that name no command or option of the program. */
function unknownIn(program: CommandNode, [name = '', ...words]: readonly string[]): readonly string[] {
  const command = program.commands.find((each) => each.name === name);
  if (command === undefined) return [name];
  const child = command.commands.find((each) => each.name === words[0]);
  const flags = [...command.options, ...(child?.options ?? [])].flatMap((option) => option.flags);
  return words.filter((word) => /^--[a-z]/.test(word) && !flags.includes(word.replace(/[=,;.)].*$/, '')));
}
