import {
  ApplicationFailure,
  allHandlersFinished,
  CancellationScope,
  condition,
  defineQuery,
  defineSignal,
  defineUpdate,
  log,
  patched,
  setCurrentDetails,
  setDefaultSignalHandler,
  setHandler,
  workflowInfo,
} from '@temporalio/workflow';
import {
  type CheckpointsPage,
  type CheckpointsQuery,
  COMMAND_DESCRIPTIONS,
  type MigrationInput,
  type MigrationResult,
  MOVE_TO_CURRENT_BUILD,
  QUERIES,
  revisionPatchOf,
} from '../contract';
import { addQuestionTime } from '../core/effects/effect-runs';
import { type AmendmentPreview, previewAmendment } from '../core/migration/amendment/amendment';
import { carriedOn, isPageFull, stateOfRun } from '../core/migration/carried-state';
import { checkpointCount } from '../core/migration/checkpoint';
import {
  type BadMessage,
  COMMAND_NAMES,
  type Command,
  type CommandAnswer,
  type CommandName,
  isBadMessage,
  readCommand,
  unknownCommand,
} from '../core/migration/command';
import { repeatedUpdate, updateRefusal, withBadMessage } from '../core/migration/command-handling';
import { currentDetails } from '../core/migration/details';
import { endCauseOfState, headlineOf, utcMinuteText } from '../core/migration/end-cause';
import type { Decision, MigrationEvent } from '../core/migration/events';
import { nextDecision, transition } from '../core/migration/migration';
import { follows, type MigrationState, REVISION } from '../core/migration/migration-state';
import { startProblem } from '../core/migration/start-problem';
import { rollbackEligibilityOf, statusOf } from '../core/migration/status';
import { messageFact, type SealedKind, windowFact, withEntry } from '../core/record/record-seal';
import { continueOnCurrentBuild, handleMove } from './current-build';
import { carryOut } from './decisions';
import { EffectRunner } from './effect-runner';
import { publishHeadline, publishLastHeadline } from './headline';
import { UNREADABLE } from './payload-converter';
import { requestReport } from './report';
import { publishSearchAttributes } from './search-attributes';
import { takeTurns } from './turn-timer';

const PAGE_DEFAULT = 100;
const PAGE_MOST = 500;

/**
 * Every task and every query replays its run from the start (docs/known-problems.md): a run is kept to about as many
 * events as one stage of the default plan.
 */
const RUN_EVENTS = 300;

const WITHOUT_CODEC =
  'the input of this migration is encoded: start its workers with the data converter that it was started with (--data-converter)';

/**
 * Moves one route from legacy to candidate. The pure machine in `core/migration/migration.ts` decides; this loop does what
 * it says as an activity or a wait and feeds the result back. Handlers only read, record and answer.
 */
