import { execFile } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import type { Page } from 'playwright-core';
import { built } from '../support/cli';
import { ConsolePage, legibilityOf } from '../support/console-page';
import { MigrationHarness } from '../support/migrations/migration-harness';
import { quickDocument, quickPlan, staying } from '../support/migrations/quick-plan';
import { installedProgram } from '../support/servers/debian-program';

const SCRIPT = '<img src=x onerror="document.title=\'taken\'"><script>document.title="taken"</script>';
const WAIT_MS = 60_000;
const LONG = { canary: staying() };

let harness: MigrationHarness;
let site: ConsolePage;

beforeAll(async () => {
  harness = await MigrationHarness.start({ routes: ['chat', 'paused', 'shown', 'terminal'] });
  await harness.startWorker();
  site = await ConsolePage.start(harness);
  harness.load('chat');
}, 120_000);
afterAll(async () => {
  await site?.stop();
  await harness.stop();
});

async function openMigration(page: Page, route: string): Promise<void> {
  await page.getByRole('link', { name: new RegExp(`^${route} `) }).click();
  await page.getByRole('heading', { level: 1, name: route }).waitFor();
}

it('rolls a real migration back, verified at its gateways, with a script in the reason shown as text', async () => {
  await harness.beginInCanary(quickPlan('chat', LONG));
  const { page, problems } = await site.open();
  expect(page.url()).not.toContain(site.token);
  await openMigration(page, 'chat');
  await page.getByText(/^Counted by the gateways/).waitFor({ timeout: WAIT_MS });
  await page.getByRole('button', { name: 'Roll back', exact: true }).click();
  const dialog = page.getByRole('dialog', { name: 'Roll back?' });
  await dialog.getByText('All traffic of chat goes back to old-llm.').waitFor();
  await dialog.getByLabel('Reason').fill(SCRIPT);
  await dialog.getByRole('button', { name: 'Roll back' }).click();
  await page
    .getByText(/^Verified: 0% in effect, epoch \d+, checkpoint \d+, confirmed by gw-1, gw-2$/)
    .waitFor({ timeout: WAIT_MS });
  await page.locator('.banner').getByText('Rolled back', { exact: true }).waitFor({ timeout: WAIT_MS });

  for (const name of ['gw-1', 'gw-2']) {
    expect((await harness.gatewayStatus(name, 'chat')).effectiveShare).toBe(0);
  }
  const intended = (await harness.checkpoints('chat')).find(
    (entry) => entry.kind === 'intended' && entry.cause === 'rollback',
  );
  expect(intended).toMatchObject({ reason: SCRIPT, by: expect.stringMatching(/^ana \(.* via ui\)$/) });
  await page
    .locator('.lead')
    .getByText(`By ${intended?.kind === 'intended' ? intended.by : ''}: ${SCRIPT}`)
    .waitFor();
  const [report] = await Promise.all([
    page.context().waitForEvent('page'),
    page.getByRole('link', { name: 'Read the report' }).click(),
  ]);
  await report.getByRole('heading', { name: 'In brief' }).waitFor();
  expect(await report.locator('main section').first().textContent()).toContain(SCRIPT);
  expect(await report.locator('img, script').count()).toBe(0);
  await report.close();
  await page.getByText(SCRIPT).first().waitFor();
  expect(await page.locator('main img, main script').count()).toBe(0);
  expect(await page.title()).toBe('chat – Cutover');
  expect(problems).toEqual([]);
  await page.context().close();
});

