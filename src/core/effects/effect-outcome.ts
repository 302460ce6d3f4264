import type { EffectEvent } from '../migration/events';
import type { MigrationState } from '../migration/migration-state';
import { record } from '../migration/routing-change';
import { advanceIfDue } from '../migration/stage-exit';
import { DAY_MS, HOUR_MS, MINUTE_MS } from '../text/duration';
import type { ConfirmAnswer } from './effect';
import { type EffectRun, isOpen } from './effect-run';
import { changeRun, runsOf } from './effect-runs';

const FIRST_PAUSE_MS = 1_000;
const LONGEST_PAUSE_MS = 5 * MINUTE_MS;
const ESCALATED_ATTEMPTS = 5;
/** After the migration has closed nobody waits longer for its effects. */
const GIVEN_UP_MS = DAY_MS;
/** Later than that a notification tells nothing new. */
const STALE_MS = HOUR_MS;

/** Characters that are kept of what went wrong at a target. */
const ERROR_MOST = 1_000;

/** Takes in what became of a run. What was dropped meanwhile changes nothing. */
export function settleEffect(state: MigrationState, event: EffectEvent, atMs: number): MigrationState {
  const run = runsOf(state).find(({ id }) => id === event.id);
  if (run === undefined || !isOpen(run)) return state;
  switch (event.type) {
    case 'effect captured':
      return changeRun(state, run.id, { status: 'captured', captured: event.captured });
    case 'effect failed':
      return failed(state, run, event, atMs);
    case 'effect ended':
      return ended(state, run, event, atMs);
    default:
      return event satisfies never;
  }
}

function ended(
  before: MigrationState,
  run: EffectRun,
  { note, answer }: { readonly note: string; readonly answer: ConfirmAnswer | null },
  atMs: number,
): MigrationState {
  const state = changeRun(before, run.id, { status: 'done', answer, lastError: null });
  const { name } = run.effect;
  switch (run.purpose) {
    case 'notify':
      return record(state, { what: 'notified', reason: `${name}: ${run.about.moment}`, atMs });
    case 'restore':
      return record(state, { what: 'effect restored', reason: `${name}: ${note}`, atMs });
    case 'apply':
      return goOn(record(state, { what: 'effect took effect', reason: `${name}: ${note}`, atMs }), atMs);
    case 'confirm': {
      if (answer === 'yes')
        return goOn(record(state, { what: 'confirmed', reason: `${name}: ${note}`, atMs }), atMs);
      const reason = `${name} said ${answer}: ${note}`;
      const told = record(state, { what: 'not confirmed', reason, atMs });
      return { ...told, stage: { ...told.stage, held: { atMs, reason } } };
    }
    default:
      return run.purpose satisfies never;
  }
}

function goOn(state: MigrationState, atMs: number): MigrationState {
  return state.phase === 'observing' ? advanceIfDue(state, atMs) : state;
}

function failed(
  before: MigrationState,
  run: EffectRun,
  { message, refused = false }: { readonly message: string; readonly refused?: boolean },
  atMs: number,
): MigrationState {
  const attempts = run.attempts + 1;
  const waitMs = Math.min(FIRST_PAUSE_MS * 2 ** Math.min(run.attempts, 20), LONGEST_PAUSE_MS);
  const lastError = message.slice(0, ERROR_MOST);
  const state = changeRun(before, run.id, { attempts, lastError, dueAtMs: atMs + waitMs });
  const what = `${run.purpose} ${run.effect.name}: ${message}`;
  const ageMs = atMs - run.createdAtMs;
  const hopeless =
    run.purpose === 'notify' ? ageMs > STALE_MS : state.phase === 'closed' && ageMs > GIVEN_UP_MS;
  if (hopeless) {
    return record(changeRun(state, run.id, { status: 'given up' }), {
      what: 'effect given up',
      reason: what,
      atMs,
    });
  }
  // Who cannot be told is not told that either.
  const tells = run.purpose !== 'notify';
  if (tells && attempts === (refused ? 1 : ESCALATED_ATTEMPTS)) {
    const tried = attempts === 1 ? 'refused' : `${attempts} attempts failed`;
    return record(state, { what: 'effect escalated', reason: `${tried}: ${what}`, atMs });
  }
  return attempts === 1 ? record(state, { what: 'effect pending', reason: what, atMs }) : state;
}
