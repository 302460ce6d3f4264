import { once } from 'node:events';
import { createServer } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { replacedText } from '../src/cli/operate/start';
import {
  CommandRefused,
  defaultPlan,
  InvalidCommand,
  MigrationAlreadyRuns,
  MigrationClient,
  NoMigration,
  NoWorker,
  type ReplacedMigration,
  TemporalUnreachable,
} from '../src/client';
import { TemporalService } from '../src/client/temporal-service';
import { configurationSchema } from '../src/core/configuration/configuration-schema';
import { InvalidDocument, parseDocument } from '../src/core/configuration/schema-parts';
import type { MigrationStatus } from '../src/core/migration/status';
import { type FakeWorld, fakeWorld } from './support/migrations/fake-activities';
import { startFakeStack } from './support/migrations/fake-stack';
import {
  configurationDocument,
  endMigrations,
  startedInCanary,
  untilEnded,
  untilStatus,
} from './support/migrations/migration-fixture';
import { ofFile } from './support/of-file';

const by = { by: 'ana', reason: 'p95 doubled' };

const world: FakeWorld = fakeWorld();

const stack = ofFile(() => startFakeStack(world));
beforeEach(() => {
  Object.assign(world, fakeWorld());
});
afterEach(() => endMigrations(stack().temporal));

function appliedTo(route: string): FakeWorld['applied'] {
  return world.applied.filter((applied) => applied.route === route);
}

it('says which address does not answer', async () => {
  const listener = createServer();
  const port = await new Promise<number>((resolve) => {
    listener.listen(0, '127.0.0.1', () => resolve((listener.address() as { port: number }).port));
  });
  await new Promise((resolve) => listener.close(resolve));
  const address = `127.0.0.1:${port}`;
  const failure = MigrationClient.connect({ address, connectTimeoutMs: 300 });
  await expect(failure).rejects.toBeInstanceOf(TemporalUnreachable);
  await expect(failure).rejects.toThrow(`cannot use Temporal at ${address}: nothing listens there`);
});

it.each([
  [{}, /something listens there, but Temporal does not answer: set TEMPORAL_TLS=true/],
  [{ TEMPORAL_TLS: 'true' }, /no TLS connection to it could be made: look at the TEMPORAL_TLS_\* variables/],
])('says what something else that listens may want, asked with %j', async (env, message) => {
  const silent = createServer().listen(0, '127.0.0.1');
  await once(silent, 'listening');
  const address = `127.0.0.1:${(silent.address() as { port: number }).port}`;
  silent.on('connection', (socket) => socket.on('error', () => undefined));
  const failure = TemporalService.connect({ address, connectTimeoutMs: 300 }, env);
  await expect(failure).rejects.toThrow(message);
  silent.close();
});

it('says what is expected of an address that is none', async () => {
  const failure = MigrationClient.connect({ address: 'temporal', connectTimeoutMs: 300 });
  await expect(failure).rejects.toThrow('it is not HOST:PORT: give one such as 127.0.0.1:7233');
});

it('says that a namespace is not there', async () => {
  const other = await MigrationClient.connect({ address: stack().temporal.address, namespace: 'nowhere' });
  await expect(other.describe('chat')).rejects.toThrow('there is no namespace "nowhere"');
  await other.close();
});

it('refuses what fits no route before anything is sent', async () => {
  const configuration = parseDocument(configurationSchema, configurationDocument(['chat']), 'configuration');
  const start = (plan: string, document = configuration) =>
    stack().client.start({ plan: defaultPlan(plan), configuration: document, ...by });
  await expect(start('other')).rejects.toThrow(
    'expected one of the configuration\'s routes (chat), got "other"',
  );
  await expect(start('chat', { ...configuration, gateways: [] })).rejects.toBeInstanceOf(InvalidDocument);
  await expect(stack().client.command('chat', 'promote', {})).rejects.toBeInstanceOf(InvalidCommand);
  await expect(stack().client.command('chat', 'finish', { by: 'ana' })).rejects.toThrow('expected a reason');
});

it('knows no migration of a route that was never moved', async () => {
  await expect(stack().client.status('never')).rejects.toBeInstanceOf(NoMigration);
  await expect(stack().client.command('never', 'rollback', by)).rejects.toBeInstanceOf(NoMigration);
  await expect(stack().client.describe('never')).rejects.toBeInstanceOf(NoMigration);
});

