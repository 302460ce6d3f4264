import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { get } from 'node:http';
import { createGunzip } from 'node:zlib';
import type { Page } from 'playwright-core';
import type { ListedMigration } from '../../src/client/listed-migration';
import { readMigration } from '../../src/history/recorded-migration';
import { renderReport } from '../../src/history/write-report';
import { legibilityOf } from '../support/console-page';
import { historyOf } from '../support/migrations/recorded-history';
import { listedScenes, scenes } from '../support/migrations/scenes';
import { StagedConsole } from '../support/staged-console';

const AXE = readFileSync(require.resolve('axe-core/axe.min.js'), 'utf8');
const WORLDS = scenes();

let site: StagedConsole;

beforeAll(async () => {
  site = await StagedConsole.start(WORLDS, listedScenes(WORLDS));
});
afterAll(() => site?.stop());

/** What keeps people from using a page, as axe finds it: serious and critical findings, each with its first element. */
async function seriousFindings(page: Page): Promise<string[]> {
  // A session of the browser's own tools: the page's policy lets no other script in.
  const session = await page.context().newCDPSession(page);
  await session.send('Runtime.evaluate', { expression: AXE });
  const { result } = await session.send('Runtime.evaluate', {
    expression: `axe.run(document).then(({ violations }) => JSON.stringify(violations
      .filter(({ impact }) => impact === 'serious' || impact === 'critical')
      .map(({ id, help, nodes }) => id + ': ' + help + ': ' + nodes[0].html.slice(0, 120))))`,
    awaitPromise: true,
    returnByValue: true,
  });
  return JSON.parse(String(result.value));
}

describe.each(['', ...Object.keys(WORLDS)])('the page of "%s"', (route) => {
  it.each([
    [1280, 'light'],
    [390, 'dark'],
  ] as const)('has no serious finding of axe at %i pixels, %s', async (width, colorScheme) => {
    const page = await site.open(route, { viewport: { width, height: 844 }, colorScheme });
    expect(await seriousFindings(page)).toEqual([]);
    expect(await legibilityOf(page)).toEqual({ tooFaint: [], overflowPx: 0 });
    await page.context().close();
  });
});

it('has no serious finding of axe in its dialogs, its login and a report', async () => {
  const page = await site.open('canary');
  await page.getByRole('button', { name: 'Roll back', exact: true }).click();
  expect(await seriousFindings(page)).toEqual([]);
  await page.keyboard.press('Escape');
  await page.getByRole('button', { name: 'Amend the plan' }).click();
  const plan = { route: 'canary', stages: [{ name: 'assess' }, { name: 'canary' }, { name: 'complete' }] };
  await page.getByLabel('Plan, as YAML or JSON').fill(JSON.stringify(plan));
  await page.getByRole('button', { name: 'Show what changes' }).click();
  await page.getByRole('columnheader', { name: 'Amended' }).waitFor();
  expect(await seriousFindings(page)).toEqual([]);
  expect(await legibilityOf(page)).toEqual({ tooFaint: [], overflowPx: 0 });
  await page.keyboard.press('Escape');
  await page.keyboard.press('?');
  await page.getByRole('dialog', { name: 'What the numbers mean' }).waitFor();
  expect(await seriousFindings(page)).toEqual([]);
  await page.context().close();

  const stranger = await site.browser.newPage();
  await stranger.goto(site.url);
  await stranger.getByLabel('Token').waitFor();
  expect(await seriousFindings(stranger)).toEqual([]);
  await stranger.close();

  const report = await site.browser.newPage();
  await report.setContent(renderReport(readMigration(historyOf('harm')), Date.UTC(2026, 10, 29)).html);
  for (const colorScheme of ['light', 'dark'] as const) {
    await report.emulateMedia({ colorScheme });
    expect({ colorScheme, findings: await seriousFindings(report) }).toEqual({ colorScheme, findings: [] });
  }
  await report.close();
});

it('leads with the cause of a rollback, what callers felt, money and time, and links to the report', async () => {
  const page = await site.open('rolled');
  const lead = page.locator('.lead .banner');
  const text = (await lead.textContent()) ?? '';
  expect(text).toMatch(
    /^Rolled back.* ago(Success fell to \d+% \(\d+ of \d+\) .* of rolling, floor 80%\. Share 0 is verified)/,
  );
  expect(text).toMatch(/Callers noticed 0 failures of \d+ requests .* legacy answered \d+ that it failed\./);
  expect(text).toMatch(/\$[\d.]+ spent at the candidate .* saved against/);
  expect(text).toMatch(/Took \d+ min, ended in rolling\./);
  expect(await lead.getByRole('link').getAttribute('href')).toBe('/api/routes/rolled/report');
  expect(await page.locator('.stage.ended').textContent()).toBe('rolling50%, ended here');
  await page.getByRole('heading', { name: 'Gate of rolling' }).waitFor();
  await page.context().close();
});

