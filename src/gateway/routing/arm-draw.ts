import { assignmentDigest, digestBucket, digestPosition } from '../../core/routing/assignment';
import type { Arm, OpeningCounts } from '../../core/routing/routing';
import type { KeyCounts, OpeningUse } from '../evidence/key-statistics';
import type { ConversationTable } from './conversation-table';

/** The arm that a randomised request was drawn into. */
export interface Assignment {
  readonly arm: Arm;
  readonly epoch: number;
  /** 0 to 255 when the request has a key, else null. */
  readonly bucket: number | null;
  /**
   * False when a conversation's past decided instead of the draw (`newConversationsOnly`): such a request
   * belongs to no arm and is no evidence.
   */
  readonly randomised: boolean;
  /** It is served by the candidate for whose request it is, and is counted apart from both arms. Absent otherwise. */
  readonly cohort?: true;
}

/** The routing that a draw follows. */
export interface DrawRules {
  readonly salt: string;
  readonly epoch: number;
  /** The effective share at this moment. */
  readonly share: number;
  readonly newConversationsOnly: boolean;
}

/** What a draw looks at of a request. */
export interface DrawSubject {
  /** Null when the route is not sticky or the request bears no key; then `randomId` decides. */
  readonly key: string | null;
  readonly randomId: string;
  /** The request carries assistant turns. */
  readonly continued: boolean;
  /** What became of its opening. */
  readonly opening: OpeningUse;
}

/** Draws of one epoch that another process has made. */
export interface CountedDraws {
  readonly epoch: number;
  readonly assigned: Readonly<Record<Arm, number>>;
  /** Hashes of the keys, one for each draw that had a key. */
  readonly keys: readonly number[];
  readonly openings: OpeningCounts;
  /** For the A/A check of the salt: draws whose position was below one half, and all. */
  readonly low: number;
  readonly total: number;
}

/** Draws requests into arms and counts what it drew. */
export class ArmDraw {
  readonly #keys: KeyCounts;
  readonly #conversations: ConversationTable;
  #assigned: Record<Arm, number> = { legacy: 0, candidate: 0 };

  constructor(keys: KeyCounts, conversations: ConversationTable) {
    this.#keys = keys;
    this.#conversations = conversations;
  }

  /** Draws of the current epoch. */
  get assigned(): Readonly<Record<Arm, number>> {
    return { ...this.#assigned };
  }

  draw(rules: DrawRules, subject: DrawSubject): Assignment {
    const digest = assignmentDigest(rules.salt, subject.key ?? subject.randomId);
    const position = digestPosition(digest);
    this.#keys.observe(subject.key, position, subject.opening);
    const drawn: Assignment = {
      arm: position < rules.share ? 'candidate' : 'legacy',
      epoch: rules.epoch,
      bucket: subject.key === null ? null : digestBucket(digest),
      randomised: true,
    };
    const assignment = rules.newConversationsOnly ? this.#keepConversation(rules, subject, drawn) : drawn;
    if (assignment.randomised) this.#assigned[assignment.arm] += 1;
    return assignment;
  }

  /**
   * Where a member of the cohort is served: by the candidate, but for a conversation that legacy began where those stay.
   * It is in no arm, and its key is not one of those that are drawn.
   */
  assignMember(rules: DrawRules, { key, continued }: DrawSubject): Assignment {
    const served = { arm: 'candidate', epoch: rules.epoch, bucket: null, randomised: false } as const;
    const member: Assignment = { ...served, cohort: true };
    if (!rules.newConversationsOnly) return member;
    if (!continued) {
      if (key !== null) this.#conversations.begin(key, { side: 'candidate', epoch: rules.epoch });
      return member;
    }
    const begun = key === null ? null : this.#conversations.find(key);
    return begun?.side === 'candidate' ? member : { ...served, arm: 'legacy' };
  }

  /** Adds draws of the current epoch that another process has made. */
  add({ legacy, candidate }: Readonly<Record<Arm, number>>): void {
    this.#assigned.legacy += legacy;
    this.#assigned.candidate += candidate;
  }

  /** A new epoch counts from 0, and a new salt is checked from 0. */
  restart(saltChanged: boolean): void {
    this.#assigned = { legacy: 0, candidate: 0 };
    if (saltChanged) this.#keys.restartSaltCheck();
  }

  /**
   * A conversation that began under the current epoch counts in its arm, at both providers alike; an older one
   * stays where it is and counts nowhere, or the arms would differ in how many long conversations they hold.
   */
  #keepConversation(rules: DrawRules, { key, continued }: DrawSubject, drawn: Assignment): Assignment {
    if (!continued) {
      if (key !== null) this.#conversations.begin(key, { side: drawn.arm, epoch: drawn.epoch });
      return drawn;
    }
    const begun = key === null ? null : this.#conversations.find(key);
    const recorded = begun?.side ?? (rules.share === 1 ? 'candidate' : 'legacy');
    const arm = rules.share === 0 ? 'legacy' : recorded;
    return { ...drawn, arm, randomised: begun?.epoch === drawn.epoch && arm === drawn.arm };
  }
}
