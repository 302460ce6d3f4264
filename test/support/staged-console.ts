import { join } from 'node:path';
import type { Browser, BrowserContextOptions, Page } from 'playwright-core';
import type { ListedMigration } from '../../src/client/listed-migration';
import { planOfText } from '../../src/client/plan-file';
import { ConsoleFeeds } from '../../src/console/server/console-feeds';
import { type RunningConsole, startConsole } from '../../src/console/server/console-server';
import { loadPageFiles } from '../../src/console/server/page-file';
import type { ConsoleClient } from '../../src/console/source/console-client';
import type { GatewayReader } from '../../src/console/source/gateway-watch';
import { previewAmendment } from '../../src/core/migration/amendment/amendment';
import { rollbackEligibilityOf, statusOf } from '../../src/core/migration/status';
import { launchBrowser } from './browser';
import type { MigrationWorld } from './migrations/migration-world';

const TOKEN = 'a-token-of-this-test';

/** The real console and a real browser before migrations that stand still: their states come from the state machine. */
export class StagedConsole {
  private constructor(
    private readonly server: RunningConsole,
    readonly browser: Browser,
  ) {}

  static async start(
    worlds: Readonly<Record<string, MigrationWorld>>,
    listed: readonly ListedMigration[] = [],
    gateways: GatewayReader | null = null,
    workers = 1,
  ): Promise<StagedConsole> {
    const client = async () => stagedClient(worlds, listed, workers);
    const providersOf = () => ({ legacy: 'old-llm', candidate: 'new-llm' });
    const server = await startConsole({
      client,
      feeds: new ConsoleFeeds({ client, gateways, providersOf, intervalMs: 300 }),
      files: loadPageFiles(join(__dirname, '..', '..', 'dist', 'page')),
      token: TOKEN,
      by: () => 'ana',
      readPlan: (text) => planOfText(text, 'the plan'),
      hosts: [],
      host: '127.0.0.1',
      port: 0,
      loginFailed: () => undefined,
    });
    return new StagedConsole(server, await launchBrowser());
  }

  /** A page that shows a route's migration, or the list for ''. */
  async open(route: string, options: BrowserContextOptions = {}): Promise<Page> {
    const context = await this.browser.newContext({ viewport: { width: 1280, height: 900 }, ...options });
    const page = await context.newPage();
    await this.login(page);
    if (route !== '') {
      await page.goto(`${this.server.url}#/${route}`);
      await page.getByRole('heading', { level: 1, name: route }).waitFor();
      await page.getByRole('heading', { name: 'Checkpoints' }).waitFor();
    }
    return page;
  }

  /** Opens the list in a page that knows the token. */
  async login(page: Page): Promise<void> {
    await page.goto(`${this.server.url}#token=${TOKEN}`);
    await page.getByRole('status').filter({ hasText: 'live' }).waitFor();
  }

  get url(): string {
    return this.server.url;
  }

  async stop(): Promise<void> {
    await this.browser.close();
    await this.server.stop();
  }
}

function stagedClient(
  worlds: Readonly<Record<string, MigrationWorld>>,
  listed: readonly ListedMigration[],
  workers: number,
): ConsoleClient {
  const pollers = { alive: workers, silent: 0, lastPollMs: workers === 0 ? null : 1_000 };
  const worldOf = (route: string): MigrationWorld => {
    const world = worlds[route];
    if (world === undefined) throw new Error(`expected a staged migration of ${route}`);
    return world;
  };
  return {
    status: async (route) => statusOf(worldOf(route).state, worldOf(route).nowMs),
    async *checkpoints(route, options = {}) {
      yield* worldOf(route).checkpoints.filter(({ seq }) => seq > (options.after ?? 0));
    },
    verdicts: async (route) => worldOf(route).state.verdicts,
    assessment: async (route) => worldOf(route).state.assessment,
    amendment: async (route, plan) => previewAmendment(worldOf(route).state, plan),
    rollbackEligibility: async (route) => rollbackEligibilityOf(worldOf(route).state),
    command: async () => {
      throw new Error('expected no command before a staged migration');
    },
    list: async () => listed,
    workers: async () => ({ routing: pollers, watching: pollers, effects: pollers }),
  };
}
