import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { inspectTemporal } from '../../src/temporal-server/temporal-inspection';
import { findTemporal, type SearchOptions } from '../../src/temporal-server/temporal-source';

const REFUSING_PROXY = 'http://127.0.0.1:9';

let root: string;
let bin: string;
let cacheDir: string;
let lines: string[];

beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'cutover-temporal-'));
  bin = join(root, 'bin');
  cacheDir = join(root, 'cache');
  mkdirSync(bin);
  lines = [];
});
afterEach(() => rm(root, { recursive: true, force: true }));

/** Nothing of this machine is visible in it: an empty PATH and home, and no way to the Internet. */
function search(
  env: Record<string, string | undefined> = {},
): SearchOptions & { report: (l: string) => void } {
  return {
    env: { PATH: bin, HOME: root, HTTPS_PROXY: REFUSING_PROXY, https_proxy: REFUSING_PROXY, ...env },
    cacheDir,
    report: (line) => lines.push(line),
  };
}

function script(path: string, ...commands: string[]): string {
  writeFileSync(path, ['#!/bin/sh', ...commands, ''].join('\n'));
  chmodSync(path, 0o755);
  return path;
}

function fakeTemporal(path: string, version: string): string {
  return script(path, `echo "temporal version ${version}"`);
}

/** A `go` that answers `version`, and for `install` counts itself and then does what it is told. */
function fakeGo(...install: string[]): void {
  script(
    join(bin, 'go'),
    'if [ "$1" = version ]; then echo "go version go9.9 fake/fake"; exit 0; fi',
    `echo "$@" >> ${root}/go-installs`,
    ...install,
  );
}

const WRITE_TEMPORAL = [
  'printf \'#!/bin/sh\\necho "temporal version 1.5.1 (built)"\\n\' > "$GOBIN/temporal"',
  '/bin/chmod +x "$GOBIN/temporal"',
];

function goInstalls(): string[] {
  const file = join(root, 'go-installs');
  return existsSync(file) ? readFileSync(file, 'utf8').trim().split('\n') : [];
}

function cacheEntries(): string[] {
  return readdirSync(join(cacheDir, 'temporal'));
}

describe('the order in which Temporal is looked for', () => {
  test('a configured address is used as it is, before any executable', async () => {
    const found = await findTemporal(
      search({
        TEMPORAL_ADDRESS: 'temporal.example:7233',
        TEMPORAL_NAMESPACE: 'prod',
        TEMPORAL_CLI_PATH: fakeTemporal(join(root, 'own'), '1'),
      }),
    );
    expect(found).toMatchObject({
      kind: 'address',
      address: 'temporal.example:7233',
      namespace: 'prod',
      foundBy: 'TEMPORAL_ADDRESS',
    });
    expect(lines).toEqual([]);
  });

  test('a profile of temporal.toml gives address, namespace and connection options', async () => {
    const file = join(root, 'temporal.toml');
    writeFileSync(file, '[profile.cloud]\naddress = "ns.example:7233"\nnamespace = "ns"\napi_key = "k"\n');
    const found = await findTemporal(search({ TEMPORAL_CONFIG_FILE: file, TEMPORAL_PROFILE: 'cloud' }));
    expect(found).toMatchObject({
      address: 'ns.example:7233',
      namespace: 'ns',
      foundBy: 'profile cloud',
      connectionOptions: { apiKey: 'k', tls: true },
    });
  });

  test('TEMPORAL_CLI_PATH comes before PATH, and PATH before the cache', async () => {
    const own = fakeTemporal(join(root, 'own'), '1 (own)');
    const onPath = fakeTemporal(join(bin, 'temporal'), '2 (path)');
    fakeGo(...WRITE_TEMPORAL);
    expect(await findTemporal(search({ TEMPORAL_CLI_PATH: own }))).toEqual({
      kind: 'executable',
      path: own,
      version: '1 (own)',
      foundBy: 'TEMPORAL_CLI_PATH',
    });
    expect(await findTemporal(search())).toMatchObject({ path: onPath, foundBy: 'PATH' });
    await rm(onPath);
    expect(await findTemporal(search())).toMatchObject({ version: '1.5.1 (built)', foundBy: 'go' });
    expect(await findTemporal(search())).toMatchObject({ version: '1.5.1 (built)', foundBy: 'cache' });
    expect(goInstalls()).toHaveLength(1);
  });

  test('a step that fails is reported in one line and the next is tried', async () => {
    const wrong = script(join(root, 'wrong'), 'echo "something else 1.0"');
    fakeTemporal(join(bin, 'temporal'), '2');
    expect(await findTemporal(search({ TEMPORAL_CLI_PATH: wrong }))).toMatchObject({ foundBy: 'PATH' });
    expect(lines).toEqual([
      `TEMPORAL_CLI_PATH: ${wrong}: expected it to answer --version with "temporal version ...", got "something else 1.0"`,
    ]);
  });

  test('a file that cannot be run is no Temporal', async () => {
    fakeTemporal(join(bin, 'temporal'), '2');
    await findTemporal(search({ TEMPORAL_CLI_PATH: join(root, 'missing') }));
    expect(lines).toEqual([`TEMPORAL_CLI_PATH: ${join(root, 'missing')}: cannot be run (ENOENT)`]);
  });

  test('a damaged executable in the cache is replaced', async () => {
    fakeGo(...WRITE_TEMPORAL);
    const first = await findTemporal(search());
    if (first.kind !== 'executable') throw new Error('expected an executable');
    writeFileSync(first.path, 'truncated');
    expect(await findTemporal(search())).toMatchObject({ path: first.path, foundBy: 'go' });
    expect(await findTemporal(search())).toMatchObject({ path: first.path, foundBy: 'cache' });
  });

  test('the build asks Go for the pinned release, without a C compiler', async () => {
    fakeGo(`echo "CGO_ENABLED=$CGO_ENABLED" >> ${root}/go-installs`, ...WRITE_TEMPORAL);
    await findTemporal(search());
    expect(goInstalls()[0]).toMatch(/^install .* github\.com\/temporalio\/cli\/cmd\/temporal@v1\.5\.1$/);
    expect(goInstalls()[1]).toBe('CGO_ENABLED=0');
  });
});

