import { request } from 'node:http';
import type { Browser, BrowserContextOptions, Page } from 'playwright-core';
import { launchBrowser } from './browser';
import { built } from './cli';
import type { MigrationHarness } from './migrations/migration-harness';
import { type NodeProcess, startNode } from './node-process';

/** `cutover ui` as a process of its own, and a real browser before it. */
export class ConsolePage {
  private constructor(
    readonly process: NodeProcess,
    readonly browser: Browser,
    readonly url: string,
    readonly token: string,
  ) {}

  /** `configPath` names another configuration than the harness's, such as one by which people log in. */
  static async start(harness: MigrationHarness, configPath = harness.configPath): Promise<ConsolePage> {
    const args = ['ui', '--port', '0', '--interval', '300ms', '--json', '--by', 'ana'];
    const process = await startNode([built('src', 'cli', 'main.js'), ...args], {
      env: {
        ...harness.secrets,
        CUTOVER_CONFIG: configPath,
        TEMPORAL_ADDRESS: harness.temporal.address,
      },
      cwd: harness.folder,
      ready: '"url"',
    });
    const line =
      process
        .output()
        .split('\n')
        .find((text) => text.startsWith('{')) ?? '{}';
    const { url, token = '' } = JSON.parse(line) as { url: string; token?: string };
    return new ConsolePage(process, await launchBrowser(), url, token);
  }

  /** A page with a session; `problems` gathers what the browser complains about. */
  async open(options: BrowserContextOptions = {}): Promise<{ page: Page; problems: string[] }> {
    const context = await this.browser.newContext({ viewport: { width: 1280, height: 900 }, ...options });
    const page = await context.newPage();
    const problems: string[] = [];
    page.on('pageerror', (error) => problems.push(error.message));
    page.on('console', (message) => {
      if (message.type() === 'error') problems.push(message.text());
    });
    await page.goto(this.token === '' ? this.url : `${this.url}#token=${this.token}`);
    await page.getByRole('status').filter({ hasText: 'live' }).waitFor();
    return { page, problems };
  }

  /** A request as any program could send it: status and headers of the answer. */
  ask(
    path: string,
    options: {
      readonly method?: string;
      readonly headers?: Record<string, string>;
      readonly body?: object;
    } = {},
  ): Promise<{ status: number; cookie: string; text: string }> {
    const { method = 'GET', headers = {}, body } = options;
    return new Promise((resolve, reject) => {
      const sent = request(new URL(path, this.url), { method, headers }, (answer) => {
        const cookie = (answer.headers['set-cookie']?.[0] ?? '').split(';')[0] ?? '';
        let text = '';
        answer.setEncoding('utf8').on('data', (chunk: string) => {
          text += chunk;
          // A stream of events has no end.
          if (answer.headers['content-type']?.startsWith('text/event-stream') === true) answer.destroy();
        });
        answer.on('close', () => resolve({ status: answer.statusCode ?? 0, cookie, text }));
      });
      sent.on('error', reject);
      sent.end(body === undefined ? undefined : JSON.stringify(body));
    });
  }

  async stop(): Promise<void> {
    await this.browser.close();
    await this.process.end();
  }
}

/** Texts of the page whose colours are too alike to be read, by WCAG 2.2 AA; and how far the page is wider than its window. */
export function legibilityOf(page: Page): Promise<{ tooFaint: string[]; overflowPx: number }> {
  return page.evaluate(LEGIBILITY);
}

/** Runs in the browser, which knows the colours that it has drawn. */
const LEGIBILITY = `(() => {
  const canvas = document.createElement('canvas').getContext('2d', { willReadFrequently: true });
  const rgba = (colour) => {
    canvas.clearRect(0, 0, 1, 1);
    canvas.fillStyle = colour;
    canvas.fillRect(0, 0, 1, 1);
    const [r, g, b, a] = canvas.getImageData(0, 0, 1, 1).data;
    return [r, g, b, a / 255];
  };
  const over = (top, under) => [0, 1, 2].map((i) => top[i] * top[3] + under[i] * (1 - top[3])).concat(1);
  const luminance = (colour) => {
    const [r, g, b] = colour.slice(0, 3).map((v) => (v / 255 <= 0.04045 ? v / 255 / 12.92 : ((v / 255 + 0.055) / 1.055) ** 2.4));
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const groundOf = (element) => {
    if (element === null) return rgba(getComputedStyle(document.body).backgroundColor);
    const own = rgba(getComputedStyle(element).backgroundColor);
    return own[3] === 1 ? own : over(own, groundOf(element.parentElement));
  };
  const tooFaint = [];
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (walker.nextNode()) {
    const text = walker.currentNode.textContent.trim();
    const element = walker.currentNode.parentElement;
    if (text === '' || element === null || element.closest('.unseen, :disabled, noscript, script') !== null) continue;
    if (!element.checkVisibility()) continue;
    const style = getComputedStyle(element);
    const ground = groundOf(element);
    const [light, dark] = [luminance(over(rgba(style.color), ground)), luminance(ground)].sort((a, b) => b - a);
    const size = parseFloat(style.fontSize);
    const large = size >= 24 || (size >= 18.66 && Number(style.fontWeight) >= 700);
    const ratio = (light + 0.05) / (dark + 0.05);
    if (ratio < (large ? 3 : 4.5)) tooFaint.push(text.slice(0, 40) + ': ' + ratio.toFixed(2));
  }
  return { tooFaint, overflowPx: Math.max(0, document.documentElement.scrollWidth - window.innerWidth) };
})()`;
