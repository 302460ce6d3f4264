import { parseArgs } from 'node:util';
import { configurationPath, defaultPlan, loadConfiguration, loadPlan, MigrationClient } from '../src/client';

/** Starts a migration: `node dist/scripts/start-migration.js --route chat [--plan plan.yaml]`. */
async function main(): Promise<void> {
  const { values } = parseArgs({
    options: {
      route: { type: 'string', default: 'chat' },
      plan: { type: 'string' },
      config: { type: 'string' },
      by: { type: 'string', default: 'start-migration' },
      reason: { type: 'string', default: '' },
    },
  });
  const { route, plan, by, reason } = values;
  const client = await MigrationClient.connect();
  try {
    const started = await client.start({
      plan: plan === undefined ? defaultPlan(route) : loadPlan(plan),
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
