import { setTimeout as sleep } from 'node:timers/promises';
import type { History } from '@temporalio/common/lib/proto-utils';
import { environment } from '../config';
import { MOVE_TO_CURRENT_BUILD, type WorkerBuild } from '../contract';
import { BuildNotServed, MoveRefused } from './errors';
import {
  type ConnectOptions,
  isNotFound,
  isUnmet,
  STARTS_WITHIN_MS,
  TemporalService,
} from './temporal-service';
import { buildText, isPolledBy, isSameBuild, type QueueBuilds } from './worker-build';
import { isServed, type OpenRun, queuesOf, WorkerBuilds } from './worker-builds';

/**
 * How an open run comes onto a build. `continue`: workers of its build end the run and the next one begins on the new
 * build. `replay`: no worker of its build polls, or it has none, so the new build takes it up in the middle of its run.
 */
export type MoveHow = 'there' | 'continue' | 'replay';

export interface RunMove {
  readonly run: OpenRun;
  readonly how: MoveHow;
}

/** What moving to a build would do; nothing was changed for it. */
export interface MovePlan {
  readonly target: WorkerBuild;
  /** The build that takes new runs now; null: workers without one. */
  readonly current: WorkerBuild | null;
  readonly moves: readonly RunMove[];
}

export interface MoveOptions {
  /** Why this installation's workflows do not replay a history, or null where they do. */
  readonly replayProblem: (history: History, workflowId: string) => Promise<string | null>;
  readonly onMoved?: (run: OpenRun) => void;
  /** How long open runs may take to move, milliseconds. */
  readonly waitMs: number;
}

const KINDS: readonly OpenRun['kind'][] = ['migration', 'training'];
const POLL_MS = 500;
const HISTORY_WAIT_MS = 60_000;
/** A slow Temporal takes longer to know a build's queues than to see its polls. */
const QUEUES_KNOWN_WITHIN_MS = 20_000;

/** Moves open migrations and fine-tunings to another build of the workers. */
export class BuildMove {
  readonly #builds: WorkerBuilds;

  private constructor(private readonly service: TemporalService) {
    this.#builds = new WorkerBuilds(service);
  }

  /** Connects to Temporal by the TEMPORAL_* variables or profile, or by `options`; throws `TemporalUnreachable`. */
  static async connect(options: ConnectOptions = {}): Promise<BuildMove> {
    return new BuildMove(await TemporalService.connect(options, environment));
  }

  /** Throws `BuildNotServed` where no worker of the build polls what is needed. */
  async plan(target: WorkerBuild): Promise<MovePlan> {
    const { queues, kinds, missing } = await this.#serving(target);
    if (kinds.length === 0 || missing.length > 0) throw new BuildNotServed(target, missing, queues);
    const runs = await this.#builds.openRuns();
    const ours = runs.filter(
      ({ kind, build }) => kinds.includes(kind) && (build === null || build.deployment === target.deployment),
    );
    return {
      target,
      current: queues.find((queue) => isPolledBy(queue, target))?.current ?? null,
      moves: ours.map((run) => ({ run, how: howOf(run, target, queues) })),
    };
  }

  /**
   * Makes the build current and moves every run of the plan; returns those that have not moved in time. Throws
   * `MoveRefused` before anything is changed where a run can neither continue as new nor be replayed.
   */
  async carryOut(plan: MovePlan, options: MoveOptions): Promise<readonly OpenRun[]> {
    const { target, moves } = plan;
    for (const { run, how } of moves) if (how === 'replay') await this.#checkReplay(run, options);
    if (!isSameBuild(plan.current, target)) await this.#makeCurrent(target);
    const open = new Map(moves.map(({ run }) => [run.workflowId, run]));
    for (const { run, how } of moves) {
      if (how === 'replay' && run.build !== null) await this.#builds.override(run, target);
      if (how !== 'there') await this.#ask(run);
    }
    const deadlineMs = performance.now() + options.waitMs;
    for (;;) {
      for (const before of open.values()) {
        const run = await this.#advance(before, target, options);
        if (run !== null) open.set(before.workflowId, run);
        else {
          open.delete(before.workflowId);
          options.onMoved?.(before);
        }
      }
      if (open.size === 0 || performance.now() > deadlineMs) return [...open.values()];
      await sleep(POLL_MS);
    }
  }

  close(): Promise<void> {
    return this.service.close();
  }

