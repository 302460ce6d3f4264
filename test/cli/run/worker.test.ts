import { rm } from 'node:fs/promises';
import { type AddressInfo, createServer } from 'node:net';
import { runCli } from '../../support/cli';
import { configurationDocument, folderWith } from '../../support/migrations/migration-fixture';

it('exits with 4 and one sentence where Temporal is not there', async () => {
  const folder = folderWith({ 'cutover.yaml': JSON.stringify(configurationDocument(['chat'])) });
  const { code, stderr } = await runCli(['worker', '--address', '127.0.0.1:9'], {
    cwd: folder,
    env: { CUTOVER_ADMIN_TOKEN: 'a-token' },
  });
  await rm(folder, { recursive: true });
  expect(stderr.trimEnd().split('\n')).toEqual([
    expect.stringMatching(/^cannot use Temporal at 127\.0\.0\.1:9: nothing listens there: /),
  ]);
  expect(code).toBe(4);
});

it('ends with one sentence where its metrics cannot be shown, although the SDK has begun', async () => {
  const folder = folderWith({ 'cutover.yaml': JSON.stringify(configurationDocument(['chat'])) });
  const taken = createServer();
  await new Promise<void>((resolve) => taken.listen(0, '127.0.0.1', resolve));
  const { port } = taken.address() as AddressInfo;
  const { code, stderr } = await runCli(['worker', '--metrics', `127.0.0.1:${port}`], {
    cwd: folder,
    env: { CUTOVER_ADMIN_TOKEN: 'a-token' },
  });
  await new Promise((resolve) => taken.close(resolve));
  await rm(folder, { recursive: true });
  expect(stderr).toMatch(
    new RegExp(`^cannot listen on port ${port} of 127\\.0\\.0\\.1.*choose another --metrics$`, 'm'),
  );
  expect(code).toBe(4);
});
