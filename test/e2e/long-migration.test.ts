import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { Client, Connection, type WorkflowClient } from '@temporalio/client';
import { historyToJSON } from '@temporalio/common/lib/proto-utils';
import { MIGRATION_WORKFLOW, type MigrationInput, TASK_QUEUE, workflowIdOf } from '../../src/contract';
import { CARRIED_VERSION } from '../../src/core/migration/carried-state';
import type { Checkpoint } from '../../src/core/migration/checkpoint';
import { recordHash, verifyExport } from '../../src/core/record/record-chain';
import { jsonBytes } from '../../src/core/text/json-bytes';
import { readMigration } from '../../src/history/recorded-migration';
import { type CliResult, runCli } from '../support/cli';
import { type FakeWorld, fakeWorld } from '../support/migrations/fake-activities';
import { startFakeStack } from '../support/migrations/fake-stack';
import { startedInCanary, untilStatus } from '../support/migrations/migration-fixture';
import { givenMigration } from '../support/migrations/migration-world';
import { ofFile } from '../support/of-file';

jest.setTimeout(90_000);

/** Far below what Temporal suggests by itself (4,096). */
const EVENTS_A_RUN = 120;
const TEN = Array.from({ length: 10 }, (_, index) => `gateway-${index}.cutover.svc.cluster.local`);
const by = { by: 'ana', reason: 'a test' };

let connection: Connection;
let workflows: WorkflowClient;
const world: FakeWorld = fakeWorld();
const stack = ofFile(() =>
  startFakeStack(world, { 'limit.historyCount.suggestContinueAsNew': EVENTS_A_RUN }),
);
const folder = mkdtempSync(join(tmpdir(), 'cutover-long-'));

beforeAll(async () => {
  connection = await Connection.connect({ address: stack().temporal.address });
  workflows = new Client({ connection }).workflow;
});
beforeEach(() => {
  Object.assign(world, fakeWorld());
});
afterAll(async () => {
  await connection.close();
  rmSync(folder, { recursive: true, force: true });
});

async function checkpointsOf(route: string): Promise<Checkpoint[]> {
  const all: Checkpoint[] = [];
  for await (const checkpoint of stack().client.checkpoints(route)) all.push(checkpoint);
  return all;
}

function cutover(...args: readonly string[]): Promise<CliResult> {
  return runCli(args, { env: { TEMPORAL_ADDRESS: stack().temporal.address }, cwd: folder });
}

interface FetchedRun {
  readonly runId: string;
  readonly events: readonly unknown[];
  /** What the run was started with. */
  readonly input: MigrationInput;
}

/** The runs of a route's migration, oldest first. */
async function runsOf(route: string): Promise<FetchedRun[]> {
  const runs: FetchedRun[] = [];
  for (let next: string = (await stack().client.describe(route)).runId; next !== ''; ) {
    const history = await workflows.getHandle(workflowIdOf(route), next).fetchHistory();
    const first = history.events?.[0]?.workflowExecutionStartedEventAttributes;
    const input = JSON.parse(
      Buffer.from(first?.input?.payloads?.[0]?.data ?? '').toString(),
    ) as MigrationInput;
    const { events } = JSON.parse(historyToJSON(history)) as { events: unknown[] };
    runs.unshift({ runId: next, events, input });
    next = first?.continuedExecutionRunId ?? '';
  }
  return runs;
}