describe('when there is no Temporal', () => {
  test('the error names every step that failed and what a person can do', async () => {
    fakeGo('echo "go: no such module" >&2', 'exit 1');
    const error = await findTemporal(search()).catch((reason: Error) => reason);
    expect(error).toMatchObject({
      name: 'TemporalNotFound',
      failures: [
        'configured address: TEMPORAL_ADDRESS is not set and no profile names an address',
        'TEMPORAL_CLI_PATH: not set',
        'PATH: there is no `temporal` on PATH',
        `cache: nothing in ${cacheDir} yet`,
        expect.stringMatching(/^download: temporal\.download: .*refused/),
        'go: go: no such module (exit code 1)',
      ],
      message: expect.stringContaining('set TEMPORAL_CLI_PATH to the Temporal command'),
    });
    expect(lines).toEqual(expect.arrayContaining((error as unknown as { failures: string[] }).failures));
    expect(cacheEntries()).toEqual([]);
  });

  test('a profile that does not exist stops the search: nothing else was asked for', async () => {
    fakeTemporal(join(bin, 'temporal'), '2');
    await expect(findTemporal(search({ TEMPORAL_PROFILE: 'nope' }))).rejects.toMatchObject({
      name: 'InvalidTemporalConfiguration',
      message: expect.stringContaining("Profile 'nope' not found"),
    });
  });

  test('an API key without an address stops the search, and the key is not shown', async () => {
    const error = await findTemporal(search({ TEMPORAL_API_KEY: 'secret-key' })).catch(
      (reason: Error) => reason,
    );
    expect(error).toMatchObject({ name: 'InvalidTemporalConfiguration' });
    expect(String(error)).not.toContain('secret-key');
  });

  test('a broken temporal.toml stops the search, and none of its lines is shown', async () => {
    const file = join(root, 'temporal.toml');
    writeFileSync(file, '[profile.default]\napi_key = "secret-key\n');
    const error = await findTemporal(search({ TEMPORAL_CONFIG_FILE: file })).catch((reason: Error) => reason);
    expect(error).toMatchObject({ name: 'InvalidTemporalConfiguration' });
    expect(String(error)).not.toContain('secret-key');
  });
});

describe('two commands at once', () => {
  test('build once, and both get what was built', async () => {
    fakeGo('/bin/sleep 1', ...WRITE_TEMPORAL);
    const both = await Promise.all([findTemporal(search()), findTemporal(search())]);
    expect(both.map((found) => found.kind === 'executable' && found.foundBy).sort()).toEqual(['cache', 'go']);
    expect(goInstalls()).toHaveLength(1);
    expect(lines).toContain('another command is downloading or building Temporal: waiting for it');
  });
});

