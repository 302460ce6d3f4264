import { type ChildProcess, spawn } from 'node:child_process';
import { accessSync, closeSync, constants, mkdirSync, openSync, writeSync } from 'node:fs';
import { dirname } from 'node:path';
import { createInterface } from 'node:readline';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileProblem } from '../core/text/file-problem';
import { freePorts, portProblem } from './free-port';
import { heldByText } from './port-holder';
import { makeReady, type SearchAttributes } from './readiness';

/** How to start a Temporal development server. */
export interface TemporalServerOptions {
  /** Path of the Temporal command. */
  readonly executable: string;
  readonly searchAttributes: SearchAttributes;
  /** SQLite file that keeps everything across restarts; its folder is made. Default: in memory. */
  readonly dbFilename?: string;
  /** IP address to listen on. Default: 127.0.0.1. */
  readonly ip?: string;
  /** gRPC port. Default: a free one. */
  readonly port?: number;
  /** Port of the web UI, or `off`. Default: a free one. */
  readonly uiPort?: number | 'off';
  /** Default: `default`. */
  readonly namespace?: string;
  /** Server settings by their key, such as `frontend.keepAliveMaxConnectionAge`. */
  readonly dynamicConfig?: Readonly<Record<string, string | number | boolean>>;
  /** Where the server's log is appended. Default: only the last lines are kept, for errors. */
  readonly logFile?: string;
  /** Default: 60,000. */
  readonly startTimeoutMs?: number;
}

/** A Temporal development server that is SERVING, with its namespace and search attributes. */
export interface RunningTemporal {
  readonly address: string;
  readonly namespace: string;
  readonly uiUrl: string | undefined;
  readonly pid: number;
  /** Resolves when the server has ended, whoever ended it, with how: `exit code 1`, `killed by SIGKILL`. */
  readonly ended: Promise<string>;
  /** Asks it to end and kills it after 10 s; resolves when it has ended, also when it already had. */
  readonly stop: () => Promise<void>;
}

/** Thrown when the server's port or its UI's cannot be listened on. */
class TemporalPortTaken extends Error {
  override readonly name = 'TemporalPortTaken';
  constructor(
    readonly ip: string,
    readonly port: number,
    problem: string,
    option: string,
  ) {
    super(
      `cannot listen on port ${port} of ${ip} for Temporal${heldByText(port) || ` (${problem})`}: stop what uses it, or choose another port (\`cutover up ${option} PORT\`)`,
    );
  }
}

/** Thrown when the server ends, or is not ready in time; carries the end of its log. */
class TemporalServerFailed extends Error {
  override readonly name = 'TemporalServerFailed';
  constructor(
    problem: string,
    readonly logTail: readonly string[],
    /** How it ended, where it ended before it was ready. */
    readonly ending?: string,
  ) {
    super([problem, ...(logTail.length > 0 ? ['the end of its log:', ...logTail] : [])].join('\n  '));
  }
}

const KEPT_LINES = 15;
const POLL_MS = 100;
const KILL_AFTER_MS = 10_000;

/** A Go program that panicked: this one does where a port that it found free was taken before it listened on it. */
const PANICKED = 'exit code 2';

/**
 * Starts `temporal server start-dev` and waits until it is ready; once more where it panicked. Throws
 * `TemporalPortTaken` or `TemporalServerFailed`; then nothing is left running.
 */
export async function startTemporalServer(options: TemporalServerOptions): Promise<RunningTemporal> {
  try {
    return await startOnce(options);
  } catch (error) {
    if (!(error instanceof TemporalServerFailed) || error.ending !== PANICKED) throw error;
    return startOnce(options);
  }
}

async function startOnce(options: TemporalServerOptions): Promise<RunningTemporal> {
  const { executable, ip = '127.0.0.1', namespace = 'default', startTimeoutMs = 60_000 } = options;
  const { port, uiPort } = await choosePorts(ip, options);
  const address = hostPort(ip, port);
  if (options.dbFilename !== undefined) makeFolder(dirname(options.dbFilename));

  const logFile = options.logFile === undefined ? undefined : openSync(options.logFile, 'a', 0o600);
  const child = spawn(executable, startArguments({ ...options, ip, namespace, port, uiPort }), {
    stdio: ['ignore', 'pipe', 'pipe'],
    // A process group of its own: Ctrl-C in the terminal must not end it before the worker that needs it.
    detached: true,
  });
  const logTail = keepLog(child, logFile);
  const ended = endOf(child);
  const stop = (): Promise<void> => stopChild(child, ended);
  const killAtExit = (): void => void child.kill('SIGKILL');
  process.once('exit', killAtExit);
  let ending: string | undefined;
  void ended.then((how) => {
    ending = how;
    process.removeListener('exit', killAtExit);
  });

  const deadlineMs = performance.now() + startTimeoutMs;
  for (;;) {
    await Promise.race([ended, sleep(POLL_MS)]);
    if (ending !== undefined) {
      throw new TemporalServerFailed(
        `the Temporal server ${executable} ended at start (${ending})`,
        logTail,
        ending,
      );
    }
    const problem = await makeReady({ address, namespace, searchAttributes: options.searchAttributes });
    if (problem === undefined && ending === undefined) break;
    if (performance.now() > deadlineMs) {
      await stop();
      throw new TemporalServerFailed(
        `expected the Temporal server at ${address} to be ready in ${startTimeoutMs / 1_000} s, but: ${problem}`,
        logTail,
      );
    }
  }
  return {
    address,
    namespace,
    uiUrl: uiPort === 'off' ? undefined : `http://${hostPort(ip, uiPort)}`,
    pid: child.pid as number,
    ended,
    stop,
  };
}

