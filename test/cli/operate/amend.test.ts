import { writeFileSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import type { Checkpoint } from '../../../src/core/migration/checkpoint';
import { type CliResult, runCli, withoutWaiting } from '../../support/cli';
import { type FakeWorld, fakeWorld } from '../../support/migrations/fake-activities';
import { startFakeStack } from '../../support/migrations/fake-stack';
import {
  configurationDocument,
  folderWith,
  startedInCanary,
  untilEnded,
  untilStatus,
} from '../../support/migrations/migration-fixture';
import { ofFile } from '../../support/of-file';

const world: FakeWorld = fakeWorld();
const stack = ofFile(() => startFakeStack(world));
let folder: string;

beforeAll(async () => {
  folder = folderWith({
    'cutover.yaml': JSON.stringify(configurationDocument(['chat'], [])),
    'plan.yaml': 'route: chat\n',
  });
});
afterAll(async () => {
  await rm(folder, { recursive: true });
});

const run = (...args: string[]): Promise<CliResult> =>
  runCli(args, { cwd: folder, env: { TEMPORAL_ADDRESS: stack().temporal.address } });

function plan(canary: string, ahead = ''): void {
  const stages = `  - name: assess\n  - name: canary\n${canary}${ahead}  - name: rolling\n  - name: complete\n`;
  writeFileSync(join(folder, 'amended.yaml'), `route: chat\nstages:\n${stages}`);
}

it('shows what an amendment changes, asks, and makes it; the record, its report and the gates know of it', async () => {
  await startedInCanary(stack().client, 'chat');
  const amend = (...more: string[]) => run('amend', '--plan', 'amended.yaml', ...more);

  plan('    soak: 12h\n    minimumSample: 200\n', '  - name: quarter\n    share: 25%\n');
  expect(await amend('--yes')).toMatchObject({
    code: 2,
    stderr: expect.stringContaining('expected --reason'),
  });
  const dry = await amend('--dry-run');
  expect(dry).toMatchObject({ code: 0, stderr: '' });
  expect(dry.stdout).toMatch(/^FIELD +NOW +AMENDED\ncanary\.soak +24 h +12 h\n/);
  expect(dry.stdout).toMatch(/^stage quarter +none +25%, soak 24 h$/m);
  const unasked = await amend('--reason', 'less traffic');
  expect(unasked).toMatchObject({ code: 2, stderr: expect.stringContaining('expected --yes') });
  expect((await stack().client.status('chat')).stages.map(({ name }) => name)).not.toContain('quarter');

  const made = await amend('--yes', '--by', 'ana', '--reason', 'less traffic at night');
  expect(withoutWaiting(made)).toMatchObject({ code: 0, stderr: '' });
  const checkpoint = Number(/^amend accepted \(checkpoint (\d+)\)$/m.exec(made.stdout)?.[1]);
  expect((await run('status', 'chat')).stdout).toContain('canary 10% (now) > quarter 25% > rolling 50%');
  expect((await run('checkpoints', 'chat')).stdout).toContain(
    'less traffic at night: canary.soak: 24 h -> 12 h; canary.window: 30 min -> 15 min',
  );

  // The same again, what is judged by already, and who has looked at an older plan.
  const again = await amend('--yes', '--reason', 'again');
  expect(again).toMatchObject({ code: 3, stderr: expect.stringContaining('the plan says this already') });
  plan('    gates:\n      errors:\n        promotionExcess: 0.1\n', '  - name: quarter\n    share: 25%\n');
  const judged = await amend('--yes', '--reason', 'wider', '--json');
  expect(judged).toMatchObject({
    code: 3,
    stderr: expect.stringContaining('canary.gates.errors.promotionExcess: the stage was entered'),
  });

  await untilStatus(
    stack().client,
    'chat',
    ({ soak, verdict }) => soak.requiredMs === 12 * 3_600_000 && verdict !== null,
  );
  const { commandId } = await stack().client.command('chat', 'rollback', { by: 'ana', reason: 'enough' });
  await stack().client.follow('chat', commandId);
  await untilEnded(stack().client, 'chat');
  const checkpoints: Checkpoint[] = [];
  for await (const entry of stack().client.checkpoints('chat')) checkpoints.push(entry);
  expect(checkpoints[checkpoint - 1]).toMatchObject({ what: 'amended', by: expect.stringContaining('ana') });

  expect(await run('export', 'chat', '--out', 'record.jsonl')).toMatchObject({ code: 0 });
  expect(await run('verify', 'record.jsonl')).toMatchObject({
    code: 0,
    stdout: expect.stringMatching(/seal the plan, 2 commands and \d+ verdict/),
  });
  for (const from of [['--record', 'record.jsonl'], ['chat']]) {
    const { stdout: report } = await run('report', ...from);
    expect(report).toMatch(/\| quarter \| 25% \| 24 h/);
    expect(report).toContain('less traffic at night');
  }
  // Each window is judged again by the plan that it ran under.
  expect(await run('gates', 'explain', 'chat')).toMatchObject({ code: 0 });
});
