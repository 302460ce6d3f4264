import { appendFileSync, mkdirSync, writeFileSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { built, runCli } from '../../support/cli';
import { folderWith } from '../../support/migrations/migration-fixture';
import { startNode } from '../../support/node-process';

const request = (overrides: object) =>
  `${JSON.stringify({
    level: 30,
    time: 1_795_921_381_116,
    gateway: 'gw-1',
    route: 'chat',
    arm: 'candidate',
    provider: 'new',
    model: 'm',
    status: 200,
    outcome: 'ok',
    ms: 12.5,
    msg: 'request',
    ...overrides,
  })}\n`;
const NOTICE = `${JSON.stringify({ level: 40, time: 1_795_921_381_000, gateway: 'gw-1', msg: 'a warning' })}\n`;

let folder: string;
let log: string;
beforeAll(() => {
  folder = folderWith({});
  mkdirSync(join(folder, '.cutover'));
  log = join(folder, '.cutover', 'gateway.log');
  writeFileSync(
    log,
    NOTICE +
      request({}) +
      request({ arm: 'legacy', provider: 'old' }) +
      request({ route: 'search', outcome: 'status_5xx', status: 500 }) +
      'temporal warn: a plain line of a worker\n',
  );
});
afterAll(() => rm(folder, { recursive: true }));

const logs = async (...args: string[]) =>
  (await runCli(['logs', ...args], { cwd: folder })).stdout.trimEnd().split('\n');

it('shows a log as people read it, and as it is with --json', async () => {
  expect(await logs()).toEqual([
    expect.stringMatching(/^\d\d:\d\d:\d\d\.\d{3} gw-1 warning a warning$/),
    expect.stringMatching(/ gw-1 chat {2}candidate {2}new {2}m {2}200 ok {2}12\.5 ms$/),
    expect.stringContaining('legacy'),
    expect.stringContaining('500 status_5xx'),
    'temporal warn: a plain line of a worker',
  ]);
  expect(`${(await logs('--json', '--lines', '2'))[0]}\n`).toBe(
    request({ route: 'search', outcome: 'status_5xx', status: 500 }),
  );
});

it.each([
  [['--route', 'search'], 1],
  [['--arm', 'candidate'], 2],
  [['--arm', 'candidate', '--outcome', 'status'], 1],
  [['--route', 'chat', '--arm', 'legacy'], 1],
])('filters by %j', async (args, count) => {
  expect(await logs(...args)).toHaveLength(count);
});

it('says which file it looked for', async () => {
  const { code, stderr } = await runCli(['logs', 'absent.log'], { cwd: folder });
  expect(stderr).toBe('cannot read absent.log: there is no such file\n');
  expect(code).toBe(2);
});

it('follows what is written, and waits for a line to be whole', async () => {
  const args = [built('src', 'cli', 'main.js'), 'logs', '--follow', '--arm', 'candidate'];
  const running = await startNode(args, { env: {}, cwd: folder, ready: '500 status_5xx' });
  const line = request({ model: 'written-later' });
  appendFileSync(log, line.slice(0, 40));
  appendFileSync(log, line.slice(40));
  while (!running.output().includes('written-later')) await new Promise((resolve) => setTimeout(resolve, 50));
  await running.end();
  expect(running.output()).toMatch(/^\S+ gw-1 chat {2}candidate {2}new {2}written-later {2}200 ok/m);
});
