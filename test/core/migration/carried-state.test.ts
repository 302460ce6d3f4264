import {
  CARRIED_VERSION,
  carriedOn,
  isPageFull,
  migrate,
  NewerState,
  stateOfRun,
} from '../../../src/core/migration/carried-state';
import { type Checkpoint, checkpointCount } from '../../../src/core/migration/checkpoint';
import type { MigrationState } from '../../../src/core/migration/migration-state';
import { rollbackEligibilityOf, statusOf } from '../../../src/core/migration/status';
import { recordHash } from '../../../src/core/record/record-chain';
import { sealedStart } from '../../../src/core/record/record-seal';
import { MINUTE_MS } from '../../../src/core/text/duration';
import { jsonBytes } from '../../../src/core/text/json-bytes';
import { aMetric } from '../../support/migrations/migration-sighting';
import { givenMigration, type MigrationWorld } from '../../support/migrations/migration-world';

/** What Temporal warns of: a payload of more. It ends a workflow that hands 2 MB on. */
const WARNED_BYTES = 256_000;
const TEN = Array.from({ length: 10 }, (_, index) => `gateway-${index}.cutover.svc.cluster.local`);
const LONG_PLAN = {
  stages: [
    { name: 'assess' },
    { name: 'canary', soak: '60d', deadline: { hold: '90d', rollback: null } },
    { name: 'rolling', deadline: { hold: '90d', rollback: null } },
    { name: 'complete' },
  ],
};

/** Twenty metrics in two strata, with sentences as gates write them. */
const MANY_METRICS = Array.from({ length: 20 }, (_, index) =>
  aMetric({
    metric: `errors: gpt-4o-mini-2024-07-18, stream ${index}`,
    outcome: 'pass',
    sentence: `candidate 0.41% of 12,345 against legacy 0.39% of 111,105: within 2 points (95% interval -0.31% to 0.42%), model ${index}`,
    interval: [-0.0031, 0.0042],
    eValue: 1.2345678901234567,
  }),
);

/** A world whose runs go on in one another as the workflow's do, with all that each was handed. */
class Runs {
  readonly handed: Checkpoint[][] = [];
  carriedMost = 0;
  #before = 0;

  constructor(readonly world: MigrationWorld) {}

