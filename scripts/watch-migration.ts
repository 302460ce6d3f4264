import { setTimeout as sleep } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { MigrationClient } from '../src/client';

/** Prints where a migration stands until it closes: `node dist/scripts/watch-migration.js --route chat`. */
async function main(): Promise<void> {
  const { values } = parseArgs({ options: { route: { type: 'string', default: 'chat' } } });
  const client = await MigrationClient.connect();
  try {
    for (;;) {
      const { phase, outcome, stage, share, epoch, verdict, doing } = await client.status(values.route);
      console.log(`${stage}: share ${share}, epoch ${epoch}, ${verdict?.outcome ?? 'no verdict'}; ${doing}`);
      if (phase === 'closed') return console.log(`ended: ${outcome}`);
      await sleep(1_000);
    }
  } finally {
    await client.close();
  }
}

main().catch((error: unknown) => {
  console.error(error instanceof Error ? error.message : String(error));
  process.exitCode = 1;
});
