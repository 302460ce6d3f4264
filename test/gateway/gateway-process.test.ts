import { execFile } from 'node:child_process';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';
import { Agent, request } from 'undici';
import { GatewayAdmin } from '../../src/adapters/gateway-admin';
import type { RoutingRecord } from '../../src/core/routing/routing';
import { freePorts } from '../../src/temporal-server/free-port';
import { built } from '../support/cli';
import { temporaryDirectory } from '../support/gateways/gateway-fixture';
import { ADMIN_TOKEN, MODEL, ROUTE } from '../support/gateways/running-gateway';
import { pushAsWorker } from '../support/gateways/worker-push';
import { type NodeProcess, startNode } from '../support/node-process';
import { type FaultProvider, startFaultProvider, well } from '../support/providers/fault-provider';

const root = temporaryDirectory();
const configPath = join(root, 'cutover.json');
const logPath = join(root, 'requests.log');
const admin = new GatewayAdmin({ token: ADMIN_TOKEN, discover: async () => [] });

let legacy: FaultProvider;
let candidate: FaultProvider;
let ports: readonly number[];
const processes: NodeProcess[] = [];

beforeAll(async () => {
  legacy = await startFaultProvider((exchange) => void setTimeout(() => well(exchange), 30));
  candidate = await startFaultProvider((exchange) => void setTimeout(() => well(exchange), 30));
  ports = await freePorts('127.0.0.1', 4);
  mkdirSync(join(root, 'state'));
  const configuration = {
    providers: { old: { baseUrl: legacy.url }, new: { baseUrl: candidate.url } },
    routes: { [ROUTE]: { legacy: 'old', candidate: 'new', models: { [MODEL]: 'gpt-4o-mini' } } },
    gateway: { stateDirectory: join(root, 'state'), drain: '5s' },
  };
  writeFileSync(configPath, JSON.stringify(configuration));
});

afterAll(async () => {
  for (const process of processes) await process.end('SIGKILL');
  await admin.close();
  await legacy.stop();
  await candidate.stop();
});

const argsOf = (data: number, adminPort: number) => [
  ...[built('src', 'cli', 'main.js'), 'gateway', '--config', configPath, '--log', logPath, '--json'],
  ...['--data', `127.0.0.1:${data}`, '--admin', `127.0.0.1:${adminPort}`],
];
const env = { CUTOVER_ADMIN_TOKEN: ADMIN_TOKEN };

async function start(flags: readonly string[] = []): Promise<NodeProcess> {
  const args = [...flags, ...argsOf(ports[0] as number, ports[1] as number)];
  const started = await startNode(args, { env, cwd: root, ready: '"adminUrl"' });
  processes.push(started);
  return started;
}

const push = (overrides: Partial<RoutingRecord>) =>
  pushAsWorker(admin, { name: 'gateway', admin: `http://127.0.0.1:${ports[1]}` }, overrides);

async function heldEpoch(): Promise<{ readonly epoch: number }> {
  const status = await admin.status({ name: 'gateway', admin: `http://127.0.0.1:${ports[1]}` }, ROUTE);
  if (status.kind !== 'ok') throw new Error(JSON.stringify(status));
  return { epoch: status.value.highestEpoch };
}

/** One call; who served it, or why it got no answer. */
async function ask(user: string, dispatcher: Agent): Promise<string> {
  try {
    const answer = await request(`http://127.0.0.1:${ports[0]}/v1/chat/completions`, {
      ...{ method: 'POST', dispatcher },
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ model: MODEL, user, messages: [{ role: 'user', content: 'Hello?' }] }),
    });
    const text = await answer.body.text();
    if (answer.statusCode !== 200) return `status ${answer.statusCode}: ${text}`;
    return String(answer.headers['x-cutover-provider']);
  } catch (error) {
    return (error as NodeJS.ErrnoException).code ?? String(error);
  }
}

async function askMany(count: number): Promise<string[]> {
  const dispatcher = new Agent();
  const answers = await Promise.all(
    Array.from({ length: count }, (_, user) => ask(`user-${user}`, dispatcher)),
  );
  await dispatcher.close();
  return answers;
}