describe('an interrupted build', () => {
  const HALF_WRITE_AND_WAIT = [
    'echo half > "$GOBIN/temporal"',
    'echo $$ > "$GOBIN/../../go-pid"',
    'exec /bin/sleep 60',
  ];

  async function goPid(): Promise<number> {
    const file = join(cacheDir, 'go-pid');
    while (!existsSync(file) || readFileSync(file, 'utf8') === '') await sleep(20);
    return Number(readFileSync(file, 'utf8'));
  }

  test('leaves nothing that looks finished when Go is killed, and the next attempt works', async () => {
    fakeGo(...HALF_WRITE_AND_WAIT);
    const attempt = findTemporal(search()).catch((error: Error) => error);
    process.kill(await goPid(), 'SIGKILL');
    expect(await attempt).toMatchObject({
      name: 'TemporalNotFound',
      message: expect.stringContaining('go: killed by SIGKILL'),
    });
    expect(cacheEntries()).toEqual([]);
    fakeGo(...WRITE_TEMPORAL);
    expect(await findTemporal(search())).toMatchObject({ foundBy: 'go' });
  });

  test('ends Go when the caller aborts, and rejects with the reason', async () => {
    fakeGo(...HALF_WRITE_AND_WAIT);
    const abort = new AbortController();
    const attempt = findTemporal({ ...search(), signal: abort.signal }).catch((error: Error) => error);
    const pid = await goPid();
    abort.abort(new Error('stopped by the operator'));
    expect(await attempt).toMatchObject({ message: 'stopped by the operator' });
    expect(() => process.kill(pid, 0)).toThrow('ESRCH');
    expect(cacheEntries()).toEqual([]);
  });

  test('of a command that died is cleaned away, its lock included', async () => {
    const folder = join(cacheDir, 'temporal');
    mkdirSync(join(folder, 'partial-abc'), { recursive: true });
    writeFileSync(join(folder, 'partial-abc', 'temporal'), 'half');
    mkdirSync(join(folder, 'lock'));
    utimesSync(join(folder, 'lock'), new Date(0), new Date(0));
    fakeGo(...WRITE_TEMPORAL);
    expect(await findTemporal(search())).toMatchObject({ foundBy: 'go' });
    expect(cacheEntries()).toEqual(['temporal-go-1.5.1']);
  });

  test('that made something else than Temporal is not accepted', async () => {
    fakeGo('echo half > "$GOBIN/temporal"');
    await expect(findTemporal(search())).rejects.toThrow(
      'go: the server that was downloaded or built does not run: cannot be run (EACCES)',
    );
    expect(cacheEntries()).toEqual([]);
  });
});

describe('an inspection', () => {
  test('says what would be used and what each step found, and changes nothing', async () => {
    const path = fakeTemporal(join(bin, 'temporal'), '2 (Server 1.29.1)');
    fakeGo(...WRITE_TEMPORAL);
    const inspection = await inspectTemporal(search({ TEMPORAL_CLI_PATH: join(root, 'missing') }));
    expect(inspection).toEqual({
      would: { kind: 'executable', path, version: '2 (Server 1.29.1)', foundBy: 'PATH' },
      steps: [
        { step: 'configured address', ok: false, detail: expect.stringContaining('not set') },
        { step: 'TEMPORAL_CLI_PATH', ok: false, detail: expect.stringContaining('ENOENT') },
        { step: 'PATH', ok: true, detail: `${path}, version 2 (Server 1.29.1)` },
        { step: 'cache', ok: false, detail: expect.stringContaining('nothing') },
        { step: 'download', ok: true, detail: expect.stringContaining('Internet') },
        { step: 'go', ok: true, detail: expect.stringContaining('go version go9.9') },
      ],
    });
    expect(goInstalls()).toEqual([]);
    expect(existsSync(cacheDir)).toBe(false);
  });

  test('says that Temporal would be downloaded or built when it is nowhere', async () => {
    expect((await inspectTemporal(search())).would).toEqual({ kind: 'make', by: 'download' });
    fakeGo();
    expect((await inspectTemporal(search())).would).toEqual({ kind: 'make', by: 'download or go' });
  });

  test('says that a broken configuration would be refused', async () => {
    fakeTemporal(join(bin, 'temporal'), '2');
    expect((await inspectTemporal(search({ TEMPORAL_PROFILE: 'nope' }))).would).toMatchObject({
      kind: 'refuse',
    });
  });
});
