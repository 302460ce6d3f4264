/**
 * A worker with what `cutover worker` has no options for: some of the task queues only, few watch slots,
 * another workflow bundle. Its one argument is JSON: { build, config, address, queues, watchSlots, bundle, version }.
 */
const { readFileSync } = require('node:fs');
const { join } = require('node:path');
const { NativeConnection, Worker } = require('@temporalio/worker');

async function main() {
  const { build, config, address, queues, watchSlots, bundle, version } = JSON.parse(process.argv[2]);
  const { createActivities } = require(join(build, 'src/activities'));
  const { createPorts } = require(join(build, 'src/adapters/create-ports'));
  const { loadConfiguration, parityDirectories, readDocument, resolveSecret } = require(
    join(build, 'src/config'),
  );
  const { EFFECT_TASK_QUEUE, TASK_QUEUE, WATCH_TASK_QUEUE } = require(join(build, 'src/contract'));
  const { uncachedWorkflows } = require(join(build, 'src/temporal-runtime'));
  const { routing, watch, effects } = createActivities(
    createPorts(loadConfiguration(config), resolveSecret, readDocument, parityDirectories()),
  );
  const connection = await NativeConnection.connect({ address });
  const options = {
    routing: {
      taskQueue: TASK_QUEUE,
      workflowBundle: { code: readFileSync(bundle ?? join(build, 'workflow-bundle.js'), 'utf8') },
      activities: { ...routing },
      ...uncachedWorkflows,
    },
    watch: {
      taskQueue: WATCH_TASK_QUEUE,
      activities: { ...watch },
      maxConcurrentActivityTaskExecutions: watchSlots ?? 100,
    },
    effects: { taskQueue: EFFECT_TASK_QUEUE, activities: { ...effects } },
  };
  const versioned =
    version === undefined
      ? {}
      : {
          workerDeploymentOptions: {
            version,
            useWorkerVersioning: true,
            defaultVersioningBehavior: 'PINNED',
          },
        };
  const workers = await Promise.all(
    queues.map((queue) =>
      Worker.create({ connection, shutdownGraceTime: '1s', ...versioned, ...options[queue] }),
    ),
  );
  const running = workers.map((worker) => worker.run());
  process.stdout.write('worker: serving\n');
  await Promise.all(running);
  await connection.close();
}

main().catch((error) => {
  process.stderr.write(`${error.stack}\n`);
  process.exitCode = 1;
});
