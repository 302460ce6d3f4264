import {
  ActivityFailure,
  ApplicationFailure,
  CancellationScope,
  condition,
  isCancellation,
  workflowInfo,
} from '@temporalio/workflow';
import { FAILURES } from '../contract';
import { type EffectRun, isOpen } from '../core/effects/effect-run';
import { dueRuns, runsOf } from '../core/effects/effect-runs';
import type { EffectEvent } from '../core/migration/events';
import { follows, type MigrationState } from '../core/migration/migration-state';
import { effectActivities } from './activity-options';

/** An attempt that is under way. */
interface RunningEffect {
  readonly id: number;
  readonly purpose: EffectRun['purpose'];
  readonly startedAtMs: number;
  readonly scope: CancellationScope;
}

/**
 * Does the migration's effects beside its main loop: a target that hangs holds up neither a decision nor a
 * rollback. One run at a time for each target; a failure is an event, and the pure machine says when to try again.
 */
export class EffectRunner {
  readonly #current: () => MigrationState;
  readonly #apply: (event: EffectEvent) => void;
  /** By target: what is under way there. */
  readonly #running = new Map<string, RunningEffect>();

  constructor(current: () => MigrationState, apply: (event: EffectEvent) => void) {
    this.#current = current;
    this.#apply = apply;
  }

  /**
   * Whether the workflow can continue in a new run: nothing is under way, or only questions, which change nothing and
   * which the new run asks again under the same key.
   */
  get canBeCarried(): boolean {
    const mayAskAgain = follows(this.#current(), 4);
    return [...this.#running.values()].every(({ purpose }) => mayAskAgain && purpose === 'confirm');
  }

  /** For how long this run has asked each question that is under way, milliseconds by the id of its run. */
  askedMs(): ReadonlyMap<number, number> {
    return new Map([...this.#running.values()].map(({ id, startedAtMs }) => [id, Date.now() - startedAtMs]));
  }

  /** Resolves when the migration is closed and no effect is left to do. */
  async run(): Promise<void> {
    for (;;) {
      this.#cancelDropped();
      const nextMs = this.#startDue();
      const { effects, phase } = this.#current();
      const running = this.#running.size;
      if (phase === 'closed' && running === 0 && !runsOf(this.#current()).some(isOpen)) return;
      const changed = () => {
        const state = this.#current();
        return state.effects !== effects || state.phase !== phase || this.#running.size !== running;
      };
      if (nextMs === null) await condition(changed);
      else await condition(changed, Math.max(1, nextMs - Date.now()));
    }
  }

  /** What a rollback took back stops; its target is free when it has. */
  #cancelDropped(): void {
    const runs = runsOf(this.#current());
    for (const { id, scope } of this.#running.values()) {
      const run = runs.find((known) => known.id === id);
      if (run === undefined || !isOpen(run)) scope.cancel();
    }
  }

  /** Starts what can be done now; returns when the next attempt falls due, or null. */
  #startDue(): number | null {
    let nextMs: number | null = null;
    for (const run of dueRuns(this.#current())) {
      if (this.#running.has(run.effect.name)) continue;
      if (run.dueAtMs > Date.now()) nextMs = Math.min(nextMs ?? run.dueAtMs, run.dueAtMs);
      else void this.#start(run);
    }
    return nextMs;
  }

  async #start(run: EffectRun): Promise<void> {
    const scope = new CancellationScope();
    const { id, purpose, effect } = run;
    this.#running.set(effect.name, { id, purpose, scope, startedAtMs: Date.now() });
    let event: EffectEvent | null;
    try {
      event = await scope.run(() => perform(run));
    } catch (error) {
      if (!isCancellation(error) && !(error instanceof ActivityFailure)) throw error;
      const cause = error instanceof ActivityFailure ? error.cause : undefined;
      const refused = cause instanceof ApplicationFailure && cause.type === FAILURES.effectRefused;
      event = isCancellation(error)
        ? null
        : { type: 'effect failed', id: run.id, message: cause?.message ?? String(error), refused };
    }
    this.#running.delete(run.effect.name);
    if (event !== null) this.#apply(event);
  }
}

async function perform(run: EffectRun): Promise<EffectEvent> {
  const { id, key, effect, captured, about, askedMs } = run;
  const { workflowId, runId } = workflowInfo();
  const context = { ...about, workflowId, runId };
  const activities = effectActivities(run);
  switch (run.purpose) {
    case 'apply': {
      // What is there now is in history before it is touched: a crash in between captures nothing of ours.
      if (run.status === 'waiting') {
        return { type: 'effect captured', id, ...(await activities.captureEffect({ effect, context })) };
      }
      const { note } = await activities.applyEffect({ effect, key, context });
      return { type: 'effect ended', id, note, answer: null };
    }
    case 'notify': {
      const { note } = await activities.applyEffect({ effect, key, context });
      return { type: 'effect ended', id, note, answer: null };
    }
    case 'restore': {
      const { note } = await activities.restoreEffect({ effect, key, context, captured });
      return { type: 'effect ended', id, note, answer: null };
    }
    case 'confirm': {
      const { answer, note } = await activities.confirm({
        ...{ name: effect.name, key, context },
        ...(askedMs === undefined ? {} : { askedMs }),
      });
      return { type: 'effect ended', id, note, answer };
    }
    default:
      return run.purpose satisfies never;
  }
}