  /** What the build serves; workers that started a moment ago may not be known yet, so it is given some time. */
  async #serving(target: WorkerBuild): Promise<ServedQueues> {
    for (const deadlineMs = performance.now() + STARTS_WITHIN_MS; ; await sleep(POLL_MS)) {
      const serving = servingOf(target, await this.#builds.queues(KINDS));
      const isWhole = serving.kinds.length > 0 && serving.missing.length === 0;
      if (isWhole || performance.now() > deadlineMs) return serving;
    }
  }

  /** Temporal sees a build's pollers before it knows all of its queues, and refuses until then: it is given some time. */
  async #makeCurrent(target: WorkerBuild): Promise<void> {
    for (const deadlineMs = performance.now() + QUEUES_KNOWN_WITHIN_MS; ; await sleep(POLL_MS)) {
      try {
        return await this.#builds.setCurrent(target);
      } catch (cause) {
        if (isUnmet(cause) && performance.now() < deadlineMs) continue;
        throw new MoveRefused(`Temporal does not make ${buildText(target)} current: ${messageOf(cause)}`, {
          cause,
        });
      }
    }
  }

  /** What is left of a run's move; null where it is over. */
  async #advance(before: OpenRun, target: WorkerBuild, options: MoveOptions): Promise<OpenRun | null> {
    const run = await this.#builds.openRun(before.workflowId);
    if (run === null) return null;
    if (isSameBuild(run.build, target)) {
      if (!run.isOverridden) return null;
      // A later run would inherit it and never move again; without a task of the new build it would go back.
      if (run.movedFrom === null) await this.#builds.override(run, null);
      return run;
    }
    // A run that no worker has begun has no build yet.
    if (run.build === null) return run;
    const queues = await this.#builds.queues([run.kind]);
    if (howOf(run, target, queues) === 'replay') {
      // Its workers have ended meanwhile.
      await this.#checkReplay(run, options);
      await this.#builds.override(run, target);
      await this.#ask(run);
    } else if (run.runId !== before.runId) {
      // Another run on the same build: its release knew nothing of moves.
      await this.#ask(run);
    }
    return run;
  }

  async #ask({ workflowId }: OpenRun): Promise<void> {
    try {
      await this.service.ask(() =>
        this.service.workflows.getHandle(workflowId).signal(MOVE_TO_CURRENT_BUILD, {}),
      );
    } catch (error) {
      // It has ended meanwhile.
      if (!isNotFound(error)) throw error;
    }
  }

  async #checkReplay(run: OpenRun, { replayProblem }: MoveOptions): Promise<void> {
    const { workflowId, runId, name, build } = run;
    const handle = this.service.workflows.getHandle(workflowId, runId);
    const problem = await replayProblem(await this.service.history(handle, HISTORY_WAIT_MS), workflowId);
    if (problem === null) return;
    const silent =
      build === null
        ? 'it runs on workers without a build: let it end there first'
        : `no worker of ${buildText(build)} polls: start one again, and it moves from there`;
    throw new MoveRefused(
      `${name} cannot be moved: this release does not replay its history (${problem}), and ${silent}`,
    );
  }
}

interface ServedQueues {
  readonly queues: readonly QueueBuilds[];
  /** What runs on at least one of the queues that the build polls. */
  readonly kinds: readonly OpenRun['kind'][];
  /** Queues of these kinds that it does not poll. */
  readonly missing: readonly string[];
}

function servingOf(target: WorkerBuild, queues: readonly QueueBuilds[]): ServedQueues {
  const polled = queues.filter((queue) => isPolledBy(queue, target)).map(({ queue }) => queue);
  const kinds = KINDS.filter((kind) => queuesOf({ kind }).some((queue) => polled.includes(queue)));
  const needed = kinds.flatMap((kind) => queuesOf({ kind }));
  return { queues, kinds, missing: needed.filter((queue) => !polled.includes(queue)) };
}

function howOf(run: OpenRun, target: WorkerBuild, queues: readonly QueueBuilds[]): MoveHow {
  const { build, movedFrom } = run;
  if (isSameBuild(build, target)) return 'there';
  if (build === null || movedFrom !== null) return 'replay';
  return isServed(run, queues) ? 'continue' : 'replay';
}

function messageOf(error: unknown): string {
  const { details, message } = error as { details?: string; message?: string };
  return details ?? message ?? String(error);
}
