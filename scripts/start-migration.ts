import { parseArgs } from 'node:util';
import { configurationPath, loadConfiguration, loadPlan, MigrationClient } from '../src/client';

/** Starts a migration by a plan, unasked: `node dist/scripts/start-migration.js --plan plan.yaml`. */
async function main(): Promise<void> {
  const { values } = parseArgs({
    options: {
      plan: { type: 'string' },
      config: { type: 'string' },
      by: { type: 'string', default: 'start-migration' },
      reason: { type: 'string', default: '' },
    },
  });
  const { plan, by, reason } = values;
  if (plan === undefined) throw new Error('expected --plan: `cutover plan init` writes one');
  const client = await MigrationClient.connect();
  try {
    const started = await client.start({
      plan: loadPlan(plan),
      configuration: loadConfiguration(configurationPath(values.config)),
      by,
      reason,
    });
    console.log(`${started.migrationId} runs as workflow ${started.workflowId}`);
  } finally {
    await client.close();
  }
}

main().catch((error: unknown) => {
  console.error(error instanceof Error ? error.message : String(error));
  process.exitCode = 1;
});
