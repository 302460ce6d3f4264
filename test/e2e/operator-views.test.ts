import { setTimeout as sleep } from 'node:timers/promises';
import { MigrationHarness } from '../support/migrations/migration-harness';
import { quickPlan, staying } from '../support/migrations/quick-plan';

jest.setTimeout(150_000);

let harness: MigrationHarness;

beforeAll(async () => {
  harness = await MigrationHarness.start({ gateways: 1, routes: ['chat', 'watched'] });
  await harness.startWorker();
  await harness.beginInCanary(quickPlan('chat', { canary: staying() }));
});
afterAll(() => harness?.stop());

async function withToken<T>(token: string, work: () => Promise<T>): Promise<T> {
  const { secrets } = harness;
  harness.secrets = { ...secrets, CUTOVER_ADMIN_TOKEN: token };
  try {
    return await work();
  } finally {
    harness.secrets = secrets;
  }
}

it('shows what each gateway serves in status and doctor', async () => {
  const serves = /gw-1 at \S+ serves 30%, epoch \d+, lease for \d+ s$/m;
  expect(await harness.cutover('status', 'chat')).toMatchObject({
    code: 0,
    stdout: expect.stringMatching(serves),
  });
  const { stdout } = await harness.cutover('doctor');
  expect(stdout).toMatch(/gateway gw-1 +ok +.*answers; chat serves 30%, epoch \d+, lease for/);
  expect(stdout).toMatch(/workers +ok +1 \(last poll \d+ s ago\) for routing/);
});

it('says of a gateway that refuses the admin token that it does', async () => {
  const { stdout } = await withToken('another', () => harness.cutover('status', 'chat'));
  expect(stdout).toMatch(/serving +gw-1 at \S+ not known: refused \(unauthorized: /);
});

it('says where a gateway serves something else than the migration last verified', async () => {
  await harness.cutover('kill', 'chat', '--reason', 'smoke');
  const { stdout } = await harness.cutover('status', 'chat');
  expect(stdout).toMatch(
    /gw-1 at \S+ serves 0%, kill switch set by .*; DIFFERS: the migration last verified 30%$/m,
  );
  const doctor = await harness.cutover('doctor');
  expect(doctor.stdout).toMatch(/gateway gw-1 +note +.*, but the migration last verified 30%/);
});

it('shows what the gateways serve where Temporal hangs, and that the migration could not be asked', async () => {
  const { pid } = harness.temporal;
  process.kill(pid, 'SIGSTOP');
  try {
    const { code, stdout, stderr } = await harness.cutover('status', 'chat');
    expect(stdout).toMatch(/^serving +gw-1 at \S+ serves 0%, kill switch set/m);
    expect(stderr).toContain('the migration could not be asked: cannot use Temporal');
    expect(code).toBe(4);
    const asJson = await harness.cutover('status', 'chat', '--json');
    expect(JSON.parse(asJson.stdout)).toMatchObject({
      migration: null,
      gateways: [{ name: 'gw-1', answer: { kind: 'ok', value: { effectiveShare: 0 } } }],
    });
  } finally {
    process.kill(pid, 'SIGCONT');
  }
});

it('says that a run was terminated also where no worker answers for it', async () => {
  await harness.handle('chat').terminate('by hand');
  for (const worker of harness.workers) await worker.end('SIGKILL');
  const { code, stdout, stderr } = await harness.cutover('status', 'chat');
  expect(stderr).toMatch(/is over: its run was terminated, and no worker answers/);
  expect(stdout).toMatch(/^serving +gw-1 at \S+ serves 0%/m);
  expect(code).toBe(5);
});

it('says in a watch as well where a gateway serves something else', async () => {
  await harness.startWorker();
  await harness.beginInCanary(quickPlan('watched', { canary: staying() }));
  await harness.cutover('kill', 'watched', '--reason', 'smoke');
  const watch = harness.cutover('watch', 'watched', '--plain', '--interval', '200ms');
  // Long enough for a look at the gateways; a rollback then ends the watch.
  await sleep(5_000);
  await harness.command('watched', 'rollback');
  expect((await watch).stdout).toMatch(
    /share 30%.*DIFFERS: gw-1 serves 0%; the migration last verified 30%$/m,
  );
});
