import { join } from 'node:path';
import { bundleWorkflowCode, DefaultLogger } from '@temporalio/worker';

/** The bundle of this build, made by `tools/bundle-workflows.ts`. */
export const builtWorkflows = { codePath: join(__dirname, '..', 'workflow-bundle.js') };

/** Bundles the workflows of this build, with further modules of interceptors where some are named: seconds of work. */
export async function bundleWorkflows(interceptors: readonly string[] = []): Promise<string> {
  const { code } = await bundleWorkflowCode({
    workflowsPath: require.resolve('./workflows'),
    payloadConverterPath: require.resolve('./workflows/payload-converter'),
    workflowInterceptorModules: [...interceptors],
    logger: new DefaultLogger('WARN'),
  });
  return code;
}
