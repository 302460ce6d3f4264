import { randomBytes } from 'node:crypto';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { Client, Connection } from '@temporalio/client';
import type { Payload } from '@temporalio/common';
import { ConsoleFeeds } from '../../src/console/server/console-feeds';
import { workflowIdOf } from '../../src/contract';
import { runCli } from '../support/cli';
import { MigrationHarness } from '../support/migrations/migration-harness';
import { type NodeProcess, startNode } from '../support/node-process';

jest.setTimeout(180_000);

const EXAMPLE = join(__dirname, '..', '..', 'examples', 'data-converter');
const KEYS = `first:${randomBytes(32).toString('base64')}`;
/** What nobody finds in Temporal's database: providers, reasons, who asked. */
const CANARIES = ['old-llm', 'new-llm', 'because of the canary word', 'operator-canary', 'pause-canary'];

let harness: MigrationHarness;
let worker: NodeProcess;

beforeAll(async () => {
  harness = await MigrationHarness.start({
    routes: ['chat', 'second'],
    secrets: { CUTOVER_DATA_CONVERTER: join(EXAMPLE, 'aes-gcm.mjs'), CUTOVER_CODEC_KEYS: KEYS },
  });
  worker = await harness.startWorker();
});
afterAll(() => harness?.stop());

async function cutover(...args: readonly string[]): Promise<string> {
  const { code, stdout, stderr } = await harness.cutover(...args);
  if (code !== 0) throw new Error(`expected cutover ${args.join(' ')} to succeed, got ${code}: ${stderr}`);
  return stdout;
}

/** Stays in canary. */
function planDocument(route: string): object {
  const stage = { window: '2s', minimumSample: 2, deadline: { hold: '10m' } };
  return {
    route,
    ...{ lease: '4s', renewal: '500ms', watchHeartbeat: '4s', holdback: 0 },
    probes: { interval: '500ms', timeout: '5s' },
    stages: [
      { name: 'assess', ...stage },
      { name: 'canary', share: 0.3, soak: '5m', ...stage },
      { name: 'complete', soak: '5m', ...stage },
    ],
  };
}

async function begin(route: string): Promise<void> {
  const plan = join(harness.folder, `${route}.json`);
  writeFileSync(plan, JSON.stringify(planDocument(route)));
  const by = ['--by', 'operator-canary', '--reason', 'because of the canary word'];
  await cutover('start', '--plan', plan, '--yes', ...by);
}

async function inCanary(route: string): Promise<void> {
  let last = '';
  await harness
    .eventually(`${route} in canary`, async () => {
      const { stdout, stderr } = await harness.cutover('status', route, '--json');
      last = stdout + stderr;
      return /"phase":\s*"observing"/.test(stdout) && /"stage":\s*"canary"/.test(stdout);
    })
    .catch((error: Error) => {
      throw new Error(`${error.message}, got last: ${last}`);
    });
}

function database(): Buffer {
  const files = ['temporal.db', 'temporal.db-wal'].map((name) => join(harness.folder, name));
  return Buffer.concat(files.filter((file) => existsSync(file)).map((file) => readFileSync(file)));
}

it('moves, pauses and reads back a migration of which Temporal sees nothing', async () => {
  await begin('chat');
  await inCanary('chat');
  await cutover('pause', 'chat', '--by', 'operator-canary', '--reason', 'pause-canary');
  expect(await cutover('checkpoints', 'chat')).toContain('pause-canary');
  expect(await cutover('status', 'chat')).toContain('pause-canary');
});

it('says what is missing where the codec or its key is, and sends nothing there but rollbacks', async () => {
  const anotherKey = {
    CUTOVER_DATA_CONVERTER: join(EXAMPLE, 'aes-gcm.mjs'),
    CUTOVER_CODEC_KEYS: `first:${randomBytes(32).toString('base64')}`,
  };
  const without = (env: Readonly<Record<string, string>>, ...args: readonly string[]) =>
    runCli(args, {
      env: { TEMPORAL_ADDRESS: harness.temporal.address, CUTOVER_CONFIG: harness.configPath, ...env },
      cwd: harness.folder,
    });
  const missing = 'name the module that decodes it by --data-converter or CUTOVER_DATA_CONVERTER\n';
  const wrong = 'It needs the keys by which the migration was started\n';
  for (const [env, said] of [
    [{}, missing],
    [anotherKey, wrong],
  ] as const) {
    for (const command of ['resume', 'report']) {
      const { code, stderr } = await without(env, command, 'chat');
      expect({ command, code, stderr }).toEqual({ command, code: 2, stderr: expect.stringContaining(said) });
      expect(stderr.trim().split('\n')).toHaveLength(1);
    }
  }
  expect(await cutover('status', 'chat')).toContain('paused');
  const feeds = new ConsoleFeeds({
    ...{ client: async () => harness.client, gateways: null, providersOf: () => null, intervalMs: 1_000 },
  });
  const listed = new Promise<string>((resolve) => feeds.list.subscribe(resolve));
  const shown = new Promise<string>((resolve) => feeds.watch('chat', null).feed.subscribe(resolve));
  expect(JSON.parse(await listed)).toEqual({
    trouble: expect.objectContaining({ what: 'codec', message: expect.stringContaining(missing.trim()) }),
  });
  expect(JSON.parse(await shown)).toMatchObject({
    absent: { message: expect.stringContaining(missing.trim()) },
  });
  feeds.stop();
});

