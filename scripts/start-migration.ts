import { parseArgs } from 'node:util';
import { MigrationClient } from '../src/client';
import { configurationPath, loadConfiguration, readDocument } from '../src/config';
import { planSchema } from '../src/core/plan-schema';
import { parseDocument } from '../src/core/schema-parts';

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
  const document = plan === undefined ? { route } : readDocument(plan);
  const client = await MigrationClient.connect();
  try {
    const started = await client.start({
      plan: parseDocument(planSchema, document, plan ?? 'the default plan'),
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