it('is worked by the keyboard alone, and pauses and resumes', async () => {
  await harness.beginInCanary(quickPlan('paused', LONG));
  const { page } = await site.open();
  const link = page.getByRole('link', { name: /^paused / });
  await link.waitFor({ timeout: WAIT_MS });
  await link.focus();
  await page.keyboard.press('Enter');
  const pause = page.getByRole('button', { name: 'Pause' });
  await pause.focus();
  await page.keyboard.press('Enter');
  const dialog = page.getByRole('dialog', { name: 'Pause?' });
  await dialog.waitFor();
  await page.keyboard.press('Escape');
  await dialog.waitFor({ state: 'detached' });
  expect(await page.locator(':focus').textContent()).toBe('Pause');

  await page.keyboard.press('Enter');
  await page.keyboard.type('let us look');
  await page.keyboard.press('Tab');
  await page.keyboard.press('Tab');
  await page.keyboard.press('Enter');
  await page
    .locator('.banner')
    .getByText(/let us look/)
    .waitFor({ timeout: WAIT_MS });
  await harness.until('paused', ({ paused }) => paused?.reason === 'let us look');

  await page.getByRole('button', { name: 'Resume' }).click();
  await page.getByRole('dialog').getByRole('button', { name: 'Resume' }).click();
  await harness.until('paused', ({ paused }) => paused === null);
  await page.getByRole('button', { name: 'Pause' }).waitFor();
  await page.context().close();
});

it('amends the plan by a text that is pasted, after it has shown what that changes', async () => {
  const { page } = await site.open();
  await openMigration(page, 'paused');
  await page.getByRole('button', { name: 'Amend the plan' }).click();
  const dialog = page.getByRole('dialog', { name: 'Amend the plan?' });
  const show = dialog.getByRole('button', { name: 'Show what changes' });
  const amend = dialog.getByRole('button', { name: 'Amend the plan' });
  const text = dialog.getByLabel('Plan, as YAML or JSON');
  const give = (stages: Parameters<typeof quickDocument>[1], route = 'paused') =>
    text.fill(JSON.stringify(quickDocument(route, stages)));

  await text.fill('route: paused\nstages: 7');
  await show.click();
  await dialog.getByText('the plan is not valid:').waitFor();
  await give(LONG, 'chat');
  await show.click();
  await dialog.getByText('expected a plan of the route "paused", got one of "chat"').waitFor();
  await give({ canary: { ...staying(), share: 0.35 } });
  await show.click();
  await dialog.getByText(/^It would be refused: /).waitFor();
  expect(await amend.isDisabled()).toBe(true);
  await give({ canary: { ...staying(), soak: '7m' } });
  expect(await dialog.getByText(/^It would be refused: /).count()).toBe(0);
  await show.click();
  await dialog.getByRole('row', { name: 'canary.soak 5 min 7 min' }).waitFor();
  await amend.click();
  await dialog.getByText('A reason is needed.').waitFor();
  await dialog.getByLabel('Reason').fill('nights are quiet');
  await amend.click();
  await dialog.waitFor({ state: 'detached' });
  await harness.until('paused', ({ soak }) => soak.requiredMs === 420_000);
  const amended = (await harness.checkpoints('paused')).find(
    (entry) => entry.kind === 'recorded' && entry.what === 'amended',
  );
  expect(amended).toMatchObject({
    reason: 'nights are quiet: canary.soak: 5 min -> 7 min',
    by: expect.stringMatching(/^ana \(.* via ui\)$/),
  });
  await page.context().close();
});

it('says what would be refused, and refuses an override without a reason', async () => {
  const { page } = await site.open();
  await openMigration(page, 'paused');
  await page.getByRole('button', { name: 'Promote canary without a pass' }).click();
  const dialog = page.getByRole('dialog');
  await dialog.getByText(/Your name, reason and checkpoint \d+ are recorded/).waitFor();
  await dialog.getByLabel('Reason').fill('   ');
  await dialog.getByRole('button', { name: /^Promote/ }).click();
  await dialog.getByText('A reason is needed.').waitFor();
  await page.context().close();
});

