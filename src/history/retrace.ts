import { type MigrationInput, type MigrationResult, revisionPatchOf } from '../contract';
import { stateOfRun } from '../core/migration/carried-state';
import { type Checkpoint, checkpointCount } from '../core/migration/checkpoint';
import { COMMAND_NAMES, type CommandName, isBadMessage, readCommand } from '../core/migration/command';
import { repeatedUpdate } from '../core/migration/command-handling';
import type { Decision, MigrationEvent } from '../core/migration/events';
import { nextDecision, transition } from '../core/migration/migration';
import { follows, type MigrationState, REVISION } from '../core/migration/migration-state';
import { messageFact, type SealedKind, windowFact, withEntry } from '../core/record/record-seal';
import {
  type EffectWork,
  type EventWithoutTime,
  effectEvent,
  effectWork,
  resultEvent,
  type Work,
  workOf,
} from './retraced-result';
import {
  activityName,
  firstPayload,
  type HistoryEvent,
  isObject,
  jsonOf,
  type RunHistory,
} from './temporal-history';

/** The state to which a history leads. */
export interface RetracedMigration {
  readonly state: MigrationState;
  /** All checkpoints of the runs that there are, those included that the last state no longer carries. */
  readonly checkpoints: readonly Checkpoint[];
  /** Why what follows some event could not be retraced, or does not fit what was recorded; null when all does. */
  readonly problem: string | null;
}

type RetracedRun = Omit<RetracedMigration, 'checkpoints'>;

/**
 * Feeds what a history recorded through the state machine once more, as the workflow did: the checkpoints that
 * come out need no worker to be asked for. What the machine decides is compared with what history says was done.
 */
export function retrace(runs: readonly RunHistory[]): RetracedMigration | null {
  let last = null as RetracedMigration | null;
  for (const { events } of runs) {
    const [started] = events;
    const input = firstPayload(started?.attributes['input']) as MigrationInput | null;
    if (input?.start?.plan === undefined) return last;
    const run = retraceRun(input, events);
    last = { ...run, checkpoints: joined(last?.checkpoints ?? [], run.state.checkpoints) };
    if (last.problem !== null) return last;
  }
  return last;
}

/** A list that goes on in the next run, which carries its last entries. */
function joined(before: readonly Checkpoint[], now: readonly Checkpoint[]): readonly Checkpoint[] {
  const first = now[0]?.seq ?? Number.POSITIVE_INFINITY;
  return [...before.filter(({ seq }) => seq < first), ...now];
}

/** The revision whose marker `patched` left in a run. */
function revisionOf(events: readonly HistoryEvent[]): number {
  const patches = new Set(events.map(patchOf));
  for (let revision = REVISION; revision > 1; revision -= 1) {
    if (patches.has(revisionPatchOf(revision))) return revision;
  }
  return 1;
}

function patchOf({ type, attributes }: HistoryEvent): unknown {
  if (type !== 'MARKER_RECORDED' || !isObject(attributes['details'])) return null;
  const patch = firstPayload(attributes['details']['patch-data']);
  return isObject(patch) ? patch['id'] : null;
}

const NO_WORK = null as Work | null;

function isTimed(decision: Decision, work: Work | null): boolean {
  return decision.type === 'wait' && decision.untilMs !== null && work?.decision.key !== decision.key;
}

function retraceRun(input: MigrationInput, events: readonly HistoryEvent[]): RetracedRun {
  const firstTask = events.find(({ type }) => type === 'WORKFLOW_TASK_STARTED');
  const revision = revisionOf(events);
  let state = stateOfRun(input, firstTask?.atMs ?? 0, revision);
  let work = NO_WORK;
  const effects = new Map<number, EffectWork>();
  let taskAtMs = firstTask?.atMs ?? 0;
  let waiting: HistoryEvent[] = [];
  const seal = (kind: SealedKind, fact: unknown) => {
    if (state.sealed !== undefined) state = { ...state, sealed: withEntry(state.sealed, kind, fact) };
  };
  const apply = (event: EventWithoutTime) => {
    if (event.type === 'watched') seal('windows', windowFact(event.window));
    if (event.type === 'cancelled') seal('cancels', {});
    state = transition(state, { ...event, atMs: taskAtMs } as MigrationEvent);
  };
  for (const [index, event] of events.entries()) {
    switch (event.type) {
      case 'WORKFLOW_TASK_STARTED':
        taskAtMs = event.atMs;
        break;
      case 'WORKFLOW_TASK_COMPLETED': {
        const messages = [...waiting.filter(isMessage), ...updatesOf(events, index)];
        for (const message of messages) {
          const { name, payload } = messageOf(message);
          seal(isMessage(message) ? 'signals' : 'updates', messageFact(String(name), payload));
          const told = messageEvent(message, state);
          if (told !== null) apply(told);
          // A message acts before all results of its task: what it pre-empts is not waited for, done or not.
          if (work !== null && nextDecision(state, taskAtMs).key !== work.decision.key) work = null;
        }
        // A cancellation, effects and timers act before what the main loop waits for, which they do not pre-empt.
        for (const each of waiting) if (isCancellation(each)) apply({ type: 'cancelled' });
        for (const result of waiting.filter((each) => !isMessage(each) && workOf(each) !== work?.id)) {
          const effect = effects.get(workOf(result));
          const told = effect === undefined ? null : effectEvent(effect, result);
          if (told !== null) apply(told);
          // The workflow's one timer for deadlines and expiries; the others change nothing that is not due.
          if (result.type === 'TIMER_FIRED' && follows(state, 2)) apply({ type: 'time passed' });
        }
        const result = waiting.find((each) => !isMessage(each) && workOf(each) === work?.id);
        if (work !== null && result !== undefined) {
          const told = resultEvent(work, result, { state, events });
          if (told === 'unknown') {
            return {
              state,
              problem: `event ${result.id}: what came of "${work.decision.type}" is unknown`,
            };
          }
          if ('found' in told) work = { ...work, found: told.found };
          else {
            work = null;
            apply(told);
          }
        }
        waiting = [];
        break;
      }
      case 'ACTIVITY_TASK_SCHEDULED':
      case 'TIMER_STARTED': {
        const effect = effectWork(state, event);
        if (effect !== null) {
          effects.set(event.id, effect);
          break;
        }
        const decision = nextDecision(state, taskAtMs);
        // What is done once all is decided, such as the report, changes nothing.
        if (decision.type === 'close') break;
        // Other timers only say when an effect may be tried again.
        if (event.type === 'TIMER_STARTED' && !isTimed(decision, work)) break;
        const problem = contradiction(decision, event);
        if (problem !== null) return { state, problem };
        const found: Work['found'] = work?.decision.key === decision.key ? work.found : {};
        work = { id: event.id, decision, activity: activityName(event), found };
        break;
      }
      case 'ACTIVITY_TASK_CANCEL_REQUESTED':
        if (work?.id === Number(event.attributes['scheduledEventId'])) work = null;
        break;
      case 'WORKFLOW_EXECUTION_COMPLETED':
        return { state, problem: endProblem(state, event) };
      default:
        if (WAITED_FOR.has(event.type)) waiting.push(event);
    }
  }
  return { state, problem: null };
}