it('refuses a second start by the name of the first, and allows one after its end', async () => {
  const first = await startedInCanary(stack().client, 'second');
  await expect(startedInCanary(stack().client, 'second')).rejects.toThrow(
    new MigrationAlreadyRuns('second', first).message,
  );
  const { commandId } = await stack().client.command('second', 'rollback', by);
  await stack().client.follow('second', commandId);
  await untilEnded(stack().client, 'second');
  const next = await startedInCanary(stack().client, 'second');
  expect(next).not.toBe(first);
  expect((await stack().client.describe('second')).migrationId).toBe(next);
});

it('names the migration that a start follows, and when that one ended', async () => {
  const configuration = parseDocument(configurationSchema, configurationDocument(['third']), 'configuration');
  const start = () => stack().client.start({ plan: defaultPlan('third'), configuration, ...by });
  const first = await start();
  expect(first.replaced).toBeNull();
  const { commandId } = await stack().client.command('third', 'rollback', by);
  await stack().client.follow('third', commandId);
  await untilEnded(stack().client, 'third');
  const { replaced } = await start();
  const { closedAt } = replaced ?? {};
  expect(replaced).toEqual({ migrationId: first.migrationId, wasOpen: false, closedAt: expect.any(Date) });
  const now = new Date((closedAt?.getTime() ?? 0) + 2_400);
  expect(replacedText(replaced as ReplacedMigration, now)).toBe(
    `the migration before it, ${first.migrationId}, ended 2 s ago`,
  );
  // As where another person's start was accepted first and ended before this one arrived.
  const overtaken = { migrationId: 'theirs', wasOpen: true, closedAt: null };
  expect(replacedText(overtaken, now)).toBe(
    'theirs was still open when this was asked for, and has just ended: somebody else may have started it',
  );
});

it('registers the search attributes and gives them to the migration', async () => {
  await startedInCanary(stack().client, 'searched');
  const configuration = parseDocument(configurationSchema, configurationDocument(['also']), 'configuration');
  const also = await stack().client.start({ plan: defaultPlan('also'), configuration, ...by });
  expect(also.searchAttributes).toBe(true);
});

it('gets an answer by update, and the reason of a refusal', async () => {
  await startedInCanary(stack().client, 'answers');
  const paused = await stack().client.command('answers', 'pause', by);
  expect(paused).toMatchObject({ via: 'update', answer: { accepted: true } });
  expect(await stack().client.follow('answers', paused.commandId)).toMatchObject({
    accepted: true,
    verified: false,
  });
  const promote = stack().client.command('answers', 'promote', { ...by, stage: 'rolling' });
  await expect(promote).rejects.toBeInstanceOf(CommandRefused);
  await expect(promote).rejects.toThrow('expected the current stage "canary", got "rolling"');
});

it('lists why an open migration does not advance, and nothing once it does', async () => {
  await startedInCanary(stack().client, 'waits');
  const listed = async (headline: string): Promise<void> => {
    while ((await stack().client.list()).find(({ route }) => route === 'waits')?.headline !== headline)
      await sleep(100);
  };
  await stack().client.command('waits', 'pause', by);
  await listed('Paused by ana: p95 doubled');
  await stack().client.command('waits', 'resume', by);
  await listed('');
});

it('follows a refusal of what was sent as a signal', async () => {
  await startedInCanary(stack().client, 'signalled');
  const { commandId, answer } = await stack().client.command('signalled', 'rollback', { ...by, to: 99 });
  expect(answer).toBeNull();
  const outcome = await stack().client.follow('signalled', commandId);
  expect(outcome).toMatchObject({ accepted: false, verified: false });
  expect(outcome.message).toContain('got 99');
});

it('follows a rollback until the last gateway has confirmed, and past the end of the migration', async () => {
  await startedInCanary(stack().client, 'rolled');
  world.silent = ['gw-2'];
  const seen: MigrationStatus[] = [];
  const { commandId } = await stack().client.command('rolled', 'rollback', by);
  const outcome = await stack().client.follow('rolled', commandId, {
    onProgress: (status) => {
      seen.push(status);
      if (status.pending?.missing.join() === 'gw-2') world.silent = [];
    },
  });
  expect(outcome).toMatchObject({ accepted: true, verified: true, share: 0, gateways: ['gw-1', 'gw-2'] });
  expect(outcome.epoch).toBe(appliedTo('rolled').at(-1)?.epoch);
  expect(seen.some(({ pending }) => pending?.missing.join() === 'gw-2')).toBe(true);
  await untilEnded(stack().client, 'rolled');
  await expect(stack().client.command('rolled', 'pause', by)).rejects.toThrow(
    /^pause was refused: rolled-\S+ is over: Rolled back 20\S+ \d\d:\d\d UTC by ana: p95 doubled$/,
  );
  const { result } = await stack().client.newestPast('rolled');
  expect(Object.keys(result ?? {})[0]).toBe('headline');
  expect(result).toMatchObject({ headline: expect.stringMatching(/^Rolled back /), by: by.by });
  const [listed] = (await stack().client.list()).filter(({ route }) => route === 'rolled');
  expect(listed).toMatchObject({ stage: 'rolled back', headline: result?.headline });
  expect(await stack().client.status('rolled')).toMatchObject({ phase: 'closed', outcome: 'rolled back' });
});

