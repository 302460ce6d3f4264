import { setTimeout as sleep } from 'node:timers/promises';
import { workflowIdOf } from '../../src/contract';
import { MigrationHarness } from '../support/migrations/migration-harness';
import { quickPlan, staying } from '../support/migrations/quick-plan';

jest.setTimeout(150_000);

let harness: MigrationHarness;

/** Far below what Temporal suggests by itself (4,096): a run then holds a few windows. */
const EVENTS_A_RUN = 40;

beforeAll(async () => {
  harness = await MigrationHarness.start({
    routes: ['long'],
    dynamicConfig: { 'limit.historyCount.suggestContinueAsNew': EVENTS_A_RUN },
  });
  await harness.startWorker();
});
afterAll(() => harness?.stop());

async function runs(): Promise<number> {
  let count = 0;
  const query = `WorkflowId = "${workflowIdOf('long')}"`;
  for await (const _ of harness.workflows.list({ query })) count += 1;
  return count;
}

it('carries its state, its checkpoints and the command ids that it has seen from run to run', async () => {
  const migrationId = await harness.beginInCanary(quickPlan('long', { canary: staying('500ms') }));
  const order = { by: 'ana', reason: 'once', commandId: 'given-in-the-first-run' };
  const first = await harness.client.command('long', 'pause', order);
  await harness.client.command('long', 'resume', { by: 'ana' });
  const before = await harness.client.status('long');
  await harness.eventually('three runs', async () => (await runs()) >= 3);

  const again = await harness.client.command('long', 'pause', order);
  expect(again.answer).toEqual(first.answer);
  const status = await harness.client.status('long');
  expect(status).toMatchObject({ migrationId, paused: null, epoch: before.epoch, share: before.share });
  expect(status.soak.observedMs).toBeGreaterThan(before.soak.observedMs);
  expect(status.startedAtMs).toBe(before.startedAtMs);
});

it('loses no signal and no update that arrives while a run goes over into the next', async () => {
  const runsBefore = await runs();
  const sent: string[] = [];
  for (let number = 0; number < 60; number += 1) {
    const commandId = `command-${number}`;
    const via = number % 2 === 0 ? 'signal' : 'update';
    await harness.client.command('long', 'pause', { by: 'ana', commandId }, { via });
    sent.push(commandId);
    await sleep(150);
  }
  expect(await runs()).toBeGreaterThan(runsBefore);
  await harness.eventually('every command to be seen', async () => {
    const { commands } = await harness.client.status('long');
    return sent.every((id) => commands.some(({ commandId }) => commandId === id));
  });
});

it('rolls back in whatever run it is, and its chain of runs counts as one migration', async () => {
  expect(await harness.command('long', 'rollback')).toMatchObject({ verified: true, share: 0 });
  await harness.until('long', ({ phase }) => phase === 'closed');
  expect(await harness.client.history('long')).toMatchObject([
    { status: 'COMPLETED', result: { outcome: 'rolled back' } },
  ]);
  const checkpoints = await harness.checkpoints('long');
  expect(checkpoints.map(({ seq }) => seq)).toEqual(checkpoints.map((_, index) => index + 1));
  const [count, events] = [await runs(), await harness.client.historyEventCount('long')];
  harness.measured(`${events} events in ${count} runs, continued as new from ${EVENTS_A_RUN} events on`);
  expect(events).toBeGreaterThan(EVENTS_A_RUN * (count - 1));
});
