import { dueRuns, runsOf } from '../../../src/core/effects/effect-runs';
import { isBadMessage, readCommand } from '../../../src/core/migration/command';
import { repeatedUpdate, updateRefusal } from '../../../src/core/migration/command-handling';
import { follows } from '../../../src/core/migration/migration-state';
import { nextTurnMs } from '../../../src/core/migration/stage-exit';
import { DAY_MS, HOUR_MS } from '../../../src/core/text/duration';
import { effectEvent } from '../../support/migrations/migration-steps';
import {
  aPlan,
  aRoster,
  givenMigration,
  KILLED,
  LEGACY_DEAD,
  MigrationWorld,
} from '../../support/migrations/migration-world';

/** A migration that a release of an older revision began, and that this one goes on with. */
function givenOf(revision: 1 | 2, plan: Record<string, unknown> = {}): MigrationWorld {
  return ofRevision(revision, givenMigration(plan));
}

function ofRevision(revision: 1 | 2, world: MigrationWorld): MigrationWorld {
  const { revision: _newest, ...state } = world.state;
  world.state = revision === 1 ? state : { ...state, revision };
  return world;
}

/** With a gate by others before rolling. */
function givenAsking(): MigrationWorld {
  const plan = aPlan();
  const stages = plan.stages.map((stage) => ({
    ...stage,
    confirm: stage.name === 'rolling' ? ['board'] : [],
  }));
  return ofRevision(1, new MigrationWorld({ ...plan, stages }));
}

const INCONCLUSIVE = { outcome: 'inconclusive' } as const;

it('a state without a revision is of the first', () => {
  expect([1, 2, 3].map((since) => follows({}, since))).toEqual([true, false, false]);
  expect([2, 3, 4].map((since) => follows({ revision: 3 }, since))).toEqual([true, true, false]);
});

describe('a migration of the first revision decides as it did', () => {
  it('rolls back from complete by itself, whatever the probes of legacy say', () => {
    const world = givenOf(1).reaches('complete');
    world.watches({ probes: LEGACY_DEAD, verdict: { outcome: 'fail', harm: 'floor' } });
    expect(world.state.phase).toBe('rolling back');
  });

  it('rolls back by its deadline what has passed, and acts on deadlines at events of its own', () => {
    const world = givenOf(1).reaches('canary').says('pause').watches({ observedMs: DAY_MS });
    expect(nextTurnMs(world.state)).toBe(world.state.stage.enteredAtMs + 7 * DAY_MS);
    world.elapse(8 * DAY_MS).says('reevaluate');
    expect(world.state.phase).toBe('observing');
    world.watches({ verdict: INCONCLUSIVE });
    expect(world.state.phase).toBe('rolling back');
  });

  it('holds at once what has passed and failed a health check after its deadline', () => {
    const world = givenOf(1).reaches('canary').watches({ observedMs: DAY_MS });
    world
      .elapse(4 * DAY_MS)
      .checksHealth(false)
      .timePasses(1);
    expect(world.state.stage.held?.reason).toContain('canary has not passed within 72 h');
  });

  it('asks again at the very time that the worker says, however soon', () => {
    const world = givenOf(1).reaches('canary').watches({ observedMs: DAY_MS });
    const notBefore = { atMs: world.nowMs + 1, why: 'outside the rollout hours (UTC)' };
    world.event({ type: 'health checked', healthy: false, sentence: '', notBefore });
    expect(world.state.stage.notBefore?.atMs).toBe(world.nowMs + 1);
    expect(world.timePasses(1).decision.type).toBe('check health');
  });

  it('begins a health check anew for whatever is recorded meanwhile', () => {
    const world = givenOf(1).reaches('canary').watches({ observedMs: DAY_MS });
    expect(world.state.promotion?.since).toBeUndefined();
    const { key } = world.decision;
    expect(world.watches({ lapses: [{ gateway: 'gw-b', what: 'behind' }] }).decision.key).not.toBe(key);
  });

  it('knows commands by their id and their name, and nothing of what else they said', () => {
    const world = givenOf(1).reaches('canary').says('pause', { commandId: 'x', by: 'ana' });
    world.says('resume', { commandId: 'x' });
    expect(world.state.paused).toBeNull();
    expect(world.state.badMessages.count).toBe(0);
    expect(world.state.seen).toMatchObject([
      { commandId: 'x', name: 'pause' },
      { commandId: 'x', name: 'resume' },
    ]);
    expect(world.state.seen[0]).not.toHaveProperty('asked');
    const again = readCommand('pause', { commandId: 'x' });
    if (isBadMessage(again)) throw new Error(again.problem);
    expect(repeatedUpdate(world.state, again)).toMatchObject({ accepted: true });
    const before = world.state;
    expect(world.says('pause', { commandId: 'x' }).state).toBe(before);
  });

  it('keeps one answer per id and name: that of a rollback which was refused before', () => {
    const world = givenOf(1).reaches('canary').says('rollback', { to: 999, commandId: 'y' });
    world.says('rollback', { commandId: 'y' });
    expect(world.state.seen).toMatchObject([{ commandId: 'y', message: 'rolling back to 0%' }]);
  });

  it('answers an update whose id another command bore', () => {
    const world = givenOf(1).reaches('canary').says('pause', { commandId: 'x' });
    const resume = readCommand('resume', { commandId: 'x' });
    if (isBadMessage(resume)) throw new Error(resume.problem);
    expect(updateRefusal(world.state, resume)).toBeNull();
  });

  it('goes back to a share above 0 under a kill latch', () => {
    const world = givenOf(1).reaches('rolling').watches({ drift: KILLED });
    expect(world.says('rollback', { to: 'previous' }).decision).toMatchObject({ record: { share: 0.1 } });
  });

  it('says nothing of a latch that was cleared, nor of one that was set again', () => {
    const world = givenOf(1).reaches('canary').watches({ drift: KILLED });
    const { length } = world.checkpoints;
    world.watches().watches({ drift: KILLED });
    expect(world.checkpoints).toHaveLength(length);
  });

  it('asks as long as the stage that asked, and counts what was answered since it was entered', () => {
    const world = givenAsking().reaches('canary').watches({ observedMs: DAY_MS });
    const [question] = dueRuns(world.state);
    if (question === undefined) throw new Error('expected a question');
    world.overrides();
    expect(runsOf(world.state)).toMatchObject([{ status: 'waiting' }]);
    const late = world.applies().event(effectEvent(question, 'ended', 'no'));
    expect(late.state.stage.held?.reason).toContain('board said no');

    const entered = givenAsking().reaches('canary');
    entered.nowMs = entered.state.stage.enteredAtMs;
    entered.watches({ observedMs: DAY_MS });
    const [asked] = dueRuns(entered.state);
    if (asked === undefined) throw new Error('expected a question');
    expect(entered.event(effectEvent(asked, 'ended', 'yes')).decision.type).toBe('check health');
  });

  it('does not count what was answered before the stage was entered', () => {
    const world = givenAsking().reaches('canary').watches({ observedMs: DAY_MS });
    const [question] = dueRuns(world.state);
    if (question === undefined) throw new Error('expected a question');
    world
      .says('pause')
      .event(effectEvent(question, 'ended', 'yes'))
      .elapse(1);
    world.says('rollback', { to: world.state.inEffect?.checkpoint }).applies().says('resume');
    world.watches({ observedMs: DAY_MS });
    expect(world.decision.type).toBe('watch');
    expect(dueRuns(world.state)).toMatchObject([{ purpose: 'confirm', status: 'waiting' }]);
  });
});

