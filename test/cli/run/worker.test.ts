import { rm } from 'node:fs/promises';
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
