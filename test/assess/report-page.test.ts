import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import type { Browser } from 'playwright-core';
import { launchBrowser } from '../support/browser';
import { runCli } from '../support/cli';
import { legibilityOf } from '../support/console-page';

jest.setTimeout(120_000);

const HEADER = 'request_created_at,latency,time_to_first_token,status,prompt_tokens,completion_tokens,model';

let folder: string;
let page: string;
let browser: Browser;

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'report-page-'));
  const rows = Array.from({ length: 2_000 }, (_, at) => {
    const time = new Date(Date.UTC(2026, 8, 20) + at * 1_500_000).toISOString();
    const model =
      at % 7 === 0 ? '<b>a-model-with-a-name-that-is-rather-long-for-a-small-screen</b>' : `model-${at % 3}`;
    return `${time},${100 + ((at * 37) % 900)},${10 + (at % 90)},${at % 50 === 0 ? 500 : 200},${500 + at},${at % 300},${model}`;
  });
  const log = join(folder, 'usage.csv');
  page = join(folder, 'report.html');
  writeFileSync(log, [HEADER, ...rows, ''].join('\n'));
  const prices = join(folder, 'prices.json');
  const models = [
    'model-0',
    'model-1',
    'model-2',
    '<b>a-model-with-a-name-that-is-rather-long-for-a-small-screen</b>',
  ];
  const price = (provider: string, model: string, input: number) => {
    return { provider, model, input, output: 3 * input, source: 'test list', asOf: '2026-09-01' };
  };
  const written = [...models.map((model) => price('old', model, 2)), price('new', 'next', 1)];
  writeFileSync(prices, JSON.stringify({ version: 1, prices: written }));
  const mapping = models.slice(0, 3).flatMap((model) => ['--mapping', `${model}=next`]);
  await runCli([
    'assess',
    log,
    '--legacy',
    'old',
    '--candidate',
    'new',
    '--prices',
    prices,
    ...mapping,
    '--html',
    page,
  ]);
  browser = await launchBrowser();
});
afterAll(async () => {
  await browser?.close();
  rmSync(folder, { recursive: true });
});

it.each([
  [1280, 'light'],
  [390, 'light'],
  [390, 'dark'],
] as const)('can be read at %d pixels, %s, and loads nothing', async (width, colorScheme) => {
  const context = await browser.newContext({ viewport: { width, height: 900 }, colorScheme });
  const opened = await context.newPage();
  const problems: string[] = [];
  opened.on('pageerror', (error) => problems.push(error.message));
  opened.on('console', (message) => problems.push(message.text()));
  opened.on('request', (request) => {
    if (request.url() !== pathToFileURL(page).href) problems.push(request.url());
  });
  await opened.goto(pathToFileURL(page).href);
  expect(await legibilityOf(opened)).toEqual({ tooFaint: [], overflowPx: 0 });
  expect(problems).toEqual([]);
  expect(await opened.locator('b').count()).toBe(0);
  expect(await opened.locator('figure').count()).toBe(5);
  // Every cell of the 168 hours, and a bar for each day and model.
  expect(await opened.locator('figure', { hasText: 'by weekday and hour' }).locator('rect').count()).toBe(
    168,
  );
  expect(
    await opened.locator('figure', { hasText: 'Tokens by day' }).locator('rect').count(),
  ).toBeGreaterThan(100);
  const drawn = await opened.locator('figure').evaluateAll((figures) =>
    figures.map((figure) => {
      const { width: wide, height: high } = figure
        .getElementsByTagName('svg')[0]
        ?.getBoundingClientRect() ?? { width: 0, height: 0 };
      return wide > 300 && high > 100;
    }),
  );
  expect(drawn).toEqual([true, true, true, true, true]);
  await context.close();
});