export async function migration(input: MigrationInput): Promise<MigrationResult> {
  // A failed task, which waits for a worker with the codec: this one must not end what it cannot read.
  if ((input as unknown) === UNREADABLE) throw new Error(WITHOUT_CODEC);
  const problem = startProblem(input);
  // Not a failed task, which is tried again for ever: the workflow ends, and its route is free.
  if (problem !== null) throw ApplicationFailure.nonRetryable(`not a migration: ${problem}`, 'BadStart');
  // An open migration of an older release goes on by its own decisions until its next run.
  const revision = revisionOfRun();
  let state = stateOfRun(input, Date.now(), revision);
  const checkpointsBefore = checkpointCount(state);

  const seal = (kind: SealedKind, fact: unknown): void => {
    // A migration that an older release started is not sealed from its middle on.
    if (state.sealed !== undefined) state = { ...state, sealed: withEntry(state.sealed, kind, fact) };
  };
  const apply = (event: EventWithoutTime): void => {
    if (event.type === 'watched') seal('windows', windowFact(event.window));
    if (event.type === 'cancelled') seal('cancels', {});
    state = transition(state, { ...event, atMs: Date.now() });
    publish(state, input.searchAttributes);
  };
  const noteBad = (bad: BadMessage): void => {
    state = withBadMessage(state, bad);
    log.warn('a message was refused', { name: bad.name, problem: bad.problem });
  };
  for (const name of COMMAND_NAMES) handleCommand(name, { current: () => state, apply, noteBad, seal });
  setDefaultSignalHandler((name, payload) => {
    seal('signals', messageFact(name, payload));
    noteBad(unknownCommand(name, payload));
  });
  let moving = false;
  handleMove((payload) => {
    seal('signals', messageFact(MOVE_TO_CURRENT_BUILD, payload));
    moving = true;
  });
  handleQueries(() => state);
  publish(state, input.searchAttributes);

  const isRunLong = (): boolean => {
    const { continueAsNewSuggested, historyLength } = workflowInfo();
    if (continueAsNewSuggested || !follows(state, 3)) return continueAsNewSuggested;
    return historyLength >= RUN_EVENTS || isPageFull(state, checkpointsBefore);
  };

  CancellationScope.current().cancelRequested.catch(() => apply({ type: 'cancelled' }));
  await CancellationScope.nonCancellable(async () => {
    const effects = new EffectRunner(() => state, apply);
    const effectsDone = effects.run();
    if (follows(state, 2)) void takeTurns(() => state, apply);
    const mayEnd = (decision: Decision) => mayContinueAsNew(state, decision) && effects.canBeCarried;
    for (;;) {
      const decision = nextDecision(state, Date.now());
      if (decision.type === 'close') break;
      if ((moving || isRunLong()) && mayEnd(decision)) {
        await condition(allHandlersFinished);
        if (nextDecision(state, Date.now()).key !== decision.key || !effects.canBeCarried) continue;
        const carried = carriedOn(addQuestionTime(state, effects.askedMs()), checkpointsBefore);
        await continueOnCurrentBuild<typeof migration>({ ...input, carried });
      }
      // What a window has seen is not lost with it, so that a move need not wait for its end.
      const isShort = decision.type !== 'watch' && decision.type !== 'wait';
      const preempted = () =>
        nextDecision(state, Date.now()).key !== decision.key || (moving && !isShort && mayEnd(decision));
      const event = await carryOut(decision, state, preempted);
      if (event !== null) apply(event);
    }
    await effectsDone;
    publishLastHeadline(state, resultOf(state).headline);
    if (state.plan.report === true) await requestReport(resultOf(state));
    // In here too: a cancelled workflow that waits out there ends as cancelled, its result unsaid.
    await condition(allHandlersFinished);
  });
  return resultOf(state);
}

/** Whether a run may end before a decision is carried out: not before a change of routing was pushed for the first time. */
function mayContinueAsNew(state: MigrationState, decision: Decision): boolean {
  if (decision.type !== 'apply routing') return true;
  return follows(state, 3) && decision.missing !== null;
}

/** Asked of the newest first: a new run is marked with that one alone. */
function revisionOfRun(): number {
  for (let revision = REVISION; revision > 1; revision -= 1) {
    if (patched(revisionPatchOf(revision))) return revision;
  }
  return 1;
}

/** An event as the outside gives it; the loop adds the workflow's time. */
type EventWithoutTime = MigrationEvent extends infer Event
  ? Event extends MigrationEvent
    ? Omit<Event, 'atMs'>
    : never
  : never;

/** What the handlers of messages need of the loop. */
interface HandlerContext {
  readonly current: () => MigrationState;
  readonly apply: (event: { type: 'command'; command: Command }) => void;
  readonly noteBad: (bad: BadMessage) => void;
  /** Takes a message into the record, whatever becomes of it. */
  readonly seal: (kind: SealedKind, fact: unknown) => void;
}