describe('a migration of the second revision decides as it did', () => {
  it('holds nothing back at complete', () => {
    const world = givenOf(2, { holdback: '5%' }).reaches('complete');
    expect(world.share).toBe(1);
    expect(world.watches({ observedMs: DAY_MS }).state.phase).toBe('handover');
  });

  it('hands only the numbers of legacy on, not what they rest on', () => {
    const world = givenOf(2).reaches('rolling');
    const { evidence } = world.state.stage;
    const judged = { ...evidence, judged: { ...evidence.judged, windows: 3 } };
    world.watches({ observedMs: 2 * DAY_MS, evidence: judged });
    expect(world.state.baseline).not.toHaveProperty('before');
  });

  it('counts no entries', () => {
    expect(givenOf(2).reaches('canary').state.stage).not.toHaveProperty('entry');
  });

  it('takes a confirmation in memory only for one', () => {
    const world = givenOf(2)
      .reaches('complete')
      .says('rollback')
      .applies({ undurable: ['gw-a'] });
    expect(world.state.outcome).toBe('rolled back');
    expect(world.closing).not.toHaveProperty('undurable');
  });

  it('takes nobody into the roster who joined while a change was applied', () => {
    const world = givenOf(2).reaches('canary').says('rollback');
    world.applies({ confirmed: ['gw-a'], located: aRoster(['gw-a', 'gw-b', 'gw-c']), answered: ['gw-a'] });
    expect(world.state.roster).toEqual(aRoster());
    expect(world.state.unreachable).toEqual([]);
  });

  it('counts a restart in order as a lapse', () => {
    const lapses = [{ gateway: 'gw-b', what: 'it restarted', routine: true as const }];
    const world = givenOf(2).reaches('canary').watches({ lapses }).watches({ lapses }).watches({ lapses });
    expect(world.recorded.filter((what) => what === 'lapse')).toHaveLength(3);
    expect(world.state.paused).toMatchObject({ cause: 'lapses' });
    expect(world.state.lapses).toEqual(
      Array.from({ length: 3 }, () => ({ gateway: 'gw-b', what: 'it restarted', atMs: world.nowMs })),
    );
  });

  it('names in a lapse everybody, however many', () => {
    const lapses = Array.from({ length: 40 }, (_, index) => ({
      gateway: `gateway-${index}`,
      what: 'behind',
    }));
    const world = givenOf(2).reaches('canary').watches({ lapses });
    expect(world.state.lapses[0]?.gateway.length).toBeGreaterThan(400);
  });

  it('is paused again by what a resume has seen', () => {
    const world = givenOf(2)
      .reaches('canary')
      .watches({ verdict: { pause: 'uneven' } });
    expect(world.says('resume').state.stage.accepted).toBeUndefined();
    expect(world.watches({ verdict: { pause: 'uneven' } }).state.paused).not.toBeNull();
  });

  it('applies share 0 where it is taken back before the first reading', () => {
    expect(givenOf(2).says('rollback').state.pending).not.toHaveProperty('sparesSettled');
  });

  it('keeps whatever is said, of any size', () => {
    const world = givenOf(2).reaches('canary');
    for (let sent = 0; sent < 60; sent += 1) {
      world.says('pause', { commandId: `c-${sent}`, by: 'ana', reason: 'x' });
      world.says('promote', { stage: 'y'.repeat(990), commandId: `d-${sent}` });
    }
    expect(world.state.seen).toHaveLength(120);
  });

  it('waits with its hold for no message', () => {
    const world = givenOf(2)
      .reaches('canary')
      .elapse(3 * DAY_MS)
      .says('pause');
    expect(world.state.stage.held?.reason).toContain('canary has not passed within 72 h');
    expect(
      world
        .elapse(HOUR_MS)
        .watches()
        .recorded.filter((what) => what === 'held'),
    ).toHaveLength(1);
  });
});
