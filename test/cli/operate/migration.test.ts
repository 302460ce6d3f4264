import { execFileSync } from 'node:child_process';
import { generateKeyPairSync } from 'node:crypto';
import { readFileSync, writeFileSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { Client, Connection } from '@temporalio/client';
import type { PastMigration } from '../../../src/client';
import { workflowIdOf } from '../../../src/contract';
import type { Checkpoint } from '../../../src/core/migration/checkpoint';
import type { MigrationStatus } from '../../../src/core/migration/status';
import { sshString } from '../../../src/history/ssh-wire';
import { built, type CliResult, runCli, runNode, withoutWaiting } from '../../support/cli';
import { TestClock, TestGateway, temporaryDirectory } from '../../support/gateways/gateway-fixture';
import { type FakeWorld, fakeWorld } from '../../support/migrations/fake-activities';
import { startFakeStack } from '../../support/migrations/fake-stack';
import {
  configurationDocument,
  endMigrations,
  folderWith,
  startedInCanary,
  untilEnded,
  untilStatus,
} from '../../support/migrations/migration-fixture';
import { ofFile } from '../../support/of-file';
import { unpackedProgram } from '../../support/servers/debian-program';

const ROUTES = [
  'chat',
  'cancelled',
  'steered',
  'partial',
  'refused',
  'exported',
  'scripted',
  'audited',
  'signed',
  'terminated',
];
const world: FakeWorld = fakeWorld();
const stack = ofFile(() => startFakeStack(world));

let folder: string;
let gateways: readonly TestGateway[];
const root = temporaryDirectory();

beforeAll(async () => {
  gateways = ['gw-1', 'gw-2'].map(
    (name) => new TestGateway({ directory: join(root, name), clock: new TestClock(), name, routes: ROUTES }),
  );
  const admins = await Promise.all(gateways.map((gateway) => gateway.listen()));
  folder = folderWith({
    'cutover.yaml': JSON.stringify(configurationDocument(ROUTES, admins)),
    'plan.yaml': 'route: chat\n',
  });
});
beforeEach(() => {
  Object.assign(world, fakeWorld());
});
afterEach(() => endMigrations(stack().temporal));
afterAll(async () => {
  await Promise.all(gateways.map((gateway) => gateway.close()));
  await rm(folder, { recursive: true });
});

const env = () => ({ TEMPORAL_ADDRESS: stack().temporal.address, CUTOVER_ADMIN_TOKEN: 'test-token' });
const run = (...args: string[]): Promise<CliResult> => runCli(args, { cwd: folder, env: env() });

async function json<T>(...args: string[]): Promise<T> {
  const { code, stdout, stderr } = withoutWaiting(await run(...args, '--json'));
  expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
  return JSON.parse(stdout) as T;
}

function untilCanary(route: string): Promise<void> {
  return untilStatus(
    stack().client,
    route,
    ({ phase, stage }) => phase === 'observing' && stage === 'canary',
  );
}

it('starts a migration, refuses a second one, and rolls it back verified with epoch and gateways', async () => {
  const started = await run('start', '--plan', 'plan.yaml', '--yes', '--reason', 'contract ends');
  expect(started.stderr).toBe('');
  expect(started.stdout).toMatch(/^started chat-\S+$/m);
  const migrationId = /^started (\S+)/m.exec(started.stdout)?.[1] ?? '';
  const again = await run('start', 'chat', '--default-plan');
  expect(again.stderr).toContain(`${migrationId} is running`);
  expect(again.code).toBe(3);
  await untilCanary('chat');

  const rolledBack = await run('rollback', 'chat', '--by', 'ana', '--reason', 'p95 doubled');
  const epoch = world.applied.at(-1)?.epoch;
  expect(withoutWaiting(rolledBack)).toMatchObject({ code: 0, stderr: '' });
  expect(rolledBack.stdout).toContain(`verified: true, epoch ${epoch}, gateways gw-1, gw-2\n`);

  const watched = await run('watch', 'chat');
  expect(watched.stdout).toMatch(
    /^\d\d:\d\d:\d\d {2}Rolled back \S+ \d\d:\d\d UTC by ana \(\S+ via cli\): p95 doubled {2}share 0% /,
  );
  expect(watched.stderr).toBe(`${migrationId} ended: rolled back\n`);
  expect(watched.code).toBe(5);
  const history = await run('history', 'chat');
  expect(history.stdout).toMatch(/^MIGRATION +STARTED +ENDED +HOW IT ENDED/);
  expect(history.stdout).toMatch(
    new RegExp(
      `^${migrationId} .*Z +20.*Z +Rolled back .* by ana .*: p95 doubled +\\d+ +\\S+@\\S+ via cli +contract ends$`,
      'm',
    ),
  );
  const status = await run('status', 'chat');
  expect(status.stdout).toMatch(/^Rolled back 20\S+ \d\d:\d\d UTC by ana \(\S+ via cli\): p95 doubled\n/m);
  for (const command of ['rollback', 'emergency-rollback']) {
    const repeated = await run(command, 'chat', '--reason', 'to be sure');
    expect(withoutWaiting(repeated)).toMatchObject({ code: 0, stderr: '' });
    expect(repeated.stdout).toMatch(
      /^already rolled back at 20\S+ \d\d:\d\d UTC by ana \(.*\), share 0 is verified on every gateway/,
    );
  }
  expect(await json('rollback', 'chat')).toMatchObject({ accepted: true, verified: true, share: 0 });
  expect(await run('rollback', 'chat', '--to', 'previous')).toMatchObject({ code: 3 });
  const pause = await run('pause', 'chat');
  expect(pause.code).toBe(3);
  expect(pause.stderr).toMatch(/is over: Rolled back .*: p95 doubled$/m);
  const { stdout: checkpoints } = await run('checkpoints', 'chat');
  expect(checkpoints).toMatch(/ana \(\S+@\S+ via cli\) +p95 doubled$/m);
});

it('steers a migration through pause, refusal, resume, promotion and back to the previous checkpoint', async () => {
  world.verdict = 'pass';
  await startedInCanary(stack().client, 'steered');
  const pause = await run('pause', 'steered', '--reason', 'release');
  expect(withoutWaiting(pause)).toMatchObject({ code: 0, stderr: '' });
  const paused = await json<MigrationStatus>('status', 'steered');
  expect(paused.paused).toMatchObject({ reason: 'release', cause: 'operator' });
  const early = await run('promote', 'canary', 'steered');
  expect(early.stderr).toMatch(/^promote was refused: the migration is paused/);
  expect(early.code).toBe(3);
  expect(await run('resume', 'steered')).toMatchObject({ code: 0 });
  expect(await json('reevaluate', 'steered')).toMatchObject({ command: 'reevaluate', via: 'update' });
  await untilStatus(stack().client, 'steered', ({ verdict }) => verdict?.outcome === 'pass');
  expect(await run('promote', 'rolling', 'steered')).toMatchObject({ code: 3 });
  expect(await run('promote', 'canary', 'steered')).toMatchObject({ code: 0 });
  await untilStatus(stack().client, 'steered', ({ share }) => share === 0.5);

  const back = await json<object>('rollback', 'steered', '--to', 'previous');
  expect(back).toMatchObject({ verified: true, share: 0.1, gateways: ['gw-1', 'gw-2'], missing: [] });
  const status = await run('status', 'steered');
  expect(status.stdout).toMatch(
    /^stages +assess 0% \(done\) > canary 10% \(now\) > rolling 50% > complete 95%, then 100%$/m,
  );
  expect(status.stdout).toMatch(/^paused +by cutover \(rollback\)/m);
  const verdicts = await run('verdicts', 'steered');
  expect(verdicts.stdout).toMatch(/canary +\d+ +pass +90 +10 /);
  expect(await run('finish', 'steered', '--yes', '--reason', 'no')).toMatchObject({ code: 3 });
  expect(await run('finish', 'steered')).toMatchObject({ code: 2 });

  const emergency = await json<object>('emergency-rollback', 'steered');
  expect(emergency).toMatchObject({ verified: true, share: 0 });
  expect(world.applied.at(-1)).toMatchObject({ share: 0, inFlight: 'cut' });
});

it('tells who has not confirmed while a rollback waits', async () => {
  await startedInCanary(stack().client, 'partial');
  world.silent = ['gw-2'];
  const rollback = run('rollback', 'partial');
  setTimeout(() => {
    world.silent = [];
  }, 5_000);
  const { code, stdout, stderr } = await rollback;
  expect(stderr).toMatch(/^waiting: gw-2 not confirmed yet \(\d+ s\)$/m);
  expect(stdout).toMatch(/^verified: true, epoch \d+, gateways gw-1, gw-2$/m);
  expect(code).toBe(0);
});

it('ends a watch and a rollback when the run is terminated, and shows that it was', async () => {
  await startedInCanary(stack().client, 'terminated');
  world.silent = ['gw-2'];
  const watch = run('watch', 'terminated');
  const rollback = run('rollback', 'terminated');
  await untilStatus(stack().client, 'terminated', ({ phase }) => phase === 'rolling back');
  const connection = await Connection.connect({ address: stack().temporal.address });
  await new Client({ connection }).workflow.getHandle(workflowIdOf('terminated')).terminate('by hand');
  await connection.close();

  expect(await rollback).toMatchObject({
    code: 5,
    stderr: expect.stringMatching(
      /not verified: the migration's run was terminated before this was verified$/m,
    ),
  });
  expect(await watch).toMatchObject({ code: 5, stderr: expect.stringMatching(/ ended: terminated$/m) });
  expect((await run('status', 'terminated')).stdout).toMatch(/^migration +\S+, terminated$/m);
});

it('is refused where a rollback can go nowhere', async () => {
  await startedInCanary(stack().client, 'refused');
  const { code, stdout, stderr } = await run('rollback', 'refused', '--to', '99');
  expect(stderr).toMatch(/^rollback was refused: expected a checkpoint from 1 to \d+, got 99$/m);
  expect({ code, stdout }).toEqual({ code: 3, stdout: '' });
  expect(await run('status', 'never')).toMatchObject({ code: 2 });
  const override = await run('promote', 'canary', 'refused', '--override');
  expect(override.stderr).toContain('expected by, reason and checkpoint with an override');
  expect(override.code).toBe(2);
});

it('lists checkpoints and verdicts, and watches as JSON lines', async () => {
  await startedInCanary(stack().client, 'cancelled');
  const { stdout } = await run('checkpoints', 'cancelled', '--json');
  const checkpoints = stdout
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line) as Checkpoint);
  expect(checkpoints.map(({ seq }) => seq)).toEqual(checkpoints.map((_, index) => index + 1));
  const table = await run('checkpoints', 'cancelled');
  expect(table.stdout).toMatch(/took effect: \d+ +canary +10% +\d+ +confirmed by gw-1, gw-2$/m);
  const watch = run('watch', 'cancelled', '--json', '--interval', '100ms');
  const { commandId } = await stack().client.command('cancelled', 'rollback', { by: 'ana' });
  await stack().client.follow('cancelled', commandId);
  const lines = (await watch).stdout
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line) as MigrationStatus);
  expect(lines.at(-1)).toMatchObject({ phase: 'closed', outcome: 'rolled back' });
});