describe('a migration whose gateways lapse in every window', () => {
  let all: Checkpoint[];

  it('goes on in further runs that are handed little, and clients find every checkpoint', async () => {
    await startedInCanary(stack().client, 'lapsing');
    world.lapsing = TEN;
    await untilStatus(stack().client, 'lapsing', ({ checkpoints }) => checkpoints > 400);
    await stack().client.command('lapsing', 'pause', by);
    all = await checkpointsOf('lapsing');
    expect(all.map(({ seq }) => seq)).toEqual(all.map((_, index) => index + 1));
    const runs = await runsOf('lapsing');
    expect(runs.length).toBeGreaterThanOrEqual(3);
    const carried = runs.flatMap(({ input }) => (input.carried === null ? [] : [input.carried]));
    expect(carried.at(-1)?.archived.count).toBeGreaterThan(0);
    for (const state of carried) expect(jsonBytes(state)).toBeLessThan(256_000);
  });

  it('has a query that answers what is carried and says where the rest is', async () => {
    // Of one run: the next may begin at any time.
    const { runId: now } = await stack().client.describe('lapsing');
    const handle = workflows.getHandle(workflowIdOf('lapsing'), now);
    const page = await handle.query<{
      checkpoints: Checkpoint[];
      archived?: { count: number; runId: string };
    }>('checkpoints');
    const { count = 0, runId } = page.archived ?? {};
    expect(page.checkpoints[0]?.seq).toBe(count + 1);
    const runs = (await runsOf('lapsing')).map((run) => run.runId);
    expect(runId).toBe(runs[runs.indexOf(now) - 1]);
  });

  it('exports, lists and reports the whole of it', async () => {
    world.lapsing = [];
    const rollback = await stack().client.command('lapsing', 'rollback', by);
    expect(await stack().client.follow('lapsing', rollback.commandId)).toMatchObject({
      verified: true,
      share: 0,
    });
    all = await checkpointsOf('lapsing');
    const { outcome, result } = {
      outcome: 'rolled back',
      result: (await stack().client.history('lapsing'))[0]?.result,
    };
    expect(result).toMatchObject({ outcome, checkpoints: all.length });

    const exported = await cutover('export', 'lapsing', '--out', 'lapsing.jsonl');
    expect(exported).toMatchObject({ code: 0 });
    const verdict = verifyExport(readFileSync(join(folder, 'lapsing.jsonl'), 'utf8'));
    expect(verdict).toMatchObject({ ok: true, checkpoints: all.length, archived: 0 });
    const { migrationId } = await stack().client.describe('lapsing');
    const verified = await cutover('verify', 'lapsing.jsonl', '--record', recordHash(migrationId, all));
    expect(verified).toMatchObject({ code: 0 });
    const listed = await cutover('checkpoints', 'lapsing', '--json');
    expect(listed.stdout.trim().split('\n')).toHaveLength(all.length);
    const retraced = readMigration({ runs: await runsOf('lapsing') }).checkpoints;
    expect(retraced).toMatchObject({ problem: null, archived: null });
    expect(retraced.list).toEqual(all);
  });

  it('says what is missing once Temporal no longer keeps the first runs, and the rest still verifies', async () => {
    const [first, second, third] = await runsOf('lapsing');
    for (const run of [first, second]) {
      await connection.workflowService.deleteWorkflowExecution({
        namespace: 'default',
        workflowExecution: { workflowId: workflowIdOf('lapsing'), runId: run?.runId ?? '' },
      });
    }
    const count = third?.input.carried?.archived.count ?? 0;
    expect(count).toBeGreaterThan(0);
    while ((await checkpointsOf('lapsing'))[0]?.seq === 1) await sleep(100);
    const rest = await checkpointsOf('lapsing');
    expect(rest[0]?.seq).toBe(count + 1);
    expect(rest).toEqual(all.slice(count));

    const exported = await cutover('export', 'lapsing', '--out', 'rest.jsonl');
    expect(exported).toMatchObject({
      code: 0,
      stderr: expect.stringContaining('no longer keeps the first runs'),
    });
    const { migrationId } = await stack().client.describe('lapsing');
    const verified = await cutover('verify', 'rest.jsonl', '--record', recordHash(migrationId, all));
    expect(verified.stdout).toContain(`Checkpoints 1 to ${count} were in runs that Temporal no longer kept`);
    expect(verified.stdout).toContain(
      `The record hash covers checkpoints 1 to ${all.length} of ${all.length}`,
    );
    const forged = readFileSync(join(folder, 'rest.jsonl'), 'utf8').replace(
      `"count":${count},"head"`,
      '"count":1,"head"',
    );
    expect(verifyExport(forged)).toMatchObject({ ok: false });
    const reported = await cutover('report', 'lapsing');
    expect(reported.stdout).toContain(`Verified: ${rest.length} checkpoints without a gap`);
    expect(reported.stdout).toContain(`The ${count} before them are in runs that are not here`);
  });
});

it('continues as new while a rollback waits for a gateway, and ends verified when it is back', async () => {
  await startedInCanary(stack().client, 'waiting');
  world.silent = ['gw-2'];
  const { commandId } = await stack().client.command('waiting', 'rollback', by);
  const first = (await stack().client.describe('waiting')).runId;
  await untilStatus(stack().client, 'waiting', ({ pending }) => pending?.missing.length === 1);
  const { pending } = await stack().client.status('waiting');
  let runs = [first];
  while (runs.length < 4) {
    await sleep(200);
    runs = [...new Set([...runs, (await stack().client.describe('waiting')).runId])];
  }
  // The same checkpoint under the same epoch, asked for by the same command.
  expect((await stack().client.status('waiting')).pending).toEqual(pending);
  for (const { events, input } of await runsOf('waiting')) {
    expect(events.length).toBeLessThan(EVENTS_A_RUN + 40);
    expect(input.carried?.checkpoints.length ?? 0).toBeLessThan(20);
  }
  world.silent = [];
  expect(await stack().client.follow('waiting', commandId)).toMatchObject({
    verified: true,
    share: 0,
    missing: [],
  });
  expect(readMigration({ runs: await runsOf('waiting') }).checkpoints.problem).toBeNull();
});

