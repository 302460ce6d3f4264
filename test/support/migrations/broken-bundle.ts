import { bundleWorkflowCode, DefaultLogger } from '@temporalio/worker';

/** The code of a worker whose workflow contradicts the histories of running migrations. */
export async function brokenBundle(): Promise<string> {
  const { code } = await bundleWorkflowCode({
    workflowsPath: require.resolve('./broken-workflow'),
    logger: new DefaultLogger('ERROR'),
  });
  return code;
}
