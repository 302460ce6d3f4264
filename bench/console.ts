import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { writeFileSync } from 'node:fs';
import { get, type IncomingMessage, request } from 'node:http';
import type { AddressInfo } from 'node:net';
import { cpus } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { DefaultLogger, NativeConnection, Runtime, Worker } from '@temporalio/worker';
import { defaultPlan, MigrationClient } from '../src/client';
import { environment, loadConfiguration } from '../src/config';
import { TASK_QUEUE, WATCH_TASK_QUEUE } from '../src/contract';
import { readOptions, runBench } from './bench-program';
import { simulatedActivities, simulatedGateway } from './console/simulated-world';
import { cpuMicros, residentMb } from './gateway/process-usage';
import { startTemporalInFolder } from './own-temporal';

/**
 * What `cutover ui` costs with many migrations and several live viewers: its CPU, memory and bytes a second, and
 * what a browser loads first. Real: Temporal, a workflow a migration, queries, the console's own process and its
 * HTTP. Simulated: what activities and gateways answer, so that the machine measures the console and not traffic.
 */

const flags = readOptions('bench:console', 'Measures what cutover ui costs.', {
  migrations: ['open migrations', 200],
  viewers: ['who look at the same time', 10],
  seconds: ['how long they look', 30],
  json: ['prints one line of JSON', false],
});
const MIGRATIONS = flags.migrations;
const VIEWERS = flags.viewers;
const SECONDS = flags.seconds;
/** Of the viewers, so many look at the list; the others at a migration each. */
const LIST_VIEWERS = Math.max(1, Math.round(VIEWERS / 5));
const WATCHED_WINDOW_MS = 2_000;
const OTHER_WINDOW_MS = 60_000;
const STARTS_AT_ONCE = 10;
const SETTLE_MS = 5_000;
const TOKEN = { CUTOVER_ADMIN_TOKEN: 'bench-admin-token' };
const MAIN = join(__dirname, '..', 'src', 'cli', 'main.js');

const stops: (() => Promise<unknown> | unknown)[] = [];

async function main(): Promise<void> {
  const { folder, temporal } = await startTemporalInFolder(stops, note);
  const gateways = await Promise.all(['gw-1', 'gw-2'].map(startGateway));
  const routes = Array.from({ length: MIGRATIONS }, (_, index) => `route-${index + 1}`);
  const config = join(folder, 'cutover.json');
  writeFileSync(config, JSON.stringify(configurationOf(routes, gateways)));
  await startWorkers(temporal.address, gateways, new Set(routes.slice(0, VIEWERS - LIST_VIEWERS)));
  await startMigrations(temporal.address, config, routes);

  const ui = spawn(process.execPath, [MAIN, 'ui', '--port', '0', '--json', '--config', config], {
    env: { ...environment, ...TOKEN, TEMPORAL_ADDRESS: temporal.address },
    stdio: ['ignore', 'pipe', 'ignore'],
  });
  stops.push(() => ui.kill());
  const [line] = (await once(ui.stdout, 'data')) as [Buffer];
  const { url, token } = JSON.parse(line.toString()) as { url: string; token: string };
  const pid = ui.pid ?? 0;
  const cookie = await openSession(url, token);
  const load = await initialLoad(url, cookie);
  const idleMb = residentMb(pid);

  const viewers = Array.from({ length: VIEWERS }, (_, index) =>
    watch(url, cookie, index < LIST_VIEWERS ? '' : `?route=${routes[index - LIST_VIEWERS]}`),
  );
  await sleep(SETTLE_MS);
  const before = {
    cpu: cpuMicros(pid),
    atMs: performance.now(),
    bytes: viewers.map((viewer) => viewer.bytes()),
  };
  let mostMb = 0;
  for (let second = 0; second < SECONDS; second += 1) {
    await sleep(1_000);
    mostMb = Math.max(mostMb, residentMb(pid));
  }
  const seconds = (performance.now() - before.atMs) / 1_000;
  const cpuPart = (cpuMicros(pid) - before.cpu) / 1e6 / seconds;
  const rates = viewers.map((viewer, index) => (viewer.bytes() - (before.bytes[index] ?? 0)) / seconds);
  for (const viewer of viewers) viewer.close();
  report({ load, idleMb, mostMb, cpuPart, rates, firstBytes: viewers.map((viewer) => viewer.firstBytes()) });
}