it('shows a viewer the migration, and in place of the commands why there are none', async () => {
  const configuration = JSON.parse(readFileSync(harness.configPath, 'utf8'));
  const configPath = join(harness.folder, 'by-name.json');
  const identity = { header: 'x-forwarded-user', trusted: ['127.0.0.1'] };
  const roles = { operators: ['ana'], viewers: ['vera'] };
  writeFileSync(configPath, JSON.stringify({ ...configuration, console: { identity, roles } }));
  const named = await ConsolePage.start(harness, configPath);
  try {
    const { page, problems } = await named.open({ extraHTTPHeaders: { 'x-forwarded-user': 'vera' } });
    await page.getByText('vera, viewer', { exact: true }).waitFor();
    await openMigration(page, 'paused');
    await page.getByText('vera may look but not give commands').waitFor();
    expect(await page.getByRole('button', { name: 'Pause' }).count()).toBe(0);
    expect(problems).toEqual([]);

    const operator = await named.open({ extraHTTPHeaders: { 'x-forwarded-user': 'ana' } });
    await openMigration(operator.page, 'paused');
    await operator.page.getByRole('button', { name: 'Pause' }).click();
    await operator.page.getByRole('dialog').getByRole('button', { name: 'Pause' }).click();
    await harness.until('paused', ({ paused }) => paused?.by.startsWith('ana (') === true);
    await harness.client.command('paused', 'resume', { by: 'test' });
  } finally {
    await named.stop();
  }
});

describe('whoever is not this page', () => {
  const json = { 'content-type': 'application/json' };
  const own = () => ({ ...json, origin: site.url.replace(/\/$/, '') });
  const command = { name: 'pause', commandId: 'from-elsewhere', label: 'Pause', reason: '', payload: {} };
  let cookie = '';

  beforeAll(async () => {
    const session = await site.ask('/api/session', {
      method: 'POST',
      headers: own(),
      body: { token: site.token },
    });
    cookie = session.cookie;
    expect(session.status).toBe(200);
  });

  it('reads nothing without the token', async () => {
    expect(await site.ask('/api/live')).toMatchObject({ status: 401 });
    expect(await site.ask('/api/routes/paused/checkpoints')).toMatchObject({ status: 401 });
    const wrong = await site.ask('/api/session', {
      method: 'POST',
      headers: own(),
      body: { token: 'guessed' },
    });
    expect(wrong).toMatchObject({ status: 401, cookie: '' });
    expect(await site.ask('/api/live', { headers: { cookie } })).toMatchObject({ status: 200 });
  });

  it.each([
    ['another Host', { host: 'evil.example' }, 403],
    ['another Origin', { origin: 'http://evil.example' }, 403],
    ['another port of this machine', { origin: 'http://127.0.0.1:1' }, 403],
    ['another site, by what the browser says', { 'sec-fetch-site': 'cross-site' }, 403],
    ['a form, which is no JSON', { 'content-type': 'text/plain' }, 415],
  ])('gives no command from %s', async (_name, headers, status) => {
    const sent = { ...own(), cookie, ...headers };
    const answer = await site.ask('/api/routes/paused/commands', {
      method: 'POST',
      headers: sent,
      body: command,
    });
    expect(answer.status).toBe(status);
    expect((await harness.client.status('paused')).paused).toBeNull();
  });

  it('gives no command without any Origin, and none that is malformed', async () => {
    const path = '/api/routes/paused/commands';
    const bare = { ...json, cookie };
    expect(await site.ask(path, { method: 'POST', headers: bare, body: command })).toMatchObject({
      status: 403,
    });
    const headers = { ...own(), cookie };
    for (const body of [{}, { ...command, name: 'terminate' }, { ...command, payload: { a: {} } }]) {
      expect(await site.ask(path, { method: 'POST', headers, body })).toMatchObject({ status: 400 });
    }
    expect(
      await site.ask('/api/routes/..%2f/commands', { method: 'POST', headers, body: command }),
    ).toMatchObject({ status: 404 });
    expect(await site.ask('/../../package.json', { headers: { cookie } })).toMatchObject({ status: 404 });
  });
});

