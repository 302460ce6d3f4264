import { rm } from 'node:fs/promises';
import { createServer, type Server } from 'node:net';
import { portHolder } from '../../../src/temporal-server/port-holder';
import { runCli } from '../../support/cli';
import { configurationDocument, folderWith } from '../../support/migrations/migration-fixture';

let holder: Server;
let port: number;
let folder: string;

beforeAll(async () => {
  holder = createServer();
  await new Promise<void>((resolve) => holder.listen(0, '127.0.0.1', resolve));
  port = (holder.address() as { port: number }).port;
  const busy = `http://127.0.0.1:${port}`;
  const document = configurationDocument(['chat']);
  folder = folderWith({
    'cutover.yaml': JSON.stringify({ ...document, gateways: [{ name: 'gw', data: busy, admin: busy }] }),
  });
});
afterAll(async () => {
  holder.close();
  await rm(folder, { recursive: true });
});

const held = () => `which .+ \\(pid ${process.pid}\\) holds`;

it('knows who listens on a port, and nobody where nobody does', async () => {
  expect(portHolder(port)).toMatch(new RegExp(`\\(pid ${process.pid}\\)$`));
  expect(portHolder(1)).toBeNull();
});

it.each([
  [['gateway'], '--data or --admin'],
  [['ui', '--port', 'BUSY'], '--port'],
  [['up', '--temporal-port', 'BUSY'], '--temporal-port'],
  [['up', '--temporal-port', '0', '--ui-port', 'BUSY'], '--ui-port'],
])('%j says who holds a busy port and which option changes it', async (args, option) => {
  const { code, stderr } = await runCli(
    args.map((word) => (word === 'BUSY' ? String(port) : word)),
    {
      cwd: folder,
      env: { CUTOVER_ADMIN_TOKEN: 'a-token', TEMPORAL_CLI_PATH: process.env['CUTOVER_TEST_TEMPORAL'] ?? '' },
    },
  );
  expect(stderr).toContain(`port ${port} of 127.0.0.1`);
  expect(stderr).toMatch(new RegExp(held()));
  expect(stderr).toContain(option);
  expect(code).toBe(4);
});

it('refuses what is no port before anything starts', async () => {
  const { code, stderr } = await runCli(['up', '--temporal-port', 'abc'], { cwd: folder });
  expect(stderr).toContain('expected a port from 0 to 65535');
  expect(code).toBe(2);
});
