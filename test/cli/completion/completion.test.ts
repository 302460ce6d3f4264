import { execFile } from 'node:child_process';
import { chmodSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { built, runCli } from '../../support/cli';
import { configurationDocument } from '../../support/migrations/migration-fixture';
import { installedProgram } from '../../support/servers/debian-program';

const run = promisify(execFile);
const MINUTES_MS = 60_000;
let folder: string;

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'cutover-completion-'));
  writeFileSync(join(folder, 'plan.yaml'), 'route: chat\n');
  writeFileSync(join(folder, 'cutover.yaml'), JSON.stringify(configurationDocument(['chat', 'search'])));
  // The scripts ask the command for names.
  mkdirSync(join(folder, 'bin'));
  const command = join(folder, 'bin', 'cutover');
  writeFileSync(command, `#!/bin/sh\nexec '${process.execPath}' '${built('src', 'cli', 'main.js')}' "$@"\n`);
  chmodSync(command, 0o755);
});
afterAll(() => rmSync(folder, { recursive: true }));

const withCommand = () => ({ ...process.env, PATH: `${join(folder, 'bin')}:${process.env['PATH']}` });

/** Writes the script for a shell as its user would; resolves with the shell's path and the script's. */
async function prepared(shell: string, path: string): Promise<{ shell: string; script: string }> {
  const program = await installedProgram({ program: shell, package: shell, path });
  const { code, stdout } = await runCli(['completion', shell]);
  expect(code).toBe(0);
  const script = join(folder, `_cutover.${shell}`);
  writeFileSync(script, stdout);
  return { shell: program, script };
}

it('refuses a shell that it does not know', async () => {
  const { code, stderr } = await runCli(['completion', 'csh']);
  expect(code).toBe(2);
  expect(stderr).toContain('bash, zsh, fish');
});

describe('bash', () => {
  let complete: (line: string) => Promise<string[]>;

  beforeAll(async () => {
    const { shell, script } = await prepared('bash', 'bin/bash');
    complete = async (line) => {
      const words = line.split(' ');
      const set = `COMP_WORDS=(${words.map((word) => `'${word}'`).join(' ')}); COMP_CWORD=${words.length - 1}`;
      const told = `source '${script}'; ${set}; _cutover; printf '%s\\n' "\${COMPREPLY[@]}"`;
      const { stdout, stderr } = await run(shell, ['--norc', '-c', told], {
        cwd: folder,
        env: withCommand(),
      });
      expect(stderr).toBe('');
      return stdout.split('\n').filter((word) => word !== '');
    };
  }, 5 * MINUTES_MS);

  it('completes commands, and commands of commands', async () => {
    expect(await complete('cutover rol')).toEqual(['rollback']);
    expect(await complete('cutover plan ')).toEqual(expect.arrayContaining(['init', 'check', 'schema']));
  });

  it("completes a command's own options, also after a route", async () => {
    expect(await complete('cutover rollback chat --')).toEqual(
      expect.arrayContaining(['--to', '--by', '--reason', '--json', '--help']),
    );
    expect(await complete('cutover start --rea')).toEqual(['--reason']);
  });

  it('completes files where files are wanted, and words where they are few', async () => {
    expect(await complete('cutover start --plan pl')).toEqual(['plan.yaml']);
    expect(await complete('cutover plan check pl')).toEqual(['plan.yaml']);
    expect(await complete('cutover completion z')).toEqual(['zsh']);
    expect(await complete('cutover rollback --by pl')).toEqual([]);
  });

  it('completes routes, stages and gateways by the configuration and the plan that are here', async () => {
    expect(await complete('cutover rollback ')).toEqual(['chat', 'search']);
    expect(await complete('cutover promote can')).toEqual(['canary']);
    expect(await complete('cutover forget gw')).toEqual(['gw-1', 'gw-2']);
    expect(await complete('cutover kill chat --gateway gw-2')).toEqual(['gw-2']);
    expect(await complete('cutover gateway --name ')).toEqual(['gw-1', 'gw-2']);
  });

  it('completes each argument by its place, whatever options stand before it, and after an equals sign', async () => {
    expect(await complete('cutover promote canary ')).toEqual(['chat', 'search']);
    expect(await complete('cutover promote --reason tested canary se')).toEqual(['search']);
    expect(await complete('cutover forget gw-1 chat ')).toEqual([]);
    expect(await complete('cutover logs --arm = can')).toEqual(['candidate']);
    expect(await complete('cutover logs --arm =')).toEqual(['legacy', 'candidate']);
    expect(await complete('cutover replay pl')).toEqual(['plan.yaml']);
    expect(await complete('cutover replay plan.yaml ')).toEqual([]);
    expect(await complete('cutover assess plan.yaml --days 3 cut')).toEqual(['cutover.yaml']);
    expect(await complete('cutover logs pl')).toEqual(['plan.yaml']);
  });
});

