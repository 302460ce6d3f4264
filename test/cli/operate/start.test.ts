import { writeFileSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { MigrationClient } from '../../../src/client';
import type { RunningTemporal } from '../../../src/temporal-server/dev-server';
import { type CliResult, runCli } from '../../support/cli';
import { TestClock, TestGateway, temporaryDirectory } from '../../support/gateways/gateway-fixture';
import { type FakeWorld, fakeWorld } from '../../support/migrations/fake-activities';
import {
  configurationDocument,
  folderWith,
  startFakeWorker,
  startTestTemporal,
  untilStatus,
} from '../../support/migrations/migration-fixture';
import { runAtTerminal } from '../../support/terminal';

const ROUTES = ['chat', 'asked', 'silent', 'overridden', 'named'];
const world: FakeWorld = fakeWorld();
const gateway = new TestGateway({
  directory: temporaryDirectory(),
  clock: new TestClock(),
  name: 'gw-1',
  routes: ROUTES,
});

let temporal: RunningTemporal;
let client: MigrationClient;
let worker: { stop(): Promise<void> } | null = null;
let folder: string;

beforeAll(async () => {
  temporal = await startTestTemporal();
  client = await MigrationClient.connect({ address: temporal.address });
  const admin = await gateway.listen();
  folder = folderWith({
    'cutover.yaml': JSON.stringify(configurationDocument(ROUTES, [admin])),
    'dead.yaml': JSON.stringify(configurationDocument(ROUTES, [admin, 'http://127.0.0.1:1'])),
    'mine.yaml': 'route: chat\n',
    'asked.yaml': 'route: asked\n',
    'named.yaml': 'route: named\nstages: [{name: assess}, {name: trickle, share: 2%}, {name: complete}]\n',
    'identity.yaml': 'route: chat\nidentity: {reference: model.identity.json, perHour: 40}\n',
  });
});
afterAll(async () => {
  await worker?.stop();
  await client.close();
  await temporal.stop();
  await gateway.close();
  await rm(folder, { recursive: true });
});

const env = () => ({ TEMPORAL_ADDRESS: temporal.address, CUTOVER_ADMIN_TOKEN: 'test-token' });
const run = (...args: string[]): Promise<CliResult> => runCli(args, { cwd: folder, env: env() });

it('starts nothing while no worker polls, and says how to start one', async () => {
  const { code, stderr } = await run('start', '--plan', 'mine.yaml', '--yes');
  expect(stderr).toContain('nothing was started: no worker polls namespace default');
  expect(stderr).toContain('`cutover worker` or `cutover up`');
  expect(code).toBe(4);
  expect(await client.history('chat')).toEqual([]);
});

describe('with a worker', () => {
  beforeAll(async () => {
    worker = await startFakeWorker(temporal, world);
  });

  it('starts nothing while a gateway does not answer, and names it', async () => {
    const { code, stderr } = await run('start', '--plan', 'mine.yaml', '--yes', '--config', 'dead.yaml');
    expect(stderr).toMatch(/^nothing was started: gw-2 at http:\/\/127\.0\.0\.1:1 \(.+\) does not answer\./);
    expect(code).toBe(4);
    expect(await client.history('chat')).toEqual([]);
  });

  it('starts nothing while the disk of a gateway refuses its state, and says which one and what to do', async () => {
    const directory = join(folder, 'a-file');
    writeFileSync(directory, 'where the state directory should be');
    const forgetful = new TestGateway({ directory, clock: new TestClock(), name: 'gw-1', routes: ROUTES });
    const document = configurationDocument(ROUTES, [await forgetful.listen()]);
    writeFileSync(join(folder, 'full.yaml'), JSON.stringify(document));
    const { code, stderr } = await run('start', '--plan', 'mine.yaml', '--yes', '--config', 'full.yaml');
    await forgetful.close();
    expect(stderr).toMatch(
      /^nothing was started: gw-1 at http:\S+ cannot write its state, .*To fix it, make its gateway\.stateDirectory a folder/,
    );
    expect(code).toBe(4);
    expect(await client.history('chat')).toEqual([]);
  });

  it('shows shares, gateways, duration and cost in a dry run, and starts nothing', async () => {
    const { code, stdout, stderr } = await run('start', '--plan', 'mine.yaml', '--dry-run');
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
    expect(stdout).toMatch(/^chat: from old to new, by mine\.yaml$/m);
    expect(stdout).toMatch(/^gateway gw-1 at http:\S+ serves 0%, /m);
    expect(stdout).toMatch(/^canary +10% +24 h /m);
    expect(stdout).toMatch(/^takes: at least 4 d; /m);
    expect(stdout).toMatch(
      /^costs: probes, at most \$\d+\.\d\d: [\d,.]+ to each provider: plain, stream; prices: .*; gateways and the report count by providers\.NAME\.prices alone$/m,
    );
    expect(await client.history('chat')).toEqual([]);
    const asking = await run('start', '--plan', 'identity.yaml', '--dry-run');
    expect(asking.stdout).toMatch(
      /^costs: identity, at most \$\d+\.\d\d: 27 questions to the candidate in assess and 40 per hour in each later stage, at most \$[\d.]+ per hour; prices: /m,
    );
    const json = await run('start', '--plan', 'mine.yaml', '--dry-run', '--json');
    expect(JSON.parse(json.stdout)).toMatchObject({
      dryRun: true,
      route: 'chat',
      planFile: 'mine.yaml',
      gateways: [{ name: 'gw-1' }],
    });
  });

  it('needs --yes where nobody can be asked', async () => {
    const { code, stderr } = await run('start', '--plan', 'mine.yaml');
    expect(stderr).toContain('expected --yes: this changes traffic, and nobody can be asked here');
    expect(code).toBe(2);
    expect(await client.history('chat')).toEqual([]);
  });

  it('names a plan in the folder rather than start by the default one', async () => {
    writeFileSync(join(folder, 'plan.yaml'), 'route: chat\n');
    const { code, stderr } = await run('start', 'chat', '--yes');
    await rm(join(folder, 'plan.yaml'));
    expect(stderr).toContain('there is a plan.yaml here: `--plan plan.yaml` starts by it, `--default-plan`');
    expect(code).toBe(2);
    expect(await client.history('chat')).toEqual([]);
  });

  it('asks a person at a terminal, and starts only on a yes', async () => {
    const at = { prompt: /Start the migration of asked\? \[y\/N\]/, cwd: folder, env: env() };
    const refused = await runAtTerminal(['start', '--plan', 'asked.yaml'], { ...at, types: '\n' });
    expect(refused.shown).toContain('not confirmed: nothing was changed');
    expect(refused.code).toBe(5);
    expect(await client.history('asked')).toEqual([]);
    const started = await runAtTerminal(['start', '--plan', 'asked.yaml'], { ...at, types: 'y\n' });
    expect(started.shown).toMatch(/^started asked-/m);
    expect(started.code).toBe(0);
  });

  it('asks before an override, with what is left for what and why', async () => {
    await run('start', 'overridden', '--default-plan', '--yes');
    await untilStatus(
      client,
      'overridden',
      ({ phase, stage }) => phase === 'observing' && stage === 'canary',
    );
    const { inEffect } = await client.status('overridden');
    const override = [
      ...['promote', 'canary', 'overridden', '--override'],
      ...['--checkpoint', String(inEffect), '--reason', 'low traffic'],
    ];
    const scripted = await run(...override);
    expect(scripted).toMatchObject({ code: 2, stderr: expect.stringContaining('expected --yes') });
    const asked = await runAtTerminal(override, {
      prompt: /Do it\? \[y\/N\]/,
      types: 'n\n',
      cwd: folder,
      env: env(),
    });
    expect(asked.shown).toContain('leaves canary at 10% for rolling at 50% without a pass (');
    expect(asked.code).toBe(5);
    expect((await client.status('overridden')).stage).toBe('canary');
    expect(await run(...override, '--yes')).toMatchObject({ code: 0 });
    const reapply = await run('resume', 'overridden', '--reapply');
    expect(reapply).toMatchObject({ code: 2, stderr: expect.stringContaining('expected --yes') });
    const finish = await run('finish', 'overridden', '--reason', 'done');
    expect(finish).toMatchObject({ code: 2, stderr: expect.stringContaining('expected --yes') });
  });

  it('gives a shell the stages of what runs, and those of the plan where nothing does', async () => {
    const stages = async (more: Record<string, string> = {}) => {
      const asked = { cwd: folder, env: { ...env(), ...more } };
      const { code, stdout, stderr } = await runCli(['completion', '--words', 'stages'], asked);
      expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
      return stdout.trim().split('\n');
    };
    expect(await stages()).not.toContain('trickle');
    expect(await run('start', '--plan', 'named.yaml', '--yes')).toMatchObject({ code: 0, stderr: '' });
    await untilStatus(client, 'named', ({ phase }) => phase === 'observing');
    // It is given a second, which a busy machine may need for itself.
    let offered: readonly string[] = [];
    for (let attempt = 0; attempt < 10 && !offered.includes('trickle'); attempt += 1)
      offered = await stages();
    expect(offered).toContain('trickle');
    expect(await stages({ TEMPORAL_ADDRESS: '127.0.0.1:1' })).toEqual([
      ...['assess', 'canary', 'rolling', 'complete'],
    ]);
  });

  it('names the routes of the configuration where the asked one is none of them', async () => {
    const { code, stderr } = await run('status', 'elsewhere');
    expect(stderr).toContain(
      'there is no migration of the route "elsewhere", and the configuration has no such route: expected one of chat, ',
    );
    expect(code).toBe(2);
  });

  it('never asks before a rollback', async () => {
    const { code } = await runAtTerminal(['rollback', 'overridden'], {
      prompt: /\[y\/N\]/,
      types: 'n\n',
      cwd: folder,
      env: env(),
    });
    expect(code).toBe(0);
  });

  it('asks before a kill at a terminal only', async () => {
    const kill = ['kill', 'chat', '--reason', 'odd answers'];
    const at = { prompt: /Take chat off the candidate\? \[y\/N\]/, cwd: folder, env: env() };
    const refused = await runAtTerminal(kill, { ...at, types: 'n\n' });
    expect(refused.shown).toContain(
      'chat: share 0 at gw-1 at once, and latched until `cutover kill chat --clear`',
    );
    expect(refused.code).toBe(5);
    const status = () => gateway.routes.get('chat')?.state.status().kill ?? null;
    expect(status()).toBeNull();
    expect(await run(...kill)).toMatchObject({ code: 0 });
    expect(status()?.reason).toBe('odd answers');
    expect(await run('kill', 'chat', '--clear')).toMatchObject({ code: 0 });
  });
});
