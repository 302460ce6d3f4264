import type { MigrationClient } from '../../client';
import { unservedText } from '../../client/errors';
import { buildText, type QueueBuilds, unservedStart } from '../../client/worker-build';
import { isServed } from '../../client/worker-builds';
import { TASK_QUEUE, type WorkerBuild } from '../../contract';
import type { Check } from './doctor-check';

/** Whether builds of workers serve what is open and take what is new; nothing where no worker has a build. */
export async function checkBuilds(client: MigrationClient): Promise<readonly Check[]> {
  const { queues, runs } = await client.builds();
  const routing = queues.find(({ queue }) => queue === TASK_QUEUE);
  const pinned = runs.flatMap((run) => (run.build === null ? [] : [{ run, build: run.build }]));
  if (routing === undefined || (pinned.length === 0 && !hasBuilds(routing))) return [];
  const stuck = pinned.filter(({ run }) => !isServed(run, queues));
  const texts = pinned.map(({ build }) => buildText(build));
  const counts = [...new Set(texts)].map(
    (text) => `${texts.filter((each) => each === text).length} open on ${text}`,
  );
  const { detail, ...current } = checkCurrent(routing);
  return [
    { name: 'build of workers', ...current, detail: [detail, ...counts].join('; ') },
    ...stuck.map(
      ({ run, build }): Check => ({
        name: `workers of ${run.name}`,
        state: 'wrong',
        detail: `pinned to ${buildText(build)}, for which no worker polls`,
        fix: unservedText(build),
      }),
    ),
  ];
}

function hasBuilds({ current, polling }: QueueBuilds): boolean {
  return current !== null || polling.some((build) => build !== null);
}

function checkCurrent(routing: QueueBuilds): Omit<Check, 'name'> {
  const problem = unservedStart(routing);
  if (problem === null) return { state: 'ok', detail: `${buildText(routing.current)} take new migrations` };
  const polled = routing.polling.find((build) => build !== null) ?? { deployment: 'NAME', buildId: 'ID' };
  const fix = `make one current that workers poll for: \`${commandFor(polled)}\``;
  return { state: 'missing', detail: `${problem}: new migrations wait`, fix };
}

function commandFor({ deployment, buildId }: WorkerBuild): string {
  return `cutover migrate-workers --deployment ${deployment} --build-id ${buildId}`;
}
