import { randomBytes } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { hostname, tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { Client, Connection, type WorkflowClient } from '@temporalio/client';
import { historyToJSON } from '@temporalio/common/lib/proto-utils';
import { createGatewayAdmin } from '../src/adapters/create-gateway-admin';
import { MigrationClient } from '../src/client';
import { cacheDirectory, environment } from '../src/config';
import { SEARCH_ATTRIBUTES, workflowIdOf } from '../src/contract';
import { type Configuration, configurationSchema } from '../src/core/configuration/configuration-schema';
import { parseDocument } from '../src/core/configuration/schema-parts';
import type { CommandName } from '../src/core/migration/command';
import type { MigrationStatus } from '../src/core/migration/status';
import type { Plan } from '../src/core/plan/plan';
import { planSchema } from '../src/core/plan/plan-schema';
import { type Load, startLoad } from '../src/demo/load';
import { type DemoProvider, startProvider } from '../src/demo/provider';
import { type RunningGateway, startGatewayServer } from '../src/gateway/main';
import { startTemporalServer } from '../src/temporal-server/dev-server';
import { freePorts } from '../src/temporal-server/free-port';
import { findTemporal } from '../src/temporal-server/temporal-source';
import { startWorker } from '../src/worker';

/**
 * Records the histories that test/replay.test.ts replays, from real migrations on real parts. Run it after a change
 * of the workflow that old histories no longer replay, and only when no migration of an older release may be open:
 * `npm run -s build && node dist/tools/record-histories.js test/histories`; names of routes after it record only those.
 */
async function main(folder: string, only: readonly string[]): Promise<void> {
  const wanted = (route: Route) => only.length === 0 || only.includes(route);
  await withStage({}, async (stage) => {
    if (wanted('completed')) await recordCompleted(stage, folder);
    if (wanted('operator')) await recordOperator(stage, folder);
    if (wanted('drift')) await recordDrift(stage, folder);
    if (wanted('cancelled')) await recordCancelled(stage, folder);
    if (wanted('governed')) await recordGoverned(stage, folder);
    if (wanted('overdue')) await recordOverdue(stage, folder);
    // Last: the gateway goes on avoiding the candidate for a while after so many failures.
    if (wanted('harm')) await recordHarm(stage, folder);
  });
  if (!wanted('continued')) return;
  await withStage({ 'limit.historyCount.suggestContinueAsNew': 60 }, (stage) =>
    recordContinued(stage, folder),
  );
}

const ROUTES = [
  'completed',
  'harm',
  'operator',
  'drift',
  'cancelled',
  'governed',
  'continued',
  'overdue',
] as const;
type Route = (typeof ROUTES)[number];

/** Everything that a recording acts with. */
interface Stage {
  readonly client: MigrationClient;
  readonly workflows: WorkflowClient;
  readonly configuration: Configuration;
  readonly candidate: DemoProvider;
  /** Starts a migration under load and waits until its canary is watched. */
  begin(route: Route, plan: Plan, approves?: boolean): Promise<Load>;
  until(route: Route, wanted: (status: MigrationStatus) => boolean): Promise<void>;
  settle(): Promise<void>;
  /** A plan with everything that a plan can ask for beside routing. */
  readonly governed: Plan;
}

async function recordCompleted(stage: Stage, folder: string): Promise<void> {
  const load = await stage.begin('completed', plan('completed', '2s'));
  await stage.until('completed', ({ phase }) => phase === 'handover');
  await load.stop();
  await stage.settle();
  await stage.until('completed', ({ phase }) => phase === 'closed');
  await save(stage, folder, 'completed');
}

async function recordHarm(stage: Stage, folder: string): Promise<void> {
  const load = await stage.begin('harm', plan('harm', '5m', { rollbackRatio: 3 }));
  stage.candidate.behaviour.failureRatio = 0.6;
  await stage.until('harm', ({ phase }) => phase === 'closed');
  stage.candidate.behaviour.failureRatio = 0;
  await load.stop();
  await save(stage, folder, 'harm');
}

async function recordOperator(stage: Stage, folder: string): Promise<void> {
  const load = await stage.begin('operator', plan('operator', '5m'));
  const order = (name: CommandName, payload: object = {}) => command(stage, 'operator', name, payload);
  await order('pause');
  await stage.client.command('operator', 'pause', { by: 'ana', commandId: 'twice' }, { via: 'signal' });
  await stage.workflows.getHandle(workflowIdOf('operator')).signal('pause', 'not an object');
  await order('resume');
  await order('reevaluate');
  const { inEffect } = await stage.client.status('operator');
  await order('promote', { stage: 'canary', override: true, checkpoint: inEffect });
  await order('rollback', { to: 'previous' });
  await order('emergencyRollback');
  await load.stop();
  await save(stage, folder, 'operator');
}

async function recordDrift(stage: Stage, folder: string): Promise<void> {
  const load = await stage.begin('drift', plan('drift', '5m'));
  const admin = createGatewayAdmin(stage.configuration, resolveSecret);
  const words = { by: 'ana', reason: 'odd answers' };
  for (const gateway of stage.configuration.gateways) await admin.kill(gateway, 'drift', words);
  await stage.until('drift', ({ paused }) => paused !== null);
  for (const gateway of stage.configuration.gateways) await admin.clearKill(gateway, 'drift', words);
  await stage.until('drift', ({ drift }) => drift?.kill == null);
  await command(stage, 'drift', 'resume', { accept: 'reapply' });
  await command(stage, 'drift', 'rollback');
  await admin.close();
  await load.stop();
  await save(stage, folder, 'drift');
}

async function recordCancelled(stage: Stage, folder: string): Promise<void> {
  const load = await stage.begin('cancelled', plan('cancelled', '5m'));
  await stage.workflows.getHandle(workflowIdOf('cancelled')).cancel();
  await stage.until('cancelled', ({ phase }) => phase === 'closed');
  await load.stop();
  await save(stage, folder, 'cancelled');
}

/** A stage that its deadline first holds and then rolls back, in the middle of a window. */
async function recordOverdue(stage: Stage, folder: string): Promise<void> {
  const late = { window: '5m', minimumSample: 1_000_000, deadline: { hold: '4s', rollback: '8s' } };
  const load = await stage.begin('overdue', plan('overdue', '3s', { canary: late }));
  await stage.until('overdue', ({ phase }) => phase === 'closed');
  await load.stop();
  await save(stage, folder, 'overdue');
}

/** Golden prompts, handed-over conversations, an approval, effects that are undone, a notification, the report. */
async function recordGoverned(stage: Stage, folder: string): Promise<void> {
  const load = await stage.begin('governed', stage.governed, true);
  await stage.until('governed', ({ effects }) => effects.length === 0);
  await command(stage, 'governed', 'rollback');
  await stage.workflows.getHandle(workflowIdOf('governed')).result();
  await load.stop();
  await save(stage, folder, 'governed');
}

async function recordContinued(stage: Stage, folder: string): Promise<void> {
  const load = await stage.begin('continued', plan('continued', '5m'));
  const { runId: first } = await stage.client.describe('continued');
  await command(stage, 'continued', 'pause', { commandId: 'in the first run' });
  while ((await stage.client.describe('continued')).runId === first) await sleep(POLL_MS);
  await stage.client.command('continued', 'pause', { by: 'ana', commandId: 'in the first run' });
  await command(stage, 'continued', 'rollback');
  await load.stop();
  await save(stage, folder, 'continued', first, 'continued-first-run');
  await save(stage, folder, 'continued', undefined, 'continued-last-run');
}

async function command(stage: Stage, route: Route, name: CommandName, payload: object = {}): Promise<void> {
  const sent = await stage.client.command(route, name, { by: 'ana', reason: 'recorded', ...payload });
  await stage.client.follow(route, sent.commandId);
}

/** Compact, and without what tells of the machine that recorded it. */
async function save(
  { workflows }: Stage,
  folder: string,
  route: Route,
  runId?: string,
  name: string = route,
): Promise<void> {
  const history = await workflows.getHandle(workflowIdOf(route), runId).fetchHistory();
  const withoutStacks = (key: string, value: unknown) => (key === 'stackTrace' ? '' : value);
  const text = JSON.stringify(JSON.parse(historyToJSON(history), withoutStacks)).replaceAll(
    hostname(),
    'recorder',
  );
  writeFileSync(join(folder, `${name}.json`), `${text}\n`);
  process.stdout.write(`${name}: ${history.events?.length} events, ${Math.round(text.length / 1024)} KB\n`);
}

const MODEL = 'old-model';
const POLL_MS = 100;
const SECRETS = new Map(
  ['env:LEGACY_KEY', 'env:CANDIDATE_KEY', 'env:CUTOVER_ADMIN_TOKEN', 'env:WEBHOOK_SECRET'].map(
    (reference) => [reference, randomBytes(16).toString('hex')],
  ),
);

function resolveSecret(reference: string): string {
  return SECRETS.get(reference) ?? '';
}

interface Governance {
  readonly rollbackRatio?: number;
  readonly plan?: object;
  readonly assess?: object;
  readonly canary?: object;
}

/** Seconds for days, and margins that a busy machine does not cross. */
function plan(route: Route, canarySoak: string, further: Governance = {}): Plan {
  const moving = {
    window: '1s',
    minimumSample: 3,
    minimumKeys: 0,
    burnIn: { time: '0s', requests: 0 },
    deadline: { hold: '10m' },
    gates: {
      errors: { rollbackRatio: further.rollbackRatio ?? 50, promotionExcess: 0.5 },
      latency: { rollbackIncrease: 100, promotionIncrease: null },
      interToken: { rollbackIncrease: 100 },
      floor: { success: 0.5 },
      probes: { rollbackStreak: 100, promotionStreak: 1 },
    },
  };
  const document = {
    route,
    lease: '4s',
    renewal: '500ms',
    watchHeartbeat: '4s',
    probes: { interval: '500ms', timeout: '5s' },
    stages: [
      { name: 'assess', minimumSample: 2, window: '1s', deadline: { hold: '10m' }, ...further.assess },
      { name: 'canary', ...moving, share: 0.3, soak: canarySoak, ...further.canary },
      { name: 'rolling', ...moving, soak: '2s' },
      { name: 'complete', ...moving, soak: '1s' },
    ],
    ...further.plan,
  };
  return parseDocument(planSchema, document, 'the plan of a recording');
}

/** Real parts on loopback for the time of the work. */
async function withStage(
  dynamicConfig: Readonly<Record<string, number>>,
  work: (stage: Stage) => Promise<void>,
): Promise<void> {
  const stops: (() => unknown)[] = [];
  try {
    await work(await startStage(dynamicConfig, stops));
  } finally {
    for (const stop of stops.reverse()) await stop();
  }
}

async function startStage(
  dynamicConfig: Readonly<Record<string, number>>,
  stops: (() => unknown)[],
): Promise<Stage> {
  const folder = mkdtempSync(join(tmpdir(), 'cutover-histories-'));
  stops.push(() => rmSync(folder, { recursive: true, force: true }));
  const source = await findTemporal({ env: environment, cacheDir: cacheDirectory(), report: () => {} });
  if (source.kind !== 'executable') throw new Error('expected a Temporal of our own: unset TEMPORAL_ADDRESS');
  const temporal = await startTemporalServer({
    executable: source.path,
    searchAttributes: SEARCH_ATTRIBUTES,
    uiPort: 'off',
    dynamicConfig,
  });
  stops.push(temporal.stop);
  const legacy = await startProvider({ name: 'legacy', models: [MODEL] });
  stops.push(legacy.stop);
  const candidate = await startProvider({ name: 'candidate', models: ['new-model'] });
  stops.push(candidate.stop);
  const told = await startTarget();
  stops.push(told.stop);
  const golden = join(folder, 'golden.jsonl');
  const prompts = Array.from({ length: 60 }, (_, index) => ({
    ...{ id: `count-${index}`, stratum: 'chat' },
    messages: [{ role: 'user', content: `Count to ${index}.` }],
  }));
  writeFileSync(golden, prompts.map((prompt) => `${JSON.stringify(prompt)}\n`).join(''));
  const [data, admin] = await freePorts('127.0.0.1', 2);
  const configurationOf = (settled: 'legacy' | 'candidate') =>
    parseDocument(
      configurationSchema,
      {
        providers: {
          'old-llm': { baseUrl: legacy.url, auth: { bearer: 'env:LEGACY_KEY' } },
          'new-llm': { baseUrl: candidate.url, auth: { bearer: 'env:CANDIDATE_KEY' } },
        },
        routes: Object.fromEntries(
          ROUTES.map((route) => [
            route,
            {
              ...{ legacy: 'old-llm', candidate: 'new-llm', stickyKey: 'none', settled },
              models: { [MODEL]: 'new-model' },
            },
          ]),
        ),
        effects: effectsAt(told.url),
        gateways: [{ name: 'gw-1', data: `http://127.0.0.1:${data}`, admin: `http://127.0.0.1:${admin}` }],
        gateway: { stateDirectory: join(folder, 'gw-1'), drain: '2s' },
      },
      'the configuration of a recording',
    );
  const configuration = configurationOf('legacy');
  const startOne = (settled: 'legacy' | 'candidate'): Promise<RunningGateway> =>
    startGatewayServer({ configuration: configurationOf(settled), name: 'gw-1', resolveSecret, log: 'none' });
  let gateway = await startOne('legacy');
  stops.push(() => gateway.stop());
  const { address, namespace } = temporal;
  const worker = await startWorker({ connection: { address }, namespace, configuration, resolveSecret });
  stops.push(worker.stop);
  const client = await MigrationClient.connect({ address, namespace });
  stops.push(() => client.close());
  const connection = await Connection.connect({ address });
  stops.push(() => connection.close());
  const until: Stage['until'] = async (route, wanted) => {
    while (!wanted(await client.status(route))) await sleep(POLL_MS);
  };
  return {
    ...{ client, configuration, candidate, until },
    workflows: new Client({ connection, namespace }).workflow,
    governed: plan('governed', '5m', {
      plan: { report: true, parity: { golden, maxCostUsd: null }, notify: [{ name: 'hook' }] },
      assess: { approval: true },
      canary: { effects: [{ name: 'flags', set: { flag: 'share', value: 30 } }] },
    }),
    async begin(route, wanted, approves = false) {
      const gateways = [`http://127.0.0.1:${data}/routes/${route}`];
      const load = startLoad({ gateways, ratePerSecond: 25, model: MODEL, candidate: 'new-llm' });
      stops.push(() => load.stop());
      await client.start({ plan: wanted, configuration, by: 'ana', reason: 'recorded' });
      if (approves) {
        await until(route, ({ approval }) => approval !== null);
        const { approval } = await client.status(route);
        await client.command(route, 'approve', { by: 'ana', checkpoint: approval?.checkpoint });
      }
      await until(route, ({ phase, stage }) => phase === 'observing' && stage === 'canary');
      return load;
    },
    async settle() {
      await gateway.stop();
      gateway = await startOne('candidate');
    },
  };
}

function effectsAt(url: string): object {
  const local = { allowPrivate: true, allowHttp: true };
  return {
    flags: {
      ...{ type: 'flag', ...local, get: { url: `${url}/{{flag}}`, value: '/value' } },
      set: { url: `${url}/{{flag}}`, body: { value: '{{value}}' } },
    },
    hook: { type: 'webhook', url: `${url}/hook`, secret: 'env:WEBHOOK_SECRET', ...local },
  };
}

/** Keeps one value that PUT sets and GET reads, and takes whatever is posted. */
async function startTarget(): Promise<{ readonly url: string; stop(): void }> {
  let kept = '{"value":0}';
  const server = createServer((request, response) => {
    let body = '';
    request.on('data', (piece: Buffer) => {
      body += piece.toString();
    });
    request.on('end', () => {
      if (request.method === 'PUT') kept = body;
      response.setHeader('content-type', 'application/json');
      response.end(kept);
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  return { url: `http://127.0.0.1:${port}`, stop: () => void server.close() };
}

main(process.argv[2] ?? '.', process.argv.slice(3)).catch((error: unknown) => {
  process.stderr.write(`${error instanceof Error ? error.stack : error}\n`);
  process.exitCode = 1;
});
