import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { writeFileSync } from 'node:fs';
import { cpus } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { Client, Connection } from '@temporalio/client';
import { bundleWorkflowCode, NativeConnection, Worker } from '@temporalio/worker';
import { Pool } from 'undici';
import { stringify } from 'yaml';
import { PROBE_HEADER } from '../src/adapters/openai/provider-client';
import { MigrationClient } from '../src/client';
import { loadConfiguration } from '../src/config';
import { workflowIdOf } from '../src/contract';
import { planSchema } from '../src/core/plan/plan-schema';
import { type DemoProvider, startProvider } from '../src/demo/provider';
import { freePorts } from '../src/temporal-server/free-port';
import { readOptions, runBench } from './bench-program';
import { startTemporalInFolder } from './own-temporal';

/**
 * How long a rollback takes, against a real Temporal, worker and gateway in processes of their own, under an
 * open-loop load of live requests at share 50%: from the signal to the last live request in the candidate's own
 * log, and to the workflow's result; beside the floor, a workflow that only waits for a signal.
 */

const flags = readOptions('bench:rollback', 'Measures how long a rollback takes.', {
  rollbacks: ['how many', 200],
  rate: ['requests per second meanwhile', 300],
  json: ['prints one line of JSON', false],
});
const ROLLBACKS = flags.rollbacks;
const RATE_PER_SECOND = flags.rate;
const SECRETS = { LEGACY_KEY: 'bench', CANDIDATE_KEY: 'bench', CUTOVER_ADMIN_TOKEN: 'bench-admin-token' };
const MAIN = join(__dirname, '..', 'src', 'cli', 'main.js');

interface Rollback {
  readonly toLastRequestMs: number;
  readonly toResultMs: number;
  readonly requestsAfterResult: number;
}

const stops: (() => Promise<unknown> | unknown)[] = [];

async function main(): Promise<void> {
  const { folder, temporal } = await startTemporalInFolder(stops, note);
  const connection = await Connection.connect({ address: temporal.address });
  stops.push(() => connection.close());
  const temporalClient = new Client({ connection });

  const floorMs = await measureFloor(temporalClient, temporal.address);
  note(`floor: ${summary(floorMs)}`);

  const behaviour = { latencyMs: 20, tokenMs: 0, tokens: 4 };
  const legacy = await startProvider({ name: 'legacy', models: ['m'], behaviour });
  const candidate = await startProvider({ name: 'candidate', models: ['m'], behaviour, remember: 20_000 });
  stops.push(legacy.stop, candidate.stop);
  const gateway = await startProcesses(folder, temporal.address, legacy, candidate);
  const load = startLoad(gateway.data);
  stops.push(load.stop);

  const client = await MigrationClient.connect({ address: temporal.address });
  stops.push(() => client.close());
  const rollbacks: Rollback[] = [];
  for (let round = 1; round <= ROLLBACKS; round += 1) {
    rollbacks.push(await rollBackOnce(client, temporalClient, gateway.configuration, candidate));
    if (round % 20 === 0)
      note(`${round} of ${ROLLBACKS} rollbacks, ${load.sent()} requests, ${load.failed()} failed`);
  }
  report(floorMs, rollbacks, { requests: load.sent(), failed: load.failed() });
}

async function measureFloor(client: Client, address: string): Promise<number[]> {
  const workflowBundle = await bundleWorkflowCode({ workflowsPath: join(__dirname, 'floor-workflow.js') });
  const connection = await NativeConnection.connect({ address });
  const worker = await Worker.create({ connection, taskQueue: 'floor', workflowBundle });
  const running = worker.run();
  const times: number[] = [];
  for (let round = 0; round < ROLLBACKS; round += 1) {
    const handle = await client.workflow.start('floor', {
      taskQueue: 'floor',
      workflowId: `floor-${round}`,
      args: [],
    });
    const result = handle.result();
    await sleep(50);
    const startMs = performance.now();
    await handle.signal('tell');
    await result;
    times.push(performance.now() - startMs);
  }
  worker.shutdown();
  await running;
  await connection.close();
  return times;
}

async function startProcesses(
  folder: string,
  address: string,
  legacy: DemoProvider,
  candidate: DemoProvider,
) {
  const [dataPort, adminPort] = await freePorts('127.0.0.1', 2);
  const data = `http://127.0.0.1:${dataPort}`;
  const path = join(folder, 'cutover.yaml');
  writeFileSync(
    path,
    stringify({
      providers: { legacy: { baseUrl: legacy.url }, candidate: { baseUrl: candidate.url } },
      routes: { chat: { legacy: 'legacy', candidate: 'candidate', models: { m: 'm' }, stickyKey: 'none' } },
      gateways: [{ name: 'gw-1', data, admin: `http://127.0.0.1:${adminPort}` }],
      gateway: { stateDirectory: join(folder, 'state') },
    }),
  );
  const env = { ...process.env, ...SECRETS, TEMPORAL_ADDRESS: address, CUTOVER_CONFIG: path };
  for (const command of ['gateway', 'worker']) {
    const child = spawn(process.execPath, [MAIN, command], { env, stdio: ['ignore', 'ignore', 'inherit'] });
    stops.push(() => end(child));
  }
  const deadlineMs = Date.now() + 30_000;
  while (!(await answers(`${data}/healthz`))) {
    if (Date.now() > deadlineMs) throw new Error(`the gateway did not answer at ${data} within 30 s`);
    await sleep(200);
  }
  Object.assign(process.env, SECRETS);
  return { data, configuration: loadConfiguration(path) };
}

