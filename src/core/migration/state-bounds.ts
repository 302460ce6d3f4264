import { isOpen } from '../effects/effect-run';
import { changeRun, runsOf } from '../effects/effect-runs';
import { jsonBytes } from '../text/json-bytes';
import type { MigrationEvent } from './events';
import type { MigrationState } from './migration-state';
import { record } from './routing-change';

/** Lists that grow with what happens, and the bytes of JSON that are kept of each, newest first. */
const KEPT_BYTES = { seen: 40_000, verdicts: 64_000, refusals: 8_000 } as const;

/** Drifts are in order of gravity: what is dropped is never the only latch. */
const DRIFTS_KEPT = 50;
/** Notifications that wait for a target that is away. */
const NOTIFICATIONS_OPEN = 30;
/** Cursors of gateways that have left, kept so that one that comes back is not counted twice. */
const DEPARTED_KEPT = 50;

/**
 * All that a state carries beside its checkpoints, in bytes of JSON, above which its stage is held. Temporal ends a
 * workflow whose next run is handed 2 MB.
 */
const HELD_ABOVE_BYTES = 200_000;

/** A state after an event, with every list cut to what may be carried; one that is still too large is held. */
export function withinBounds(
  before: MigrationState,
  after: MigrationState,
  event: Pick<MigrationEvent, 'type' | 'atMs'>,
): MigrationState {
  if (after === before) return after;
  let state = after;
  for (const field of ['seen', 'verdicts', 'refusals'] as const) {
    if (state[field] === before[field]) continue;
    state = { ...state, [field]: newestWithin<object>(state[field], KEPT_BYTES[field]) };
  }
  if (state.drifts !== undefined && state.drifts.length > DRIFTS_KEPT) {
    state = { ...state, drifts: state.drifts.slice(0, DRIFTS_KEPT) };
  }
  if (event.type !== 'watched' && event.type !== 'assessed') return state;
  return heldIfLarge(withoutOldCursors(state), event.atMs);
}

/** The newest entries that fit; at least the last one, whatever its size. */
export function newestWithin<T>(entries: readonly T[], bytes: number): readonly T[] {
  let left = bytes;
  const from = entries.findLastIndex((entry) => {
    left -= sizeOf(entry) + 1;
    return left < 0;
  });
  return from < 0 ? entries : entries.slice(Math.min(from + 1, entries.length - 1));
}

/** Sizes that were computed before: entries never change, and lists are cut after every event. */
const SIZES = new WeakMap<object, number>();

function sizeOf(entry: unknown): number {
  if (typeof entry !== 'object' || entry === null) return jsonBytes(entry);
  const known = SIZES.get(entry);
  if (known !== undefined) return known;
  const bytes = jsonBytes(entry);
  SIZES.set(entry, bytes);
  return bytes;
}

/** Gives the oldest notifications up where too many wait for a target that is away. */
export function withoutOldNotifications(state: MigrationState, atMs: number): MigrationState {
  const open = runsOf(state).filter((run) => run.purpose === 'notify' && isOpen(run));
  return open.slice(0, Math.max(0, open.length - NOTIFICATIONS_OPEN)).reduce(
    (seen, { id, effect, about }) =>
      record(changeRun(seen, id, { status: 'given up' }), {
        what: 'effect given up',
        reason: `notify ${effect.name} (${about.moment}): ${NOTIFICATIONS_OPEN} newer notifications wait`,
        atMs,
      }),
    state,
  );
}

function withoutOldCursors(state: MigrationState): MigrationState {
  const { roster, stage } = state;
  const names = Object.keys(stage.cursors);
  const departed = names.filter((name) => !roster.some((gateway) => gateway.name === name));
  if (departed.length <= DEPARTED_KEPT) return state;
  const gone = new Set(departed.slice(0, departed.length - DEPARTED_KEPT));
  const cursors = Object.fromEntries(Object.entries(stage.cursors).filter(([name]) => !gone.has(name)));
  return { ...state, stage: { ...stage, cursors } };
}

function heldIfLarge(state: MigrationState, atMs: number): MigrationState {
  if (state.phase !== 'observing' || state.stage.held !== null) return state;
  const bytes = jsonBytes({ ...state, checkpoints: [] });
  if (bytes <= HELD_ABOVE_BYTES) return state;
  const reason = `the state of the migration has grown to ${Math.round(bytes / 1000)} KB, above ${HELD_ABOVE_BYTES / 1000} KB: nothing is raised any more, a rollback still works`;
  const held = record({ ...state, promotion: null }, { what: 'held', reason, atMs });
  return { ...held, stage: { ...held.stage, held: { atMs, reason } } };
}
