import { addRun, runsOf, subjectOf } from '../../../src/core/effects/effect-runs';
import { withBadMessage } from '../../../src/core/migration/command-handling';
import { nextDecision } from '../../../src/core/migration/migration';
import type { Drift, MigrationState } from '../../../src/core/migration/migration-state';
import {
  newestWithin,
  withinBounds,
  withoutOldNotifications,
} from '../../../src/core/migration/state-bounds';
import { DAY_MS, MINUTE_MS } from '../../../src/core/text/duration';
import { jsonBytes } from '../../../src/core/text/json-bytes';
import { aMetric } from '../../support/migrations/migration-sighting';
import { givenMigration, KILLED } from '../../support/migrations/migration-world';

const LONG = 'x'.repeat(1_000);
const staying = {
  stages: [
    { name: 'assess' },
    { name: 'canary', soak: '60d', deadline: { hold: '90d', rollback: null } },
    { name: 'rolling' },
    { name: 'complete' },
  ],
};
const inCanary = (plan: Record<string, unknown> = {}) =>
  givenMigration({ ...staying, ...plan }).reaches('canary');

describe('what a migration keeps of what happened', () => {
  it('is bounded for commands, and the newest stay known by their id', () => {
    const world = inCanary();
    for (let number = 0; number < 300; number += 1) {
      const commandId = `${number}-${'i'.repeat(190)}`;
      world.says('promote', { stage: `${number}${LONG.slice(0, 990)}`, by: 'ana', commandId });
    }
    expect(jsonBytes(world.state.seen)).toBeLessThan(41_000);
    expect(jsonBytes(world.state.refusals)).toBeLessThan(9_000);
    const { seen } = world.state;
    expect(seen.at(-1)?.commandId).toMatch(/^299-/);
    world.says('promote', {
      stage: `299${LONG.slice(0, 990)}`,
      by: 'ana',
      commandId: `299-${'i'.repeat(190)}`,
    });
    expect(world.state.seen).toBe(seen);
  });

  it('is 200 commands of ordinary size', () => {
    const world = inCanary();
    for (let number = 0; number < 300; number += 1) {
      world.says('pause', {
        by: 'ana',
        reason: 'lunch',
        commandId: `2f1d9a34-6b0e-4c52-9f77-${String(number).padStart(12, '0')}`,
      });
    }
    expect(world.state.seen).toHaveLength(200);
  });

  it('is bounded for messages that are no command, whatever letters they are of', () => {
    let { state } = inCanary();
    for (let number = 0; number < 100; number += 1) {
      state = withBadMessage(state, { name: 'pause', problem: 'p', arrived: '漢'.repeat(1_024) });
    }
    expect(state.badMessages.count).toBe(100);
    expect(jsonBytes(state.badMessages.last)).toBeLessThan(8_100);
    expect(state.badMessages.last.length).toBeGreaterThan(0);
  });

  it('is bounded for verdicts and lapses', () => {
    const world = inCanary();
    const metrics = Array.from({ length: 40 }, () => aMetric({ sentence: LONG }));
    for (let number = 0; number < 60; number += 1) {
      world.elapse(MINUTE_MS).watches({
        verdict: { outcome: 'inconclusive', metrics },
        lapses: [1, 2, 3].map((number) => ({ gateway: `gw-${number}-${'n'.repeat(200)}`, what: LONG })),
      });
    }
    expect(jsonBytes(world.state.verdicts)).toBeLessThan(65_000);
    expect(world.state.verdicts.at(-1)?.window).toBe(world.state.stage.windows);
    expect(jsonBytes(world.state.lapses)).toBeLessThan(25_000);
    expect(world.state.paused?.cause).toBe('lapses');
    // From the fiftieth time in a day on nothing more is recorded.
    expect(world.recorded.filter((what) => what === 'lapse')).toHaveLength(150);
  });

  it('is bounded for what gateways contradict, and a latch is never what is dropped', () => {
    const world = inCanary();
    const others = Array.from({ length: 80 }, (_, index): Drift => {
      return { gateway: `gw-${index}`, kind: 'newer epoch', detail: 'newer', kill: null, epoch: 3 };
    });
    world.watches({ drift: KILLED, drifts: [...others, KILLED] });
    expect(world.state.drifts).toHaveLength(50);
    expect(world.state.drift).toEqual(KILLED);
  });

  it('is bounded for notifications that nobody takes, and says which it gave up', () => {
    const world = inCanary({ notify: [{ name: 'hook' }] });
    for (let number = 0; number < 100; number += 1)
      world.says('pause', { by: 'ana' }).says('resume', { by: 'ana' });
    const open = world.state.effects?.filter(({ status }) => status === 'waiting') ?? [];
    expect(open.length).toBeLessThanOrEqual(31);
    expect(world.recorded).toContain('effect given up');
    expect(world.state.effects?.length).toBeLessThan(70);
  });

  it('is bounded for the cursors of gateways that have left', () => {
    const world = inCanary();
    for (let number = 0; number < 190; number += 1)
      world.watches({ cursors: { [`pod-${number}`]: 'c', 'gw-a': `a:${number}` } });
    expect(Object.keys(world.state.stage.cursors)).toHaveLength(51);
    expect(world.state.stage.cursors).toMatchObject({ 'pod-189': 'c', 'gw-a': 'a:189' });
  });

  it('is bounded for reasons that name every gateway with its error', () => {
    const world = inCanary().says('rollback', { to: 1 });
    world.applies({ notes: Array.from({ length: 200 }, (_, index) => `gw-${index}: ${LONG}`) });
    expect(world.closing.reason.length).toBeLessThan(4_010);
  });
});