const WAITED_FOR = new Set([
  'WORKFLOW_EXECUTION_SIGNALED',
  'WORKFLOW_EXECUTION_CANCEL_REQUESTED',
  'ACTIVITY_TASK_COMPLETED',
  'ACTIVITY_TASK_FAILED',
  'ACTIVITY_TASK_TIMED_OUT',
  'TIMER_FIRED',
]);

function isMessage({ type }: HistoryEvent): boolean {
  return type === 'WORKFLOW_EXECUTION_SIGNALED';
}

function isCancellation({ type }: HistoryEvent): boolean {
  return type === 'WORKFLOW_EXECUTION_CANCEL_REQUESTED';
}

/** Updates that a workflow task accepted stand behind its completion. */
function updatesOf(events: readonly HistoryEvent[], completed: number): HistoryEvent[] {
  const after = events.slice(completed + 1);
  const end = after.findIndex(({ type }) => type === 'WORKFLOW_TASK_SCHEDULED');
  return (end < 0 ? after : after.slice(0, end)).filter(
    ({ type }) => type === 'WORKFLOW_EXECUTION_UPDATE_ACCEPTED',
  );
}

function messageEvent(event: HistoryEvent, state: MigrationState): EventWithoutTime | null {
  const { name, payload } = messageOf(event);
  if (!isCommandName(name)) return null;
  const command = readCommand(name, payload);
  if (isBadMessage(command)) return null;
  const isUpdate = event.type === 'WORKFLOW_EXECUTION_UPDATE_ACCEPTED';
  if (isUpdate && repeatedUpdate(state, command) !== null) return null;
  return { type: 'command', command };
}

function isCommandName(name: unknown): name is CommandName {
  return (COMMAND_NAMES as readonly unknown[]).includes(name);
}

/** The name and the payload of a signal or an accepted update. */
export function messageOf({ type, attributes }: HistoryEvent): { name: unknown; payload: unknown } {
  if (type === 'WORKFLOW_EXECUTION_SIGNALED') {
    return { name: attributes['signalName'], payload: saidPayload(attributes['input']) };
  }
  const request = attributes['acceptedRequest'];
  const input = isObject(request) && isObject(request['input']) ? request['input'] : {};
  return { name: input['name'], payload: saidPayload(input['args']) };
}

/** Anybody may send a signal of any encoding: what cannot be read is a text, which no command is. */
function saidPayload(value: unknown): unknown {
  try {
    return firstPayload(value);
  } catch {
    return jsonOf(value) ?? 'unreadable';
  }
}

/** History must have done what the machine decides. */
function contradiction(decision: Decision, event: HistoryEvent): string | null {
  if (activityName(event) !== 'applyRouting') return null;
  const input = firstPayload(event.attributes['input']);
  const record = isObject(input) && isObject(input['record']) ? input['record'] : {};
  const { epoch, share } = record;
  if (
    decision.type === 'apply routing' &&
    decision.record.epoch === epoch &&
    decision.record.share === share
  ) {
    return null;
  }
  return `event ${event.id}: history applied share ${share} under epoch ${epoch}, the state machine says "${decision.type}"`;
}

function endProblem(state: MigrationState, { id, attributes }: HistoryEvent): string | null {
  const result = firstPayload(attributes['result']) as MigrationResult | null;
  if (result === null) return null;
  const { outcome } = state;
  const count = checkpointCount(state);
  if (outcome === result.outcome && count === result.checkpoints) return null;
  return `event ${id}: expected ${result.outcome} with ${result.checkpoints} checkpoints, retraced ${outcome} with ${count}`;
}