async function startGateway(name: string) {
  const server = simulatedGateway(name);
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  stops.push(() => server.close() && server.closeAllConnections());
  return { name, admin: `http://127.0.0.1:${(server.address() as AddressInfo).port}` };
}

function configurationOf(
  routes: readonly string[],
  gateways: readonly { name: string; admin: string }[],
): object {
  const provider = { baseUrl: 'http://127.0.0.1:9/v1' };
  const route = { legacy: 'old', candidate: 'new', models: { m: 'm' } };
  return {
    providers: { old: provider, new: provider },
    routes: Object.fromEntries(routes.map((name) => [name, route])),
    gateways: gateways.map(({ name, admin }) => ({ name, admin, data: admin })),
  };
}

async function startWorkers(
  address: string,
  roster: readonly { readonly name: string; readonly admin: string }[],
  watched: ReadonlySet<string>,
): Promise<void> {
  Runtime.install({ logger: new DefaultLogger('ERROR') });
  const connection = await NativeConnection.connect({ address });
  const { routing, watch: watching } = simulatedActivities(roster, (route) =>
    watched.has(route) ? WATCHED_WINDOW_MS : OTHER_WINDOW_MS,
  );
  const workers = await Promise.all([
    Worker.create({
      connection,
      taskQueue: TASK_QUEUE,
      workflowBundle: { codePath: join(__dirname, '..', 'workflow-bundle.js') },
      activities: { ...routing },
    }),
    Worker.create({
      connection,
      taskQueue: WATCH_TASK_QUEUE,
      activities: { ...watching },
      maxConcurrentActivityTaskExecutions: MIGRATIONS + 10,
    }),
  ]);
  const running = Promise.all(workers.map((worker) => worker.run()));
  stops.push(async () => {
    for (const worker of workers) worker.shutdown();
    await running;
    await connection.close();
  });
}

async function startMigrations(address: string, config: string, routes: readonly string[]): Promise<void> {
  const client = await MigrationClient.connect({ address });
  const configuration = loadConfiguration(config);
  for (let index = 0; index < routes.length; index += STARTS_AT_ONCE) {
    const some = routes.slice(index, index + STARTS_AT_ONCE);
    const starts = some.map((route) =>
      client.start({ plan: defaultPlan(route), configuration, by: 'bench', reason: 'a benchmark' }),
    );
    await Promise.all(starts);
  }
  for (let shown = -1; ; await sleep(1_000)) {
    const inCanary = (await client.list()).filter(({ stage }) => stage === 'canary').length;
    if (inCanary !== shown) note(`${inCanary} of ${routes.length} migrations are in canary`);
    if (inCanary >= routes.length) break;
    shown = inCanary;
  }
  await client.close();
}

async function openSession(url: string, token: string): Promise<string> {
  const headers = { 'content-type': 'application/json', origin: url.replace(/\/$/, '') };
  const sent = request(new URL('/api/session', url), { method: 'POST', headers });
  sent.end(JSON.stringify({ token }));
  const [answer] = (await once(sent, 'response')) as [IncomingMessage];
  answer.resume();
  return (answer.headers['set-cookie']?.[0] ?? '').split(';')[0] ?? '';
}

/** Bytes of everything that a browser loads before it shows the list, as they travel and unpacked. */
async function initialLoad(url: string, cookie: string) {
  const paths = ['/'];
  let sent = 0;
  for (const path of paths) {
    const { bytes, text } = await fetched(new URL(path, url), cookie);
    sent += bytes;
    for (const [, linked = ''] of text.matchAll(/(?:href|src)="(\/[^"]+)"/g)) add(paths, linked);
    for (const [, module = ''] of text.matchAll(/from\s*"\.(\/[^"]+\.js)"/g)) add(paths, module);
  }
  return { files: paths.length, sentBytes: sent };
}

function add(paths: string[], path: string): void {
  if (!paths.includes(path)) paths.push(path);
}