describe('a state that is too large all the same', () => {
  const huge = (state: MigrationState): MigrationState => ({
    ...state,
    assessment: state.assessment && { ...state.assessment, warnings: [LONG.repeat(210)] },
  });

  it('is held with a reason, far below what Temporal refuses, and is watched on', () => {
    const world = inCanary();
    world.state = huge(world.state);
    world.watches();
    expect(world.state.stage.held?.reason).toMatch(
      /^the state of the migration has grown to 2\d\d KB, above 200 KB/,
    );
    expect(world.recorded.at(-1)).toBe('held');
    expect(world.decision.type).toBe('watch');
    world.elapse(61 * DAY_MS).watches({ observedMs: 61 * DAY_MS });
    expect(world.stage).toBe('canary');
    expect(world.recorded.filter((what) => what === 'held')).toHaveLength(1);
  });

  it('does not go on with a promotion that was under way', () => {
    const world = inCanary();
    world.watches({ observedMs: 60 * DAY_MS });
    expect(world.state.promotion).not.toBeNull();
    world.state = huge({ ...world.state, promotion: world.state.promotion });
    world.watches();
    expect(world.state.promotion).toBeNull();
    expect(nextDecision(world.state, world.nowMs).type).toBe('watch');
  });

  it('still rolls back', () => {
    const world = inCanary();
    world.state = huge(world.state);
    expect(world.watches().says('rollback').applies().state.outcome).toBe('rolled back');
  });
});

describe('the newest entries of a list', () => {
  it('are as many as fit, each with what parts it from the next', () => {
    const entries = ['aaaa', 'bbbb', 'cccc'];
    expect(newestWithin(entries, 21)).toEqual(entries);
    expect(newestWithin(entries, 20)).toEqual(['bbbb', 'cccc']);
    expect(newestWithin(entries, 14)).toEqual(['bbbb', 'cccc']);
    expect(newestWithin(entries, 13)).toEqual(['cccc']);
  });

  it('are at least the last one, whatever its size, and none of none', () => {
    expect(newestWithin(['aaaa', 'b'.repeat(100)], 5)).toEqual(['b'.repeat(100)]);
    expect(newestWithin([], 5)).toEqual([]);
  });
});

describe('notifications that wait for a target that is away', () => {
  /** With so many open notifications, after one that was taken and beside an effect that is open. */
  function waiting(count: number): MigrationState {
    const { state } = inCanary();
    const facts = { by: 'cutover', reason: '', fromShare: 0, atMs: 0 };
    const about = subjectOf(state, 'paused', facts);
    const run = (name: string, purpose: 'notify' | 'apply') => ({
      ...{ purpose, effect: { name, set: {} }, stageIndex: 1, about },
    });
    let next = addRun(addRun(state, run('dns', 'apply'), 0), run('taken', 'notify'), 0);
    next = { ...next, effects: runsOf(next).map((one) => (one.id === 2 ? { ...one, status: 'done' } : one)) };
    for (let number = 0; number < count; number += 1) next = addRun(next, run(`hook-${number}`, 'notify'), 0);
    return next;
  }

  it.each([0, 20, 30])('are left where they are few: %d', (count) => {
    const state = waiting(count);
    expect(withoutOldNotifications(state, 5)).toBe(state);
  });

  it('are given up beyond thirty, the oldest first, and nothing else is', () => {
    const state = withoutOldNotifications(waiting(32), 5);
    const gone = runsOf(state).filter(({ status }) => status === 'given up');
    expect(gone.map(({ effect }) => effect.name)).toEqual(['hook-0', 'hook-1']);
    expect(state.checkpoints.at(-1)).toMatchObject({
      ...{ what: 'effect given up', atMs: 5, by: 'cutover' },
      reason: 'notify hook-1 (paused): 30 newer notifications wait',
    });
  });
});

describe('the size of a state', () => {
  const sized = (bytes: number) => {
    const { state } = inCanary();
    const empty = { ...state, reason: '', checkpoints: [] };
    return { ...state, reason: 'x'.repeat(bytes - jsonBytes(empty)) };
  };
  const heldAfter = (bytes: number, type: 'watched' | 'assessed' | 'command') =>
    withinBounds(inCanary().state, sized(bytes), { type, atMs: 7 }).stage.held;

  it('may be 200 KB beside its checkpoints, and not more', () => {
    expect(heldAfter(200_000, 'watched')).toBeNull();
    expect(heldAfter(200_001, 'watched')).toMatchObject({ atMs: 7 });
    expect(heldAfter(200_001, 'assessed')).toMatchObject({ atMs: 7 });
  });

  it('is looked at after a window or an assessment, not after a command', () => {
    expect(heldAfter(300_000, 'command')).toBeNull();
  });

  it('holds no handover', () => {
    const state = { ...sized(300_000), phase: 'handover' as const };
    expect(withinBounds(inCanary().state, state, { type: 'watched', atMs: 7 }).stage.held).toBeNull();
  });
});
