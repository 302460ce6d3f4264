import { type MigrationInput, MOVE_TO_CURRENT_BUILD } from '../contract';
import type { Checkpoint } from '../core/migration/checkpoint';
import {
  COMMAND_NAMES,
  type CommandAnswer,
  type CommandName,
  isBadMessage,
  readCommand,
} from '../core/migration/command';
import type { WindowResult } from '../core/migration/events';
import type { RecordEntry, RecordedCommand } from '../core/record/record-entry';
import { keptPayload } from '../core/record/record-seal';
import { payloadConverter } from '../workflows/payload-converter';

/** A history event as far as a record needs it; Temporal's own type fits. */
export interface RunEvent {
  readonly eventId?: Numeric;
  readonly eventTime?: { readonly seconds?: Numeric; readonly nanos?: number | null } | null;
  readonly workflowExecutionStartedEventAttributes?: {
    readonly input?: Payloads;
    readonly identity?: string | null;
    readonly continuedExecutionRunId?: string | null;
  } | null;
  readonly workflowExecutionSignaledEventAttributes?: {
    readonly signalName?: string | null;
    readonly input?: Payloads;
    readonly identity?: string | null;
  } | null;
  readonly workflowExecutionUpdateAcceptedEventAttributes?: {
    readonly acceptedRequest?: {
      readonly meta?: { readonly updateId?: string | null; readonly identity?: string | null } | null;
      readonly input?: { readonly name?: string | null; readonly args?: Payloads } | null;
    } | null;
  } | null;
  readonly workflowExecutionUpdateCompletedEventAttributes?: {
    readonly meta?: { readonly updateId?: string | null } | null;
    readonly outcome?: {
      readonly success?: Payloads;
      readonly failure?: { readonly message?: string | null } | null;
    } | null;
  } | null;
  readonly workflowExecutionCancelRequestedEventAttributes?: { readonly identity?: string | null } | null;
  readonly activityTaskScheduledEventAttributes?: {
    readonly activityType?: { readonly name?: string | null } | null;
  } | null;
  readonly activityTaskCancelRequestedEventAttributes?: { readonly scheduledEventId?: Numeric } | null;
  readonly activityTaskCompletedEventAttributes?: {
    readonly scheduledEventId?: Numeric;
    readonly result?: Payloads;
  } | null;
}

type Numeric = number | { toString(): string } | null;
type Payloads = { readonly payloads?: readonly unknown[] | null } | null;

/** What `MigrationClient.record` gives. */
export interface MigrationRecord {
  readonly migrationId: string;
  readonly route: string;
  readonly entries: readonly RecordEntry[];
  /** False when Temporal no longer keeps the first runs: their commands and verdicts are missing. */
  readonly whole: boolean;
}

/** What became of commands, by their id, as the migration itself remembers it. */
export type SeenCommands = ReadonlyMap<string, Pick<RecordedCommand, 'accepted' | 'message' | 'checkpoint'>>;

/**
 * Reads out of the histories of one migration, its runs in their order, how it was started, what was asked of it,
 * and what each window judged. Needs no worker. What cannot be read is left out or said to be so; nothing throws.
 */
export function recordOfHistories(
  runs: readonly (readonly RunEvent[])[],
  seen: SeenCommands,
): readonly RecordEntry[] {
  return runs.flatMap((events, index) => [
    ...(index === 0 ? startOf(events) : []),
    ...commandsOf(events, seen),
    ...windowsOf(events),
  ]);
}

function startOf([first]: readonly RunEvent[]): RecordEntry[] {
  const attributes = first?.workflowExecutionStartedEventAttributes;
  const input = decoded<MigrationInput>(attributes?.input);
  if (first === undefined || input?.start === undefined) return [];
  const { sealed, archived } = input.carried ?? {};
  return [
    {
      start: {
        ...{ atMs: atMsOf(first), identity: attributes?.identity ?? '', start: input.start },
        ...(sealed === undefined ? {} : { carried: sealed }),
        ...(archived === undefined || archived.count === 0
          ? {}
          : { archived: { count: archived.count, head: archived.head } }),
      },
    },
  ];
}

/** The checkpoints that a run was handed by the one before it; none for a migration's first run. */
export function handedCheckpoints(first: RunEvent): readonly Checkpoint[] {
  const input = decoded<MigrationInput>(first.workflowExecutionStartedEventAttributes?.input);
  return input?.carried?.checkpoints ?? [];
}

