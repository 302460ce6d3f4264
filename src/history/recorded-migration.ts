import type { ApplyRoutingInput, MigrationInput, MigrationResult, WatchStageInput } from '../contract';
import type { ArchivedCheckpoints, Checkpoint } from '../core/migration/checkpoint';
import type { ApplyResult, WindowResult } from '../core/migration/events';
import type { AssessmentSummary } from '../core/migration/migration-state';
import type { Plan } from '../core/plan/plan';
import type { RecordedWindow } from '../core/rehearsal/recorded-window';
import { messageOf, retrace } from './retrace';
import {
  activityName,
  firstPayload,
  type HistoryEvent,
  InvalidHistory,
  isObject,
  type RunHistory,
  readRuns,
} from './temporal-history';

/** A past or running migration as its history tells it. */
export interface RecordedMigration {
  readonly migrationId: string;
  readonly route: string;
  readonly plan: Plan;
  readonly by: string;
  readonly reason: string;
  readonly startedAtMs: number;
  /** When it closed; null while it runs. */
  readonly endedAtMs: number | null;
  /** Completed, rolled back or rejected; else how the run stands for Temporal, such as `running`. */
  readonly outcome: string;
  readonly outcomeReason: string;
  /** Whether the history begins with the migration's first run. */
  readonly fromTheStart: boolean;
  readonly runs: number;
  readonly events: number;
  readonly assessment: AssessmentSummary | null;
  readonly windows: readonly RecordedWindow[];
  readonly changes: readonly RecordedChange[];
  readonly messages: readonly RecordedMessage[];
  readonly checkpoints: RecordedCheckpoints;
}

/** A change of routing as the gateways answered it. */
export interface RecordedChange {
  readonly atMs: number;
  readonly confirmedAtMs: number | null;
  readonly stage: string;
  readonly share: number;
  readonly epoch: number;
  readonly confirmed: readonly string[];
  readonly lapsed: readonly string[];
  readonly missing: readonly string[];
}

/** What somebody asked for. */
export interface RecordedMessage {
  readonly atMs: number;
  readonly via: 'signal' | 'update' | 'cancellation';
  readonly name: string;
  readonly by: string;
  readonly reason: string;
}

/** The checkpoints and where they come from; `problem` says what of them is missing or does not fit. */
export interface RecordedCheckpoints {
  readonly list: readonly Checkpoint[];
  readonly source: 'the migration' | 'its history, retraced' | 'an exported record';
  readonly problem: string | null;
  /** How many come before the list, in runs that are not here, and the hash over them; null where none do. */
  readonly archived: Pick<ArchivedCheckpoints, 'count' | 'head'> | null;
}

/** Reads a migration's history, Temporal's or ours; throws `InvalidHistory`. */
export function readMigration(
  document: unknown,
  asked: readonly Checkpoint[] | null = null,
): RecordedMigration {
  const runs = readRuns(document);
  const [firstRun] = runs;
  const lastRun = runs.at(-1);
  const started = firstRun?.events[0];
  const input = firstPayload(started?.attributes['input']) as MigrationInput | null;
  if (started?.type !== 'WORKFLOW_EXECUTION_STARTED' || input?.start?.plan?.stages === undefined) {
    throw new InvalidHistory(
      'expected the history of a migration, from the start of a run: its first event carries no plan',
    );
  }
  const { start, carried } = input;
  const listed = asked ?? listedCheckpoints(document);
  const events = runs.flatMap((run) => run.events);
  const closed = lastRun?.events.at(-1);
  return {
    migrationId: start.migrationId,
    route: start.plan.route,
    plan: planInForce(runs, input),
    by: start.by,
    reason: start.reason,
    startedAtMs: carried?.startedAtMs ?? started.atMs,
    ...endOf(closed),
    fromTheStart: carried === null,
    runs: runs.length,
    events: events.length,
    assessment: runs.flatMap(assessmentsOf).at(-1) ?? carried?.assessment ?? null,
    windows: runs.flatMap(windowsOf).map((window, index) => ({ ...window, number: index + 1 })),
    changes: runs.flatMap(changesOf),
    messages: events.flatMap(messagesOf),
    checkpoints: {
      ...(listed === null ? retraced(runs) : { list: listed, source: 'the migration', problem: null }),
      archived: carried?.archived === undefined || carried.archived.count === 0 ? null : carried.archived,
    },
  };
}

/** The plan as it was amended last: what the state machine makes of the history, where anybody asked for it. */
function planInForce(runs: readonly RunHistory[], { start, carried }: MigrationInput): Plan {
  const isAsked = runs.some(({ events }) => events.flatMap(messagesOf).some(({ name }) => name === 'amend'));
  return (isAsked ? retrace(runs)?.state.plan : undefined) ?? carried?.plan ?? start.plan;
}

