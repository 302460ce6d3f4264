import { existsSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { defaultPlan, loadPlan, USUAL_PLAN } from '../../client/plan-file';
import { configurationPath, loadConfiguration } from '../../config';
import type { WordKind } from './command-tree';

/** Whoever presses the key for completion waits for it. */
const PATIENCE_MS = 1_000;

/** The names that a shell offers; none where nothing can be read: completion never complains. */
export async function namesOf(kind: WordKind): Promise<readonly string[]> {
  try {
    switch (kind) {
      case 'routes':
        return Object.keys(loadConfiguration(configurationPath()).routes);
      case 'gateways':
        return loadConfiguration(configurationPath()).gateways.map(({ name }) => name);
      case 'stages': {
        const running = new Set<string>();
        await Promise.race([findRunning(running).catch(() => undefined), sleep(PATIENCE_MS)]);
        return running.size > 0 ? [...running] : plannedStages();
      }
      default:
        return kind satisfies never;
    }
  } catch {
    return [];
  }
}

function plannedStages(): readonly string[] {
  const plan = existsSync(USUAL_PLAN) ? loadPlan(USUAL_PLAN) : defaultPlan('any');
  return plan.stages.map(({ name }) => name);
}

/** Adds the stages of each migration that runs on a route of the configuration, as it answers. */
async function findRunning(stages: Set<string>): Promise<void> {
  const { MigrationClient } = await import('../../client.js');
  const { routes } = loadConfiguration(configurationPath());
  const client = await MigrationClient.connect({ connectTimeoutMs: PATIENCE_MS });
  await Promise.all(
    Object.keys(routes).map(async (route) => {
      const status = await client.status(route, { workerWaitMs: PATIENCE_MS }).catch(() => null);
      const isOpen = status !== null && status.phase !== 'closed' && status.endedByTemporal === undefined;
      if (isOpen) for (const { name } of status.stages) stages.add(name);
    }),
  );
}
