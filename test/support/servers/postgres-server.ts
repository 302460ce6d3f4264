import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { chownSync, existsSync, mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { freePorts } from '../../../src/temporal-server/free-port';
import { installedProgram } from './debian-program';
import { untilPortAnswers } from './port-wait';

const run = promisify(execFile);
const VERSIONS = '/usr/lib/postgresql';
/** PostgreSQL refuses to run as root: `nobody` and `nogroup` of Debian. */
const NOBODY = 65_534;

export interface PostgresServer {
  /** With the database `postgres`, and without a password. */
  readonly url: string;
  stop(): Promise<void>;
}

/** A PostgreSQL of a test's own on loopback, from Debian's package. */
export async function startPostgres(): Promise<PostgresServer> {
  const programs = await postgresPrograms();
  const folder = mkdtempSync(join(tmpdir(), 'cutover-postgres-'));
  const user = process.getuid?.() === 0 ? { uid: NOBODY, gid: NOBODY } : {};
  if ('uid' in user) chownSync(folder, NOBODY, NOBODY);
  const data = join(folder, 'data');
  const [port = 0] = await freePorts('127.0.0.1', 1);
  const initialise = ['-D', data, '-U', 'tests', '--auth=trust', '--no-sync', '-E', 'UTF8', '--locale=C'];
  await run(join(programs, 'initdb'), initialise, { cwd: folder, ...user });
  const settings = [
    `port=${port}`,
    `unix_socket_directories=${folder}`,
    'listen_addresses=127.0.0.1',
    'fsync=off',
    'shared_buffers=16MB',
  ];
  const server = spawn(join(programs, 'postgres'), ['-D', data, ...settings.flatMap((one) => ['-c', one])], {
    ...{ cwd: folder, stdio: 'ignore' },
    ...user,
  });
  const stop = async (): Promise<void> => {
    await stopped(server);
    rmSync(folder, { recursive: true, force: true });
  };
  try {
    await untilPortAnswers(port, server);
  } catch (error) {
    await stop();
    throw error;
  }
  return { url: `postgres://tests@127.0.0.1:${port}/postgres`, stop };
}

async function postgresPrograms(): Promise<string> {
  await installedProgram({ program: 'pg_ctlcluster', package: 'postgresql', path: 'usr/bin/pg_ctlcluster' });
  const found = readdirSync(VERSIONS)
    .map((version) => join(VERSIONS, version, 'bin'))
    .filter((bin) => existsSync(join(bin, 'initdb')));
  const newest = found.sort().at(-1);
  if (newest === undefined)
    throw new Error(`expected initdb below ${VERSIONS}: install the package postgresql`);
  return newest;
}

async function stopped(server: ChildProcess): Promise<void> {
  if (server.exitCode !== null || server.signalCode !== null) return;
  const exited = new Promise((resolve) => server.once('exit', resolve));
  server.kill('SIGINT');
  await exited;
}
