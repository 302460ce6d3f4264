import { renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { Command } from 'commander';
import { registerKill } from '../../../src/cli/operate/kill';
import { KillFallback } from '../../../src/cli/operate/kill-fallback';
import { CliError } from '../../../src/cli/options/cli-error';
import { TestClock, TestGateway, temporaryDirectory } from '../../support/gateways/gateway-fixture';

const root = temporaryDirectory();
const gateways = ['gw-1', 'gw-2'].map(
  (name) =>
    new TestGateway({
      directory: join(root, name),
      clock: new TestClock(),
      name,
      route: { settled: 'candidate' },
    }),
);
const configPath = join(root, 'cutover.json');
const configDiscovered = join(root, 'discovered.json');
const configWithLost = join(root, 'lost.json');

beforeAll(async () => {
  writeFileSync(join(root, 'token'), 'test-token\n');
  const addresses = await Promise.all(gateways.map((gateway) => gateway.listen()));
  const listed = addresses.map((admin, index) => ({
    name: `gw-${index + 1}`,
    data: 'http://127.0.0.1:1',
    admin,
  }));
  const written = {
    providers: { old: { baseUrl: 'http://127.0.0.1:1/v1' }, new: { baseUrl: 'http://127.0.0.1:2/v1' } },
    routes: { main: { legacy: 'old', candidate: 'new' } },
    adminToken: `file:${join(root, 'token')}`,
  };
  writeFileSync(configPath, JSON.stringify({ ...written, gateways: listed }));
  const discovered = { admin: (addresses[1] as string).replace('127.0.0.1', 'localhost') };
  writeFileSync(configDiscovered, JSON.stringify({ ...written, gatewayDiscovery: discovered }));
  const lost = { name: 'gw-lost', data: 'http://127.0.0.1:1', admin: 'http://127.0.0.1:1' };
  writeFileSync(configWithLost, JSON.stringify({ ...written, gateways: [...listed, lost] }));
});

afterAll(() => Promise.all(gateways.map((gateway) => gateway.close())));

/** Runs the command and gives what it printed and how it failed. */
async function kill(...args: string[]): Promise<{ printed: string; failure: CliError | null }> {
  let printed = '';
  const write = jest.spyOn(process.stdout, 'write').mockImplementation((text) => {
    printed += text;
    return true;
  });
  const program = new Command().exitOverride();
  registerKill(program);
  try {
    await program.parseAsync(['kill', ...args], { from: 'user' });
    return { printed, failure: null };
  } catch (error) {
    if (error instanceof CliError) return { printed, failure: error };
    throw error;
  } finally {
    write.mockRestore();
  }
}

/** Puts a file in the place of a directory, which refuses every write as a full disk does, for root too. */
function blockDirectory(path: string): { giveBack(): void } {
  const kept = `${path}.kept`;
  renameSync(path, kept);
  writeFileSync(path, '');
  return {
    giveBack: () => {
      rmSync(path);
      renameSync(kept, path);
    },
  };
}

describe('cutover kill', () => {
  it('takes the route off the candidate on every gateway and says so', async () => {
    const { printed, failure } = await kill('main', '--reason', 'wrong answers', '--config', configPath);
    expect(failure).toBeNull();
    expect(gateways.map(({ state }) => state.effectiveShare())).toEqual([0, 0]);
    expect(gateways[0]?.state.status().kill?.reason).toBe('wrong answers');
    expect(printed).toMatch(/gw-1 +done +0% +0 +set by/);
    expect(printed).toMatch(/gw-2 +done/);
  });

  it('clears nothing where a gateway would then serve the candidate by its configuration, and says the way out', async () => {
    const { failure } = await kill('main', '--clear', '--config', configPath);
    expect(failure).toMatchObject({
      exitCode: 3,
      message: expect.stringMatching(
        /^gw-1, gw-2 are settled on the candidate .* nothing was cleared.*`settled: legacy`.*--accept-settled/,
      ),
    });
    expect(gateways.map(({ state }) => state.effectiveShare())).toEqual([0, 0]);
    expect(gateways.map(({ state }) => state.status().kill)).not.toContain(null);
  });

  it('clears the switch on one gateway, as JSON', async () => {
    const args = ['main', '--clear', '--accept-settled', '--gateway', 'gw-2', '--json'];
    const { printed } = await kill(...args, '--config', configPath);
    expect(JSON.parse(printed)).toMatchObject({
      route: 'main',
      gateways: [{ gateway: 'gw-2', result: 'done', effectiveShare: 1, kill: null, durable: true }],
    });
    expect(gateways.map(({ state }) => state.effectiveShare())).toEqual([0, 1]);
  });

  it('acts where it can and ends with 4 when a gateway could not be reached', async () => {
    const { printed, failure } = await kill('main', '--config', configWithLost);
    expect(failure).toMatchObject({ exitCode: 4, message: expect.stringContaining('gw-lost') });
    expect(printed).toMatch(/gw-lost +not reached: .*ECONNREFUSED/);
    expect(gateways.map(({ state }) => state.effectiveShare())).toEqual([0, 0]);
  });

  it('ends with 2 for a route or a gateway that the configuration does not have', async () => {
    expect((await kill('other', '--config', configPath)).failure).toMatchObject({
      exitCode: 2,
      message: 'expected one of the routes (main), got "other"',
    });
    expect((await kill('main', '--gateway', 'gw-9', '--config', configPath)).failure).toMatchObject({
      exitCode: 2,
    });
  });

  it('finds a discovered gateway by the name that it reports, and shows it', async () => {
    const named = ['main', '--gateway', 'gw-2', '--config', configDiscovered, '--json'];
    const { printed, failure } = await kill(...named);
    expect(failure).toBeNull();
    expect(JSON.parse(printed)).toMatchObject({ gateways: [{ gateway: 'gw-2', result: 'done' }] });
    expect((await kill('main', '--gateway', 'gw-1', '--config', configDiscovered)).failure).toMatchObject({
      ...{ exitCode: 2, message: 'expected one of the gateways (gw-2), got "gw-1"' },
    });
  });

  it('ends with 5 while the disk of a gateway refuses to keep the switch, and with 0 once it has kept it', async () => {
    const killed = ['main', '--gateway', 'gw-2', '--config', configPath];
    await kill(...killed, '--clear', '--accept-settled');
    const disk = blockDirectory(join(root, 'gw-2'));
    const { printed, failure } = await kill(...killed);
    expect(gateways[1]?.state.effectiveShare()).toBe(0);
    expect(printed).toMatch(/gw-2 +done, in memory only: the disk refused/);
    expect(failure).toMatchObject({
      exitCode: 5,
      message: expect.stringMatching(/set at gw-2 in memory only.*a restart would forget the switch/),
    });
    disk.giveBack();
    expect((await kill(...killed)).failure).toBeNull();
  });

  it('ends with 5 where the disk refuses to keep that the switch is cleared: a restart sets it again', async () => {
    const disk = blockDirectory(join(root, 'gw-2'));
    const cleared = ['main', '--gateway', 'gw-2', '--clear', '--accept-settled', '--config', configPath];
    expect((await kill(...cleared)).failure).toMatchObject({
      exitCode: 5,
      message: expect.stringMatching(/cleared at gw-2 in memory only.*a restart would set it again/),
    });
    disk.giveBack();
    expect((await kill(...cleared)).failure).toBeNull();
  });

  it('names every problem at once, and ends with the code of the gravest', async () => {
    const disk = blockDirectory(join(root, 'gw-2'));
    const { failure } = await kill('main', '--config', configWithLost);
    expect(failure).toMatchObject({
      exitCode: 4,
      message: expect.stringMatching(/could not reach gw-lost.*\n.*set at gw-2 in memory only/),
    });
    disk.giveBack();
  });

  it('says where a rollback has set the switch in memory only', async () => {
    const disk = blockDirectory(join(root, 'gw-2'));
    const notes: string[] = [];
    const fallback = new KillFallback({
      ...{ route: 'main', config: configPath, words: { by: 'ana', reason: '' }, afterMs: 60_000 },
      note: (line) => notes.push(line),
    });
    await fallback.kill('Temporal does not answer');
    expect(notes).toEqual([
      'Temporal does not answer: kill switch set at gw-1, gw-2; in memory only at gw-2, whose disk refuses: a restart would forget it',
    ]);
    disk.giveBack();
  });

  it('ends with 3 when the gateways refuse the token, without showing it', async () => {
    writeFileSync(join(root, 'token'), 'a-wrong-token\n');
    const { printed, failure } = await kill('main', '--config', configPath);
    expect(failure).toMatchObject({ exitCode: 3 });
    expect(`${printed}${failure?.message}`).not.toContain('a-wrong-token');
  });
});
