import { mkdtempSync, readdirSync, rmSync, utimesSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { MigrationHarness } from '../../support/migrations/migration-harness';
import { quickPlan, staying } from '../../support/migrations/quick-plan';
import { writeLongLog } from '../../support/usage-analysis';

jest.setTimeout(150_000);

const HEADER = 'request_created_at,latency,time_to_first_token,status,prompt_tokens,completion_tokens,model';
const DAYS = Array.from({ length: 10 }, (_, day) => `2026-10-${String(day + 1).padStart(2, '0')}`);
const ATTESTED = ['sla', 'dataResidency', 'payment', 'contract'].map((item) => ({
  item,
  by: 'ana',
  on: '2026-11-02',
}));

let harness: MigrationHarness;
let temporary: string;

beforeAll(async () => {
  temporary = mkdtempSync(join(tmpdir(), 'assess-usage-'));
  harness = await MigrationHarness.start({
    routes: ['rejected', 'asking', 'passing', 'killed'],
    // Workers keep what they have read in a folder of this test's own.
    secrets: { TMPDIR: temporary },
  });
  // The worker runs in the harness's folder: relative paths of a plan are its own.
  const rows = DAYS.map((day) => `${day}T08:00:00Z,900,80,200,1000,200,old-model`);
  writeFileSync(join(harness.folder, 'usage.csv'), [HEADER, ...rows, ''].join('\n'));
  const price = (provider: string, model: string, usd: number) => {
    return { provider, model, input: usd, output: usd, source: 'test', asOf: '2026-11-02' };
  };
  const prices = [price('old-llm', 'old-model', 2), price('new-llm', 'new-model', 1)];
  writeFileSync(join(harness.folder, 'prices.json'), JSON.stringify({ version: 1, prices }));
  await harness.startWorker();
});
afterAll(async () => {
  await harness?.stop();
  rmSync(temporary, { recursive: true, force: true });
});

function planOf(route: string, assess: Readonly<Record<string, unknown>>) {
  const fields = {
    assess: {
      usage: ['usage.csv'],
      prices: ['prices.json'],
      contextLengths: { 'new-model': 128_000 },
      attestations: ATTESTED,
      ...assess,
    },
  };
  return quickPlan(route, { canary: staying() }, fields);
}

async function detailsOf(route: string): Promise<string> {
  const metadata = await harness
    .handle(route)
    .query<{ currentDetails: string }>('__temporal_workflow_metadata');
  return metadata.currentDetails;
}

/** How often the usage was analysed, and the largest result that the history holds of it, in bytes. */
async function analysesOf(route: string): Promise<{ count: number; largestBytes: number }> {
  const { events } = await harness.handle(route).fetchHistory();
  const scheduled = (events ?? []).filter(
    (event) => event.activityTaskScheduledEventAttributes?.activityType?.name === 'analyseUsage',
  );
  const ids = scheduled.map(({ eventId }) => String(eventId));
  const sizes = (events ?? []).flatMap(({ activityTaskCompletedEventAttributes: completed }) =>
    completed?.scheduledEventId != null && ids.includes(String(completed.scheduledEventId))
      ? (completed.result?.payloads ?? []).map(({ data }) => data?.length ?? 0)
      : [],
  );
  return { count: scheduled.length, largestBytes: Math.max(0, ...sizes) };
}

it('rejects by what the usage logs show, before a probe is paid for', async () => {
  await harness.begin(planOf('rejected', { ask: false, targets: { saving: '60%' } }));
  const status = await harness.until('rejected', ({ phase }) => phase === 'closed');
  expect(status).toMatchObject({ outcome: 'rejected', share: 0, probes: { candidate: { probes: 0 } } });
  expect(status.usage).toMatchObject({ calls: 10, inputTokens: 10_000, outputTokens: 2_000 });
  expect(await harness.client.assessment('rejected')).toMatchObject({
    outcome: 'fail',
    blockers: ['the candidate saves 50.0%, the plan demands 60%'],
  });
  expect((await harness.checkpoints('rejected')).at(-1)).toMatchObject({
    what: 'rejected',
    reason: expect.stringContaining('nothing was moved: the candidate saves 50.0%'),
  });
});

it('asks the operator who is named for an approval, and goes on with it', async () => {
  const attestations = ATTESTED.filter(({ item }) => item !== 'contract');
  await harness.begin(planOf('asking', { attestations, checklist: { asks: 'ana' } }));
  const question = 'ana is asked: Do a contract or terms cover this use?';
  const { approval, doing } = await harness.until('asking', (status) => status.approval !== null);
  expect(approval).toMatchObject({ stage: 'assess', asks: [question], granted: null });
  expect(doing).toContain(question);
  const assessment = await harness.client.assessment('asking');
  expect(assessment).toMatchObject({
    outcome: 'pass',
    approvals: [{ item: 'contract', asks: 'ana' }],
  });
  const details = await detailsOf('asking');
  expect(details).toContain('Do a contract or terms');
  expect(details).toContain('Usage of 9.0 days: 10 calls');
  expect(details).toContain('priority');
  expect((await analysesOf('asking')).count).toBe(1);
  const shown = await harness.cutover('status', 'asking');
  expect(shown.stdout).toContain(
    'logs        Usage of 9.0 days: 10 calls, 0 failed, 10,000 tokens in, 2,000 out',
  );
  expect(shown.stdout).toContain(
    '            Cost of 30 days: $0.0800 now, $0.0400 at the candidate (saves 50.0%)',
  );
  const verdicts = await harness.cutover('verdicts', 'asking');
  expect(verdicts.stdout).toContain('question: Do a contract or terms cover this use?');

  await harness.client.command('asking', 'approve', {
    ...{ by: 'ana', reason: 'signed today', checkpoint: approval?.checkpoint },
  });
  await harness.until('asking', ({ stage, phase }) => stage === 'canary' && phase === 'observing');
  await harness.command('asking', 'emergencyRollback');
});

it('passes when everything is attested, and keeps a digest of the usage', async () => {
  await harness.beginInCanary(planOf('passing', {}));
  const assessment = await harness.client.assessment('passing');
  expect(assessment).toMatchObject({ outcome: 'pass', blockers: [], approvals: [] });
  expect(assessment?.usage?.digest).toMatchObject({ calls: 10, verdict: 'pass' });
  expect(assessment?.usage?.digest?.savingPercent?.percent).toBeCloseTo(50, 6);
  const { count, largestBytes } = await analysesOf('passing');
  expect(count).toBe(1);
  expect(largestBytes).toBeGreaterThan(0);
  expect(largestBytes).toBeLessThan(8_192);
  await harness.command('passing', 'emergencyRollback');
});

const MANY = 2_000_000;

it('goes on after the file that a killed worker had read, and reads none twice', async () => {
  const [first, second] = ['a.csv', 'b.csv'].map((name) => join(harness.folder, name)) as [string, string];
  // Whatever it says, it looks the same: by its size, its place and its time.
  const writeFirst = (tokens: number) => {
    writeFileSync(first, `${HEADER}\n2026-10-01T08:00:00Z,900,80,200,${tokens},200,old-model\n`);
    utimesSync(first, 1_790_000_000, 1_790_000_000);
  };
  writeFirst(5000);
  await writeLongLog(second, MANY);
  const stillAt = (notes: number) =>
    readdirSync(temporary).some(
      (folder) =>
        readdirSync(join(temporary, folder)).filter((name) => /^read-.*\.json$/.test(name)).length === notes,
    );
  await harness.begin(planOf('killed', { ask: false, usage: ['a.csv', 'b.csv'] }));
  await harness.eventually('the first file to be read', async () => stillAt(1));
  await harness.workers.at(-1)?.end('SIGKILL');
  expect(stillAt(1)).toBe(true);

  writeFirst(7000);
  await harness.startWorker();
  const { usage } = await harness.until('killed', (status) => status.usage !== null);
  expect(usage).toMatchObject({ files: 2, calls: MANY + 1, inputTokens: MANY + 5000 });
  const { events } = await harness.handle('killed').fetchHistory();
  const started = (events ?? []).flatMap(({ activityTaskStartedEventAttributes: of }) => (of ? [of] : []));
  expect(Math.max(...started.map(({ attempt }) => attempt ?? 0))).toBe(2);
  expect(readdirSync(temporary)).toEqual([]);
  await harness.command('killed', 'emergencyRollback');
});
