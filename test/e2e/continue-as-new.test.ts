import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { workflowIdOf } from '../../src/contract';
import { readMigration } from '../../src/history/recorded-migration';
import { MigrationHarness } from '../support/migrations/migration-harness';
import { quickPlan, staying } from '../support/migrations/quick-plan';
import { type EffectReceiver, startEffectReceiver } from '../support/servers/effect-receiver';

jest.setTimeout(150_000);

let harness: MigrationHarness;

/** Far below what Temporal suggests by itself (4,096): a run then holds a few windows. */
const EVENTS_A_RUN = 40;

/** For how long the gate that never answers is asked: several runs. */
const SILENCE_MS = 12_000;

let receiver: EffectReceiver;
let said = 'wait';

function gate(timeout: string): object {
  const local = { allowPrivate: true, allowHttp: true };
  const { url } = receiver;
  return { type: 'confirm', url, secret: 'env:WEBHOOK_SECRET', interval: '200ms', timeout, ...local };
}

beforeAll(async () => {
  receiver = await startEffectReceiver((_request, response) => {
    response.end(JSON.stringify({ answer: said }));
  });
  harness = await MigrationHarness.start({
    routes: ['long', 'asked', 'unanswered'],
    effects: { board: gate('5m'), 'slow-board': gate(`${SILENCE_MS}ms`) },
    dynamicConfig: { 'limit.historyCount.suggestContinueAsNew': EVENTS_A_RUN },
  });
  await harness.startWorker();
});
afterAll(async () => {
  await harness?.stop();
  await receiver?.stop();
});

async function runs(route = 'long'): Promise<number> {
  let count = 0;
  const query = `WorkflowId = "${workflowIdOf(route)}"`;
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

/** The keys under which a gate was asked in a route's migration. */
function keysOf(route: string): Set<unknown> {
  const asked = receiver.received.filter(({ body }) => JSON.parse(body).route === route);
  return new Set(asked.map(({ headers }) => headers['webhook-id']));
}

describe('a gate by others that does not answer', () => {
  const stagesWith = (gate: string) => ({
    canary: { window: '500ms' },
    rolling: { ...staying(), confirm: [gate] },
  });

  it('is asked in run after run, the same question each time, until it says yes', async () => {
    const load = harness.load('asked');
    await harness.begin(quickPlan('asked', stagesWith('board')));
    await harness.until('asked', ({ doing }) => doing.includes('waiting for board to confirm'));
    const before = await runs('asked');
    await harness.eventually('three more runs', async () => (await runs('asked')) >= before + 3);
    expect(keysOf('asked').size).toBe(1);
    expect(await harness.client.status('asked')).toMatchObject({ stage: 'canary', held: null });
    said = 'yes';
    await harness.until('asked', ({ stage, phase }) => stage === 'rolling' && phase === 'observing');
    await load.stop();
    await harness.command('asked', 'rollback');
    await harness.handle('asked').result();
    const file = join(harness.folder, 'asked.json');
    expect(await harness.cutover('export', 'asked', '--history', file)).toMatchObject({ code: 0 });
    const { runs: histories } = JSON.parse(readFileSync(file, 'utf8')) as { runs: unknown[] };
    expect(readMigration({ runs: histories }).checkpoints).toMatchObject({
      problem: null,
      list: await harness.checkpoints('asked'),
    });
  });

  it('is asked in all runs together for no longer than its own time', async () => {
    said = 'wait';
    const load = harness.load('unanswered');
    await harness.begin(quickPlan('unanswered', stagesWith('slow-board')));
    await harness.until('unanswered', ({ doing }) => doing.includes('waiting for slow-board to confirm'));
    const before = await runs('unanswered');
    await harness.until('unanswered', ({ held }) => held?.reason.includes('no answer') === true);
    await load.stop();
    expect(await runs('unanswered')).toBeGreaterThan(before);
    expect(keysOf('unanswered').size).toBe(1);
    await harness.command('unanswered', 'rollback');
  });
});