it('loses no request that it had taken when it is told to stop under load', async () => {
  const gateway = await start();
  await push({ share: 0.5, leaseMs: 600_000 });
  const outcomes: string[] = [];
  let stopped = false;
  const callers = Array.from({ length: 16 }, async (_, caller) => {
    const dispatcher = new Agent({ connections: 1 });
    for (let turn = 0; !stopped; turn += 1) {
      const outcome = await ask(`user-${caller}-${turn}`, dispatcher);
      if (outcome === 'ECONNREFUSED') break;
      outcomes.push(outcome);
    }
    await dispatcher.close();
  });
  while (outcomes.length < 200) await sleep(5);
  await gateway.end('SIGTERM');
  stopped = true;
  await Promise.all(callers);
  expect([...new Set(outcomes)].sort()).toEqual(['new', 'old']);
  const lines = readFileSync(logPath, 'utf8').trimEnd().split('\n');
  expect(lines.filter((line) => line.includes('"msg":"request"'))).toHaveLength(outcomes.length);
  for (const line of lines) expect(JSON.parse(line)).toMatchObject({ level: 30 });
});

it('serves legacy after a crash while its record was leased', async () => {
  const gateway = await start();
  await push({ share: 1, leaseMs: 600_000 });
  expect(new Set(await askMany(10))).toEqual(new Set(['new']));
  await gateway.end('SIGKILL');
  const restarted = await start();
  expect(new Set(await askMany(10))).toEqual(new Set(['old']));
  await restarted.end();
});

it('serves its share after a stop in order once the record is pinned, with nobody there', async () => {
  const gateway = await start();
  await push({ share: 1, stage: 'complete', pinned: true });
  await gateway.end('SIGTERM');
  const restarted = await start();
  expect(new Set(await askMany(10))).toEqual(new Set(['new']));
  await restarted.end();
});

it('serves a pinned record after a crash once it is pushed again: its withdrawal could have been missed', async () => {
  const gateway = await start();
  const pinned = { share: 1, stage: 'complete', pinned: true };
  await push(pinned);
  await gateway.end('SIGKILL');
  const restarted = await start();
  expect(new Set(await askMany(10))).toEqual(new Set(['old']));
  await push({ ...pinned, ...(await heldEpoch()) });
  expect(new Set(await askMany(10))).toEqual(new Set(['new']));
  await restarted.end();
});

it('exits with 2 when another gateway uses its state directory', async () => {
  const gateway = await start();
  const refused = await new Promise<{ code: unknown; stderr: string }>((resolve) => {
    const { PATH = '' } = process.env;
    const args = argsOf(ports[2] as number, ports[3] as number);
    execFile(process.execPath, args, { cwd: root, env: { PATH, ...env } }, (error, _stdout, stderr) =>
      resolve({ code: error?.code, stderr }),
    );
  });
  expect(refused).toMatchObject({ code: 2, stderr: expect.stringContaining('gateway.stateDirectory') });
  await gateway.end();
});

it('never has objects of requests allocated among old ones, where they would keep young garbage alive', async () => {
  // With so little room V8 takes what is under way at a collection for long-lived at once.
  const gateway = await start(['--max-semi-space-size=1', '--trace-pretenuring-statistics']);
  for (let round = 0; round < 20; round += 1) await askMany(100);
  expect(gateway.output().split('"adminUrl"')[1]).not.toContain('pretenuring');
  await gateway.end();
});

it('gives young objects all of their space at once when traffic comes back', async () => {
  // The space is small when a process starts, as after a time without traffic: 2 MB after its first collection. Then a
  // thousand small objects live at a time.
  const program = `
    require(${JSON.stringify(built('src', 'gateway', 'gateway-process.js'))}).keepCollectionsShort();
    const { getHeapSpaceStatistics } = require('node:v8');
    const size = () => getHeapSpaceStatistics().find((space) => space.space_name === 'new_space').space_size;
    gc();
    const sizes = new Set();
    const alive = new Array(1_000);
    for (let index = 0; index < 4_000_000; index += 1) {
      alive[index % alive.length] = { text: [index] };
      if (index % 1_000 === 0) sizes.add(size());
    }
    console.log(JSON.stringify([...sizes]));`;
  const { stdout } = await promisify(execFile)(process.execPath, ['--expose-gc', '--eval', program]);
  const sizes: number[] = JSON.parse(stdout);
  expect(sizes).toEqual([sizes[0], expect.any(Number)]);
  expect(sizes[1]).toBeGreaterThan(4 * (sizes[0] as number));
});
