import { execFile } from 'node:child_process';
import { chmodSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { verifyExport } from '../src/core/record/record-chain';
import type { DemoProvider } from '../src/demo/provider';
import { freePorts } from '../src/temporal-server/free-port';
import { built } from './support/cli';
import { startFakeProvider } from './support/providers/fake-provider';

const TEXT = readFileSync(join(__dirname, '..', 'docs', 'quickstart.md'), 'utf8');
const blocks = [...TEXT.matchAll(/^```sh\n([\s\S]*?)^```$/gm)].map(([, block]) => block ?? '');
const LONGEST_MS = 240_000;

let home: string;
let legacy: DemoProvider;
let candidate: DemoProvider;

beforeAll(async () => {
  home = mkdtempSync(join(tmpdir(), 'cutover-quickstart-'));
  legacy = await startFakeProvider({ name: 'legacy', models: ['gpt-4o-mini'], key: 'key-of-legacy' });
  candidate = await startFakeProvider({
    name: 'candidate',
    models: ['deepseek-v4-flash'],
    key: 'key-of-candidate',
  });
});
afterAll(async () => {
  await legacy.stop();
  await candidate.stop();
  rmSync(home, { recursive: true, force: true });
});

it('has ten steps, each with a block to run', () => {
  const steps = [...TEXT.matchAll(/^## (\d+)\. /gm)].map(([, number]) => Number(number));
  expect(steps).toEqual([1, 2, 3, 4, 5, 6, 7, 8, 9, 10]);
  expect(blocks).toHaveLength(10);
});

it(
  'moves the traffic of an application when its blocks are run in order in an empty home',
  async () => {
    const [data, admin, temporal, ui] = await freePorts('127.0.0.1', 4);
    const bin = join(home, 'bin');
    mkdirSync(bin);
    // The command as `npm link` makes it, on ports that are free here: other tests run beside this one.
    writeFileSync(
      join(bin, 'cutover'),
      `#!/bin/sh
main='${built('src', 'cli', 'main.js')}'
if [ "$1" = up ]; then exec '${process.execPath}' "$main" "$@" --temporal-port ${temporal} --ui-port ${ui}; fi
TEMPORAL_ADDRESS=127.0.0.1:${temporal} exec '${process.execPath}' "$main" "$@"
`,
    );
    chmodSync(join(bin, 'cutover'), 0o755);
    const script = blocks
      .map((block, index) => `echo "step ${index + 1} (after $SECONDS s)"\n${block}`)
      .join('\n')
      .replaceAll('127.0.0.1:8080', `127.0.0.1:${data}`)
      .replaceAll('127.0.0.1:8081', `127.0.0.1:${admin}`);
    const { code, output } = await bash(script, {
      PATH: `${bin}:${dirname(process.execPath)}:${process.env['PATH']}`,
      HOME: home,
      TEMPORAL_CLI_PATH: process.env['CUTOVER_TEST_TEMPORAL'] ?? '',
      TEMPORAL_CONFIG_FILE: join(home, 'no-temporal.toml'),
      LEGACY_URL: legacy.url,
      LEGACY_API_KEY: 'key-of-legacy',
      CANDIDATE_URL: candidate.url,
      CANDIDATE_API_KEY: 'key-of-candidate',
    });
    if (code !== 0) throw new Error(`expected the blocks to run to their end, got code ${code}:\n${output}`);
    const steps = output.split(/^step \d+ .*$/m);
    expect(steps[6]).toMatch(/^x-cutover-provider: legacy\r?$/m);
    expect(steps[8]).toMatch(/^x-cutover-provider: candidate\r?$/m);
    expect(steps[9]).toContain('Completed');
    expect(steps[10]).toMatch(/chat\.jsonl is whole: \d+ entries/);
    expect(output).not.toMatch(/key-of-(legacy|candidate)/);

    const record = readFileSync(join(home, 'cutover-quickstart', 'chat.jsonl'), 'utf8');
    expect(verifyExport(record)).toMatchObject({ ok: true, route: 'chat' });
    expect(record).toContain('"outcome":"completed"');
    expect(legacy.requestCount).toBeGreaterThan(20);
    expect(candidate.requestCount).toBeGreaterThan(80);
  },
  LONGEST_MS + 20_000,
);

/** Runs a script as a person's shell would; what it leaves running is ended with it. */
function bash(
  script: string,
  env: Readonly<Record<string, string>>,
): Promise<{ code: number; output: string }> {
  const guarded = `set -eu -o pipefail\ntrap 'kill $(jobs -p) 2>/dev/null || true' EXIT TERM\n${script}`;
  return new Promise((resolve) => {
    execFile('bash', ['-c', guarded], { env, timeout: LONGEST_MS }, (error, stdout, stderr) => {
      const code = error === null ? 0 : typeof error.code === 'number' ? error.code : -1;
      resolve({ code, output: `${stdout}${stderr}` });
    });
  });
}