function commandsOf(events: readonly RunEvent[], seen: SeenCommands): RecordEntry[] {
  const answers = answersOf(events);
  return events.flatMap((event): RecordEntry[] => {
    const atMs = atMsOf(event);
    const signal = event.workflowExecutionSignaledEventAttributes;
    if (signal != null) {
      const said = { name: signal.signalName ?? '', payload: keptPayload(decoded(signal.input)) };
      const result = readable(said.name, decoded(signal.input), seen);
      return [{ command: { atMs, via: 'signal', identity: signal.identity ?? '', ...said, ...result } }];
    }
    const update = event.workflowExecutionUpdateAcceptedEventAttributes?.acceptedRequest;
    if (update != null) {
      const answer = answers.get(update.meta?.updateId ?? '') ?? UNKNOWN;
      const said = { name: update.input?.name ?? '', payload: keptPayload(decoded(update.input?.args)) };
      const identity = update.meta?.identity ?? '';
      return [{ command: { atMs, via: 'update', identity, ...said, ...answer } }];
    }
    const cancel = event.workflowExecutionCancelRequestedEventAttributes;
    if (cancel != null) {
      const said = { name: 'cancel', payload: null, accepted: true, message: 'taken as a rollback' };
      return [
        { command: { atMs, via: 'cancel', identity: cancel.identity ?? '', checkpoint: null, ...said } },
      ];
    }
    return [];
  });
}

type Result = Pick<RecordedCommand, 'accepted' | 'message' | 'checkpoint'>;

const UNKNOWN: Result = { accepted: null, message: '', checkpoint: null };

/** What became of a signal: refused because it could not be read, or as the migration remembers it. */
function readable(name: string, payload: unknown, seen: SeenCommands): Result {
  if (name === MOVE_TO_CURRENT_BUILD) {
    return { accepted: true, message: 'continues as new on the current build of workers', checkpoint: null };
  }
  if (!(COMMAND_NAMES as readonly string[]).includes(name)) {
    return { accepted: false, message: 'there is no command of this name', checkpoint: null };
  }
  const read = readCommand(name as CommandName, payload);
  if (isBadMessage(read)) return { accepted: false, message: read.problem, checkpoint: null };
  return (read.commandId === null ? undefined : seen.get(read.commandId)) ?? UNKNOWN;
}

function answersOf(events: readonly RunEvent[]): ReadonlyMap<string, Result> {
  return new Map(
    events.flatMap((event): [string, Result][] => {
      const completed = event.workflowExecutionUpdateCompletedEventAttributes;
      if (completed == null) return [];
      const answer = decoded<CommandAnswer>(completed.outcome?.success);
      const failure = completed.outcome?.failure?.message ?? '';
      const result: Result =
        answer === null
          ? { accepted: false, message: failure, checkpoint: null }
          : { accepted: answer.accepted, message: answer.message, checkpoint: answer.checkpoint };
      return [[completed.meta?.updateId ?? '', result]];
    }),
  );
}

function windowsOf(events: readonly RunEvent[]): RecordEntry[] {
  const watches = new Set(
    events
      .filter(
        ({ activityTaskScheduledEventAttributes: scheduled }) => scheduled?.activityType?.name === WATCH,
      )
      .map(({ eventId }) => String(eventId)),
  );
  const preempted = new Set<string>();
  return events.flatMap((event): RecordEntry[] => {
    const cancelled = event.activityTaskCancelRequestedEventAttributes;
    if (cancelled != null) preempted.add(String(cancelled.scheduledEventId));
    const completed = event.activityTaskCompletedEventAttributes;
    if (completed == null || !watches.has(String(completed.scheduledEventId))) return [];
    const window = decoded<WindowResult>(completed.result);
    if (window?.verdict === undefined) return [];
    const { epoch, ended, observedMs, verdict } = window;
    const late = preempted.has(String(completed.scheduledEventId)) ? { late: true as const } : {};
    return [{ verdict: { atMs: atMsOf(event), epoch, ended, observedMs, verdict, ...late } }];
  });
}

const WATCH = 'watchStage';

function atMsOf({ eventTime }: RunEvent): number {
  return Math.round(Number(eventTime?.seconds ?? 0) * 1_000 + Number(eventTime?.nanos ?? 0) / 1_000_000);
}

/** The first payload; null where there is none or it cannot be read. */
function decoded<T>(payloads: Payloads | undefined): T | null {
  const [payload] = payloads?.payloads ?? [];
  if (payload === undefined) return null;
  try {
    return payloadConverter.fromPayload<T>(payload as never);
  } catch {
    return null;
  }
}