  /** Goes on in the next run where this one has appended enough, or where it is asked to. */
  next(asked = false): this {
    const { world } = this;
    if (!asked && !isPageFull(world.state, this.#before)) return this;
    const carried = JSON.parse(JSON.stringify(carriedOn(world.state, this.#before))) as MigrationState;
    this.carriedMost = Math.max(this.carriedMost, jsonBytes(carried));
    this.handed.push([...carried.checkpoints]);
    world.state = stateOfRun({ start: carried, carried }, world.nowMs, 3);
    this.#before = checkpointCount(world.state);
    return this;
  }

  /** Every checkpoint, as a client finds them: those that runs were handed, then those of the last one. */
  get all(): readonly Checkpoint[] {
    const bySeq = new Map(
      [...this.handed.flat(), ...this.world.state.checkpoints].map((one) => [one.seq, one]),
    );
    return [...bySeq.values()].sort((a, b) => a.seq - b.seq);
  }
}

function inCanaryOfTen(): MigrationWorld {
  const roster = TEN.map((name) => ({ name, admin: `http://${name}:9090` }));
  return givenMigration(LONG_PLAN).reads({ roster }).reaches('canary');
}

/** A window in which every one of ten gateways had lapsed, and what an operator says to the pause. */
function lapsedWindow(world: MigrationWorld, number: number): void {
  world.elapse(30 * MINUTE_MS).watches({
    observedMs: 30 * MINUTE_MS,
    cursors: Object.fromEntries(TEN.map((name) => [name, `${name}:0123456789abcdef:${number}`])),
    lapses: TEN.map((gateway) => ({ gateway, what: 'its lease had lapsed: no renewal for 61 s' })),
    verdict: { outcome: 'inconclusive', metrics: MANY_METRICS },
  });
  if (world.state.paused !== null) {
    world.says('resume', {
      by: 'ana (ana@laptop via cli)',
      reason: 'a rolling update',
      commandId: `resume-${number}`,
    });
  }
}

describe('what a run hands to the next', () => {
  it('stays small over 2,000 windows of ten gateways that lapse, and loses no checkpoint', () => {
    const runs = new Runs(inCanaryOfTen());
    for (let number = 0; number < 2_000; number += 1) {
      lapsedWindow(runs.world, number);
      runs.next();
    }
    const { state } = runs.world;
    expect(state.phase).toBe('observing');
    expect(checkpointCount(state)).toBeGreaterThan(20_000);
    expect(runs.carriedMost).toBeLessThan(WARNED_BYTES);
    process.stderr.write(
      `measured: ${checkpointCount(state)} checkpoints in ${runs.handed.length + 1} runs, at most ${runs.carriedMost} bytes carried\n`,
    );

    expect(runs.all.map(({ seq }) => seq)).toEqual(runs.all.map((_, index) => index + 1));
    expect(runs.all).toHaveLength(checkpointCount(state));
    expect(statusOf(state, runs.world.nowMs).checkpoints).toBe(runs.all.length);
    // What a notification carries is the same as if all had been carried.
    expect(recordHash('m-1', state.checkpoints, state.archived)).toBe(recordHash('m-1', runs.all));
  });

  it('leaves every stage a target of a rollback, and names what is none', () => {
    const runs = new Runs(inCanaryOfTen());
    const target = runs.world.closing;
    for (let number = 0; number < 60; number += 1) {
      lapsedWindow(runs.world, number);
      runs.next();
    }
    const { world } = runs;
    expect(world.state.archived.count).toBeGreaterThan(target.seq);
    expect(rollbackEligibilityOf(world.state).targets.map(({ checkpoint }) => checkpoint)).toContain(
      target.seq,
    );

    expect(world.says('rollback', { to: 9 }).lastRefusal).toContain(
      'checkpoint 9 is archived and cannot be a target',
    );
    world.overrides().applies().watches();
    expect(world.stage).toBe('rolling');
    world.says('rollback', { to: target.closes });
    expect(world.intended).toMatchObject({ cause: 'rollback', share: 0.1, stage: 'canary' });
    expect(world.applies().stage).toBe('canary');
  });

  it('goes back to the stage before where that was archived', () => {
    const runs = new Runs(inCanaryOfTen());
    runs.world.overrides().applies();
    for (let number = 0; number < 60; number += 1) {
      lapsedWindow(runs.world, number);
      runs.next();
    }
    expect(runs.world.state.checkpoints.some(({ kind }) => kind !== 'recorded')).toBe(false);
    expect(runs.world.says('rollback', { to: 'previous' }).intended).toMatchObject({
      stage: 'canary',
      share: 0.1,
    });
  });

  it('keeps an intention that is open, whatever is recorded beside it', () => {
    const runs = new Runs(inCanaryOfTen());
    for (let number = 0; number < 60; number += 1) lapsedWindow(runs.world, number);
    runs.next(true);
    runs.world.says('rollback').applies({ confirmed: TEN.slice(1) });
    const { pending } = runs.world.state;
    // Runs that do nothing but wait hand the same on.
    for (let run = 0; run < 100; run += 1) runs.next(true).world.applies({ confirmed: [] });
    expect(runs.world.state.pending).toMatchObject({
      checkpoint: pending?.checkpoint,
      confirmations: { attempts: 101 },
    });
    expect(runs.world.intended.seq).toBe(pending?.checkpoint);
    expect(runs.world.applies({ confirmed: TEN }).state.outcome).toBe('rolled back');
    expect(runs.all.map(({ seq }) => seq)).toEqual(runs.all.map((_, index) => index + 1));
  });

  it('is as little after 60 days of a rollback that waits as at its beginning', () => {
    const runs = new Runs(inCanaryOfTen());
    runs.world.says('rollback').applies({ confirmed: TEN.slice(1) });
    runs.next(true);
    const atFirst = runs.carriedMost;
    // A round takes about 100 s once it has waited for a while, and a run holds some 680 of them.
    for (let round = 0; round < (60 * 86_400) / 100; round += 1) {
      runs.world.elapse(100_000).applies({ confirmed: [], notes: ['gateway-0: no answer within 5 s'] });
      if (round % 680 === 679) runs.next(true);
    }
    expect(runs.handed.length).toBeGreaterThan(70);
    expect(runs.carriedMost).toBeLessThan(atFirst + 100);
    expect(runs.world.applies({ confirmed: TEN }).state.outcome).toBe('rolled back');
    process.stderr.write(
      `measured: ${runs.handed.length} runs in 60 days, ${runs.carriedMost} bytes carried\n`,
    );
  });

  it('remembers how many salts were tried', () => {
    const runs = new Runs(givenMigration({ notify: [] }).reads().applies());
    for (let salt = 0; salt < 3; salt += 1) runs.world.assesses({ saltBalanced: false }).applies();
    const { checkpoints } = runs.world.state;
    const bulky = checkpoints.map((one) => ({ ...one, reason: 'x'.repeat(10_000) }));
    runs.world.state = { ...runs.world.state, checkpoints: bulky };
    runs.next(true).next(true);
    expect(runs.world.state.archived.newSalts).toBeGreaterThan(0);
    expect(runs.world.assesses({ saltBalanced: false }).state.stage.verdict?.sentence).toContain(
      'split unevenly by 4 salts in a row',
    );
  });
});

describe('what is carried of checkpoints', () => {
  const PAGE_BYTES = 48_000;
  /** A canary with so many more checkpoints, each of about a kilobyte. */
  function withNotes(count: number): MigrationState {
    const { state } = givenMigration().reaches('canary');
    const before = checkpointCount(state);
    const notes = Array.from({ length: count }, (_, index): Checkpoint => {
      const seq = before + index + 1;
      const said = {
        what: 'paused',
        stage: 'canary',
        by: 'ana',
        reason: 'x'.repeat(850),
        commandId: null,
      } as const;
      return { kind: 'recorded', seq, atMs: 0, ...said };
    });
    return { ...state, checkpoints: [...state.checkpoints, ...notes] };
  }

  it('is a page full of those that this run appended, and not of earlier ones', () => {
    const state = withNotes(100);
    const before = checkpointCount(state) - 1;
    const [last] = state.checkpoints.slice(-1);
    if (last === undefined) throw new Error('expected a checkpoint');
    const sized = (bytes: number) => {
      const reason = 'x'.repeat(bytes - jsonBytes([{ ...last, reason: '' }]));
      return { ...state, checkpoints: [...state.checkpoints.slice(0, -1), { ...last, reason }] };
    };
    expect(isPageFull(sized(PAGE_BYTES), before)).toBe(false);
    expect(isPageFull(sized(PAGE_BYTES + 1), before)).toBe(true);
    expect(isPageFull(sized(PAGE_BYTES), before - 1)).toBe(true);
  });

  it('is all where it fits, and where this run appended all of it', () => {
    const few = withNotes(10);
    expect(carriedOn(few, checkpointCount(few))).toEqual({ ...few, version: CARRIED_VERSION });
    const many = withNotes(100);
    expect(carriedOn(many, 0)).toEqual({ ...many, version: CARRIED_VERSION });
  });

  it('is otherwise the newest as far as there is room', () => {
    const state = withNotes(100);
    const carried = carriedOn(state, checkpointCount(state));
    const kept = carried.checkpoints.length;
    expect(carried.checkpoints).toEqual(state.checkpoints.slice(-kept));
    expect(carried.archived.count).toBe(checkpointCount(state) - kept);
    expect(jsonBytes(carried.checkpoints)).toBeLessThanOrEqual(PAGE_BYTES);
    expect(jsonBytes(state.checkpoints.slice(-kept - 2))).toBeGreaterThan(PAGE_BYTES);
    expect(recordHash('m-1', carried.checkpoints, carried.archived)).toBe(
      recordHash('m-1', state.checkpoints),
    );
  });

  it('is all of one page to the last byte', () => {
    const state = withNotes(40);
    const [last] = state.checkpoints.slice(-1);
    const others = state.checkpoints.slice(0, -1);
    if (last === undefined) throw new Error('expected a checkpoint');
    const sized = (bytes: number) => {
      const reason = 'x'.repeat(bytes - jsonBytes([...others, { ...last, reason: '' }]));
      const checkpoints = [...others, { ...last, reason }];
      return carriedOn({ ...state, checkpoints }, last.seq).checkpoints.length;
    };
    expect(sized(PAGE_BYTES)).toBe(others.length + 1);
    expect(sized(PAGE_BYTES + 1)).toBeLessThan(others.length + 1);
  });

  it('is only what this run appended where that fills a page, and an intention that is open', () => {
    const appended = withNotes(100);
    const before = checkpointCount(appended) - 60;
    expect(carriedOn(appended, before).archived.count).toBe(before);
    const rolling = givenMigration().reaches('canary').says('rollback');
    const open = rolling.intended.seq;
    const notes = withNotes(100)
      .checkpoints.slice(-100)
      .map((one, index) => ({ ...one, seq: open + 1 + index }));
    const state = { ...rolling.state, checkpoints: [...rolling.state.checkpoints, ...notes] };
    const carried = carriedOn(state, checkpointCount(state));
    expect(carried.archived.count).toBe(open - 1);
    expect(carried.checkpoints[0]?.seq).toBe(open);
  });

  it('counts the salts that were tried before', () => {
    const state = withNotes(100);
    const archived = { ...state.archived, newSalts: 2 };
    expect(carriedOn({ ...state, archived }, checkpointCount(state)).archived.newSalts).toBe(2);
  });

  it('archives of a change that took effect what a rollback to it needs', () => {
    const state = withNotes(100);
    const took = state.checkpoints.flatMap((one) => (one.kind === 'took effect' ? [one] : []));
    expect(carriedOn(state, checkpointCount(state)).archived).toMatchObject({
      newSalts: 0,
      effects: took.map(({ seq, atMs, closes, stage, share }) => ({ seq, atMs, closes, stage, share })),
    });
  });

  it('archives the newest fifty changes, and the newest of every stage', () => {
    const state = withNotes(0);
    const [assess, canary] = state.checkpoints.flatMap((one) => (one.kind === 'took effect' ? [one] : []));
    if (assess === undefined || canary === undefined) throw new Error('expected two changes');
    const again = Array.from({ length: 80 }, (_, index) => ({
      ...canary,
      seq: index + 10,
      closes: index + 9,
    }));
    const bulky = { ...again[0], seq: 100, kind: 'superseded', reason: 'x'.repeat(PAGE_BYTES) } as Checkpoint;
    const checkpoints = [assess, canary, ...again, bulky];
    const { archived } = carriedOn({ ...state, checkpoints }, 100);
    expect(archived.effects.map(({ seq }) => seq)).toEqual([
      assess.seq,
      ...again.slice(-50).map(({ seq }) => seq),
    ]);
  });
});

describe('a run', () => {
  const start = () => givenMigration().state;

  it('begins a migration with what its start seals', () => {
    const state = stateOfRun({ start: start(), carried: null }, 5, 3);
    expect(state).toMatchObject({ revision: 3, startedAtMs: 5, phase: 'reading' });
    expect(state.sealed).toEqual(sealedStart(start()));
    expect(stateOfRun({ start: start(), carried: null }, 5, 1).sealed).toBeDefined();
  });

  it('follows the decisions of its release, but for the first revision, which said nothing of itself', () => {
    const { revision: _, ...first } = start();
    expect(stateOfRun({ start: start(), carried: first }, 5, 2)).toMatchObject({ revision: 2 });
    expect(stateOfRun({ start: start(), carried: first }, 5, 1)).not.toHaveProperty('revision');
  });

  it('goes on with what was archived before', () => {
    const archived = { ...start().archived, count: 7, newSalts: 2 };
    expect(migrate({ ...start(), version: 2, archived }).archived).toEqual(archived);
  });
});

describe('a carried state of another release', () => {
  const older = (): MigrationState => {
    const { version: _, archived: __, ...state } = givenMigration().reaches('canary').state;
    return state as MigrationState;
  };

  it('that is older is lifted: nothing was archived by it', () => {
    const lifted = migrate(older());
    expect(lifted).toEqual({
      ...older(),
      version: CARRIED_VERSION,
      archived: { count: 0, head: recordHash('m-1', []), effects: [], newSalts: 0 },
    });
  });

  it('that is newer is refused by name, and says what to do', () => {
    const newer = { ...older(), version: CARRIED_VERSION + 1 };
    expect(() => migrate(newer)).toThrow(NewerState);
    expect(() => migrate(newer)).toThrow(
      `carried.version: expected a state of version ${CARRIED_VERSION} or older, got ${CARRIED_VERSION + 1}, which a newer release of cutover wrote`,
    );
  });
});
