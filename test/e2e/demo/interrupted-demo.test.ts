import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { built } from '../../support/cli';

const LONGEST_MS = 110_000;

/** Runs `cutover demo ARGS` and sends it Ctrl-C, as a terminal does, once it has printed `moment`. */
async function interruptedDemo(moment: string, args: readonly string[] = []) {
  const { TEMPORAL_ADDRESS: _unset, npm_command: _byNpm, ...env } = process.env;
  const child = spawn(process.execPath, [built('src', 'cli', 'main.js'), 'demo', ...args], {
    env: { ...env, TEMPORAL_CLI_PATH: process.env['CUTOVER_TEST_TEMPORAL'] },
    stdio: ['ignore', 'pipe', 'pipe'],
    // A group of its own: a terminal sends Ctrl-C to all of it.
    detached: true,
    timeout: LONGEST_MS,
    killSignal: 'SIGKILL',
  });
  let output = '';
  let isSent = false;
  const read = (chunk: Buffer): void => {
    output += chunk.toString();
    if (isSent || !output.includes(moment)) return;
    isSent = true;
    process.kill(-(child.pid as number), 'SIGINT');
  };
  child.stdout.on('data', read);
  child.stderr.on('data', read);
  const [code] = await once(child, 'close');
  return { code, said: output.slice(output.indexOf(moment)).split('\n').slice(1).join('\n') };
}

it.each([
  ['while it starts', 'Temporal: ', []],
  ['while its load warms up', 'warming up', []],
  ['once the migration was started', 'as workflow cutover/chat', []],
  ['while a command is followed', 'operator: pause', ['--scenario', 'operator']],
])(
  'ends quietly when it is interrupted %s',
  async (_when, moment, args) => {
    const { code, said } = await interruptedDemo(moment, args);
    expect(said).toMatch(/^( {2}http\S+\n)?interrupted: everything was stopped\n$/);
    expect(code).toBe(1);
  },
  LONGEST_MS + 10_000,
);