it('exports checkpoints that verify, and names the line that was changed', async () => {
  await startedInCanary(stack().client, 'exported');
  const exported = await json<{ head: string; count: number }>('export', 'exported', '--out', 'all.jsonl');
  const whole = await run('verify', 'all.jsonl', '--head', exported.head);
  expect(whole).toMatchObject({ code: 0, stdout: expect.stringContaining('all.jsonl is whole') });
  expect(await run('verify', 'all.jsonl', '--head', 'other')).toMatchObject({ code: 5 });
  const text = readFileSync(join(folder, 'all.jsonl'), 'utf8');
  writeFileSync(join(folder, 'edited.jsonl'), text.replace('"by":"test"', '"by":"nobody"'));
  const edited = await run('verify', 'edited.jsonl');
  expect(edited.stderr).toMatch(/^edited.jsonl, line \d+: its content does not match its hash/);
  expect(edited.code).toBe(5);
  expect(await run('export', 'exported', '--out', 'all.jsonl')).toMatchObject({ code: 2 });
  const { stdout } = await run('export', 'exported');
  expect(JSON.parse(stdout.split('\n')[0] ?? '').count).toBe(stdout.trimEnd().split('\n').length - 1);
  expect(await run('verify', 'absent.jsonl')).toMatchObject({ code: 2 });
});

