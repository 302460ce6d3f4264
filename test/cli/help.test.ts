import { parse } from 'yaml';
import { built, runCli, runNode } from '../support/cli';

/** Prints the help of every command as JSON: one process loads once what each would load for itself. */
const ALL_HELPS = `
  const { createProgram } = require(process.argv[1]);
  const helps = {};
  const visit = (command, path) => {
    for (const child of command.commands) {
      const name = [...path, child.name()].join(' ');
      helps[name] = '';
      child.configureOutput({ writeOut: (text) => { helps[name] += text; } });
      child.outputHelp();
      visit(child, [...path, child.name()]);
    }
  };
  createProgram(undefined).then((program) => {
    visit(program, []);
    console.log(JSON.stringify(helps));
  });
`;

async function allHelps(): Promise<Record<string, string>> {
  const { stdout } = await runNode('--eval', [ALL_HELPS, built('src', 'cli', 'program.js')]);
  return JSON.parse(stdout) as Record<string, string>;
}

it('shows every command with an example, and with --json where it answers something', async () => {
  const helps = await allHelps();
  expect(Object.keys(helps)).toEqual(
    expect.arrayContaining([
      ...['up', 'worker', 'gateway', 'demo', 'doctor', 'plan', 'plan init', 'plan check', 'plan schema'],
      ...[
        'start',
        'status',
        'watch',
        'checkpoints',
        'verdicts',
        'history',
        'pause',
        'resume',
        'promote',
        'amend',
        'reevaluate',
      ],
      ...['rollback', 'emergency-rollback', 'finish', 'kill', 'export', 'verify', 'completion', 'capacity'],
      ...['gates explain', 'gates simulate', 'replay', 'report'],
    ]),
  );
  for (const [name, help] of Object.entries(helps)) {
    expect({ name, help }).toEqual({
      name,
      help: expect.stringMatching(new RegExp(`Examples?:\\n.*cutover ${name.split(' ')[0]}`)),
    });
    if (!['plan', 'prices', 'effects', 'gates', 'identity'].includes(name)) {
      expect({ name, help }).toEqual({ name, help: expect.stringContaining('--json') });
    }
  }
});

it('shows the commands in groups, ten to begin with first', async () => {
  const { stdout } = await runCli(['--help']);
  const groups = [...stdout.matchAll(/^([A-Z][a-z ]+):$/gm)].map(([, group]) => group);
  expect(groups).toEqual([
    'Options',
    'Begin here',
    'Run',
    'Observe',
    'Decide',
    'Before you move',
    'Records and setup',
    'Commands',
    'Exit codes',
    'Example',
  ]);
  const [, first = ''] = /^Begin here:\n([\s\S]*?)\n\n/m.exec(stdout) ?? [];
  expect([...first.matchAll(/^ {2}([a-z]+)/gm)].map(([, name]) => name)).toEqual([
    ...['init', 'doctor', 'up', 'plan', 'start', 'status', 'watch', 'pause', 'rollback', 'kill'],
  ]);
});

it('answers as JSON, as YAML or as a table, by -o', async () => {
  const show = (...format: string[]) =>
    runCli(['prices', 'show', 'gpt-4o-mini', '--provider', 'openai', ...format]);
  const [json, same, yaml, wide, wrong] = await Promise.all([
    show('--json', '--at', '2026-11-02'),
    show('-o', 'json', '--at', '2026-11-02'),
    show('-o', 'yaml', '--at', '2026-11-02'),
    show('-o', 'wide'),
    show('-o', 'xml'),
  ]);
  expect(same.stdout).toBe(json.stdout);
  expect(yaml.stdout).toMatch(/^---\n/);
  expect(parse(yaml.stdout)).toEqual(JSON.parse(json.stdout));
  expect(wide.stdout).toContain('cached input');
  expect(wrong).toMatchObject({ code: 2, stderr: expect.stringContaining('json, yaml, wide') });
});

it('documents every exit code', async () => {
  const { code, stdout } = await runCli(['--help']);
  expect(code).toBe(0);
  for (const exitCode of [0, 1, 2, 3, 4, 5]) expect(stdout).toMatch(new RegExp(`^  ${exitCode}  `, 'm'));
});

it('names what an option takes by the words that Cutover uses elsewhere', async () => {
  const other = /--[a-z-]+ [<[](side|path|dir|directory|chance|traffic|percentage|old|new|team)[>\]]/g;
  const found = Object.entries(await allHelps()).flatMap(([name, help]) =>
    [...help.matchAll(other)].map(([option]) => `${name} ${option}`),
  );
  expect(found).toEqual([]);
});
