import { dueRuns, runsOf } from '../../../src/core/effects/effect-runs';
import { DAY_MS, HOUR_MS } from '../../../src/core/text/duration';
import { effectEvent } from '../../support/migrations/migration-steps';
import { aPlan, MigrationWorld } from '../../support/migrations/migration-world';

/** Where both of these gates must say yes before rolling. */
function givenAsked(): MigrationWorld {
  const plan = aPlan();
  const confirm = ['board', 'sre'];
  const stages = plan.stages.map((stage) => (stage.name === 'rolling' ? { ...stage, confirm } : stage));
  return new MigrationWorld({ ...plan, stages }).reaches('canary').watches({ observedMs: DAY_MS });
}

describe('a question to an external gate', () => {
  it('says what it is about: which share, from which one, and on which verdict', () => {
    const world = givenAsked();
    expect(dueRuns(world.state)).toMatchObject(
      ['board', 'sre'].map((name) => ({
        purpose: 'confirm',
        effect: { name, set: {} },
        stageIndex: 2,
        about: {
          by: 'cutover',
          reason: 'may the share be raised to 0.5? errors within 2 points',
          fromShare: 0.1,
          atMs: world.nowMs,
          stage: 'canary',
        },
      })),
    );
  });

  it('is asked once, however many windows pass while it is open', () => {
    const world = givenAsked();
    for (let window = 0; window < 3; window += 1) world.elapse(HOUR_MS).watches({ observedMs: HOUR_MS });
    expect(world.recorded.filter((what) => what === 'confirmation asked')).toHaveLength(1);
    expect(runsOf(world.state)).toHaveLength(2);
  });

  it('takes a yes of each gate for that gate alone', () => {
    const world = givenAsked();
    const [board, sre] = dueRuns(world.state);
    if (board === undefined || sre === undefined) throw new Error('expected two questions');
    world.event(effectEvent(sre, 'ended', 'yes'));
    expect(world.says('promote', { stage: 'canary' }).lastRefusal).toBe(
      'board must confirm first: wait for it, or override',
    );
    expect(world.event(effectEvent(board, 'ended', 'yes')).decision.type).toBe('check health');
  });

  it('holds the stage when nobody answers, and is asked anew when it is judged again', () => {
    const world = givenAsked();
    const [board] = dueRuns(world.state);
    if (board === undefined) throw new Error('expected a question');
    world.event(effectEvent(board, 'ended', 'no answer'));
    expect(world.state.stage.held?.reason).toBe('board said no answer: seen');
    world.says('reevaluate');
    expect(dueRuns(world.state)).toEqual([]);
    world.watches({ observedMs: HOUR_MS });
    expect(dueRuns(world.state).map(({ effect }) => effect.name)).toEqual(['board', 'sre']);
  });
});
