import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { isDeepStrictEqual } from 'node:util';
import { BuildMove } from '../../src/client/build-move';
import {
  FINE_TUNE_WORKFLOW,
  TRAINING_TASK_QUEUE,
  trainingWorkflowIdOf,
  workflowIdOf,
} from '../../src/contract';
import type { FineTuneInput } from '../../src/core/training/fine-tune-state';
import { built } from '../support/cli';
import { MigrationHarness } from '../support/migrations/migration-harness';
import { quickPlan, staying } from '../support/migrations/quick-plan';
import type { NodeProcess } from '../support/node-process';
import { trainingPlan } from '../support/training/training-builders';

jest.setTimeout(240_000);

const DEPLOYMENT = 'cutover';
const IN_CANARY = { canary: { ...staying('30s'), share: 0.5 } };

let harness: MigrationHarness;
let move: BuildMove;
let before: NodeProcess;

beforeAll(async () => {
  harness = await MigrationHarness.start({ routes: ['first', 'second', 'stranded'] });
  move = await BuildMove.connect({ address: harness.temporal.address });
  before = await startBuild('a');
});
afterAll(async () => {
  await move?.close();
  await harness?.stop();
});

/** A release that decides otherwise: it waits before it reads gateways, and keeps runs shorter. */
function otherBundle(): string {
  const bundle = readFileSync(built('workflow-bundle.js'), 'utf8');
  const changed = bundle
    .replace(
      "case 'read routing': {\n            const",
      "case 'read routing': {\n            await (0, workflow_1.sleep)(1);\n            const",
    )
    .replace('const RUN_EVENTS = 300;', 'const RUN_EVENTS = 200;');
  expect(changed.match(/sleep\)\(1\)|RUN_EVENTS = 200/g)).toHaveLength(2);
  const path = join(harness.folder, 'other-bundle.js');
  writeFileSync(path, changed);
  return path;
}

function startBuild(buildId: string) {
  return harness.startWorker('--deployment', DEPLOYMENT, '--build-id', buildId);
}

function migrateWorkers(buildId: string, ...more: string[]) {
  return harness.cutover('migrate-workers', '--deployment', DEPLOYMENT, '--build-id', buildId, ...more);
}

/** The build on which a route's migration is, and whether that was set by hand. */
async function buildOf(workflowId: string) {
  const { raw } = await harness.workflows.getHandle(workflowId).describe();
  const info = raw.workflowExecutionInfo?.versioningInfo;
  return { buildId: info?.deploymentVersion?.buildId, override: info?.versioningOverride ?? null };
}

/** Temporal asks a task to be done once more because something came in while it was: no fault of the worker. */
const OVERTAKEN = 'UnhandledCommand';

/** How many runs a migration has had, and the workflow tasks that failed in them. */
async function historyOf(workflowId: string) {
  const query = `WorkflowId = ${JSON.stringify(workflowId)}`;
  const runs: string[] = [];
  for await (const { runId } of harness.workflows.list({ query })) runs.push(runId);
  const histories = await Promise.all(
    runs.map((runId) => harness.workflows.getHandle(workflowId, runId).fetchHistory()),
  );
  const events = histories.flatMap((history) => history.events ?? []);
  return {
    runs: runs.length,
    failedTasks: events
      .flatMap((event) => event.workflowTaskFailedEventAttributes ?? [])
      .filter(({ failure }) => failure?.message !== OVERTAKEN),
  };
}

/** Rolls back and says how long it took to be verified. */
async function rolledBack(route: string, when: string) {
  const sentMs = performance.now();
  const rollback = await harness.command(route, 'rollback', { by: 'ana' });
  harness.measured(`a rollback ${when} was verified after ${Math.round(performance.now() - sentMs)} ms`);
  return rollback;
}

async function expectAllAtLegacy(route: string): Promise<void> {
  const shares = harness.gateways.map(
    async ({ name }) => (await harness.gatewayStatus(name, route)).effectiveShare,
  );
  expect(await Promise.all(shares)).toEqual([0, 0]);
  const answers = await Promise.all(harness.gateways.flatMap(({ name }) => harness.askMany(name, route, 20)));
  expect(new Set(answers.map(({ provider }) => provider))).toEqual(new Set(['old-llm']));
}

it('says that no build is current, and makes one current', async () => {
  const refused = await harness.cutover('start', 'first', '--default-plan', '--yes');
  expect(refused).toMatchObject({
    ...{
      code: 4,
      stderr: expect.stringContaining('no build is current: those that poll are build a of cutover'),
    },
  });
  expect(await migrateWorkers('a', '--yes')).toMatchObject({
    ...{
      code: 0,
      stdout: expect.stringContaining('build a of cutover takes over from workers without a build'),
    },
  });
  expect(await migrateWorkers('nobody', '--yes')).toMatchObject({
    code: 2,
    stderr: expect.stringContaining(
      'expected a build that workers poll for, got "nobody" of "cutover": those that poll are build a of cutover. Start one by `cutover worker --deployment cutover --build-id nobody`, or name another. Nothing was changed',
    ),
  });
  expect((await harness.client.routingBuilds()).current).toEqual({ deployment: DEPLOYMENT, buildId: 'a' });
});