it('says what happens next by itself, and nothing of it where somebody has to decide', async () => {
  const canary = await site.open('nearly');
  await canary
    .getByText(/^Moves on to rolling (in \d+ s|now) if the gate still passes: nothing to do$/)
    .waitFor();
  await canary.context().close();
  for (const [route, action] of [
    ['held', 'Held: reevaluate, promote with a reason, or roll back'],
    ['asked', 'Approval needed: approve, or decline by pausing or rolling back'],
  ] as const) {
    const page = await site.open(route);
    expect(await page.locator('.banner strong').first().textContent()).toBe(action);
    expect(await page.locator('.banner p').first().textContent()).not.toContain('e-value');
    expect(await page.locator('.outlook').count()).toBe(0);
    await page.context().close();
  }
});

it('shows beside each name the line that the chart draws, solid for the first of a colour', async () => {
  const page = await site.open('canary');
  const keys = page.locator('.chart.wide .chart-key');
  await keys.first().waitFor();
  const dashes = await keys.evaluateAll((all) =>
    all.map((key) => [
      key.querySelector('svg')?.getAttribute('class'),
      key.querySelector('line')?.getAttribute('stroke-dasharray') ?? 'solid',
    ]),
  );
  for (const colour of ['pass', 'harm']) {
    const own = dashes.filter(([name]) => name === `key-line ${colour}`).map(([, dash]) => dash);
    expect(own[0]).toBe('solid');
    expect(new Set(own).size).toBe(own.length);
  }
  await page.context().close();
});

it('explains evidence on hover and by "?", and gives the focus back', async () => {
  const page = await site.open('canary');
  const numbers = page
    .locator('.metric-numbers')
    .filter({ hasText: /^evidence [\d.]+ of \d+ needed$/ })
    .first();
  expect(await numbers.getAttribute('title')).toMatch(/^Evidence [\d.]+ of \d+ needed\. It is an e-value: /);
  await page.getByRole('button', { name: 'Pause' }).focus();
  await page.keyboard.press('?');
  await page.getByRole('dialog', { name: 'What the numbers mean' }).waitFor();
  await page.keyboard.press('Escape');
  expect(await page.locator(':focus').textContent()).toBe('Pause');
  await page.getByRole('button', { name: 'Pause' }).click();
  await page.getByLabel(/^Reason/).fill('why?');
  await page.keyboard.type('?');
  expect(await page.getByRole('dialog').count()).toBe(1);
  await page.context().close();
});

it('explains by a "?" that is pressed before the browser has told that a dialog closed', async () => {
  const page = await site.open('canary');
  await page.getByRole('button', { name: 'Pause' }).click();
  await page.evaluate(
    `document.querySelector('dialog').close();
     document.dispatchEvent(new KeyboardEvent('keydown', { key: '?' }))`,
  );
  await page.getByRole('dialog', { name: 'What the numbers mean' }).waitFor();
  await page.getByRole('dialog', { name: 'Pause?' }).waitFor({ state: 'detached' });
  await page.context().close();
});

it.each(['canary', 'nearly', 'held', 'asked', 'paused'])(
  'reaches every command of "%s" by Tab alone',
  async (route) => {
    const page = await site.open(route);
    const commands = await page.locator('.actions button:not(:disabled)').allTextContents();
    expect(commands.length).toBeGreaterThan(3);
    const reached: string[] = [];
    for (let presses = 0; presses < 40 && reached.length < commands.length; presses += 1) {
      await page.keyboard.press('Tab');
      const text = await page.evaluate(
        "document.activeElement.closest('.actions') === null ? null : document.activeElement.textContent",
      );
      if (typeof text === 'string' && !reached.includes(text)) reached.push(text);
    }
    expect(reached.sort()).toEqual(commands.sort());
    await page.context().close();
  },
);

it('names its columns in the list, and why each migration ended', async () => {
  const page = await site.open('');
  const heads = await page.locator('.listed-heads').last().locator('span').allTextContents();
  expect(heads).toEqual(['Route', 'State', '', 'Ended', 'Why it ended']);
  const row = page.getByRole('link', { name: /^rolled / });
  expect(await row.locator('.listed-why').textContent()).toMatch(/^success fell to \d+% .*, floor 80%$/);
  await page.context().close();
});

