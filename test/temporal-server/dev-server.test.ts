import { mkdtempSync, readFileSync, writeFileSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { createServer, type Server } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Connection } from '@temporalio/client';
import { SEARCH_ATTRIBUTES } from '../../src/contract';
import {
  type RunningTemporal,
  startTemporalServer,
  type TemporalServerOptions,
} from '../../src/temporal-server/dev-server';
import { ownTemporal } from '../support/servers/own-temporal';

let executable: string;
let root: string;
const running: RunningTemporal[] = [];

beforeAll(async () => {
  executable = await ownTemporal();
}, 900_000);

beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'cutover-temporal-'));
});
afterEach(async () => {
  await Promise.all(running.splice(0).map((server) => server.stop()));
  await rm(root, { recursive: true, force: true });
});

async function start(options: Partial<TemporalServerOptions> = {}): Promise<RunningTemporal> {
  const server = await startTemporalServer({
    executable,
    searchAttributes: SEARCH_ATTRIBUTES,
    ...options,
  });
  running.push(server);
  return server;
}

async function customSearchAttributes({ address, namespace }: RunningTemporal): Promise<string[]> {
  const connection = await Connection.connect({ address });
  const { customAttributes } = await connection.operatorService.listSearchAttributes({ namespace });
  await connection.close();
  return Object.keys(customAttributes).sort();
}

function portOf(address: string): number {
  return Number(address.split(':')[1]);
}

test('a started server listens on loopback, shows its UI and knows the search attributes', async () => {
  const server = await start({ namespace: 'cutover' });
  expect(server.address).toMatch(/^127\.0\.0\.1:\d+$/);
  expect(await customSearchAttributes(server)).toEqual(
    expect.arrayContaining(Object.keys(SEARCH_ATTRIBUTES)),
  );
  expect((await fetch(`${server.uiUrl}/healthz`)).status).toBe(200);
});

test('a server killed and started again on its file and port has kept everything', async () => {
  const dbFilename = join(root, 'kept', 'temporal.db');
  const first = await start({ dbFilename });
  const before = await Connection.connect({ address: first.address });
  await before.workflowService.startWorkflowExecution({
    namespace: first.namespace,
    workflowId: 'kept',
    workflowType: { name: 'nobody-runs-it' },
    taskQueue: { name: 'empty' },
    requestId: 'one',
  });
  await before.close();

  process.kill(first.pid, 'SIGKILL');
  expect(await first.ended).toBe('killed by SIGKILL');
  const second = await start({ dbFilename, port: portOf(first.address) });
  expect(second.address).toBe(first.address);
  const after = await Connection.connect({ address: second.address });
  const { workflowExecutionInfo } = await after.workflowService.describeWorkflowExecution({
    namespace: second.namespace,
    execution: { workflowId: 'kept' },
  });
  await after.close();
  expect(workflowExecutionInfo?.type?.name).toBe('nobody-runs-it');
});

test('a database file from before a search attribute existed learns it at the next start', async () => {
  const dbFilename = join(root, 'temporal.db');
  const old = await start({ dbFilename, uiPort: 'off', searchAttributes: { CutoverRoute: 'Keyword' } });
  await old.stop();
  const renewed = await start({ dbFilename });
  expect(await customSearchAttributes(renewed)).toEqual(
    expect.arrayContaining(Object.keys(SEARCH_ATTRIBUTES)),
  );
});

test('stop ends the server and may be called again', async () => {
  const server = await start();
  await server.stop();
  expect(() => process.kill(server.pid, 0)).toThrow('ESRCH');
  await server.stop();
  await expect(Connection.connect({ address: server.address, connectTimeout: 500 })).rejects.toThrow();
});

test.each(['port', 'uiPort'] as const)('a taken %s is named, and nothing is started', async (which) => {
  const holder = await hold();
  const { port } = holder.address() as { port: number };
  await expect(start({ [which]: port })).rejects.toMatchObject({
    name: 'TemporalPortTaken',
    port,
    message: expect.stringMatching(
      /^cannot listen on port \d+ of 127\.0\.0\.1 for Temporal.* holds: .*`cutover up --(temporal|ui)-port PORT`/,
    ),
  });
  await new Promise((resolve) => holder.close(resolve));
});

test('a server that panics at start, as where its port was taken in between, is started once more', async () => {
  const counter = join(root, 'starts');
  const program = join(root, 'panics.sh');
  const panicking = (times: number) =>
    `#!/bin/sh\necho x >> ${counter}\n[ $(wc -l < ${counter}) -le ${times} ] && exit 2\nexec ${executable} "$@"\n`;
  writeFileSync(program, panicking(1), { mode: 0o755 });
  const server = await start({ executable: program });
  await server.stop();
  writeFileSync(program, panicking(9), { mode: 0o755 });
  await expect(start({ executable: program })).rejects.toThrow('ended at start (exit code 2)');
  expect(readFileSync(counter, 'utf8')).toBe('x\n'.repeat(4));
});

test('a server that ends at start is reported with the end of its log, which is also in the log file', async () => {
  const logFile = join(root, 'temporal.log');
  const searchAttributes = { Wrong: 'Nonsense' as never };
  const error = await start({ searchAttributes, logFile }).catch((reason: Error) => reason);
  expect(error).toMatchObject({
    name: 'TemporalServerFailed',
    message: expect.stringMatching(/ended at start \(exit code 1\)[\s\S]*Nonsense/),
  });
  expect(readFileSync(logFile, 'utf8')).toContain('Nonsense');
});

test('a program that never becomes a server is ended and reported', async () => {
  const silent = join(root, 'silent');
  writeFileSync(silent, '#!/bin/sh\necho "I only sleep"\nexec /bin/sleep 60\n', { mode: 0o755 });
  await expect(start({ executable: silent, startTimeoutMs: 300 })).rejects.toMatchObject({
    name: 'TemporalServerFailed',
    message: expect.stringMatching(/to be ready in 0.3 s[\s\S]*I only sleep/),
  });
});

test('a database file whose folder cannot be made is reported', async () => {
  await expect(start({ dbFilename: join(__filename, 'temporal.db') })).rejects.toMatchObject({
    name: 'TemporalServerFailed',
    message: expect.stringContaining('(it is a file, not a folder): make it writable'),
  });
});

function hold(): Promise<Server> {
  return new Promise((resolve) => {
    const server = createServer();
    server.listen(0, '127.0.0.1', () => resolve(server));
  });
}
