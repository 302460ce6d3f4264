import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { existsSync, mkdirSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { lock } from 'proper-lockfile';
import { cacheDirectory } from '../../../src/config';
import { freePorts } from '../../../src/temporal-server/free-port';
import { untilPortAnswers } from './port-wait';
import { startPostgres } from './postgres-server';

const run = promisify(execFile);
/** The newest major that runs on Node 20. */
const VERSION = '6.10.1';
const MINUTES_MS = 60_000;

export interface UnleashServer {
  readonly url: string;
  readonly token: string;
  /** A request to the admin API below `/api/admin/`, as its own page would send it. */
  admin(method: string, path: string, body?: object): Promise<unknown>;
  stop(): Promise<void>;
}

/** An Unleash of a test's own on loopback with a database of its own; both are got where they are missing. */
export async function startUnleash(): Promise<UnleashServer> {
  const folder = await installedUnleash();
  const database = await startPostgres();
  const [port = 0] = await freePorts('127.0.0.1', 1);
  const token = '*:*.token-of-a-test';
  const program = join(__dirname, 'unleash-process.js');
  const server = spawn(process.execPath, [program, folder, database.url, String(port), token], {
    stdio: ['ignore', 'pipe', 'ignore'],
  });
  const stop = async (): Promise<void> => {
    await stopped(server);
    await database.stop();
  };
  try {
    await Promise.all([said(server, 'unleash answers'), untilPortAnswers(port, server)]);
  } catch (error) {
    await stop();
    throw error;
  }
  const url = `http://127.0.0.1:${port}`;
  const headers = { authorization: token, 'content-type': 'application/json' };
  return {
    url,
    token,
    async admin(method, path, body) {
      const sent = body === undefined ? {} : { body: JSON.stringify(body) };
      const answer = await fetch(`${url}/api/admin/${path}`, { method, headers, ...sent });
      const text = await answer.text();
      if (!answer.ok) throw new Error(`${method} ${path}: ${answer.status} ${text}`);
      return text === '' ? null : JSON.parse(text);
    },
    stop,
  };
}

/** Installed by npm beside this project, not into it: half of its packages are of no use to anyone else here. */
async function installedUnleash(): Promise<string> {
  const folder = join(cacheDirectory(), `unleash-server-${VERSION}`);
  mkdirSync(cacheDirectory(), { recursive: true });
  const release = await lock(cacheDirectory(), { retries: { retries: 300, maxTimeout: 2_000 } });
  try {
    if (existsSync(folder)) return folder;
    const fresh = `${folder}.new`;
    rmSync(fresh, { recursive: true, force: true });
    mkdirSync(fresh);
    writeFileSync(join(fresh, 'package.json'), '{"private":true}');
    const install = ['install', '--ignore-scripts', '--no-audit', '--no-fund', `unleash-server@${VERSION}`];
    await run('npm', install, { cwd: fresh, timeout: 8 * MINUTES_MS, maxBuffer: 16 * 1024 * 1024 });
    renameSync(fresh, folder);
    return folder;
  } catch (cause) {
    throw new Error(`expected unleash-server ${VERSION}: npm could not install it into ${folder}`, { cause });
  } finally {
    await release();
  }
}

function said({ stdout, exitCode }: ChildProcess, words: string): Promise<void> {
  return new Promise((resolve, reject) => {
    let text = '';
    stdout?.on('data', (chunk) => {
      text += chunk;
      if (text.includes(words)) resolve();
    });
    stdout?.on('end', () =>
      reject(new Error(`expected Unleash to start, it ended with ${exitCode}: ${text}`)),
    );
  });
}

async function stopped(server: ChildProcess): Promise<void> {
  if (server.exitCode !== null || server.signalCode !== null) return;
  const exited = new Promise((resolve) => server.once('exit', resolve));
  server.kill('SIGKILL');
  await exited;
}
