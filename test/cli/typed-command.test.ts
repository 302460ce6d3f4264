import { COMMAND_WORDS } from '../../src/cli/options/typed-command';
import { built, runCli, runNode } from '../support/cli';

const KEYS = { OPENAI_API_KEY: 'a', DEEPSEEK_API_KEY: 'b', SUPPORT_DEEPSEEK_API_KEY: 'c' };
const NPX = { npm_command: 'exec' };

it('knows every command of the program', async () => {
  const names =
    'createProgram().then(({ commands }) => console.log(commands.map((each) => each.name()).join()))';
  const { stdout } = await runNode('--eval', [
    `const { createProgram } = require(process.argv[1]); ${names}`,
    built('src', 'cli', 'program.js'),
  ]);
  expect([...COMMAND_WORDS].sort()).toEqual(stdout.trim().split(',').sort());
});

it.each([
  ['an error', ['status'], 'write one with `npx cutover init`'],
  ['an error of Temporal', ['status', 'chat', '--address', '127.0.0.1:1'], '`npx cutover up` starts one'],
  ['help', ['start', '--help'], 'Usage: npx cutover start [options]'],
  ['an example', ['start', '--help'], '  npx cutover start --plan plan.yaml --dry-run'],
])('names commands in %s as a user of npx can type them', async (_where, args, expected) => {
  const shown = async (env: Record<string, string>) => {
    const { stdout, stderr } = await runCli(args, { env });
    return `${stdout}${stderr}`;
  };
  expect(await shown(NPX)).toContain(expected);
  expect(await shown({})).toContain(expected.replace('npx ', ''));
});

it('leaves alone what programs read', async () => {
  const { stdout } = await runCli(['completion', 'bash'], { env: NPX });
  expect(stdout).not.toContain('npx');
});

it.each<[string, Record<string, string>, RegExp]>([
  ['CUTOVER_ADMIN_TOKEN', KEYS, /CUTOVER_ADMIN_TOKEN is not set: .*openssl rand -hex 24/],
  ['a key', {}, /\w+_API_KEY is not set: set it where this runs \(export /],
])('says what to do where %s is missing', async (_name, env, expected) => {
  const config = 'examples/configurations/openai-to-deepseek.yaml';
  const { stderr, code } = await runCli(['gateway', '--config', config, '--name', 'gateway-1'], { env });
  expect({ stderr, code }).toEqual({ stderr: expect.stringMatching(expected), code: 2 });
});
