import { initialState } from '../../../src/core/migration/migration-state';
import { startProblem } from '../../../src/core/migration/start-problem';
import { aPlan } from '../../support/migrations/migration-world';

const START = {
  ...{ migrationId: 'm-1', plan: aPlan(), by: 'ana', reason: '', stickyKey: 'body' as const, salt: 'salt' },
  ...{ newConversationsOnly: false, shadow: 0 },
};
const [ASSESS, ...MOVING] = START.plan.stages;

const started = (said: object) => ({ start: { ...START, ...said }, carried: null });
const planned = (said: object) => started({ plan: { ...START.plan, ...said } });

it('takes what our client starts, and what a run carries on', () => {
  expect(startProblem({ start: START, carried: null, searchAttributes: true })).toBeNull();
  expect(startProblem({ start: START, carried: initialState(START, 0) })).toBeNull();
});

it.each([
  [undefined, 'the argument: expected one object {"start": {...}, "carried": null}, got nothing'],
  ['chat', 'the argument: expected one object {"start": {...}, "carried": null}, got "chat"'],
  [[{ start: START }], 'the argument: expected one object'],
  [{}, 'start: expected an object, got nothing'],
  [{ start: null }, 'start: expected an object, got null'],
  [started({ migrationId: 7 }), 'start.migrationId: expected a text, got 7'],
  [started({ salt: '' }), 'start.salt: expected a text, got ""'],
  [started({ by: null }), 'start.by: expected a text, got null'],
  [started({ stickyKey: 'header:' }), 'start.stickyKey: expected "body", "none" or "header:NAME"'],
  [started({ newConversationsOnly: 'no' }), 'start.newConversationsOnly: expected true or false, got "no"'],
  [started({ moveBack: 'yes' }), 'start.moveBack: expected true, or nothing, got "yes"'],
  [started({ shadow: 2 }), 'start.shadow: expected a number from 0 to 1, got 2'],
  [started({ plan: { route: 'chat' } }), 'start.plan.leaseMs: expected a number of at least 0, got nothing'],
  [planned({ route: '' }), 'start.plan.route: expected a text, got ""'],
  [planned({ leaseMs: '45s' }), 'start.plan.leaseMs: expected a number of at least 0, got "45s"'],
  [planned({ probes: null }), 'start.plan.probes: expected an object, got null'],
  [planned({ stages: [] }), 'start.plan.stages: expected a list of at least two stages, got []'],
  [planned({ stages: [ASSESS, 'canary'] }), 'start.plan.stages.1: expected an object, got "canary"'],
  [
    planned({ stages: MOVING }),
    'start.plan.stages: expected shares that rise from 0 to 1, got "0.1, 0.5, 1"',
  ],
  [
    planned({ stages: [{ ...ASSESS, deadline: { holdMs: null } }, ...MOVING] }),
    'start.plan.stages.0.deadline.rollbackMs: expected null or milliseconds, got nothing',
  ],
  [{ start: START, carried: 'yes' }, 'carried: expected null or the state of an earlier run, got "yes"'],
  [{ start: START, carried: {} }, 'carried.roster: expected a list, got nothing'],
])('names what is wrong with a start by hand (%#)', (input, problem) => {
  expect(startProblem(input)).toContain(problem);
});
