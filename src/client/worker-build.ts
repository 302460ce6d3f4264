import type { WorkerBuild } from '../contract';

/** Who polls a task queue, and where new runs go. */
export interface QueueBuilds {
  readonly queue: string;
  /** The build that takes new runs; null: workers without one. */
  readonly current: WorkerBuild | null;
  /** Builds of which a worker polls; null stands for workers without one. */
  readonly polling: readonly (WorkerBuild | null)[];
}

/** `build 1.4.0 of cutover`; for people. */
export function buildText(build: WorkerBuild | null): string {
  return build === null ? 'workers without a build' : `build ${build.buildId} of ${build.deployment}`;
}

export function isSameBuild(one: WorkerBuild | null, other: WorkerBuild | null): boolean {
  return one?.deployment === other?.deployment && one?.buildId === other?.buildId;
}

/** Whether workers of a build poll a queue. */
export function isPolledBy({ polling }: QueueBuilds, build: WorkerBuild | null): boolean {
  return polling.some((each) => isSameBuild(each, build));
}

/** Why no worker would take a migration that is started now; null where one would. */
export function unservedStart(routing: QueueBuilds): string | null {
  const { current, polling } = routing;
  if (isPolledBy(routing, current)) return null;
  if (current !== null) return `${buildText(current)} is current, and no worker of it polls`;
  return `no build is current: those that poll are ${polling.map(buildText).join(', ')}`;
}