it('counts three signals of 1.9 MB as bad without keeping them, and exports, reports and replays all the same', async () => {
  await startedInCanary(stack().client, 'loud');
  const handle = workflows.getHandle(workflowIdOf('loud'));
  for (const name of ['pause', 'rollback', 'nonsense']) {
    await handle.signal(name, { by: 'eve', reason: 'y'.repeat(1_900_000) });
  }
  await untilStatus(stack().client, 'loud', ({ badMessages }) => badMessages.count === 3);
  const { badMessages, share, phase } = await stack().client.status('loud');
  expect(badMessages.last.map(({ arrived }) => arrived)).toEqual(['', '', '']);
  expect(badMessages.last[0]?.problem).toBe('expected at most 64 KB, got 1900 KB');
  expect({ share, phase }).toEqual({ share: 0.1, phase: 'observing' });
  // Its checkpoint seals what came before it, however long that was.
  await stack().client.command('loud', 'pause', by);
  await untilStatus(stack().client, 'loud', ({ paused }) => paused !== null);
  for (const args of [
    ['export', 'loud', '--out', 'loud.jsonl'],
    ['verify', 'loud.jsonl'],
    ['export', 'loud', '--history', 'loud.json'],
    ['report', 'loud', '--markdown', 'loud.md'],
    ['gates', 'explain', 'loud', '--json'],
  ]) {
    const { code, stderr } = await cutover(...args);
    expect(code === 0 ? 'done' : `${args.join(' ')} ended with ${code}: ${stderr}`).toBe('done');
  }
  writeFileSync(join(folder, 'plan.json'), JSON.stringify({ route: 'loud' }));
  // 5: the other plan would have decided differently.
  expect([0, 5]).toContain((await cutover('replay', 'plan.json')).code);
  expect(readFileSync(join(folder, 'loud.jsonl')).length).toBeLessThan(500_000);
});

describe('a state that another release carried', () => {
  const start = (route: string, carried: object) => {
    const { state } = givenMigration({ route }).reaches('canary');
    const { migrationId, plan, stickyKey, newConversationsOnly, shadow, salt } = state;
    const given = { migrationId, plan, ...by, stickyKey, newConversationsOnly, shadow, salt };
    const stage = { ...state.stage, enteredAtMs: Date.now() };
    const roster = ['gw-1', 'gw-2'].map((name) => ({ name, admin: `http://${name}.invalid` }));
    const input = { start: given, carried: { ...state, stage, roster, ...carried }, searchAttributes: false };
    return workflows.start(MIGRATION_WORKFLOW, {
      taskQueue: TASK_QUEUE,
      workflowId: workflowIdOf(route),
      args: [input],
    });
  };

  it('goes on where it is older', async () => {
    await start('older', { version: undefined, archived: undefined });
    await untilStatus(stack().client, 'older', ({ soak }) => soak.windows > 1);
    expect(await stack().client.status('older')).toMatchObject({
      phase: 'observing',
      stage: 'canary',
      share: 0.1,
    });
    const { commandId } = await stack().client.command('older', 'rollback', by);
    expect(await stack().client.follow('older', commandId)).toMatchObject({ verified: true });
  });

  it('fails no run where it is newer: it waits for a worker of that release, and says so', async () => {
    const handle = await start('newer', { version: CARRIED_VERSION + 1, roster: 'of another shape' });
    const problem = `expected a state of version ${CARRIED_VERSION} or older, got ${CARRIED_VERSION + 1}`;
    let failures: string[] = [];
    while (failures.length === 0) {
      await sleep(100);
      const { events } = await handle.fetchHistory();
      failures = (events ?? []).flatMap(
        ({ workflowTaskFailedEventAttributes: failed }) => failed?.failure?.message ?? [],
      );
    }
    expect(failures[0]).toContain(problem);
    expect(await handle.describe()).toMatchObject({ status: { name: 'RUNNING' } });
    // A signal that is sent meanwhile is kept for the worker that can read the state.
    await stack().client.command('newer', 'rollback', by);
    await handle.terminate();
  });

  it('ends with what is wrong where it is no version at all', async () => {
    const handle = await start('odd', { version: 'two' });
    await expect(handle.result()).rejects.toMatchObject({
      cause: {
        message: expect.stringContaining('carried.version: expected a whole number from 1 to 3, got "two"'),
      },
    });
  });
});