async function fetched(url: URL, cookie: string): Promise<{ bytes: number; text: string }> {
  const take = async (headers: Record<string, string>) => {
    const [answer] = (await once(get(url, { headers: { cookie, ...headers } }), 'response')) as [
      IncomingMessage,
    ];
    const chunks: Buffer[] = [];
    for await (const chunk of answer as AsyncIterable<Buffer>) chunks.push(chunk);
    return Buffer.concat(chunks);
  };
  return { bytes: (await take({ 'accept-encoding': 'gzip' })).length, text: (await take({})).toString() };
}

/** A viewer as a browser is one: a stream of events that it reads as they come. */
function watch(url: string, cookie: string, query: string) {
  let bytes = 0;
  let first = 0;
  const sent = get(new URL(`/api/live${query}`, url), { headers: { cookie } }, (answer) => {
    answer.on('data', (chunk: Buffer) => {
      bytes += chunk.length;
      if (performance.now() - startMs < SETTLE_MS) first = bytes;
    });
  });
  const startMs = performance.now();
  sent.on('error', () => undefined);
  return { bytes: () => bytes, firstBytes: () => first, close: () => sent.destroy() };
}

interface Measured {
  readonly load: { readonly files: number; readonly sentBytes: number };
  readonly idleMb: number;
  readonly mostMb: number;
  readonly cpuPart: number;
  readonly rates: readonly number[];
  readonly firstBytes: readonly number[];
}

function report({ load, idleMb, mostMb, cpuPart, rates, firstBytes }: Measured): void {
  const sum = (numbers: readonly number[]) => numbers.reduce((total, number) => total + number, 0);
  const most = (numbers: readonly number[]) => Math.round(Math.max(0, ...numbers));
  const numbers = {
    machine: `${cpus().length} x ${cpus()[0]?.model ?? 'unknown'}, Node ${process.version}`,
    migrations: MIGRATIONS,
    viewers: VIEWERS,
    listViewers: LIST_VIEWERS,
    seconds: SECONDS,
    cpuOfOneCore: Number(cpuPart.toFixed(4)),
    residentMb: { beforeViewers: Math.round(idleMb), most: Math.round(mostMb) },
    bytesASecond: {
      all: Math.round(sum(rates)),
      listViewerMost: most(rates.slice(0, LIST_VIEWERS)),
      migrationViewerMost: most(rates.slice(LIST_VIEWERS)),
    },
    initialLoad: { ...load, withListBytes: load.sentBytes + most(firstBytes.slice(0, LIST_VIEWERS)) },
    firstMigrationBytes: most(firstBytes.slice(LIST_VIEWERS)),
    simulated: 'what activities and gateways answer; Temporal, workflows, queries and HTTP are real',
  };
  if (flags.json) {
    process.stdout.write(`${JSON.stringify(numbers)}\n`);
    return;
  }
  const kilobytes = (bytes: number) => `${(bytes / 1_000).toFixed(1)} KB`;
  const lines = [
    numbers.machine,
    `${MIGRATIONS} open migrations, ${VIEWERS} live viewers (${LIST_VIEWERS} of the list), ${SECONDS} s; ${numbers.simulated}`,
    `CPU of the console        ${(cpuPart * 100).toFixed(1)}% of one core`,
    `memory of the console     ${numbers.residentMb.beforeViewers} MB before the viewers, ${numbers.residentMb.most} MB at most`,
    `sent to all viewers       ${kilobytes(numbers.bytesASecond.all)} a second`,
    `  a viewer of the list    ${kilobytes(numbers.bytesASecond.listViewerMost)} a second at most`,
    `  a viewer of a migration ${kilobytes(numbers.bytesASecond.migrationViewerMost)} a second at most`,
    `initial load              ${kilobytes(load.sentBytes)} in ${load.files} files, ${kilobytes(numbers.initialLoad.withListBytes)} with the list`,
  ];
  process.stdout.write(`${lines.join('\n')}\n`);
}

function note(text: string): void {
  process.stderr.write(`${text}\n`);
}

void runBench('bench:console', main, async () => {
  for (const stop of stops.reverse()) await stop();
});
