import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { stateDirectoryNote } from '../../../src/cli/run/state-directory';
import type { Configuration } from '../../../src/core/configuration/configuration-schema';
import { openLog } from '../../../src/gateway/telemetry/request-log';

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'cutover-state-'));
  writeFileSync(join(folder, 'a-file'), '');
});
afterEach(() => rmSync(folder, { recursive: true }));

const noteOf = (stateDirectory: string) =>
  stateDirectoryNote({ gateway: { stateDirectory } } as unknown as Configuration);

it('says what a gateway cannot do whose state directory cannot be written', async () => {
  expect(await noteOf(join(folder, 'state'))).toBeNull();
  expect(await noteOf(join(folder, 'a-file', 'state'))).toMatch(
    /cannot be written \(a part of its path is a file, not a directory\): .* refuses to raise any share, .*gateway\.stateDirectory/,
  );
});

it('does not serve with a log that cannot be written', () => {
  expect(() => openLog({ file: join(folder, 'a-file', 'gateway.log') }, 'gw')).toThrow(/EEXIST|ENOTDIR/);
});