it('leaves no hole in its grid of charts, and cuts off no line and no label', async () => {
  for (const width of [1280, 390]) {
    const page = await site.open('rolled', { viewport: { width, height: 844 }, colorScheme: 'dark' });
    await page.locator('.chart canvas').first().waitFor();
    const boxes = await page.locator('.chart:visible').evaluateAll((charts) =>
      charts.map((chart) => {
        const { top, right } = (
          chart as unknown as { getBoundingClientRect(): { top: number; right: number } }
        ).getBoundingClientRect();
        return { top: Math.round(top), right: Math.round(right) };
      }),
    );
    const edge = Math.max(...boxes.map(({ right }) => right));
    for (const row of new Set(boxes.map(({ top }) => top))) {
      expect(Math.max(...boxes.filter(({ top }) => top === row).map(({ right }) => right))).toBe(edge);
    }
    await page.context().close();
  }
});

it('breaks no word of a measure at 390 pixels', async () => {
  const page = await site.open('canary', { viewport: { width: 390, height: 844 } });
  const cells = await page.locator('.sides th[scope="row"]').evaluateAll((found) =>
    found.map((cell) => {
      const { document } = globalThis as unknown as {
        document: {
          createRange(): { selectNodeContents(node: unknown): void; getClientRects(): ArrayLike<unknown> };
        };
      };
      const range = document.createRange();
      range.selectNodeContents(cell);
      return { text: cell.textContent ?? '', lines: range.getClientRects().length };
    }),
  );
  expect(cells.length).toBeGreaterThan(3);
  for (const { text, lines } of cells)
    expect({ text, lines }).toEqual({ text, lines: Math.min(lines, text.split(' ').length) });
  await page.context().close();
});

it('says above the list that no worker polls, as long as a migration is open', async () => {
  const all = listedScenes(WORLDS);
  const ended = all.filter(({ status }) => status !== 'RUNNING');
  for (const [listed, workers, banners] of [
    [all, 0, 1],
    [ended, 0, 0],
    [all, 1, 0],
  ] as const) {
    const still = await StagedConsole.start(WORLDS, listed, null, workers);
    const page = await still.open('');
    await page
      .getByRole('listitem')
      .nth(listed.length - 1)
      .waitFor();
    const texts = await page.locator('.banner').allTextContents();
    await still.stop();
    expect(texts).toHaveLength(banners);
    for (const text of texts) expect(text).toMatch(/^Nothing moves.*no worker polls.*cutover worker\.$/);
  }
});

it('loads in less than 100 KB, with 200 migrations in its list', async () => {
  const many = await StagedConsole.start(WORLDS, manyListed(200));
  const context = await many.browser.newContext();
  const page = await context.newPage();
  const session = await context.newCDPSession(page);
  await session.send('Network.enable');
  let bytes = 0;
  session.on('Network.loadingFinished', ({ encodedDataLength }) => {
    bytes += encodedDataLength;
  });
  await many.login(page);
  await page.getByRole('listitem').nth(199).waitFor();
  // The stream of the list never ends, so the browser does not say what it took.
  const cookies = await context.cookies();
  const first = await firstEventBytes(
    new URL('/api/live', many.url),
    cookies.map(({ name, value }) => `${name}=${value}`).join('; '),
  );
  await many.stop();
  expect(first).toBeGreaterThan(5_000);
  expect(bytes).toBeGreaterThan(20_000);
  expect(bytes + first).toBeLessThan(100_000);
});

/** Bytes on the wire until a browser has the first event of a stream. */
function firstEventBytes(url: URL, cookie: string): Promise<number> {
  return new Promise((resolve, reject) => {
    const headers = { cookie, 'accept-encoding': 'gzip' };
    get(url, { headers }, (answer) => {
      let bytes = 0;
      let text = '';
      const isZipped = answer.headers['content-encoding'] === 'gzip';
      const shown = isZipped ? answer.pipe(createGunzip()) : answer;
      answer.on('data', (chunk: Buffer) => {
        bytes += chunk.length;
      });
      shown.on('data', (chunk: Buffer) => {
        text += chunk.toString('latin1');
        if (!/event: list\n.*\n\n/.test(text)) return;
        answer.destroy();
        resolve(bytes);
      });
    }).once('error', reject);
  });
}

/** As many migrations as are asked for, each with names and reasons of its own. */
function manyListed(count: number): ListedMigration[] {
  const few = listedScenes(WORLDS);
  return Array.from({ length: count }, (_, index) => {
    const one = few[index % few.length] as ListedMigration;
    const id = createHash('sha256').update(String(index)).digest('hex');
    return {
      ...one,
      route: `${one.route}-${id.slice(0, 6)}`,
      migrationId: `${one.migrationId}-${id.slice(6, 12)}`,
      runId: id.slice(12, 48),
      reason: `${one.reason} (ticket ${id.slice(48, 54)})`,
    };
  });
}
