import { randomBytes } from 'node:crypto';
import { join } from 'node:path';
import type { FailedLogin } from '../../core/access/failed-logins';
import type { Plan } from '../../core/plan/plan';
import type { ListenerTls } from '../../gateway/sockets/listener-tls';
import type { ConsoleClient } from '../source/console-client';
import type { GatewayReader } from '../source/gateway-watch';
import type { ProviderNames } from '../view/action';
import { ConsoleFeeds } from './console-feeds';
import { type RunningConsole, startConsole } from './console-server';
import { loadPageFiles } from './page-file';
import type { Identity } from './visitor';

export interface ConsoleOptions {
  readonly client: () => Promise<ConsoleClient>;
  /** Null where no configuration says where the gateways are. */
  readonly gateways: GatewayReader | null;
  readonly providersOf: (route: string) => ProviderNames | null;
  /** Who gives the commands of this page: recorded with each. The name is null for whoever has the token. */
  readonly by: (name: string | null) => string;
  /** How people log in; by the token when absent. */
  readonly identity?: ((url: URL) => Identity) | null;
  readonly host: string;
  /** 0 takes a free one. */
  readonly port: number;
  /** Names that the page may be reached by, beside loopback and `host`. */
  readonly hosts?: readonly string[];
  /** Plain HTTP when absent. */
  readonly tls?: ListenerTls | null;
  /** Between two looks at a migration that is open, milliseconds. */
  readonly intervalMs: number;
  /** Texts with their commands as this user can type them; as they are when absent. */
  readonly asTyped?: (text: string) => string;
  readonly loginFailed: (failure: FailedLogin) => void;
  /** The report of a route's newest migration, or of one run, as one HTML page; absent: none is offered. */
  readonly report?: (route: string, runId: string | null) => Promise<string>;
  /** The plan in a text that somebody gave; throws `BadInput` for what is wrong with it. Absent: plans are not amended here. */
  readonly readPlan?: (text: string) => Plan;
}

/** Beside `dist/src`, see tools/build-page.ts. */
const PAGE = join(__dirname, '..', '..', '..', 'page');

/** Opens the console with a token of its own; throws `PageMissing`, or rejects when the address is taken. */
export async function openConsole(
  options: ConsoleOptions,
): Promise<RunningConsole & { readonly token: string }> {
  const {
    client,
    gateways,
    providersOf,
    intervalMs,
    asTyped = (text) => text,
    hosts = [],
    ...rest
  } = options;
  const token = randomBytes(24).toString('base64url');
  const feeds = new ConsoleFeeds({ client, gateways, providersOf, intervalMs, asTyped });
  const running = await startConsole({
    ...rest,
    client,
    feeds,
    hosts,
    token,
    files: loadPageFiles(PAGE, asTyped),
  });
  return { ...running, token };
}