async function choosePorts(
  ip: string,
  wanted: Pick<TemporalServerOptions, 'port' | 'uiPort'>,
): Promise<{ port: number; uiPort: number | 'off' }> {
  const asked = [
    [wanted.port, '--temporal-port'],
    [wanted.uiPort, '--ui-port'],
  ] as const;
  for (const [port, option] of asked) {
    if (typeof port !== 'number') continue;
    const problem = await portProblem(ip, port);
    if (problem !== undefined) throw new TemporalPortTaken(ip, port, problem, option);
  }
  const [port, uiPort] = (await freePorts(ip, 2)) as [number, number];
  return { port: wanted.port ?? port, uiPort: wanted.uiPort ?? uiPort };
}

function makeFolder(folder: string): void {
  try {
    mkdirSync(folder, { recursive: true });
    accessSync(folder, constants.W_OK);
  } catch (error) {
    throw new TemporalServerFailed(
      `cannot keep Temporal's database in ${folder} (${fileProblem(error)}): make it writable, or name another folder with --data`,
      [],
    );
  }
}

function startArguments(
  options: TemporalServerOptions & { ip: string; namespace: string; port: number; uiPort: number | 'off' },
): string[] {
  // Without this the server asks its makers' host for a newer version every hour.
  const dynamicConfig = { 'frontend.enableServerVersionCheck': false, ...options.dynamicConfig };
  return [
    ...['server', 'start-dev', '--ip', options.ip, '--port', String(options.port)],
    ...(options.uiPort === 'off' ? ['--headless'] : ['--ui-port', String(options.uiPort)]),
    ...['--namespace', options.namespace, '--log-level', 'warn', '--log-format', 'json'],
    ...(options.dbFilename === undefined ? [] : ['--db-filename', options.dbFilename]),
    ...Object.entries(options.searchAttributes).flatMap(([name, kind]) => [
      '--search-attribute',
      `${name}=${kind}`,
    ]),
    ...Object.entries(dynamicConfig).flatMap(([key, value]) => [
      '--dynamic-config-value',
      `${key}=${JSON.stringify(value)}`,
    ]),
  ];
}

/** Keeps the last lines of the log up to date while the server runs, and appends all of them to the file. */
function keepLog(child: ChildProcess, file: number | undefined): readonly string[] {
  const tail: string[] = [];
  for (const stream of [child.stdout, child.stderr]) {
    if (stream === null) continue;
    createInterface({ input: stream }).on('line', (line) => {
      tail.push(line.slice(0, 500));
      if (tail.length > KEPT_LINES) tail.shift();
      if (file !== undefined) appendLine(file, line);
    });
  }
  child.once('close', () => {
    if (file !== undefined) closeSync(file);
  });
  return tail;
}

/** At once, so that the file is whole when `ended` resolves; only warnings and errors come here. */
function appendLine(file: number, line: string): void {
  try {
    writeSync(file, `${line}\n`);
  } catch {
    // A full disk must not end the server's owner: the last lines are in memory.
  }
}

function endOf(child: ChildProcess): Promise<string> {
  return new Promise((resolve) => {
    child.once('error', (error: NodeJS.ErrnoException) =>
      resolve(`cannot be run: ${error.code ?? error.message}`),
    );
    child.once('close', (code, signal) =>
      resolve(signal === null ? `exit code ${code}` : `killed by ${signal}`),
    );
  });
}

async function stopChild(child: ChildProcess, ended: Promise<string>): Promise<void> {
  child.kill('SIGTERM');
  const timer = setTimeout(() => child.kill('SIGKILL'), KILL_AFTER_MS);
  await ended;
  clearTimeout(timer);
}

function hostPort(ip: string, port: number): string {
  return ip.includes(':') ? `[${ip}]:${port}` : `${ip}:${port}`;
}
