import { mkdtempSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { Client, Connection } from '@temporalio/client';
import { NativeConnection, Worker } from '@temporalio/worker';
import { defaultPlan, type MigrationClient } from '../../../src/client';
import { TASK_QUEUE, WATCH_TASK_QUEUE } from '../../../src/contract';
import { configurationSchema } from '../../../src/core/configuration/configuration-schema';
import { parseDocument } from '../../../src/core/configuration/schema-parts';
import type { MigrationStatus } from '../../../src/core/migration/status';
import { uncachedWorkflows } from '../../../src/temporal-runtime';
import { type RunningTemporal, startTemporalServer } from '../../../src/temporal-server/dev-server';
import { built } from '../cli';
import { type FakeWorld, fakeActivities } from './fake-activities';
import { installQuietRuntime } from './quiet-runtime';

installQuietRuntime();

/** A Temporal server of a test's own, without our search attributes: a start must register them. */
export function startTestTemporal(
  dynamicConfig: Readonly<Record<string, number>> = {},
): Promise<RunningTemporal> {
  const executable = process.env['CUTOVER_TEST_TEMPORAL'];
  if (executable === undefined) throw new Error('expected CUTOVER_TEST_TEMPORAL from the global setup');
  return startTemporalServer({ executable, searchAttributes: {}, uiPort: 'off', dynamicConfig });
}

/** Workers for both task queues over a fake world; `stop` resolves when they have ended. */
export async function startFakeWorker(
  { address, namespace }: Pick<RunningTemporal, 'address' | 'namespace'>,
  world: FakeWorld,
): Promise<{ stop(): Promise<void> }> {
  const connection = await NativeConnection.connect({ address });
  const { routing, watch } = fakeActivities(world);
  const shared = { connection, namespace, shutdownGraceTime: '1s' } as const;
  const workers = await Promise.all([
    Worker.create({
      ...shared,
      taskQueue: TASK_QUEUE,
      workflowBundle: { codePath: built('workflow-bundle.js') },
      activities: { ...routing },
      ...uncachedWorkflows,
    }),
    Worker.create({ ...shared, taskQueue: WATCH_TASK_QUEUE, activities: { ...watch } }),
  ]);
  const runs = Promise.all(workers.map((worker) => worker.run()));
  return {
    async stop() {
      for (const worker of workers) worker.shutdown();
      await runs;
      await connection.close();
    },
  };
}

/** A configuration document with two providers, two gateways and the given routes; `admins` are where those answer. */
export function configurationDocument(
  routes: readonly string[],
  admins: readonly string[] = ['http://127.0.0.1:1', 'http://127.0.0.1:2'],
): object {
  const target = { legacy: 'old', candidate: 'new', models: { 'gpt-4o': 'gpt-4o' } };
  return {
    providers: { old: { baseUrl: 'http://127.0.0.1:9/v1' }, new: { baseUrl: 'http://127.0.0.1:9/v1' } },
    routes: Object.fromEntries(routes.map((route) => [route, target])),
    gateways: admins.map((admin, index) => ({
      name: `gw-${index + 1}`,
      data: `http://127.0.0.1:${index + 1}`,
      admin,
    })),
  };
}

/** Starts a migration by the default plan, whose soaks last for days, and waits until it is in canary. */
export async function startedInCanary(client: MigrationClient, route: string): Promise<string> {
  const configuration = parseDocument(
    configurationSchema,
    configurationDocument([route]),
    'the configuration',
  );
  const plan = defaultPlan(route);
  const { migrationId } = await client.start({ plan, configuration, by: 'test', reason: 'a test' });
  await untilStatus(client, route, ({ phase, stage }) => phase === 'observing' && stage === 'canary');
  return migrationId;
}

/** Waits until the status of a route's migration is as wanted. */
export async function untilStatus(
  client: MigrationClient,
  route: string,
  wanted: (status: MigrationStatus) => boolean,
): Promise<void> {
  while (!wanted(await client.status(route))) await sleep(250);
}

/** Waits until Temporal has ended the newest run of a route, a moment after what it came to can be read. */
export async function untilEnded(client: MigrationClient, route: string): Promise<void> {
  while ((await client.describe(route)).closedAt === null) await sleep(100);
}

/**
 * Terminates what is still open, after a test: the windows of a fake world end each fifth of a second, and a worker that
 * replays all migrations of the tests before has no time for the next one.
 */
export async function endMigrations({
  address,
  namespace,
}: Pick<RunningTemporal, 'address' | 'namespace'>): Promise<void> {
  const connection = await Connection.connect({ address });
  const { workflow } = new Client({ connection, namespace });
  for await (const { workflowId } of workflow.list({ query: "ExecutionStatus = 'Running'" })) {
    // One that has ended meanwhile is what is wanted.
    await workflow
      .getHandle(workflowId)
      .terminate('its test is over')
      .catch(() => undefined);
  }
  await connection.close();
}

/** A folder of its own with the given files. */
export function folderWith(files: Readonly<Record<string, string>>): string {
  const folder = mkdtempSync(join(tmpdir(), 'cutover-cli-'));
  for (const [name, text] of Object.entries(files)) writeFileSync(join(folder, name), text);
  return folder;
}
