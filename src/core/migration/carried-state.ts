import { recordHash } from '../record/record-chain';
import { sealedStart } from '../record/record-seal';
import { jsonBytes } from '../text/json-bytes';
import {
  type ArchivedCheckpoints,
  type Checkpoint,
  newSaltsIn,
  nothingArchived,
  openIntent,
  type RoutingEffect,
  routingEffectsOf,
} from './checkpoint';
import { initialState, type MigrationStart, type MigrationState } from './migration-state';

/**
 * The schema of a state as one run hands it to the next; absent from releases before version 2. A release reads all
 * versions up to its own.
 */
export const CARRIED_VERSION = 3;

/** Thrown for a carried state that a newer release wrote: a worker of that release can read it, this one cannot. */
export class NewerState extends Error {
  override readonly name = 'NewerState';

  constructor(readonly version: number) {
    super(
      `carried.version: expected a state of version ${CARRIED_VERSION} or older, got ${version}, which a newer release of cutover wrote: start workers of that release again; nothing is lost`,
    );
  }
}

/** Each lifts a state by one version, from version 1 on. */
const STEPS: readonly ((older: MigrationState) => MigrationState)[] = [
  // Releases before version 2 carried all checkpoints.
  (older) => ({ ...older, archived: nothingArchived(older.migrationId) }),
  // Version 3 sums up traffic, from the next window on.
  (older) => older,
];

/** An older state lifted step by step to the version of this release. Throws `NewerState`. */
export function migrate(carried: MigrationState): MigrationState {
  const { version = 1 } = carried;
  if (version > CARRIED_VERSION) throw new NewerState(version);
  const lifted = STEPS.slice(version - 1).reduce((state, lift) => lift(state), carried);
  return { ...lifted, version: CARRIED_VERSION };
}

/** The state with which a run begins: the carried one, or the first of a migration. Throws `NewerState`. */
export function stateOfRun(
  input: { readonly start: MigrationStart; readonly carried: MigrationState | null },
  atMs: number,
  revision: number,
): MigrationState {
  if (input.carried) return { ...migrate(input.carried), ...(revision === 1 ? {} : { revision }) };
  return { ...initialState(input.start, atMs, revision), sealed: sealedStart(input.start) };
}

/** Bytes of JSON: what a run appends before it goes on in the next, and what is carried of checkpoints. */
const PAGE_BYTES = 48_000;

/** Whether a run has appended as much as the next one should carry; `before` is how many there were when it began. */
export function isPageFull(state: MigrationState, before: number): boolean {
  const appended = state.checkpoints.filter(({ seq }) => seq > before);
  return jsonBytes(appended) > PAGE_BYTES;
}

/**
 * The state as it is handed to the next run. Of the checkpoints it carries those that this run has appended, so that
 * each stands in the history of some run, earlier ones as far as there is room, and an intention that is still open;
 * `before` is how many there were when the run began.
 */
export function carriedOn(state: MigrationState, before: number): MigrationState {
  const { checkpoints } = state;
  const keptFrom = Math.min(before, (openIntent(checkpoints)?.seq ?? Number.POSITIVE_INFINITY) - 1);
  const oldest = checkpoints.filter(({ seq }) => seq <= keptFrom);
  let bytes = jsonBytes(checkpoints);
  let count = 0;
  for (const checkpoint of oldest) {
    if (bytes <= PAGE_BYTES) break;
    bytes -= jsonBytes(checkpoint);
    count += 1;
  }
  return { ...archiving(state, checkpoints.slice(0, count)), version: CARRIED_VERSION };
}

function archiving(state: MigrationState, oldest: readonly Checkpoint[]): MigrationState {
  const last = oldest.at(-1);
  if (last === undefined) return state;
  const { migrationId, checkpoints, archived } = state;
  const effects = routingEffectsOf({ checkpoints: oldest, archived });
  const next: ArchivedCheckpoints = {
    count: last.seq,
    head: recordHash(migrationId, oldest, archived),
    effects: stillTargets(effects),
    newSalts: newSaltsIn(oldest) + archived.newSalts,
  };
  return { ...state, checkpoints: checkpoints.slice(oldest.length), archived: next };
}

const TARGETS_KEPT = 50;

/** The newest changes that took effect, and the newest of every stage. */
function stillTargets(effects: readonly RoutingEffect[]): readonly RoutingEffect[] {
  return effects
    .filter(
      ({ seq, stage }, index) =>
        index >= effects.length - TARGETS_KEPT ||
        effects.findLast((effect) => effect.stage === stage)?.seq === seq,
    )
    .map(({ seq, atMs, closes, stage, share }) => ({ seq, atMs, closes, stage, share }));
}
