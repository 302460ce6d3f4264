import type { ConsoleClient } from '../source/console-client';
import { type GatewayReader, GatewayWatch } from '../source/gateway-watch';
import { MigrationSource } from '../source/migration-source';
import { StandStill, troubleOf } from '../source/trouble';
import type { ProviderNames } from '../view/action';
import { listedViews } from '../view/listed-migration';
import { migrationView } from '../view/migration-view';
import type { Trouble } from '../view/trouble';
import { Feed, type Parts } from './feed';

export interface FeedsOptions {
  readonly client: () => Promise<ConsoleClient>;
  /** Null where no configuration says where the gateways are. */
  readonly gateways: GatewayReader | null;
  readonly providersOf: (route: string) => ProviderNames | null;
  /** Between two looks at a migration that is open, milliseconds. */
  readonly intervalMs: number;
  /** Texts with their commands as this user can type them; as they are when absent. */
  readonly asTyped?: (text: string) => string;
}

/** One migration that is looked at, and the feed of its viewers. */
export interface WatchedMigration {
  readonly source: MigrationSource;
  readonly feed: Feed;
}

const LINGER_MS = 10_000;
/** While a command is followed: an operator waits for it. */
const ORDER_INTERVAL_MS = 250;
const CLOSED_FACTOR = 5;
const LIST_FACTOR = 2;
const KEPT_AT_MOST = 64;

/** A feed a migration and one for the list, shared by all viewers. */
export class ConsoleFeeds {
  readonly list: Feed;
  readonly #options: FeedsOptions;
  readonly #watched = new Map<string, WatchedMigration>();

  constructor(options: FeedsOptions) {
    this.#options = options;
    let last: Parts = {};
    let trouble: Trouble | null = null;
    const read = async (): Promise<Parts> => {
      try {
        const client = await options.client();
        const rows = listedViews(await client.list());
        last = Object.fromEntries(rows.map((row) => [`${row.migrationId} ${row.runId ?? ''}`, row]));
        if (rows.some(({ open }) => open) && (await hasNoWorker(client))) throw new StandStill();
        trouble = null;
      } catch (error) {
        trouble = troubleOf(error, trouble, Date.now());
      }
      return { ...last, trouble };
    };
    this.list = new Feed({ read, intervalMs: () => options.intervalMs * LIST_FACTOR, lingerMs: LINGER_MS });
  }

  /** The migration of a route that somebody looks at; its newest unless `runId` names another. */
  watch(route: string, runId: string | null): WatchedMigration {
    const key = `${route} ${runId ?? ''}`;
    const known = this.#watched.get(key);
    if (known !== undefined) return known;
    for (const [other, { feed, source }] of this.#watched) {
      if (this.#watched.size < KEPT_AT_MOST) break;
      if (feed.isIdle && !source.hasOpenOrders) this.#watched.delete(other);
    }
    const { client, gateways, providersOf, intervalMs } = this.#options;
    const source = new MigrationSource({
      client,
      route,
      ...(runId === null ? {} : { runId }),
      gateways:
        gateways === null || runId !== null
          ? null
          : new GatewayWatch(gateways, route, () => performance.now()),
      providers: providersOf(route),
      now: () => Date.now(),
    });
    const feed = new Feed({
      read: () => partsOf(source, this.#options.asTyped ?? unchanged),
      intervalMs: () =>
        source.hasOpenOrders
          ? Math.min(ORDER_INTERVAL_MS, intervalMs)
          : source.isClosed
            ? intervalMs * CLOSED_FACTOR
            : intervalMs,
      lingerMs: LINGER_MS,
    });
    const watched = { source, feed };
    this.#watched.set(key, watched);
    return watched;
  }

  stop(): void {
    this.list.stop();
    for (const { feed } of this.#watched.values()) feed.stop();
  }
}

/** False where it is not known: who may see the list need not be allowed to see who polls. */
async function hasNoWorker(client: ConsoleClient): Promise<boolean> {
  try {
    return (await client.workers()).routing.alive === 0;
  } catch {
    return false;
  }
}

function unchanged(text: string): string {
  return text;
}

async function partsOf(source: MigrationSource, asTyped: (text: string) => string): Promise<Parts> {
  try {
    const sighting = await source.read();
    if (sighting !== null) {
      const view = migrationView(sighting);
      const banners = view.banners.map((banner) => ({ ...banner, text: asTyped(banner.text) }));
      const actions = view.actions.map((action) =>
        action.refusal === null ? action : { ...action, refusal: asTyped(action.refusal) },
      );
      return { ...view, banners, actions, absent: null };
    }
    return {
      absent: { message: source.trouble?.message ?? 'nothing is known yet', trouble: source.trouble },
    };
  } catch (error) {
    const message = error instanceof Error ? error.message : String(error);
    return { absent: { message, trouble: null } };
  }
}
