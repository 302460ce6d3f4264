import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { startProvider } from '../../../src/demo/provider';
import { freePorts } from '../../../src/temporal-server/free-port';
import { built, runCli } from '../../support/cli';

const MINUTES_MS = 60_000;

let folder: string;
let child: ChildProcess | undefined;

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'cutover-up-'));
});

afterEach(async () => {
  child?.kill('SIGKILL');
  await rm(folder, { recursive: true, force: true });
});

it(
  'runs Temporal, worker and gateway in one terminal, and Ctrl-C stops all of them cleanly',
  async () => {
    const [data, admin, temporal, ui] = await freePorts('127.0.0.1', 4);
    const provider = await startProvider({ name: 'legacy', models: ['m'] });
    const config = join(folder, 'cutover.yaml');
    await writeFile(
      config,
      JSON.stringify({
        providers: { old: { baseUrl: provider.url }, new: { baseUrl: provider.url } },
        routes: { chat: { legacy: 'old', candidate: 'new', models: { m: 'm' } } },
        gateways: [{ name: 'gw', data: `http://127.0.0.1:${data}`, admin: `http://127.0.0.1:${admin}` }],
        gateway: { stateDirectory: join(folder, 'state') },
      }),
    );
    const env = {
      PATH: process.env['PATH'],
      HOME: process.env['HOME'],
      TEMPORAL_CLI_PATH: process.env['CUTOVER_TEST_TEMPORAL'],
      TEMPORAL_CONFIG_FILE: join(folder, 'none.toml'),
      CUTOVER_ADMIN_TOKEN: 'a-token-for-this-test',
    };
    const ports = [
      '--temporal-port',
      String(temporal),
      '--ui-port',
      String(ui),
      '--data',
      join(folder, 'data'),
    ];
    child = spawn(
      process.execPath,
      [built('src', 'cli', 'main.js'), 'up', '--config', config, '--json', ...ports],
      {
        env,
        stdio: ['ignore', 'pipe', 'inherit'],
      },
    );
    const [first] = (await once(
      createInterface({ input: child.stdout as NodeJS.ReadableStream }),
      'line',
    )) as [string];
    const addresses = JSON.parse(first) as Record<string, string>;
    expect(addresses).toMatchObject({
      temporal: `127.0.0.1:${temporal}`,
      gateway: `http://127.0.0.1:${data}`,
    });

    const answer = await fetch(`${addresses['gateway']}/v1/chat/completions`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ model: 'm', messages: [{ role: 'user', content: 'hello' }] }),
    });
    expect(answer.status).toBe(200);
    await answer.text();
    const status = await runCli(['status', 'chat', '--address', addresses['temporal'] as string]);
    expect(status).toMatchObject({ code: 2, stderr: expect.stringContaining('chat') });

    child.kill('SIGINT');
    const [code] = (await once(child, 'exit')) as [number | null];
    expect(code).toBe(0);
    for (const port of [data, admin, temporal, ui]) {
      await expect(fetch(`http://127.0.0.1:${port}/`)).rejects.toThrow('fetch failed');
    }
    await provider.stop();
  },
  2 * MINUTES_MS,
);