function listedCheckpoints(document: unknown): readonly Checkpoint[] | null {
  const listed = isObject(document) ? document['checkpoints'] : undefined;
  return Array.isArray(listed) ? (listed as Checkpoint[]) : null;
}

function retraced(runs: readonly RunHistory[]): Omit<RecordedCheckpoints, 'archived'> {
  const source = 'its history, retraced';
  try {
    const found = retrace(runs);
    return { list: found?.checkpoints ?? [], source, problem: found?.problem ?? null };
  } catch (error) {
    return { list: [], source, problem: error instanceof Error ? error.message : String(error) };
  }
}

function endOf(
  last: HistoryEvent | undefined,
): Pick<RecordedMigration, 'endedAtMs' | 'outcome' | 'outcomeReason'> {
  const how = /^WORKFLOW_EXECUTION_(COMPLETED|FAILED|TERMINATED|CANCELED|TIMED_OUT)$/.exec(last?.type ?? '');
  if (last === undefined || how === null) return { endedAtMs: null, outcome: 'running', outcomeReason: '' };
  const result = firstPayload(last.attributes['result']) as MigrationResult | null;
  return {
    endedAtMs: last.atMs,
    outcome: result?.outcome ?? (how[1] ?? '').toLowerCase().replace('_', ' '),
    outcomeReason: result?.reason ?? String(last.attributes['reason'] ?? ''),
  };
}

/** Activities of a name with their input, and their result where they completed. */
function activitiesOf({ events }: RunHistory, name: string) {
  const ends = new Map<number, HistoryEvent>();
  for (const event of events) {
    if (event.type === 'ACTIVITY_TASK_COMPLETED')
      ends.set(Number(event.attributes['scheduledEventId']), event);
  }
  return events
    .filter((event) => activityName(event) === name)
    .map((event) => {
      const end = ends.get(event.id);
      return {
        atMs: event.atMs,
        endedAtMs: end?.atMs ?? null,
        input: firstPayload(event.attributes['input']),
        result: end === undefined ? null : firstPayload(end.attributes['result']),
      };
    });
}

function windowsOf(run: RunHistory): Omit<RecordedWindow, 'number'>[] {
  return activitiesOf(run, 'watchStage').flatMap(({ atMs, endedAtMs, input, result }) => {
    if (endedAtMs === null || result === null) return [];
    const given = input as WatchStageInput;
    return [
      {
        stageWindow: given.progress.windows + 1,
        startedAtMs: atMs,
        endedAtMs,
        stage: given.stage,
        epoch: given.record.epoch,
        share: given.record.share,
        baseline: given.baseline,
        observedBeforeMs: given.progress.observedMs,
        handover: given.handover,
        ...(given.servedModel === undefined ? {} : { identityAlpha: given.servedModel.plan.alpha }),
        result: result as WindowResult,
      },
    ];
  });
}

function assessmentsOf(run: RunHistory): AssessmentSummary[] {
  return activitiesOf(run, 'assess').flatMap(({ result }) =>
    result === null ? [] : [result as AssessmentSummary],
  );
}

function changesOf(run: RunHistory): RecordedChange[] {
  return ['applyRouting', 'verifyRouting']
    .flatMap((name) => activitiesOf(run, name))
    .map(({ atMs, endedAtMs, input, result }) => {
      const { record } = input as ApplyRoutingInput;
      const answer = result as ApplyResult | null;
      return {
        atMs,
        confirmedAtMs: endedAtMs,
        stage: record.stage,
        share: record.share,
        epoch: record.epoch,
        confirmed: answer?.confirmed ?? [],
        lapsed: answer?.lapsed ?? [],
        missing: answer?.missing ?? [],
      };
    })
    .sort((a, b) => a.atMs - b.atMs);
}

function messagesOf(event: HistoryEvent): RecordedMessage[] {
  const { type, atMs, attributes } = event;
  if (type === 'WORKFLOW_EXECUTION_CANCEL_REQUESTED') {
    const by = String(attributes['identity'] ?? '');
    return [{ atMs, via: 'cancellation', name: 'cancel', by, reason: String(attributes['cause'] ?? '') }];
  }
  const via = type === 'WORKFLOW_EXECUTION_SIGNALED' ? 'signal' : 'update';
  if (via === 'update' && type !== 'WORKFLOW_EXECUTION_UPDATE_ACCEPTED') return [];
  const { name, payload } = messageOf(event);
  const said = isObject(payload) ? payload : {};
  const by = typeof said['by'] === 'string' ? said['by'] : 'unknown';
  const reason = typeof said['reason'] === 'string' ? said['reason'] : '';
  return [{ atMs, via, name: String(name), by, reason }];
}
