import { appendFileSync, mkdirSync, renameSync, truncateSync, writeFileSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { workerLogLine } from '../../../src/temporal-runtime';
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
    outcome: 'success',
    ms: 12.5,
    msg: 'request',
    ...overrides,
  })}\n`;
/** The candidate's failure, which legacy's answer hid from the caller. */
const RESCUED = {
  provider: 'old',
  failover: 'status_5xx',
  attempts: [
    { provider: 'new', purpose: 'drawn', outcome: 'status_5xx', status: 500, ms: 3 },
    { provider: 'old', purpose: 'failover', outcome: 'success', status: 200, ms: 9 },
  ],
};
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
    expect.stringMatching(/^2026-11-29 \d\d:\d\d:\d\d\.\d{3}Z gw-1 warning a warning$/),
    expect.stringMatching(/ gw-1 chat {2}candidate {2}new {2}m {2}200 success {2}12\.5 ms$/),
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

it("shows a worker's log like a gateway's, and finds what it says of a route", async () => {
  const warned = { isError: false, message: 'Activity failed', meta: {}, atMs: 1_795_921_381_116 };
  const lines = [
    { ...warned, meta: { workflowId: 'cutover/chat', activityType: 'apply' } },
    { ...warned, meta: { workflowId: 'cutover/search' } },
    { ...warned, isError: true, message: 'it ended', meta: { error: new RangeError('odd') } },
  ];
  const written = lines.map((line) => workerLogLine(line, false));
  writeFileSync(join(folder, 'worker.log'), `worker: serving default\n${written.join('\n')}\n`);
  // The stack of the last one follows.
  expect((await logs('worker.log')).slice(0, 4)).toEqual([
    'worker: serving default',
    expect.stringMatching(
      /Z \d+@\S+ warning Activity failed route=chat workflowId=cutover\/chat activityType=apply$/,
    ),
    expect.stringContaining('route=search'),
    expect.stringMatching(/ error it ended error=RangeError: odd/),
  ]);
  expect(await logs('worker.log', '--route', 'search')).toEqual([expect.stringContaining('route=search')]);
});

it("gives a worker's warnings a time at a terminal as well", () => {
  const warned = { isError: false, message: 'the disk is slow', meta: {}, atMs: 1_795_921_381_116 };
  expect(workerLogLine(warned, true)).toMatch(/^2026-11-29T\d\d:\d\d:\d\d\.116Z warning the disk is slow$/);
});

it('finds failures of the candidate that failover hid from the caller', async () => {
  writeFileSync(join(folder, 'rescued.log'), request({}) + request(RESCUED));
  expect(await logs('rescued.log', '--arm', 'candidate', '--attempt', 'status_5xx')).toEqual([
    expect.stringMatching(
      / chat {2}candidate {2}old {2}m {2}200 success {2}12\.5 ms {2}failover: status_5xx$/,
    ),
  ]);
});

it('shows which model the provider was asked for, and every field of a line that is no request', async () => {
  const login = { level: 40, time: Date.now(), gateway: 'gw-1', listener: 'admin', address: '10.0.0.9' };
  writeFileSync(
    join(folder, 'fields.log'),
    `${request({ servedModel: 'n' })}${JSON.stringify({ ...login, msg: 'failed login' })}\n{"time":1e99,"msg":"odd"}\n`,
  );
  expect(await logs('fields.log')).toEqual([
    expect.stringContaining(' m as n '),
    expect.stringMatching(/^\S{13} gw-1 warning failed login listener=admin address=10\.0\.0\.9$/),
    '{"time":1e99,"msg":"odd"}',
  ]);
});

it('reads the last lines of a log that is larger than one reading, and one without an end', async () => {
  const numbered = Array.from({ length: 60_000 }, (_, number) => `line ${number} ${'x'.repeat(number % 97)}`);
  const wide = 'w'.repeat(3_000_000);
  writeFileSync(join(folder, 'large.log'), [...numbered, wide, ...numbered.slice(0, 3)].join('\n'));
  const shown = await logs('large.log', '--lines', '30004');
  expect(shown.slice(0, 30_000)).toEqual(numbered.slice(-30_000));
  expect(shown[30_000]).toBe('w'.repeat(1_048_576));
  expect(shown.slice(30_001)).toEqual(numbered.slice(0, 3));
  expect(await logs('large.log', '--lines', '100000')).toHaveLength(60_004);
});

it.each([
  [['absent.log'], 'cannot read absent.log: there is no such file\n', 2],
  [['.cutover'], 'cannot read .cutover: it is a folder: name the file in it\n', 2],
  [['--route', 'caht'], `no line of ${join('.cutover', 'gateway.log')} matches --route caht\n`, 0],
  [['empty.log'], 'empty.log is empty\n', 0],
])('says what is wrong with %j', async (args, message, exitCode) => {
  writeFileSync(join(folder, 'empty.log'), '');
  const { code, stderr } = await runCli(['logs', ...args], { cwd: folder });
  expect(stderr).toBe(message);
  expect(code).toBe(exitCode);
});

it('waits for a log that is not there yet, and stays with its name when it is rotated or truncated', async () => {
  const path = join(folder, 'rotated.log');
  const args = [built('src', 'cli', 'main.js'), 'logs', 'rotated.log', '--follow'];
  const running = await startNode(args, { env: {}, cwd: folder, ready: 'waiting for rotated.log' });
  const shown = async (text: string) => {
    while (!running.output().includes(text)) await new Promise((resolve) => setTimeout(resolve, 50));
  };
  writeFileSync(path, request({ model: 'first' }));
  await shown('first');
  renameSync(path, `${path}.1`);
  appendFileSync(`${path}.1`, request({ model: 'last-of-the-old' }));
  writeFileSync(path, request({ model: 'in-the-new' }));
  await shown('in-the-new');
  expect(running.output()).toContain('last-of-the-old');
  truncateSync(path);
  await shown('was truncated');
  appendFileSync(path, request({ model: 'after-truncation' }));
  await shown('after-truncation');
  // A shell's `> FILE` does not append: after a truncation its next line stands behind a hole.
  truncateSync(path);
  writeFileSync(path, `${'\0'.repeat(2_000_000)}${request({ model: 'behind-a-hole' })}`);
  await shown('behind-a-hole');
  await running.end();
  expect(running.output()).toMatch(/^\S+ \S+ gw-1 chat .*behind-a-hole/m);
  expect(await logs('rotated.log')).toEqual([expect.stringMatching(/ gw-1 chat .*behind-a-hole/)]);
});

it('follows what is written, and waits for a line to be whole', async () => {
  const args = [built('src', 'cli', 'main.js'), 'logs', '--follow', '--arm', 'candidate'];
  const running = await startNode(args, { env: {}, cwd: folder, ready: '500 status_5xx' });
  const line = request({ model: 'written-later' });
  appendFileSync(log, line.slice(0, 40));
  appendFileSync(log, line.slice(40));
  while (!running.output().includes('written-later')) await new Promise((resolve) => setTimeout(resolve, 50));
  await running.end();
  expect(running.output()).toMatch(/^\S+ \S+ gw-1 chat {2}candidate {2}new {2}written-later {2}200 success/m);
});