it('signs an export so that ssh-keygen accepts it, and checks the signature itself', async () => {
  await startedInCanary(stack().client, 'signed');
  await stack().client.command('signed', 'pause', { by: 'ana' });
  const { privateKey, publicKey } = generateKeyPairSync('ed25519');
  writeFileSync(join(folder, 'key.pem'), privateKey.export({ type: 'pkcs8', format: 'pem' }));
  const raw = Buffer.from(String(publicKey.export({ format: 'jwk' }).x), 'base64url');
  const blob = Buffer.concat([sshString('ssh-ed25519'), sshString(raw)]).toString('base64');
  writeFileSync(join(folder, 'allowed'), `ana@example.com ssh-ed25519 ${blob}\n`);
  const sign = ['--sign', `file:${join(folder, 'key.pem')}`];
  expect(await run('export', 'signed', ...sign)).toMatchObject({
    code: 2,
    stderr: expect.stringContaining('expected --out with --sign'),
  });
  expect(await run('export', 'signed', '--out', 'no.jsonl', '--sign', 'env:NO_SUCH_KEY')).toMatchObject({
    code: 2,
    stderr: expect.stringContaining('expected a secret at env:NO_SUCH_KEY'),
  });
  const exported = await run('export', 'signed', '--out', 'signed.jsonl', ...sign);
  expect(exported.stdout).toMatch(/^wrote signed.jsonl.sig: signed by SHA256:/m);

  const sshKeygen = await unpackedProgram({
    program: 'ssh-keygen',
    package: 'openssh-client',
    path: 'usr/bin/ssh-keygen',
  });
  const by = ['-n', 'cutover-record', '-I', 'ana@example.com', '-f', 'allowed', '-s', 'signed.jsonl.sig'];
  const input = readFileSync(join(folder, 'signed.jsonl'));
  const good = execFileSync(sshKeygen, ['-Y', 'verify', ...by], { cwd: folder, input }).toString();
  expect(good).toContain('Good "cutover-record" signature for ana@example.com');

  const check = ['--signature', 'signed.jsonl.sig', '--allowed-signers', 'allowed'];
  const whole = await run('verify', 'signed.jsonl', ...check);
  expect(whole).toMatchObject({ code: 0 });
  expect(whole.stdout).toMatch(/^Its head [0-9a-f]{64} covers the header and all \d+ entries/m);
  expect(whole.stdout).toMatch(/^Its checkpoints up to \d+ seal the plan, 1 command and \d+ verdicts?\.$/m);
  expect(whole.stdout).toMatch(/^Signed by ana@example.com with SHA256:/m);
  writeFileSync(join(folder, 'nobody'), '# nobody\n');
  const stranger = await run('verify', 'signed.jsonl', ...check.with(3, 'nobody'));
  expect(stranger).toMatchObject({ code: 5, stderr: expect.stringContaining('does not allow now') });
  const other = await run('export', 'signed', '--out', 'again.jsonl');
  expect(other).toMatchObject({ code: 0 });
  expect(await run('verify', 'again.jsonl', ...check)).toMatchObject({ code: 5 });
}, 300_000);

