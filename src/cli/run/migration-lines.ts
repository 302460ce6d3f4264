import { setTimeout as sleep } from 'node:timers/promises';
import { MigrationClient } from '../../client';
import { NoMigration } from '../../client/errors';
import { statusLine } from '../operate/status-view';
import type { Stoppable } from './until-stopped';

const LOOK_EVERY_MS = 2_000;
const WORKER_WAIT_MS = 3_000;

/** Prints where the migration of each route stands, whenever that changes; what cannot be asked is asked again. */
export function showMigrations(options: {
  readonly address: string;
  readonly namespace: string;
  readonly dataConverter?: string;
  readonly routes: readonly string[];
  readonly print: (line: string) => void;
}): Stoppable {
  const { address, namespace, dataConverter, routes, print } = options;
  const stopping = new AbortController();
  const shown = new Map<string, string>();
  const show = async (): Promise<void> => {
    const client = await MigrationClient.connect({
      ...{ address, namespace },
      ...(dataConverter === undefined ? {} : { dataConverter }),
    });
    try {
      while (!stopping.signal.aborted) {
        for (const route of routes) {
          const line = await lineOf(client, route);
          if (line === null || shown.get(route) === line) continue;
          shown.set(route, line);
          print(`${new Date().toISOString().slice(11, 19)} ${route}: ${line}`);
        }
        await sleep(LOOK_EVERY_MS, undefined, { signal: stopping.signal }).catch(() => undefined);
      }
    } finally {
      await client.close();
    }
  };
  const ended = show().catch(() => undefined);
  return {
    stopped: new Promise(() => undefined),
    async stop() {
      stopping.abort();
      await ended;
    },
  };
}

/** Null where nobody answers for now. */
async function lineOf(client: MigrationClient, route: string): Promise<string | null> {
  try {
    return statusLine(await client.status(route, { workerWaitMs: WORKER_WAIT_MS }));
  } catch (error) {
    return error instanceof NoMigration ? 'no migration yet: `cutover start` begins one' : null;
  }
}
