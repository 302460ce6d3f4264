import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { WorkflowUpdateFailedError } from '@temporalio/client';
import { workflowIdOf } from '../../src/contract';
import { MigrationHarness } from '../support/migrations/migration-harness';
import { quickPlan, staying } from '../support/migrations/quick-plan';

jest.setTimeout(150_000);

let harness: MigrationHarness;

const LONG = { canary: staying('2s') };

beforeAll(async () => {
  harness = await MigrationHarness.start({
    routes: ['typed', 'ordered', 'cancelled', 'updated'],
    gateways: 1,
  });
  await harness.startWorker();
});
afterAll(() => harness?.stop());

describe('signals that a person typed wrong', () => {
  beforeAll(() => harness.beginInCanary(quickPlan('typed', LONG)));
  afterAll(() => harness?.command('typed', 'emergencyRollback'));

  it.each([
    ['promote', undefined, 'expected the name of the stage to leave, got none'],
    ['promote', 'null', 'expected the name of the stage to leave, got none'],
    ['finish', undefined, 'expected a reason, got none'],
    ['pause', '"please"', 'got "please"'],
    ['pause', '["ana","p95 doubled"]', 'got an array'],
    ['pause', '17', 'got 17'],
    ['pause', '{"by":5}', 'expected by to be a text'],
    ['pause', '{"who":"ana"}', 'got "who"'],
    ['resume', '{"accept":"everything"}', 'expected accept to be "reapply"'],
    ['rollback', '{"to":"yesterday"}', 'got "yesterday"'],
    ['rollback', '{"to":-1}', 'got -1'],
    ['emergencyRollback', 'true', 'got true'],
    ['promote', '{"stage":"canary","override":true}', 'expected by, reason and checkpoint with an override'],
  ])('%s %s is refused on the record and changes nothing', async (name, typed, problem) => {
    const before = await harness.client.status('typed');
    await harness.signalByHand('typed', name, typed);
    const { badMessages, ...after } = await harness.until(
      'typed',
      (status) => status.badMessages.count > before.badMessages.count,
    );
    expect(badMessages.count).toBe(before.badMessages.count + 1);
    expect(badMessages.last.at(-1)).toMatchObject({ name });
    expect(badMessages.last.at(-1)?.problem).toContain(problem);
    expect(after).toMatchObject({ phase: 'observing', stage: 'canary', paused: null, epoch: before.epoch });
  });

  it.each([
    ['1 KB of an object of 50 KB', 50_000, 1_024],
    ['nothing of an object of 1 MB', 1_000_000, 0],
  ])('keeps %s', async (_what, length, kept) => {
    const path = join(harness.folder, 'large.json');
    writeFileSync(path, JSON.stringify({ by: 'ana', reason: 'x'.repeat(length) }));
    const { badMessages } = await harness.client.status('typed');
    await harness.temporalCommand(
      ...['workflow', 'signal', '--workflow-id', workflowIdOf('typed'), '--name', 'pause'],
      ...['--input-file', path],
    );
    const status = await harness.until('typed', (now) => now.badMessages.count > badMessages.count);
    expect(status.badMessages.last.at(-1)?.arrived).toHaveLength(kept);
    expect(status).toMatchObject({ phase: 'observing', paused: null });
  });

  it.each([
    ['binary/plain', '{"by":"ana"}', 'expected one object'],
    ['something/else', '"please"', 'got "please"'],
    ['json/protobuf', '["ana"]', 'got an array'],
  ])('survives a payload that says it is %s', async (encoding, typed, problem) => {
    const { badMessages } = await harness.client.status('typed');
    await harness.temporalCommand(
      ...['workflow', 'signal', '--workflow-id', workflowIdOf('typed'), '--name', 'pause'],
      ...['--input', typed, '--input-meta', `encoding=${encoding}`],
    );
    const status = await harness.until('typed', (now) => now.badMessages.count > badMessages.count);
    expect(status.badMessages.last.at(-1)?.problem).toContain(problem);
    expect(status).toMatchObject({ phase: 'observing', paused: null });
  });

  it('takes an order in the other encoding that the dialog of the Temporal UI offers', async () => {
    await harness.temporalCommand(
      ...['workflow', 'signal', '--workflow-id', workflowIdOf('typed'), '--name', 'reevaluate'],
      ...['--input', '{"by":"ana"}', '--input-meta', 'encoding=json/protobuf'],
    );
    const asked = async () =>
      (await harness.checkpoints('typed')).some(
        (entry) => entry.kind === 'recorded' && entry.what === 'reevaluate' && entry.by === 'ana',
      );
    while (!(await asked())) await sleep(50);
  });

  it('ignores a signal that nobody knows', async () => {
    await harness.signalByHand('typed', 'explode', '{"by":"ana"}');
    await harness.signalByHand('typed', 'pause', '{"by":"ana","reason":"is it still there?"}');
    expect(await harness.until('typed', ({ paused }) => paused !== null)).toMatchObject({
      phase: 'observing',
    });
  });
});

