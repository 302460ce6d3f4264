import { join } from 'node:path';
import { bundleWorkflowCode, DefaultLogger, Worker } from '@temporalio/worker';
import { DeterminismViolationError } from '@temporalio/workflow';
import { workflowIdOf } from '../src/contract';
import { PLANTED_CHANGES, type PlantedChange } from './support/migrations/planted-changes';
import { installQuietRuntime } from './support/migrations/quiet-runtime';
import { historyOf } from './support/migrations/recorded-history';

// What a changed workflow is refused for would be told at length.
installQuietRuntime();

const SOURCES = join(__dirname, '..', 'src');

/** The code of a worker whose workflow decides otherwise in one place. */
async function changedBundle({ file, from, to }: PlantedChange): Promise<{ code: string }> {
  const loader = join(__dirname, 'support', 'planted-change-loader.js');
  const path = join(SOURCES, file);
  return bundleWorkflowCode({
    workflowsPath: join(SOURCES, 'workflows', 'index.ts'),
    logger: new DefaultLogger('ERROR'),
    payloadConverterPath: join(SOURCES, 'workflows', 'payload-converter.ts'),
    webpackConfigHook: (config) => ({
      ...config,
      module: {
        ...config.module,
        rules: [
          ...(config.module?.rules ?? []),
          {
            enforce: 'pre',
            test: (source: string) => source === path,
            use: { loader, options: { from, to } },
          },
        ],
      },
    }),
  });
}

it.each(PLANTED_CHANGES)('replay refuses a release in which $what', async (change) => {
  const histories = [
    {
      workflowId: workflowIdOf(change.history),
      history: historyOf(`revision-${change.revision ?? 3}-${change.history}`),
    },
  ];
  const workflowBundle = await changedBundle(change);
  const errors: unknown[] = [];
  for await (const { error } of Worker.runReplayHistories({ workflowBundle }, histories)) errors.push(error);
  expect(errors).toEqual([expect.any(DeterminismViolationError)]);
});