async function rollBackOnce(
  client: MigrationClient,
  temporalClient: Client,
  configuration: ReturnType<typeof loadConfiguration>,
  candidate: DemoProvider,
): Promise<Rollback> {
  const long = { soak: '1h', window: '1h', deadline: { hold: '2h' }, burnIn: { time: '0s', requests: 0 } };
  const plan = planSchema.parse({
    route: 'chat',
    probes: { interval: '10m' },
    stages: [
      { name: 'assess', minimumSample: 0 },
      { name: 'half', share: 0.5, ...long },
      { name: 'complete', ...long },
    ],
  });
  await client.start({ plan, configuration, by: 'bench', reason: 'measure a rollback' });
  while ((await client.status('chat')).stage !== 'half') await sleep(50);
  await sleep(500);
  const handle = temporalClient.workflow.getHandle(workflowIdOf('chat'));
  const result = handle.result();
  const liveAfter = (atMs: number) =>
    candidate.requests.filter((seen) => seen.atMs > atMs && seen.headers[PROBE_HEADER] === undefined);
  if (liveAfter(Date.now() - 400).length === 0)
    throw new Error('expected live traffic at the candidate before a rollback');
  const startMs = Date.now();
  await handle.signal('rollback', { by: 'bench', reason: 'measure' });
  await result;
  const resultMs = Date.now();
  await sleep(300);
  const last = liveAfter(startMs).at(-1)?.atMs ?? startMs;
  return {
    toLastRequestMs: last - startMs,
    toResultMs: resultMs - startMs,
    requestsAfterResult: liveAfter(resultMs).length,
  };
}

/** Open loop: requests go out at their own times, whatever the answers do. */
function startLoad(gateway: string) {
  const pool = new Pool(gateway, { connections: 128 });
  const body = JSON.stringify({ model: 'm', messages: [{ role: 'user', content: 'hello' }] });
  let sent = 0;
  let failed = 0;
  let dueMs = performance.now();
  const send = async (): Promise<void> => {
    sent += 1;
    try {
      const answer = await pool.request({
        method: 'POST',
        path: '/v1/chat/completions',
        headers: { 'content-type': 'application/json' },
        body,
      });
      await answer.body.dump();
      if (answer.statusCode !== 200) failed += 1;
    } catch {
      failed += 1;
    }
  };
  const timer = setInterval(() => {
    for (; dueMs <= performance.now(); dueMs += 1_000 / RATE_PER_SECOND) void send();
  }, 2);
  return {
    sent: () => sent,
    failed: () => failed,
    stop: () => {
      clearInterval(timer);
      return pool.destroy();
    },
  };
}

function report(
  floorMs: number[],
  rollbacks: readonly Rollback[],
  load: { requests: number; failed: number },
): void {
  const toLast = rollbacks.map(({ toLastRequestMs }) => toLastRequestMs);
  const toResult = rollbacks.map(({ toResultMs }) => toResultMs);
  const after = rollbacks.reduce((sum, { requestsAfterResult }) => sum + requestsAfterResult, 0);
  const machine = `${cpus().length} x ${cpus()[0]?.model ?? 'unknown'}, Node ${process.version}`;
  const numbers = {
    machine,
    rollbacks: rollbacks.length,
    ratePerSecond: RATE_PER_SECOND,
    floorMs: percentiles(floorMs),
    commandToLastCandidateRequestMs: percentiles(toLast),
    commandToResultMs: percentiles(toResult),
    candidateRequestsAfterResult: after,
    p99AboveFloorMs: percentiles(toLast).p99 - percentiles(floorMs).p99,
    load,
  };
  if (flags.json) {
    process.stdout.write(`${JSON.stringify(numbers)}\n`);
    return;
  }
  const lines = [
    machine,
    `${rollbacks.length} rollbacks by signal at share 50%, ${RATE_PER_SECOND} requests a second, ${load.failed} of ${load.requests} failed`,
    `floor (signal to result of an idle workflow)    ${summary(floorMs)}`,
    `command to the candidate's last live request    ${summary(toLast)}`,
    `command to the verified result                  ${summary(toResult)}`,
    `candidate requests after the result             ${after}`,
  ];
  process.stdout.write(`${lines.join('\n')}\n`);
}

function percentiles(values: readonly number[]): { p50: number; p99: number; max: number } {
  const sorted = [...values].sort((a, b) => a - b);
  const at = (p: number) =>
    Math.round(sorted[Math.min(sorted.length - 1, Math.floor(p * sorted.length))] ?? 0);
  return { p50: at(0.5), p99: at(0.99), max: at(1) };
}

function summary(times: readonly number[]): string {
  const { p50, p99, max } = percentiles(times);
  return `p50 ${p50} ms, p99 ${p99} ms, max ${max} ms`;
}

async function answers(url: string): Promise<boolean> {
  try {
    return (await fetch(url)).ok;
  } catch {
    return false;
  }
}

async function end(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const exited = once(child, 'exit');
  child.kill('SIGTERM');
  const timer = setTimeout(() => child.kill('SIGKILL'), 10_000);
  await exited;
  clearTimeout(timer);
}

function note(line: string): void {
  process.stderr.write(`${line}\n`);
}

void runBench('bench:rollback', main, async () => {
  for (const stop of stops.reverse()) await stop();
});
