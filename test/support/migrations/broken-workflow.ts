import { sleep } from '@temporalio/workflow';
import type { MigrationInput, MigrationResult } from '../../../src/contract';
import { migration as sound } from '../../../src/workflows/migration';

/** A deploy gone wrong: one timer more than the histories of running migrations have. */
export async function migration(input: MigrationInput): Promise<MigrationResult> {
  await sleep('1s');
  return sound(input);
}