it.each([
  [1280, 'light'],
  [1280, 'dark'],
  [390, 'light'],
  [390, 'dark'],
] as const)('can be read at %i pixels, %s', async (width, colorScheme) => {
  const { page } = await site.open({ viewport: { width, height: 844 }, colorScheme });
  await page.getByRole('link', { name: /^paused / }).waitFor();
  expect(await legibilityOf(page)).toEqual({ tooFaint: [], overflowPx: 0 });
  await openMigration(page, 'paused');
  await page.getByRole('heading', { name: 'Checkpoints' }).waitFor();
  expect(await legibilityOf(page)).toEqual({ tooFaint: [], overflowPx: 0 });
  await page.getByRole('button', { name: 'Emergency rollback' }).click();
  expect(await legibilityOf(page)).toEqual({ tooFaint: [], overflowPx: 0 });
  await page.context().close();
});

it('shows itself on a real terminal and gives it back', async () => {
  const tmux = await installedProgram({ program: 'tmux', package: 'tmux', path: 'usr/bin/tmux' });
  const socket = `${harness.folder}/tmux`;
  const run = async (...args: string[]) =>
    (await promisify(execFile)(tmux, ['-S', socket, '-u', ...args])).stdout;
  await harness.beginInCanary(quickPlan('terminal', LONG));
  const env = {
    ...harness.secrets,
    CUTOVER_CONFIG: harness.configPath,
    TEMPORAL_ADDRESS: harness.temporal.address,
  };
  const settings = Object.entries(env).flatMap(([name, value]) => ['-e', `${name}=${value}`]);
  const watch = `LC_ALL=C.UTF-8 exec '${process.execPath}' '${built('src', 'cli', 'main.js')}' watch terminal`;
  const seen = () => run('capture-pane', '-p', '-t', 'watch');
  const state = async () =>
    (await run('display', '-p', '-t', 'watch', '#{alternate_on} #{cursor_flag}')).trim();
  try {
    await run(
      'new-session',
      '-d',
      '-s',
      'watch',
      '-x',
      '80',
      '-y',
      '24',
      ...settings,
      `sh -c "sh -c \\"${watch}\\"; sleep 100"`,
    );
    await harness.eventually('the stage on the terminal', async () =>
      (await seen()).includes('◉ canary 30%'),
    );
    expect(await seen()).toMatch(/^q leaves/m);
    expect(await state()).toBe('1 0');
    await run('resize-window', '-t', 'watch', '-x', '20', '-y', '12');
    await harness.eventually('the narrow frame', async () => (await seen()).includes('●◉○○ canary 30%'));
    for (const line of (await seen()).split('\n')) expect([...line].length).toBeLessThanOrEqual(20);
    await run('send-keys', '-t', 'watch', 'q');
    await harness.eventually('the former screen', async () => (await state()) === '0 1');
    await harness.eventually('the last frame, which stays', async () =>
      (await seen()).includes('terminal  old-llm'),
    );
  } finally {
    await run('kill-server').catch(() => undefined);
  }
});

it('says that a gateway, and then Temporal, is gone, and goes on when they are back', async () => {
  await harness.beginInCanary(quickPlan('shown', LONG));
  const { page } = await site.open();
  await openMigration(page, 'shown');
  const banners = page.locator('.banner');
  harness.gateway('gw-2').process.signal('SIGSTOP');
  await banners.getByText('Gateways that do not answer').waitFor({ timeout: WAIT_MS });
  harness.gateway('gw-2').process.signal('SIGCONT');
  await banners.getByText('Gateways that do not answer').waitFor({ state: 'detached', timeout: WAIT_MS });
  await harness.temporal.stop();
  await banners.getByText('Temporal does not answer').waitFor({ timeout: WAIT_MS });
  await banners.getByText('cutover kill shown').waitFor();
  await harness.startTemporal();
  await banners.getByText('Temporal does not answer').waitFor({ state: 'detached', timeout: WAIT_MS });
  await page.context().close();
}, 200_000);
