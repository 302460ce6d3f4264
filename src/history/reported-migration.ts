import type { WindowResult } from '../core/migration/events';
import type { RecordedWindow } from '../core/rehearsal/recorded-window';
import type { RecordedMigration } from './recorded-migration';

/** What a report says of a migration: a history gives all of it, an exported record nearly all. */
export interface ReportedMigration
  extends Pick<
    RecordedMigration,
    | ('migrationId' | 'route' | 'plan' | 'by' | 'reason' | 'startedAtMs' | 'endedAtMs')
    | ('outcome' | 'outcomeReason' | 'fromTheStart' | 'assessment' | 'changes' | 'messages' | 'checkpoints')
  > {
  readonly windows: readonly ReportedWindow[];
  /** When the source was written, which ends what is known of an open migration. Absent: it is known until now. */
  readonly asOfMs?: number;
  /** Where it comes from and what is not in there, a sentence each. Absent: nothing is missing. */
  readonly notes?: readonly string[];
}

/** An observation window as far as a report says it. */
export interface ReportedWindow
  extends Pick<RecordedWindow, 'number' | 'stageWindow' | 'endedAtMs' | 'epoch' | 'observedBeforeMs'> {
  readonly stage: { readonly name: string };
  /** The candidate's share that was asked for; null where the change that did is not known. */
  readonly share: number | null;
  readonly result: Pick<WindowResult, 'ended' | 'observedMs' | 'verdict' | 'traffic'>;
}
