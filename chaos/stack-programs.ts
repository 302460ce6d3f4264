import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { ChildOptions } from './child';
import type { ProviderName } from './expected-answer';
import { configurationOf, type GatewayName, MODELS, type Ports, type ProcessName } from './stack-layout';

/** How a process is started. */
export interface Start {
  readonly clockOffsetMs?: number;
  /** Once it gets SIGUSR2. */
  readonly clockJumpMs?: number;
  readonly settled?: 'legacy' | 'candidate';
}

export interface ProgramOptions {
  readonly folder: string;
  readonly ports: Ports;
  readonly secrets: Readonly<Record<string, string>>;
  /** Whether the disk of the process takes nothing. */
  readonly isFull: boolean;
}

/** The command `cutover` of this build. */
export const CLI = join(__dirname, '..', 'src', 'cli', 'main.js');

type Program = Pick<ChildOptions, 'command' | 'args' | 'env' | 'ready' | 'ipc'>;

/** How a process of the stack is run. A gateway's configuration is written anew for each start. */
export function programOf(
  name: Exclude<ProcessName, 'temporal'>,
  start: Start,
  options: ProgramOptions,
): Program {
  const { folder, ports, isFull } = options;
  if (name === 'legacy' || name === 'candidate') return providerProgram(name, options);
  if (name === 'worker-1' || name === 'worker-2') {
    const address = `127.0.0.1:${ports.ways[`temporal:${name}`]}`;
    const args = [CLI, 'worker', '--config', join(folder, 'workers.json'), '--address', address];
    return nodeProgram(args, 'worker: serving', start, options);
  }
  const program = gatewayProgram(name, start, options);
  return isFull
    ? { ...program, command: 'prlimit', args: ['--fsize=0:', program.command, ...program.args] }
    : program;
}

function gatewayProgram(name: GatewayName, start: Start, options: ProgramOptions): Program {
  const { folder, ports } = options;
  const config = join(folder, `${name}.json`);
  const own = { stateDirectory: join(folder, name), settled: start.settled ?? 'legacy' };
  writeFileSync(
    config,
    JSON.stringify(
      configurationOf(ports, (other) => ports.gateways[other].admin, own),
      null,
      1,
    ),
  );
  const { data, admin } = ports.gateways[name];
  const args = [
    ...[CLI, 'gateway', '--config', config, '--name', name, '--json'],
    ...['--data', `127.0.0.1:${data}`, '--admin', `127.0.0.1:${admin}`],
  ];
  return nodeProgram(args, '"adminUrl"', start, options);
}

function providerProgram(name: ProviderName, options: ProgramOptions): Program {
  const { folder, ports, secrets } = options;
  const key = secrets[name === 'legacy' ? 'LEGACY_KEY' : 'CANDIDATE_KEY'];
  const given = {
    name,
    port: ports.providers[name],
    key,
    model: MODELS[name],
    log: join(folder, `${name}.jsonl`),
  };
  return {
    ...nodeProgram([join(__dirname, 'provider.js'), JSON.stringify(given)], 'ready', {}, options),
    ipc: true,
  };
}

function nodeProgram(
  args: readonly string[],
  ready: string,
  { clockOffsetMs = 0, clockJumpMs = 0 }: Start,
  { secrets }: ProgramOptions,
): Program {
  const isShifted = clockOffsetMs !== 0 || clockJumpMs !== 0;
  const preloads = ['file-limit.js', ...(isShifted ? ['shift-clock.js'] : [])];
  return {
    command: process.execPath,
    args: [...preloads.flatMap((file) => ['--require', join(__dirname, file)]), ...args],
    env: {
      ...secrets,
      CHAOS_CLOCK_OFFSET_MS: String(clockOffsetMs),
      CHAOS_CLOCK_JUMP_MS: String(clockJumpMs),
    },
    ready,
  };
}
