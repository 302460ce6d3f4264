import { writeFileSync } from 'node:fs';
import { Client, Connection } from '@temporalio/client';
import { historyToJSON } from '@temporalio/common/lib/proto-utils';
import { trainingWorkflowIdOf } from '../src/contract';

/**
 * Keeps the history of a fine-tuning for test/training/replay.test.ts:
 * `node dist/tools/record-training.js 127.0.0.1:7233 JOB test/histories/training/NAME.json`.
 */
async function main([address, job, file]: readonly string[]): Promise<void> {
  if (address === undefined || job === undefined || file === undefined) {
    throw new Error('expected the address of Temporal, a job and a file');
  }
  const connection = await Connection.connect({ address });
  const handle = new Client({ connection }).workflow.getHandle(trainingWorkflowIdOf(job));
  writeFileSync(file, `${historyToJSON(await handle.fetchHistory())}\n`);
  await connection.close();
}

main(process.argv.slice(2)).catch((error: unknown) => {
  process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n`);
  process.exitCode = 1;
});