it('follows a rollback into the emergency that overtakes it', async () => {
  await startedInCanary(stack().client, 'overtaken');
  world.silent = ['gw-2'];
  const { commandId } = await stack().client.command('overtaken', 'rollback', by);
  const emergency = await stack().client.command('overtaken', 'emergencyRollback', by);
  world.silent = [];
  const [first, second] = await Promise.all([
    stack().client.follow('overtaken', commandId),
    stack().client.follow('overtaken', emergency.commandId),
  ]);
  expect(first).toMatchObject({ verified: true, share: 0 });
  expect(second).toMatchObject({ verified: true, share: 0 });
  expect(appliedTo('overtaken').at(-1)).toMatchObject({ share: 0, inFlight: 'cut' });
});

it('follows a promotion to the routing that took effect', async () => {
  world.verdict = 'pass';
  await startedInCanary(stack().client, 'promoted');
  let sent = await stack().client.command('promoted', 'reevaluate', by);
  await stack().client.follow('promoted', sent.commandId);
  await untilStatus(stack().client, 'promoted', ({ verdict }) => verdict !== null);
  sent = await stack().client.command('promoted', 'promote', { ...by, stage: 'canary' });
  expect(await stack().client.follow('promoted', sent.commandId)).toMatchObject({
    verified: true,
    share: 0.5,
  });
  const verdicts = await stack().client.verdicts('promoted');
  expect(verdicts.at(0)).toMatchObject({ stage: 'assess', outcome: 'pass' });
  expect(await stack().client.assessment('promoted')).toMatchObject({ outcome: 'pass' });
  expect(await stack().client.rollbackEligibility('promoted')).toMatchObject({ eligible: true, share: 0.5 });
});

it('says that no worker answers, and what is sent meanwhile takes effect once', async () => {
  await startedInCanary(stack().client, 'alone');
  await stack().stopWorker();
  await expect(stack().client.status('alone', { workerWaitMs: 300 })).rejects.toBeInstanceOf(NoWorker);
  const sent = await stack().client.command('alone', 'pause', by, { updateWaitMs: 300 });
  expect(sent).toMatchObject({ via: 'signal', answer: null });
  await expect(stack().client.follow('alone', sent.commandId, { workerWaitMs: 300 })).rejects.toBeInstanceOf(
    NoWorker,
  );
  expect(await stack().client.describe('alone')).toMatchObject({ status: 'RUNNING', closedAt: null });

  await stack().startWorker();
  expect(await stack().client.follow('alone', sent.commandId)).toMatchObject({ accepted: true });
  const entries = [];
  for await (const entry of stack().client.checkpoints('alone')) entries.push(entry);
  expect(entries.map(({ seq }) => seq)).toEqual(entries.map((_, index) => index + 1));
  const pauses = entries.filter((entry) => entry.kind === 'recorded' && entry.what === 'paused');
  expect(pauses).toHaveLength(1);
});

it('lists past migrations with what they came to, and counts the events of the newest', async () => {
  const first = await startedInCanary(stack().client, 'past');
  const { commandId } = await stack().client.command('past', 'emergencyRollback', by);
  await stack().client.follow('past', commandId);
  const events = await stack().client.historyEventCount('past');
  expect(events).toBeGreaterThan(20);
  // Temporal's list runs a little behind.
  for (;;) {
    const [latest, ...others] = await stack().client.history('past');
    if (latest === undefined || latest.result === null) {
      await sleep(50);
      continue;
    }
    expect(others).toEqual([]);
    expect(latest).toMatchObject({ migrationId: first, result: { outcome: 'rolled back' } });
    break;
  }
  expect(await stack().client.workers()).toMatchObject({
    routing: { alive: 1, silent: 0, lastPollMs: expect.any(Number) },
    watching: { alive: 1 },
    effects: { alive: 0, lastPollMs: null },
  });
});
