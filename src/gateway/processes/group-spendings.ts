import type { CallerConfiguration } from '../../core/configuration/configuration-schema';
import { CallerLimits, type LimitLevels } from '../callers/caller-limits';
import type { Member } from './process-group';
import type { CallerSpending } from './process-messages';

/** What callers with limits have used in all processes, for one that starts; and what a process that is gone held. */
export class GroupSpendings {
  /** By the SHA-256 of the caller's key. */
  #limits = new Map<string, CallerLimits>();
  /** Requests of each caller that run in a process. */
  readonly #running = new Map<Member, Map<string, number>>();

  constructor(callers: readonly CallerConfiguration[]) {
    this.replace(callers, 0);
  }

  /** Other callers from now on; a key that stays keeps what it has used. */
  replace(callers: readonly CallerConfiguration[], nowMs: number): void {
    this.#limits = new Map(
      callers.flatMap(({ keySha256, team, limits }): [string, CallerLimits][] => {
        if (limits === undefined) return [];
        const kept = this.#limits.get(keySha256);
        kept?.change(limits, nowMs);
        return [[keySha256, kept ?? new CallerLimits(team, limits)]];
      }),
    );
  }

  levels(nowMs: number): Readonly<Record<string, LimitLevels>> {
    return Object.fromEntries([...this.#limits].map(([caller, limits]) => [caller, limits.levels(nowMs)]));
  }

  add(from: Member, spendings: readonly CallerSpending[], nowMs: number): void {
    const running = this.#running.get(from) ?? new Map<string, number>();
    this.#running.set(from, running);
    for (const { caller, ...spending } of spendings) {
      this.#limits.get(caller)?.add(spending, nowMs);
      running.set(caller, (running.get(caller) ?? 0) + spending.running);
    }
  }

  /** A process is gone: its requests run no more, and this is what all others are to be told of it. */
  end(member: Member, nowMs: number): CallerSpending[] {
    const freed = [...(this.#running.get(member) ?? [])].flatMap(([caller, running]) =>
      running === 0 ? [] : { caller, requests: 0, tokens: 0, running: -running },
    );
    this.add(member, freed, nowMs);
    this.#running.delete(member);
    return freed;
  }
}
