import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, readdirSync, utimesSync, writeFileSync } from 'node:fs';
import { hostname } from 'node:os';
import { join } from 'node:path';
import { EXIT } from '../../../src/cli/options/cli-error';
import { failureOf } from '../../../src/cli/options/failure';
import { lockStateDirectory, StateDirectoryTaken } from '../../../src/gateway/routing/state-lock';
import { temporaryDirectory } from '../../support/gateways/gateway-fixture';

const root = temporaryDirectory();
let directories = 0;

function directory(): string {
  directories += 1;
  return join(root, `${directories}`);
}

const silent = () => undefined;

/** What a gateway that was killed leaves behind. */
function leftBehind(path: string, owner: object): string {
  const lock = join(path, 'gateway.lock');
  mkdirSync(lock, { recursive: true });
  writeFileSync(join(path, 'gateway.owner'), JSON.stringify({ host: hostname(), start: null, ...owner }));
  return lock;
}

async function deadProcess(): Promise<number> {
  const child = spawn(process.execPath, ['-e', '0']);
  await once(child, 'exit');
  return child.pid as number;
}

it('is refused to a second gateway until the first one stops, with an exit code of bad input', async () => {
  const path = directory();
  const unlock = await lockStateDirectory(path, silent);
  const refused = await lockStateDirectory(path, silent).catch((error: unknown) => error);
  expect(refused).toBeInstanceOf(StateDirectoryTaken);
  const { message, exitCode } = failureOf(refused);
  expect(exitCode).toBe(EXIT.badInput);
  expect(message).toContain(`process id ${process.pid}`);
  await unlock();
  await (await lockStateDirectory(path, silent))();
  expect(readdirSync(path)).toEqual([]);
});

it('is taken over at once from a process that is dead', async () => {
  const path = directory();
  leftBehind(path, { pid: await deadProcess() });
  await (await lockStateDirectory(path, silent))();
});

it('is taken over at once when its process id belongs to another process by now', async () => {
  const path = directory();
  leftBehind(path, { pid: process.ppid, start: 'long ago' });
  await (await lockStateDirectory(path, silent))();
});

it('is taken over from another host once it was not refreshed for long', async () => {
  const path = directory();
  const lock = leftBehind(path, { host: 'another', pid: 1 });
  const longAgo = new Date(Date.now() - 60_000);
  utimesSync(lock, longAgo, longAgo);
  await (await lockStateDirectory(path, silent))();
});

it('does not keep a gateway from serving when the directory cannot be written', async () => {
  const file = directory();
  writeFileSync(file, '');
  const warnings: string[] = [];
  const unlock = await lockStateDirectory(join(file, 'below'), (message) => warnings.push(message));
  expect(warnings).toEqual([expect.stringContaining('cannot be locked')]);
  await unlock();
});
