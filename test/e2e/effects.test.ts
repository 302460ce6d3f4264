import { MigrationHarness } from '../support/migrations/migration-harness';
import { quickPlan, staying } from '../support/migrations/quick-plan';
import { FlagService } from '../support/servers/flag-service';

jest.setTimeout(180_000);

let harness: MigrationHarness;
let service: FlagService;

const FLAG = (value: number) => [{ name: 'flags', set: { flag: 'share', value } }];

beforeAll(async () => {
  service = await FlagService.start();
  const { url } = service;
  const local = { allowPrivate: true, allowHttp: true, timeout: '60s' };
  harness = await MigrationHarness.start({
    routes: ['restored', 'hanging', 'killed'],
    effects: {
      flags: {
        type: 'flag',
        get: { url: `${url}/flags/{{flag}}`, value: '/value' },
        set: { url: `${url}/flags/{{flag}}`, body: { value: '{{value}}' } },
        ...local,
      },
      hook: { type: 'webhook', url: `${url}/hook`, secret: 'env:WEBHOOK_SECRET', ...local },
    },
  });
  await harness.startWorker();
});
afterAll(async () => {
  await harness?.stop();
  await service?.stop();
});
beforeEach(() => {
  service.hangs.clear();
  service.acted.length = 0;
  service.flags['share'] = 'as it was';
});

it('sets a flag at each stage, tells the webhook, and puts the flag back after a rollback', async () => {
  const plan = quickPlan(
    'restored',
    { canary: { effects: FLAG(30) }, rolling: { ...staying(), effects: FLAG(60) } },
    { notify: [{ name: 'hook' }] },
  );
  const load = harness.load('restored');
  await harness.begin(plan);
  await harness.until('restored', ({ stage, effects }) => stage === 'rolling' && effects.length === 0);
  expect(service.flags['share']).toBe(60);
  await harness.command('restored', 'rollback');
  await harness.handle('restored').result();
  await load.stop();
  expect(service.flags['share']).toBe('as it was');
  expect(service.acted.map(({ moment }) => moment)).toEqual([
    'stage entered',
    'stage entered',
    'rolled back',
  ]);
  const record = (await harness.checkpoints('restored')).flatMap((entry) =>
    entry.kind === 'recorded' && entry.what.startsWith('effect') ? [entry.what] : [],
  );
  expect(record).toEqual([
    ...['effect intended', 'effect took effect', 'effect intended', 'effect took effect'],
    ...['effect intended', 'effect intended', 'effect restored', 'effect restored'],
  ]);
});

it('verifies a rollback while every target hangs, and restores when they are back', async () => {
  const plan = quickPlan(
    'hanging',
    { canary: { ...staying(), effects: FLAG(30) } },
    { notify: [{ name: 'hook' }] },
  );
  await harness.begin(plan);
  await harness.until('hanging', ({ stage, effects }) => stage === 'canary' && effects.length === 0);
  for (const method of ['GET', 'PUT', 'POST']) service.hangs.add(method);
  const followed = await harness.command('hanging', 'rollback');
  expect(followed.verified).toBe(true);
  const status = await harness.until('hanging', ({ outcome }) => outcome === 'rolled back');
  expect(status.effects.map(({ name, purpose }) => `${purpose} ${name}`).sort()).toEqual([
    'notify hook',
    'restore flags',
  ]);
  expect(status.doing).toBe('closed: rolled back; effects are pending');
  service.hangs.clear();
  // Those that hang now are given up after a minute or with their worker; a new one goes on at once.
  harness.workers.at(-1)?.signal('SIGKILL');
  await harness.startWorker();
  await harness.handle('hanging').result();
  expect(service.flags['share']).toBe('as it was');
});

it('acts exactly once at a receiver that honours the key, wherever the worker is killed', async () => {
  const plan = quickPlan(
    'killed',
    { canary: { ...staying(), effects: FLAG(30) } },
    { notify: [{ name: 'hook' }] },
  );
  const hangAt = async (method: string, reached: () => boolean) => {
    await harness.eventually(`a ${method} that hangs`, async () => reached());
    harness.workers.at(-1)?.signal('SIGKILL');
    service.hangs.delete(method);
    await harness.startWorker();
  };
  // Before it is captured, after it is set, and after the webhook has acted.
  for (const method of ['GET', 'PUT', 'POST']) service.hangs.add(method);
  const seen = service.received.length;
  const since = (method: string) => service.received.slice(seen).some((request) => request.method === method);
  await harness.begin(plan);
  await hangAt('GET', () => since('GET'));
  await hangAt('PUT', () => since('PUT'));
  await hangAt('POST', () => since('POST'));
  await harness.until('killed', ({ stage, effects }) => stage === 'canary' && effects.length === 0);
  expect(service.flags['share']).toBe(30);
  expect(service.acted.map(({ moment }) => moment)).toEqual(['stage entered']);
  await harness.command('killed', 'emergencyRollback');
  await harness.handle('killed').result();
  expect(service.flags['share']).toBe('as it was');
  expect(service.acted.map(({ moment }) => moment)).toEqual(['stage entered', 'rolled back']);
});
