import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { bundleWorkflowCode, DefaultLogger } from '@temporalio/worker';

/** Writes dist/workflow-bundle.js once at build time, so that no worker pays for webpack at start. */
async function main(): Promise<void> {
  const dist = join(__dirname, '..');
  const { code } = await bundleWorkflowCode({
    workflowsPath: join(dist, 'src', 'workflows', 'index.js'),
    payloadConverterPath: require.resolve('../src/workflows/payload-converter'),
    logger: new DefaultLogger('WARN'),
  });
  writeFileSync(join(dist, 'workflow-bundle.js'), code);
}

main().catch((error: unknown) => {
  process.stderr.write(
    `cannot bundle the workflows: ${error instanceof Error ? error.message : String(error)}\n`,
  );
  process.exitCode = 1;
});