describe('signals that a person typed right', () => {
  beforeAll(() => harness.beginInCanary(quickPlan('ordered', LONG)));

  it('pauses without any input, by nobody', async () => {
    await harness.signalByHand('ordered', 'pause');
    const { paused } = await harness.until('ordered', (status) => status.paused !== null);
    expect(paused).toMatchObject({ by: 'unknown', cause: 'operator' });
  });

  it('resumes on null', async () => {
    await harness.signalByHand('ordered', 'resume', 'null');
    await harness.until('ordered', ({ paused }) => paused === null);
  });

  it('refuses on the record what does not fit the stage', async () => {
    await harness.signalByHand('ordered', 'promote', '{"stage":"rolling","by":"ana"}');
    const status = await harness.until('ordered', ({ refusals }) => refusals.length > 0);
    expect(status.refusals.at(-1)).toEqual({
      name: 'promote',
      by: 'ana',
      message: 'expected the current stage "canary", got "rolling"',
    });
  });

  it.each([
    ['{"to":999}', 'expected a checkpoint from 1 to'],
    ['{"to":3}', 'never took effect'],
  ])('refuses a rollback to %s', async (typed, problem) => {
    const { refusals } = await harness.client.status('ordered');
    await harness.signalByHand('ordered', 'rollback', typed);
    const status = await harness.until('ordered', (now) => now.refusals.length > refusals.length);
    expect(status.refusals.at(-1)?.message).toContain(problem);
    expect(status).toMatchObject({ phase: 'observing', stage: 'canary' });
  });

  it('promotes over a missing pass when who, why and on what are said', async () => {
    const { inEffect } = await harness.client.status('ordered');
    const order = {
      stage: 'canary',
      override: true,
      by: 'ana',
      reason: 'checked by hand',
      checkpoint: inEffect,
    };
    await harness.signalByHand('ordered', 'promote', JSON.stringify(order));
    await harness.until('ordered', ({ phase, stage }) => phase === 'observing' && stage === 'rolling');
    const recorded = (await harness.checkpoints('ordered')).find(
      (entry) => entry.kind === 'recorded' && entry.what === 'override',
    );
    expect(recorded).toMatchObject({ by: 'ana', reason: 'checked by hand' });
  });

  it('goes back to the checkpoint before, paused', async () => {
    await harness.signalByHand('ordered', 'rollback', '{"to":"previous","by":"ana","reason":"odd answers"}');
    const status = await harness.until(
      'ordered',
      ({ phase, stage }) => phase === 'observing' && stage === 'canary',
    );
    expect(status).toMatchObject({ share: 0.3, paused: { cause: 'rollback' } });
  });

  it('rolls back, verified by every gateway, and closes', async () => {
    await harness.signalByHand('ordered', 'rollback', '{"by":"ana","reason":"enough"}');
    const status = await harness.until('ordered', ({ phase }) => phase === 'closed');
    expect(status).toMatchObject({ outcome: 'rolled back', share: 0 });
    expect((await harness.effects('ordered')).at(-1)).toMatchObject({ share: 0, gateways: ['gw-1'] });
    expect((await harness.gatewayStatus('gw-1', 'ordered')).effectiveShare).toBe(0);
  });
});

it('takes the cancellation of the workflow for a rollback and closes normally', async () => {
  await harness.beginInCanary(quickPlan('cancelled', LONG));
  await harness.temporalCommand('workflow', 'cancel', '--workflow-id', workflowIdOf('cancelled'));
  await harness.until('cancelled', ({ phase }) => phase === 'closed');
  const [past] = await harness.client.history('cancelled');
  expect(past).toMatchObject({ status: 'COMPLETED', result: { outcome: 'rolled back' } });
  expect((await harness.effects('cancelled')).at(-1)).toMatchObject({
    share: 0,
    gateways: ['gw-1'],
    missing: [],
  });
});

describe('updates', () => {
  beforeAll(() => harness.beginInCanary(quickPlan('updated', LONG)));

  it('are refused at the door when the stage is wrong', async () => {
    await expect(harness.client.command('updated', 'promote', { stage: 'rolling' })).rejects.toThrow(
      'expected the current stage "canary", got "rolling"',
    );
  });

  it('are refused at the door when the payload is no command', async () => {
    const update = harness.handle('updated').executeUpdate('pause', { args: ['please'] });
    await expect(update).rejects.toBeInstanceOf(WorkflowUpdateFailedError);
    await expect(update).rejects.toMatchObject({
      cause: { message: expect.stringContaining('got "please"') },
    });
  });

  it('change nothing a second time under the same command id', async () => {
    const order = { by: 'ana', reason: 'once', commandId: 'pause-1' };
    const first = await harness.client.command('updated', 'pause', order);
    await harness.client.command('updated', 'resume', { by: 'ana' });
    const second = await harness.client.command('updated', 'pause', order);
    expect(second.answer).toEqual(first.answer);
    expect((await harness.client.status('updated')).paused).toBeNull();
  });

  it('refuse a second rollback while one is pending, and an emergency still passes', async () => {
    harness.gateway('gw-1').process.signal('SIGSTOP');
    try {
      const first = await harness.client.command('updated', 'rollback', { by: 'ana' }, { via: 'update' });
      expect(first.answer).toMatchObject({ accepted: true });
      await expect(
        harness.client.command('updated', 'rollback', { by: 'bob' }, { via: 'update' }),
      ).rejects.toThrow('a rollback to 0% is already under way');
      const emergency = await harness.client.command('updated', 'emergencyRollback', {}, { via: 'update' });
      expect(emergency.answer).toMatchObject({ accepted: true });
    } finally {
      harness.gateway('gw-1').process.signal('SIGCONT');
    }
    await harness.until('updated', ({ phase }) => phase === 'closed');
    await expect(harness.client.command('updated', 'pause', {})).rejects.toThrow('is over: Rolled back');
  });
});
