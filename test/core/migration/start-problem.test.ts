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

describe('a start by hand', () => {
  const NUMBER = 'a number of at least 0';
  const [assess] = [ASSESS as NonNullable<typeof ASSESS>];
  const staged = (said: object) => planned({ stages: [{ ...assess, ...said }, ...MOVING] });
  const carrying = (said: object) => ({ start: START, carried: { ...initialState(START, 0), ...said } });
  const without = (object: object, field: string) =>
    Object.fromEntries(Object.entries(object).filter(([name]) => name !== field));

  it.each([
    ...['migrationId', 'salt'].map((field) => [field, 'a text', ''] as const),
    ...['by', 'reason'].map((field) => [field, 'a text', undefined] as const),
    ['stickyKey', '"body", "none" or "header:NAME"', 'cookie'] as const,
    ['stickyKey', '"body", "none" or "header:NAME"', 'x-body'] as const,
    ['stickyKey', '"body", "none" or "header:NAME"', 7] as const,
    ['stickyKey', '"body", "none" or "header:NAME"', ['body']] as const,
    ['newConversationsOnly', 'true or false', undefined] as const,
    ['shadow', 'a number from 0 to 1', 1.5] as const,
    ['shadow', 'a number from 0 to 1', -0.1] as const,
    ['shadow', 'a number from 0 to 1', '1'] as const,
    ['moveBack', 'true, or nothing', false] as const,
    ['plan', 'a plan with every default filled in', undefined] as const,
    ['plan', 'a plan with every default filled in', []] as const,
  ])('needs %s to be %s', (field, expected, arrived) => {
    const got = arrived === undefined ? 'nothing' : JSON.stringify(arrived);
    expect(startProblem(started({ [field]: arrived }))).toBe(
      `start.${field}: expected ${expected}, got ${got}`,
    );
  });

  it('may say that a settled route is moved back, any key, and parts from 0 to 1', () => {
    for (const said of [
      { moveBack: true },
      { stickyKey: 'none' },
      { stickyKey: 'header:x-user' },
      { shadow: 1 },
      { by: '' },
    ]) {
      expect(startProblem(started(said))).toBeNull();
    }
  });

  it.each(['leaseMs', 'renewalMs', 'watchHeartbeatMs'])('needs the plan to say %s', (field) => {
    for (const arrived of [undefined, -1, '5']) {
      expect(startProblem(planned({ [field]: arrived }))).toMatch(
        `start.plan.${field}: expected ${NUMBER}, got`,
      );
    }
    expect(startProblem(planned({ [field]: Number.POSITIVE_INFINITY }))).toContain(field);
    expect(startProblem(planned({ [field]: 0 }))).toBeNull();
  });

  it.each(['intervalMs', 'timeoutMs'])('needs the probes to say %s', (field) => {
    const probes = without(START.plan.probes, field);
    expect(startProblem(planned({ probes }))).toBe(
      `start.plan.probes.${field}: expected ${NUMBER}, got nothing`,
    );
  });

  it.each([
    ['name', 'a text', ''],
    ['share', 'a number from 0 to 1', 2],
    ['deadline', 'an object', null],
    ['burnIn', 'an object', 'none'],
    ['gates', 'an object', undefined],
    ['soakMs', NUMBER, undefined],
    ['windowMs', NUMBER, null],
    ['minimumSample', NUMBER, -1],
  ])('needs every stage to have %s as %s', (field, expected, arrived) => {
    const got = arrived === undefined ? 'nothing' : JSON.stringify(arrived);
    expect(startProblem(staged({ [field]: arrived }))).toBe(
      `start.plan.stages.0.${field}: expected ${expected}, got ${got}`,
    );
  });

  it.each([
    ['deadline', 'holdMs', NUMBER],
    ['deadline', 'rollbackMs', 'null or milliseconds'],
    ['burnIn', 'timeMs', NUMBER],
    ['burnIn', 'requests', NUMBER],
  ] as const)('needs the %s of every stage to have %s', (part, field, expected) => {
    expect(startProblem(staged({ [part]: without(assess[part], field) }))).toBe(
      `start.plan.stages.0.${part}.${field}: expected ${expected}, got nothing`,
    );
  });

  it('may roll a stage back at a time or never', () => {
    for (const rollbackMs of [null, 0, 5_000]) {
      expect(startProblem(staged({ deadline: { holdMs: 1, rollbackMs } }))).toBeNull();
    }
  });

  it('may hold back less than the share of a stage, and more than nothing', () => {
    const last = MOVING.at(-1) as object;
    const holding = (holdback: unknown) =>
      startProblem(planned({ stages: [assess, ...MOVING.slice(0, -1), { ...last, holdback }] }));
    expect(holding(0.05)).toBeNull();
    for (const wrong of [0, 1, 1.5, '5%', null]) {
      expect(holding(wrong)).toBe(
        `start.plan.stages.3.holdback: expected nothing, or a number above 0 and below the share, got ${JSON.stringify(wrong)}`,
      );
    }
  });

  it('has at least two stages, whose shares rise from 0 to 1', () => {
    const shares = (...all: number[]) =>
      startProblem(planned({ stages: all.map((share, index) => ({ ...assess, name: `s${index}`, share })) }));
    expect(shares(0, 1)).toBeNull();
    expect(shares(0, 0.2, 0.7, 1)).toBeNull();
    expect(startProblem(planned({ stages: [assess] }))).toContain('expected a list of at least two stages');
    expect(startProblem(planned({ stages: 'all' }))).toContain('expected a list of at least two stages');
    for (const wrong of [
      [0, 0.5],
      [0.1, 1],
      [0, 0.5, 0.5, 1],
      [0, 0.7, 0.2, 1],
    ]) {
      expect(shares(...wrong)).toBe(
        `start.plan.stages: expected shares that rise from 0 to 1, got "${wrong.join(', ')}"`,
      );
    }
  });

  it.each(['roster', 'checkpoints', 'verdicts', 'seen', 'refusals', 'lapses', 'settled'])(
    'that carries a state on needs its list of %s',
    (field) => {
      expect(startProblem(carrying({ [field]: {} }))).toBe(`carried.${field}: expected a list, got {}`);
    },
  );

  it('that carries a state on needs its version, its archive, its stage and its plan', () => {
    const archived = { count: 3, head: 'ab', effects: [], newSalts: 0 };
    expect(startProblem(carrying({ version: 2, archived }))).toBeNull();
    expect(startProblem(carrying({ version: 1, archived: undefined }))).toBeNull();
    expect(startProblem(carrying({ archived: undefined }))).toBeNull();
    for (const version of [0, -1, 1.5, '2']) {
      expect(startProblem(carrying({ version }))).toBe(
        `carried.version: expected a whole number from 1 to 3, got ${JSON.stringify(version)}`,
      );
    }
    for (const wrong of [
      null,
      { ...archived, count: -1 },
      { ...archived, newSalts: null },
      { ...archived, effects: {} },
    ]) {
      expect(startProblem(carrying({ version: 2, archived: wrong }))).toContain(
        'carried.archived: expected an object {"count", "head", "effects", "newSalts"}, got ',
      );
    }
    expect(startProblem(carrying({ stage: null }))).toBe('carried.stage: expected an object, got null');
    expect(startProblem(carrying({ plan: null }))).toBe(
      'carried.plan: expected a plan with every default filled in, got null',
    );
    expect(startProblem({ start: START, carried: [] })).toContain('carried: expected null or the state');
  });

  it('is told of its start first, whatever it carries', () => {
    const carried = initialState(START, 0);
    expect(startProblem({ start: { ...START, salt: '' }, carried })).toBe(
      'start.salt: expected a text, got ""',
    );
  });

  it('by a client that carries nothing is one of ours', () => {
    expect(startProblem({ start: START })).toBeNull();
  });

  it('of a newer release is left to the workers of that release, whatever is in it', () => {
    expect(startProblem({ start: null, carried: { version: 4 } })).toBeNull();
    expect(startProblem({ start: null, carried: { version: 2 } })).toContain('start: expected an object');
    expect(startProblem({ start: null, carried: { version: '4' } })).toContain('start: expected an object');
  });

  it('is shown up to a hundred characters of what arrived', () => {
    expect(startProblem('x'.repeat(98))).toMatch(/got "x{98}"$/);
    expect(startProblem('x'.repeat(99))).toMatch(/got "x{99}\.\.\.$/);
    expect(startProblem(() => 1)).toContain('got function');
  });
});