it('names a migration that is pinned to a build without workers, and moves it once its history replays', async () => {
  await harness.beginInCanary(quickPlan('stranded', IN_CANARY));
  await harness.temporalCommand(
    ...['workflow', 'update-options', '--workflow-id', workflowIdOf('stranded')],
    ...['--versioning-override-behavior', 'pinned', '--versioning-override-deployment-name', DEPLOYMENT],
    ...['--versioning-override-build-id', 'ghost'],
  );
  const [status, doctor] = await Promise.all([
    harness.cutover('status', 'stranded'),
    harness.cutover('doctor', '--json'),
  ]);
  const said = 'pinned to build ghost of cutover, for which no worker polls';
  expect(status).toMatchObject({ code: 4, stderr: expect.stringContaining(said) });
  expect(JSON.parse(doctor.stdout).checks).toContainEqual(
    expect.objectContaining({ name: 'workers of stranded', state: 'wrong', detail: said }),
  );

  const plan = await move.plan({ deployment: DEPLOYMENT, buildId: 'a' });
  const unreplayed = move.carryOut(plan, { replayProblem: async () => 'an activity more', waitMs: 1_000 });
  await expect(unreplayed).rejects.toMatchObject({
    name: 'MoveRefused',
    message: expect.stringContaining('stranded cannot be moved: this release does not replay its history'),
  });
  expect(await buildOf(workflowIdOf('stranded'))).toMatchObject({
    override: { pinned: { version: { buildId: 'ghost' } } },
  });

  expect(await migrateWorkers('a', '--yes')).toMatchObject({
    ...{ code: 0, stdout: expect.stringContaining('no worker of its build polls') },
  });
  const moved = { buildId: 'a', override: null };
  // Temporal names the build once a task of it has been completed.
  await harness.eventually('the migration to be on build a', async () =>
    isDeepStrictEqual(await buildOf(workflowIdOf('stranded')), moved),
  );
  expect(await harness.command('stranded', 'rollback')).toMatchObject({ verified: true, share: 0 });
});

it('moves open migrations to workers that decide differently, with a rollback in the middle', async () => {
  await harness.beginInCanary(quickPlan('first', IN_CANARY));
  await harness.beginInCanary(quickPlan('second', IN_CANARY));
  expect(await buildOf(workflowIdOf('first'))).toMatchObject({ buildId: 'a' });
  await harness.startSpecialWorker({
    queues: ['routing', 'watch', 'effects'],
    bundle: otherBundle(),
    version: { deploymentName: DEPLOYMENT, buildId: 'b' },
  });
  const preview = await migrateWorkers('b', '--dry-run', '--json');
  expect(JSON.parse(preview.stdout)).toMatchObject({
    ...{ dryRun: true, target: { buildId: 'b' }, current: { buildId: 'a' } },
    runs: expect.arrayContaining([expect.objectContaining({ name: 'first', how: 'continue' })]),
  });
  expect(await buildOf(workflowIdOf('first'))).toMatchObject({ buildId: 'a' });

  const load = harness.load('first');
  const plan = await move.plan({ deployment: DEPLOYMENT, buildId: 'b' });
  const moving = move.carryOut(plan, { replayProblem: async () => 'not asked for', waitMs: 60_000 });
  await harness.eventually(
    'b to take over',
    async () => (await harness.client.routingBuilds()).current?.buildId === 'b',
  );
  expect(await rolledBack('first', 'while its workers change')).toMatchObject({
    verified: true,
    share: 0,
    missing: [],
  });
  expect(await moving).toEqual([]);
  await load.stop();
  await expectAllAtLegacy('first');

  await before.end();
  expect(await buildOf(workflowIdOf('second'))).toEqual({ buildId: 'b', override: null });
  expect(await rolledBack('second', 'after them')).toMatchObject({ verified: true, share: 0, missing: [] });
  await expectAllAtLegacy('second');
  expect(await historyOf(workflowIdOf('first'))).toMatchObject({ failedTasks: [] });
  expect(await historyOf(workflowIdOf('second'))).toEqual({ runs: 2, failedTasks: [] });
});

it('moves a fine-tuning that is paused, and it goes on there', async () => {
  const trained = 'cutover-training';
  const startTrainer = (buildId: string) =>
    harness.startProgram(
      ['train', 'worker', '--deployment', trained, '--build-id', buildId],
      'training worker: serving',
      { CUTOVER_TRAINING_PYTHON: '/no-python' },
    );
  const migrateTrainers = (buildId: string) =>
    harness.cutover('migrate-workers', '--deployment', trained, '--build-id', buildId, '--yes');
  const first = await startTrainer('a');
  expect(await migrateTrainers('a')).toMatchObject({ code: 0 });
  const workflowId = trainingWorkflowIdOf('tiny');
  const input: FineTuneInput = { trainingId: 'tiny-1', plan: trainingPlan(), by: 'ana', reason: 'a test' };
  await harness.workflows.signalWithStart(FINE_TUNE_WORKFLOW, {
    ...{ workflowId, taskQueue: TRAINING_TASK_QUEUE, args: [input] },
    ...{ signal: 'pause', signalArgs: [{ by: 'ana', reason: 'a test' }] },
  });
  await harness.eventually('the job to begin', async () => (await buildOf(workflowId)).buildId === 'a');
  await startTrainer('b');
  expect(await migrateTrainers('b')).toMatchObject({ code: 0 });
  await first.end();
  const handle = harness.workflows.getHandle(workflowId);
  expect(await handle.query('status')).toMatchObject({ paused: { by: 'ana' }, outcome: null });
  await handle.signal('resume', { by: 'ana', reason: 'a test' });
  expect(await handle.result()).toMatchObject({ outcome: 'refused' });
  expect(await buildOf(workflowId)).toMatchObject({ buildId: 'b' });
});