/** What is typed before the key for completion, and the arguments that `cutover` then gets. */
const ZSH = {
  'cutover emergency-r': 'emergency-rollback',
  'cutover rollback chat --rea': 'rollback chat --reason',
  'cutover plan che': 'plan check',
  'cutover start --plan pl': 'start --plan plan.yaml',
  'cutover rollback sea': 'rollback search',
  'cutover replay pl': 'replay plan.yaml',
  'cutover assess plan.yaml cut': 'assess plan.yaml cutover.yaml',
};

/** Types lines into a zsh with a terminal of its own, in which `cutover` prints its arguments. */
const ZSH_SESSION = `
  zmodload zsh/zpty
  script=$1 folder=$2
  shift 2
  zpty inner $0 -f -i
  until_seen() {
    local chunk
    seen=
    repeat 3000; do
      zpty -r -t inner chunk 2>/dev/null && seen+=$chunk || sleep 0.01
      [[ $seen == *$1* ]] && return 0
    done
    print -u2 -r -- "never saw $1: $seen"
    exit 1
  }
  zpty -w inner "PS1=; unsetopt prompt_cr zle_bracketed_paste; stty -echo; autoload -Uz compinit; compinit -u -D"
  zpty -w inner "source '$script'; cd '$folder'"
  zpty -w inner 'cutover() { if [[ $1 == completion ]]; then command cutover "$@"; else print -r -- "<<$*>>"; fi }; print RE""ADY'
  until_seen READY
  for line in "$@"; do
    zpty -w -n inner "$line"$'\\t'
    zpty -w -n inner $'\\n'
    until_seen '>>'
    print -r -- $seen
  done
  zpty -d inner
`;

describe('zsh', () => {
  it(
    'completes commands and options',
    async () => {
      const { shell, script } = await prepared('zsh', 'bin/zsh');
      const { stdout } = await run(
        shell,
        ['-f', '-c', ZSH_SESSION, shell, script, folder, ...Object.keys(ZSH)],
        {
          timeout: MINUTES_MS,
          env: withCommand(),
        },
      );
      for (const completed of Object.values(ZSH)) expect(stdout).toContain(`<<${completed}>>`);
    },
    5 * MINUTES_MS,
  );
});

describe('fish', () => {
  it(
    'completes commands, options and files',
    async () => {
      const { shell, script } = await prepared('fish', 'usr/bin/fish');
      const complete = async (line: string) => {
        const told = `source '${script}'; complete -C '${line}'`;
        const { stdout } = await run(shell, ['--no-config', '-c', told], {
          cwd: folder,
          env: { ...withCommand(), HOME: folder },
        });
        return stdout
          .trim()
          .split('\n')
          .map((each) => each.split('\t')[0]);
      };
      expect(await complete('cutover rol')).toEqual(['rollback']);
      expect(await complete('cutover plan ')).toEqual(expect.arrayContaining(['init', 'check', 'schema']));
      expect(await complete('cutover rollback chat --rea')).toEqual(['--reason']);
      expect(await complete('cutover start --plan pl')).toEqual(['plan.yaml']);
      expect(await complete('cutover completion z')).toEqual(['zsh']);
      expect(await complete('cutover rollback s')).toEqual(['search']);
      expect(await complete('cutover kill chat --gateway gw')).toEqual(['gw-1', 'gw-2']);
    },
    5 * MINUTES_MS,
  );
});