it('refuses a signal that was encoded with a key that nobody has, and rolls back all the same', async () => {
  const foreign = async (): Promise<Payload[]> => [
    {
      metadata: { encoding: Buffer.from('binary/encrypted'), 'encryption-key-id': Buffer.from('lost') },
      data: randomBytes(64),
    },
  ];
  const connection = await Connection.connect({ address: harness.temporal.address });
  const payloadCodecs = [{ encode: foreign, decode: async (payloads: Payload[]) => payloads }];
  const { workflow } = new Client({ connection, dataConverter: { payloadCodecs } });
  await workflow.getHandle(workflowIdOf('chat')).signal('resume', { by: 'ana' });
  await connection.close();
  expect(await cutover('rollback', 'chat', '--by', 'operator-canary', '--reason', 'pause-canary')).toContain(
    'verified: true',
  );
  const record = join(harness.folder, 'record.json');
  await cutover('export', 'chat', '--out', record);
  expect(readFileSync(record, 'utf8')).toContain('pause-canary');
  expect(readFileSync(record, 'utf8')).toContain('unreadable');
  expect(await cutover('verify', record)).toContain('entries');
  expect(await cutover('history', 'chat')).toContain('olled back');
  expect(await cutover('report', 'chat', '--html', join(harness.folder, 'report.html'))).toBeDefined();
  expect(readFileSync(join(harness.folder, 'report.html'), 'utf8')).toContain('pause-canary');
});

it('leaves none of it in the database, and says to a client without the codec what it lacks', async () => {
  const kept = database();
  expect(kept.includes('CutoverRoute')).toBe(true);
  expect(CANARIES.filter((word) => kept.includes(word))).toEqual([]);
  await expect(harness.client.status('chat')).rejects.toThrow('--data-converter or CUTOVER_DATA_CONVERTER');
});

it('shows the Temporal UI what is in a payload, by the codec server of the example', async () => {
  const server = await startNode(
    [join(EXAMPLE, 'codec-server.mjs'), '--port', '0', '--origin', 'http://ui.test'],
    {
      env: { CUTOVER_CODEC_KEYS: KEYS },
      cwd: harness.folder,
      ready: 'codec server: http',
    },
  );
  try {
    const url = /http:\S+/.exec(server.output())?.[0];
    const { events } = await harness.handle('chat').fetchHistory();
    const [payload] = events?.[0]?.workflowExecutionStartedEventAttributes?.input?.payloads ?? [];
    const encoded = {
      metadata: Object.fromEntries(
        Object.entries(payload?.metadata ?? {}).map(([name, value]) => [
          name,
          Buffer.from(value).toString('base64'),
        ]),
      ),
      data: Buffer.from(payload?.data ?? []).toString('base64'),
    };
    const ask = (origin: string) =>
      fetch(`${url}/decode`, {
        method: 'POST',
        headers: { origin, 'content-type': 'application/json' },
        body: JSON.stringify({ payloads: [encoded] }),
      });
    const answer = (await (await ask('http://ui.test')).json()) as { payloads: { data: string }[] };
    expect(Buffer.from(answer.payloads[0]?.data ?? '', 'base64').toString()).toContain('operator-canary');
    expect((await ask('http://elsewhere.test')).status).toBe(403);
  } finally {
    await server.end();
  }
});

it('waits for a worker with the codec, and is not ended by one without', async () => {
  await worker.end();
  const without = await harness.startWorker('--data-converter', '');
  await begin('second');
  await harness.eventually('a task of that worker to fail', async () => {
    const { events } = await harness.handle('second').fetchHistory();
    return (events ?? []).some(({ workflowTaskFailedEventAttributes: failed }) =>
      failed?.failure?.message?.includes('start its workers with the data converter'),
    );
  });
  await without.end();
  worker = await harness.startWorker();
  await inCanary('second');
});
