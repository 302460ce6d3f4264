import { parseArgs } from 'node:util';
import { COMMAND_NAMES, MigrationClient } from '../src/client';

/**
 * Signals a migration as the Temporal UI does and follows what becomes of it:
 * `node dist/scripts/signal-migration.js --route chat rollback '{"by":"ana","reason":"p95 doubled"}'`.
 */
async function main(): Promise<void> {
  const { values, positionals } = parseArgs({
    options: { route: { type: 'string', default: 'chat' } },
    allowPositionals: true,
  });
  const [given, json = '{}'] = positionals;
  const name = COMMAND_NAMES.find((known) => known === given);
  if (name === undefined) {
    throw new Error(`expected one of ${COMMAND_NAMES.join(', ')}, got "${given ?? 'nothing'}"`);
  }
  const client = await MigrationClient.connect();
  try {
    const { commandId } = await client.command(values.route, name, JSON.parse(json), { via: 'signal' });
    console.log(JSON.stringify(await client.follow(values.route, commandId)));
  } finally {
    await client.close();
  }
}

main().catch((error: unknown) => {
  console.error(error instanceof Error ? error.message : String(error));
  process.exitCode = 1;
});