it('keeps who asked for what, from where and why, of past migrations too', async () => {
  const first = await startedInCanary(stack().client, 'audited');
  expect(await run('pause', 'audited', '--by', 'ana', '--reason', 'release')).toMatchObject({ code: 0 });
  await stack().client.command('audited', 'resume', { by: 'bob' }, { via: 'signal' });
  await stack().client.command('audited', 'promote', { by: 'eve', stage: 'rolling' }, { via: 'signal' });
  const { commandId } = await stack().client.command('audited', 'rollback', { by: 'ana', reason: 'enough' });
  await stack().client.follow('audited', commandId);
  await untilEnded(stack().client, 'audited');
  const second = await startedInCanary(stack().client, 'audited');

  const { migrations } = await json<{ migrations: PastMigration[] }>('history', 'audited');
  expect(migrations.map(({ migrationId }) => migrationId)).toEqual([second, first]);
  expect(migrations[1]).toMatchObject({ by: 'test', result: { outcome: 'rolled back' } });
  expect(Date.parse(String(migrations[1]?.startedAt))).toBeLessThan(
    Date.parse(String(migrations[1]?.closedAt)),
  );

  const told = await json<object>('export', 'audited', '--run', first, '--out', 'first.jsonl');
  expect(told).toMatchObject({ migrationId: first, whole: true });
  expect(await run('verify', 'first.jsonl')).toMatchObject({ code: 0 });
  const entries = readFileSync(join(folder, 'first.jsonl'), 'utf8')
    .trimEnd()
    .split('\n')
    .slice(1)
    .map((line) => JSON.parse(line));
  expect(entries[0].start).toMatchObject({ start: { migrationId: first, by: 'test' } });
  expect(entries.at(-1).end).toMatchObject({ status: 'COMPLETED', outcome: 'rolled back' });
  const commands = entries.flatMap(({ command }) => (command === undefined ? [] : [command]));
  expect(commands).toMatchObject([
    {
      name: 'pause',
      via: 'update',
      identity: expect.stringContaining('@'),
      accepted: true,
      payload: { by: expect.stringMatching(/^ana \(\S+@\S+ via cli\)$/), reason: 'release' },
    },
    { name: 'resume', via: 'signal', accepted: true, payload: { by: 'bob' } },
    { name: 'promote', accepted: false, message: expect.stringContaining('expected the current stage') },
    { name: 'rollback', accepted: true, checkpoint: expect.any(Number), payload: { reason: 'enough' } },
  ]);
  expect(entries.some(({ verdict }) => verdict?.verdict.outcome === 'inconclusive')).toBe(true);

  const past = await run('checkpoints', 'audited', '--run', first);
  expect(past.stdout).toContain('enough');
  expect((await run('checkpoints', 'audited')).stdout).not.toContain('enough');
  expect(await json('verdicts', 'audited', '--run', first)).toMatchObject({ route: 'audited' });
  expect(await json('report', 'audited', '--run', first)).toMatchObject({ migrationId: first });
  const unknown = await run('verdicts', 'audited', '--run', 'nobody');
  expect(unknown).toMatchObject({ code: 2, stderr: expect.stringContaining('`cutover history audited`') });

  const verdict = await json<{ sealed: { verdicts: number } }>('verify', 'first.jsonl');
  const verdicts = entries.filter((entry) => 'verdict' in entry && entry.verdict.late !== true).length;
  expect(verdict.sealed).toMatchObject({ commands: 4, missing: 0 });
  // A window that ended in the task of the last command was pre-empted by it: no checkpoint seals it.
  expect([verdicts, verdicts - 1]).toContain(verdict.sealed.verdicts);

  const none = await run('export', 'audited', '--run', 'nobody');
  expect(none.stderr).toContain('`cutover history audited` lists them');
  expect(none.code).toBe(2);
});

it('does the same by the scripts', async () => {
  const script = (name: string, ...args: string[]) =>
    runNode(
      built('scripts', `${name}-migration.js`),
      name === 'start' ? args : ['--route', 'scripted', ...args],
      { cwd: folder, env: env() },
    );
  expect(await script('start')).toMatchObject({
    code: 1,
    stderr: expect.stringContaining('expected --plan'),
  });
  writeFileSync(join(folder, 'scripted.yaml'), 'route: scripted\n');
  expect(await script('start', '--plan', 'scripted.yaml')).toMatchObject({
    code: 0,
    stdout: expect.stringContaining('cutover/scripted'),
  });
  await untilCanary('scripted');
  const watch = script('watch');
  const signalled = await script('signal', 'rollback', '{"by":"ana"}');
  expect(JSON.parse(signalled.stdout)).toMatchObject({ verified: true, share: 0 });
  expect((await watch).stdout).toMatch(/ended: rolled back\n$/);
  expect(await script('signal', 'rolback')).toMatchObject({
    code: 1,
    stderr: expect.stringContaining('expected one of pause, resume'),
  });
});
