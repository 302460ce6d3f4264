import { readCommand } from '../../../src/core/migration/command';
import { statusOf } from '../../../src/core/migration/status';
import { DAY_MS } from '../../../src/core/text/duration';
import {
  aRoster,
  givenMigration,
  KILLED,
  type MigrationWorld,
} from '../../support/migrations/migration-world';

const GONE = { gateway: 'gw-b', by: 'ana', reason: 'its node burnt down' };

/** A migration at complete, where records are pinned. */
function atComplete(): MigrationWorld {
  return givenMigration().reaches('complete');
}

/** A rollback from complete for which gw-b is still missing, silent. */
function waitingForB(): MigrationWorld {
  return atComplete()
    .says('rollback', { by: 'ana', reason: 'wrong answers' })
    .applies({ confirmed: ['gw-a'], located: aRoster(), answered: ['gw-a'] });
}

it('does not wait without end for a gateway that is gone: forgotten, the rollback ends and says what it cannot promise', () => {
  const world = waitingForB();
  expect(world.state).toMatchObject({
    phase: 'rolling back',
    pending: { confirmations: { missing: ['gw-b'] } },
  });
  const { key } = world.decision;
  world.says('forget', GONE);
  expect(world.checkpoints.at(-1)).toMatchObject({
    ...{ what: 'forgotten', by: 'ana' },
    reason: expect.stringMatching(
      /^gw-b: its node burnt down \(it may hold a pinned record: .* may serve the candidate/,
    ),
  });
  // Work that is under way waits for the one that is gone: it is replaced.
  expect(world.decision.key).not.toBe(key);
  expect(world.decision).toMatchObject({ type: 'apply routing', missing: [] });
  world.applies({ confirmed: [], missing: [], located: aRoster(['gw-a']), answered: [] });
  expect(world.state).toMatchObject({ phase: 'closed', outcome: 'rolled back' });
  expect(world.checkpoints.at(-1)).toMatchObject({
    reason: expect.stringMatching(
      /share 0 is verified on every gateway .*, except at what was forgotten: gw-b \(checkpoint \d+\)/,
    ),
  });
  expect(world.closing).toMatchObject({ kind: 'took effect', gateways: ['gw-a'], missing: [] });
});

it('ends a handover whose gateways are settled but for the one that is gone', () => {
  const world = atComplete();
  while (world.state.phase !== 'handover') world.goesOn();
  world.watches({ answered: ['gw-a'], settled: ['gw-a'] });
  expect(world.state.phase).toBe('handover');
  world.says('forget', GONE).watches({ settled: ['gw-a'] });
  expect(world.state).toMatchObject({ phase: 'closed', outcome: 'completed' });
});

it('lets a resume reapply where the one that is gone had its kill switch set', () => {
  const world = givenMigration().reaches('canary');
  world.watches({ drift: { ...KILLED, gateway: 'gw-b' }, answered: ['gw-a', 'gw-b'] });
  world.watches({ drift: { ...KILLED, gateway: 'gw-b' }, answered: ['gw-a'] });
  world.says('resume', { accept: 'reapply', by: 'ana' });
  expect(world.lastRefusal).toContain('the kill switch of gw-b is set');
  world.says('forget', GONE).says('resume', { accept: 'reapply', by: 'ana' }).applies();
  expect(world.state).toMatchObject({ phase: 'observing', paused: null, drift: null });
  expect(world.closing).toMatchObject({ kind: 'took effect', gateways: ['gw-a'] });
});

it('asks a forgotten gateway again as soon as it is seen again, and promises what it confirms', () => {
  const world = atComplete()
    .watches({ answered: ['gw-a'] })
    .says('forget', GONE);
  world.watches({ discovered: aRoster(['gw-b']) });
  expect(world.checkpoints.at(-1)).toMatchObject({
    what: 'roster',
    reason: expect.stringMatching(/^gw-b joined, which checkpoint \d+ forgot$/),
  });
  expect(statusOf(world.state, world.nowMs)).toMatchObject({ roster: ['gw-a', 'gw-b'], forgotten: [] });
  world.says('rollback', { by: 'ana' }).applies({ confirmed: ['gw-a', 'gw-b'] });
  expect(world.checkpoints.at(-1)).toMatchObject({ reason: expect.not.stringContaining('forgotten') });
});

describe('is refused with one clear error', () => {
  it.each<[string, (world: MigrationWorld) => MigrationWorld, string, string]>([
    ['where it answers', (world) => world.watches(), 'gw-b', '"gw-b" answered when it was asked last'],
    ['where it never was', (world) => world, 'gw-x', 'expected one of the gateways gw-a, gw-b, got "gw-x"'],
    [
      'where it is the last one',
      (world) => world.watches({ answered: [] }).says('forget', GONE),
      'gw-a',
      '"gw-a" is the only gateway',
    ],
    [
      'where it was forgotten before',
      (world) => world.watches({ answered: [] }).says('forget', GONE),
      'gw-b',
      '"gw-b" was forgotten already, by checkpoint',
    ],
  ])('%s', (_name, given, gateway, refusal) => {
    const world = given(atComplete());
    const before = world.checkpoints.length;
    world.says('forget', { ...GONE, gateway });
    expect(world.lastRefusal).toContain(refusal);
    expect(world.checkpoints).toHaveLength(before);
  });

  it.each([
    [{ by: 'ana', reason: 'gone' }, 'expected gateway to be the name'],
    [{ gateway: 'gw-b', by: 'ana' }, 'expected by and reason'],
    [{ gateway: 'gw-b', reason: 'gone' }, 'expected by and reason'],
    [{ gateway: 7, by: 'ana', reason: 'gone' }, 'expected gateway to be a text'],
  ])('%j', (payload, problem) => {
    expect(readCommand('forget', payload)).toMatchObject({ problem: expect.stringContaining(problem) });
  });
});

it('follows a gateway to its new address without a checkpoint, and records who joins during a change', () => {
  const world = atComplete();
  const before = world.checkpoints.length;
  const moved = { name: 'gw-b', admin: 'http://10.0.0.9:8081' };
  world.watches({ located: [...aRoster(['gw-a']), moved] });
  expect(world.state.roster).toEqual([...aRoster(['gw-a']), moved]);
  expect(world.checkpoints).toHaveLength(before);
  expect(statusOf(world.state, world.nowMs).addresses).toMatchObject({ 'gw-b': moved.admin });

  const joined = { name: 'gw-c', admin: 'http://10.0.0.3:8081' };
  world.says('rollback', { by: 'ana' });
  world.applies({ confirmed: ['gw-a', 'gw-b'], missing: ['gw-c'], located: [...world.state.roster, joined] });
  // Whoever is found during a rollback may serve the candidate as well: it is not verified without it.
  expect(world.state).toMatchObject({
    phase: 'rolling back',
    pending: { confirmations: { missing: ['gw-c'] } },
  });
  expect(world.recorded.at(-1)).toBe('roster');
  world.applies({ confirmed: ['gw-c'] });
  expect(world.state.outcome).toBe('rolled back');
});

describe('of several gateways', () => {
  const three = () =>
    givenMigration()
      .reads({ roster: aRoster(['gw-a', 'gw-b', 'gw-c']) })
      .reaches('complete');
  const goneAt = (world: MigrationWorld, gateway: string) =>
    world.state.forgotten?.find(({ name }) => name === gateway)?.checkpoint;

  it('one that is forgotten leaves the others as they are', () => {
    const world = three()
      .watches({ observedMs: DAY_MS })
      .watches({ answered: ['gw-a'], settled: ['gw-b', 'gw-a'] });
    world.says('forget', GONE);
    expect(world.state).toMatchObject({ unreachable: ['gw-c'], settled: ['gw-a'] });
    expect(world.state.forgotten).toEqual([
      { name: 'gw-b', checkpoint: world.checkpoints.at(-1)?.seq, mayServe: true },
    ]);
  });

  it('each is known by the checkpoint that forgot it', () => {
    const world = three().watches({ answered: ['gw-a'] });
    world.says('forget', GONE).says('forget', { ...GONE, gateway: 'gw-c' });
    expect(world.says('forget', { ...GONE, gateway: 'gw-c' }).lastRefusal).toBe(
      `"gw-c" was forgotten already, by checkpoint ${goneAt(world, 'gw-c')}`,
    );
    const forgot = goneAt(world, 'gw-c');
    world.watches({ discovered: aRoster(['gw-c', 'gw-d']) });
    expect(world.checkpoints.at(-1)?.reason).toBe(
      `gw-c joined, which checkpoint ${forgot} forgot, gw-d joined`,
    );
    expect(statusOf(world.state, world.nowMs).forgotten).toEqual(['gw-b']);
  });

  it('one that is forgotten during a rollback is asked by nobody any more, the others are', () => {
    const world = three()
      .says('rollback')
      .applies({ confirmed: ['gw-a'], answered: ['gw-a'], located: [] });
    world.says('forget', GONE);
    expect(world.state.pending).toMatchObject({ forgotten: ['gw-b'], confirmations: { missing: ['gw-c'] } });
    expect(world.decision).toMatchObject({ missing: ['gw-c'] });
  });

  it('the kill switch of another one stays set', () => {
    const world = three();
    const both = [KILLED, { ...KILLED, gateway: 'gw-b' }];
    world
      .watches({ drift: KILLED, drifts: both })
      .watches({ drift: KILLED, drifts: both, answered: ['gw-a'] });
    world.says('forget', GONE).says('resume', { accept: 'reapply' });
    expect(world.lastRefusal).toContain('the kill switch of gw-a is set');
  });

  it('the last fifty that were forgotten are kept', () => {
    const world = three().watches({ answered: ['gw-a'] });
    const forgotten = Array.from({ length: 50 }, (_, index) => {
      return { name: `old-${index}`, checkpoint: index, mayServe: false };
    });
    world.state = { ...world.state, forgotten };
    expect(world.says('forget', GONE).state.forgotten?.map(({ name }) => name)).toEqual([
      ...forgotten.slice(1).map(({ name }) => name),
      'gw-b',
    ]);
  });

  it('all may have moved', () => {
    const moved = ['gw-a', 'gw-b', 'gw-c'].map((name) => ({ name, admin: `http://${name}.new:8081` }));
    expect(three().watches({ located: moved }).state.roster).toEqual(moved);
  });
});

it('none is forgotten at first', () => {
  const world = givenMigration().reads({ unreachable: ['gw-b'] });
  expect(statusOf(world.state, world.nowMs).forgotten).toEqual([]);
  expect(world.state.retry?.reason).toBe('no answer from gw-b: a start reads every gateway');
});
