import type { CallerConfiguration } from '../../core/configuration/configuration-schema';
import { CallerLimits, type LimitLevels } from '../callers/caller-limits';
import type { Member } from './process-group';
import type { CallerSpending } from './process-messages';

/** What callers with limits have used in all processes, for one that starts; and what a process that is gone held. */
export class GroupSpendings {
  readonly #limits: readonly (CallerLimits | null)[];
  /** Requests of each caller that run in a process. */
  readonly #running = new Map<Member, number[]>();

  constructor(callers: readonly CallerConfiguration[]) {
    this.#limits = callers.map(({ team, limits }) =>
      limits === undefined ? null : new CallerLimits(team, limits),
    );
  }

  levels(nowMs: number): (LimitLevels | null)[] {
    return this.#limits.map((limits) => limits?.levels(nowMs) ?? null);
  }

  add(from: Member, spendings: readonly CallerSpending[], nowMs: number): void {
    const running = this.#running.get(from) ?? this.#limits.map(() => 0);
    this.#running.set(from, running);
    for (const { caller, ...spending } of spendings) {
      this.#limits[caller]?.add(spending, nowMs);
      running[caller] = (running[caller] ?? 0) + spending.running;
    }
  }

  /** A process is gone: its requests run no more, and this is what all others are to be told of it. */
  end(member: Member, nowMs: number): CallerSpending[] {
    const freed = (this.#running.get(member) ?? []).flatMap((running, caller) =>
      running === 0 ? [] : { caller, requests: 0, tokens: 0, running: -running },
    );
    this.add(member, freed, nowMs);
    this.#running.delete(member);
    return freed;
  }
}
