import { execFile } from 'node:child_process';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync } from 'node:fs';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import type { Browser } from 'playwright-core';
import { launchBrowser } from '../support/browser';

const ROOT = join(__dirname, '..', '..');

let site: string;
let server: Server;
let browser: Browser;
let url: string;

/** As a plain file server does it: a path is a file, and `/` its index. */
function fileAt(path: string): string | null {
  const file = join(site, decodeURIComponent(path.endsWith('/') ? `${path}index.html` : path));
  return existsSync(file) && statSync(file).isFile() ? file : null;
}

beforeAll(async () => {
  site = mkdtempSync(join(tmpdir(), 'cutover-site-'));
  const vitepress = join(ROOT, 'node_modules', '.bin', 'vitepress');
  await promisify(execFile)(vitepress, ['build', 'docs', '--outDir', site], { cwd: ROOT });
  server = createServer(({ url: asked = '/' }, answer) => {
    const file = fileAt(new URL(asked, 'http://site').pathname);
    if (file === null) answer.writeHead(404).end();
    else {
      const type = { html: 'text/html', js: 'text/javascript', css: 'text/css', svg: 'image/svg+xml' };
      const ending = file.split('.').at(-1) as keyof typeof type;
      answer.writeHead(200, { 'content-type': type[ending] ?? 'text/plain' }).end(readFileSync(file));
    }
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  browser = await launchBrowser();
}, 300_000);

afterAll(async () => {
  await browser?.close();
  server.closeAllConnections();
  server.close();
  rmSync(site, { recursive: true });
});

it('finds a page by its words without a server, and loads nothing from elsewhere', async () => {
  const page = await browser.newPage();
  const asked: string[] = [];
  page.on('request', (request) => asked.push(request.url()));
  await page.goto(url);
  await page.getByRole('button', { name: 'Search' }).first().click();
  await page.getByRole('searchbox').fill('dead gateway lease');
  await page.locator('.result').first().click();
  await page.waitForURL(/\.html/);
  expect(await page.locator('main h1, .vp-doc h1').first().innerText()).toMatch(/\w/);
  expect(asked.filter((each) => !each.startsWith(url) && !each.startsWith('data:'))).toEqual([]);
});

it('lists every document', async () => {
  const page = await browser.newPage();
  await page.goto(`${url}/concepts.html`);
  const links = await page
    .locator('aside.VPSidebar a')
    .evaluateAll((all) => all.map((link) => link.getAttribute('href')?.replace(/^\/|\.html$/g, '')));
  const documents = readdirSync(join(ROOT, 'docs'), { recursive: true, encoding: 'utf8' })
    .filter((file) => file.endsWith('.md') && file !== 'index.md')
    .map((file) => file.replace(/\.md$/, ''));
  expect(links.sort()).toEqual(documents.sort());
});

it('leads from a document to the examples that it names', async () => {
  const page = await browser.newPage();
  await page.goto(`${url}/recipes.html`);
  const examples = page.locator('a[href*="/source/examples/"][href$=".yaml"]');
  expect(await examples.count()).toBeGreaterThan(5);
  for (const link of await examples.all()) {
    const href = (await link.getAttribute('href')) ?? '';
    expect({ href, exists: fileAt(href) !== null }).toEqual({ href, exists: true });
  }
});

it.each(['index', 'quickstart', 'console'])(
  'has no serious finding of axe in %s, light or dark',
  async (name) => {
    const axe = readFileSync(require.resolve('axe-core/axe.min.js'), 'utf8');
    for (const colorScheme of ['light', 'dark'] as const) {
      const page = await browser.newPage({ colorScheme });
      await page.goto(`${url}/${name}.html`);
      await page.getByRole('button', { name: 'Search' }).first().waitFor();
      await page.evaluate(axe);
      // The name of VitePress's own search button leaves out the key that is shown on it.
      const findings = await page.evaluate(`axe
      .run(document, { rules: { 'label-content-name-mismatch': { enabled: false } } })
      .then(({ violations }) => violations
        .filter(({ impact }) => impact === 'serious' || impact === 'critical')
        .map(({ id, nodes }) => id + ': ' + nodes[0].html.slice(0, 120)))`);
      expect({ colorScheme, findings }).toEqual({ colorScheme, findings: [] });
      await page.close();
    }
  },
);

it('shows the files of a folder that a document names', async () => {
  const page = await browser.newPage();
  await page.goto(`${url}/production.html`);
  const folders = page.locator('a[href^="/source/"][href$="/"]');
  expect(await folders.count()).toBeGreaterThan(0);
  const href = (await folders.first().getAttribute('href')) ?? '';
  await page.goto(`${url}${href}`);
  const files = await page.locator('li a').evaluateAll((all) => all.map((link) => link.getAttribute('href')));
  expect(files.length).toBeGreaterThan(0);
  for (const file of files) expect(fileAt(`${href}${file}`)).not.toBeNull();
});

it('shows braces of templates as they are written', async () => {
  const page = await browser.newPage();
  await page.goto(`${url}/configuration-reference.html`);
  expect(await page.locator('body').textContent()).toContain('{{');
});
