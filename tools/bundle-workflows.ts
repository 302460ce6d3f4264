import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { bundleWorkflows } from '../src/workflow-bundle';

/** Writes dist/workflow-bundle.js once at build time, so that no worker pays for webpack at start. */
async function main(): Promise<void> {
  writeFileSync(join(__dirname, '..', 'workflow-bundle.js'), await bundleWorkflows());
}

main().catch((error: unknown) => {
  process.stderr.write(
    `cannot bundle the workflows: ${error instanceof Error ? error.message : String(error)}\n`,
  );
  process.exitCode = 1;
});