function handleCommand(name: CommandName, { current, apply, noteBad, seal }: HandlerContext): void {
  const description = COMMAND_DESCRIPTIONS[name];
  // Whatever a person types into the Temporal UI arrives here: nothing may throw.
  setHandler(
    defineSignal<[payload: unknown]>(name),
    (payload) => {
      seal('signals', messageFact(name, payload));
      const command = readCommand(name, payload);
      if (isBadMessage(command)) noteBad(command);
      else apply({ type: 'command', command });
    },
    { description },
  );
  setHandler(
    defineUpdate<CommandAnswer, [payload: unknown]>(name),
    (payload) => {
      seal('updates', messageFact(name, payload));
      const command = readCommand(name, payload);
      if (isBadMessage(command)) throw ApplicationFailure.nonRetryable(command.problem, 'BadMessage');
      const before = current();
      const repeated = repeatedUpdate(before, command);
      if (repeated !== null) return repeated;
      apply({ type: 'command', command });
      return answerOf(before, current(), command);
    },
    {
      description,
      validator: (payload) => {
        const command = readCommand(name, payload);
        if (isBadMessage(command)) throw new Error(command.problem);
        const refusal = updateRefusal(current(), command);
        if (refusal !== null) throw new Error(refusal);
      },
    },
  );
}

function answerOf(before: MigrationState, after: MigrationState, command: Command): CommandAnswer {
  const appended = after.checkpoints.slice(before.checkpoints.length);
  const checkpoint =
    appended.findLast((entry) => entry.kind === 'intended')?.seq ?? appended.at(-1)?.seq ?? null;
  return { accepted: true, message: `${command.name} accepted`, checkpoint };
}

function handleQueries(current: () => MigrationState): void {
  setHandler(defineQuery(QUERIES.status), () => statusOf(current(), Date.now()), {
    description: 'Stage, share, verdict, and what it waits for',
  });
  setHandler(defineQuery(QUERIES.rollbackEligibility), () => rollbackEligibilityOf(current()), {
    description: 'Where a rollback can go',
  });
  setHandler(defineQuery(QUERIES.assessment), () => current().assessment, {
    description: 'What the assess stage found',
  });
  setHandler(defineQuery(QUERIES.verdicts), () => current().verdicts, {
    description: 'The last verdicts with their numbers',
  });
  setHandler(
    defineQuery<AmendmentPreview, [plan: unknown]>(QUERIES.amendment),
    (plan) => previewAmendment(current(), plan),
    { description: 'What another plan would change, and why it would be refused' },
  );
  setHandler(
    defineQuery<CheckpointsPage, [page?: CheckpointsQuery]>(QUERIES.checkpoints),
    (page?: CheckpointsQuery) => pageOf(current(), page),
    { description: 'Checkpoints, paged: {"after":0,"limit":100}; says which run has older ones' },
  );
}

function pageOf(state: MigrationState, page: CheckpointsQuery | undefined): CheckpointsPage {
  const count = state.archived.count;
  const total = checkpointCount(state);
  const after = Math.max(wholeNumber(page?.after, 0), count);
  const limit = Math.min(wholeNumber(page?.limit, PAGE_DEFAULT) || PAGE_DEFAULT, PAGE_MOST);
  const checkpoints = state.checkpoints.slice(after - count, after - count + limit);
  const end = after + checkpoints.length;
  const runId = workflowInfo().continuedFromExecutionRunId;
  const archived = count === 0 || runId === undefined ? {} : { archived: { count, runId } };
  return { checkpoints, total, next: end < total ? end : null, ...archived };
}

function wholeNumber(value: unknown, fallback: number): number {
  return typeof value === 'number' && Number.isSafeInteger(value) && value >= 0 ? value : fallback;
}

function publish(state: MigrationState, searchAttributes: boolean): void {
  setCurrentDetails(currentDetails(statusOf(state, Date.now())));
  if (searchAttributes) publishSearchAttributes(state);
  publishHeadline(state);
}

function resultOf(state: MigrationState): MigrationResult {
  if (state.outcome === null) throw new Error('expected an outcome at the end of a migration');
  const { outcome } = state;
  const last = state.checkpoints.findLast((entry) => entry.kind === 'recorded' && entry.what === outcome);
  const ending = follows(state, 4) ? endCauseOfState(state) : null;
  return {
    ...(ending === null ? {} : { headline: headlineOf(ending, utcMinuteText) }),
    migrationId: state.migrationId,
    route: state.plan.route,
    outcome: state.outcome,
    reason: last?.kind === 'recorded' ? last.reason : '',
    ...(ending === null ? {} : { endedAtMs: ending.atMs, ...(ending.by === null ? {} : { by: ending.by }) }),
    checkpoints: checkpointCount(state),
  };
}
