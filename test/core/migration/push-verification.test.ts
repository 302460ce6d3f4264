import { DAY_MS, HOUR_MS } from '../../../src/core/text/duration';
import { aRoster, givenMigration, KILLED, OVERTAKEN } from '../../support/migrations/migration-world';

describe('the answer of a push', () => {
  it('to nothing that is under way changes nothing', () => {
    const world = givenMigration().reaches('canary');
    const before = world.state;
    expect(world.applies().state).toBe(before);
  });

  it('that met another hand on the way to share 0 takes no lapsed lease for a confirmation any more', () => {
    const world = givenMigration().reaches('canary').says('rollback');
    expect(world.decision).toMatchObject({ leaseConfirms: true });
    world.applies({ confirmed: ['gw-a'], lapsed: ['gw-b'], drift: OVERTAKEN });
    expect(world.decision).toMatchObject({ type: 'apply routing', leaseConfirms: false, missing: ['gw-b'] });
  });

  it('whose gateway confirms after its lease had lapsed is a confirmation', () => {
    const world = givenMigration().reaches('canary').says('rollback');
    world.applies({ confirmed: [], lapsed: ['gw-b'] });
    expect(world.state.pending?.confirmations).toEqual({
      ...{ confirmed: [], lapsed: ['gw-b'], missing: ['gw-a'], attempts: 1 },
    });
    world.applies({ confirmed: ['gw-a', 'gw-b'] });
    expect(world.closing).toMatchObject({ gateways: ['gw-a', 'gw-b'], lapsed: [], missing: [] });
  });

  it('before the first reading puts nobody into the roster', () => {
    const world = givenMigration().says('rollback');
    world.applies({ confirmed: ['gw-a'], missing: ['gw-b'], located: aRoster(), answered: ['gw-a'] });
    expect(world.state).toMatchObject({ roster: [], unreachable: [] });
  });

  it('names who is where, who joined and who is silent', () => {
    const world = givenMigration().reaches('canary').says('rollback');
    const located = [{ name: 'gw-a', admin: 'http://10.0.0.9:8082' }, ...aRoster(['gw-c'])];
    world.applies({ confirmed: ['gw-a'], located, answered: ['gw-a', 'gw-c'] });
    expect(world.state.roster).toEqual([located[0], ...aRoster(['gw-b']), located[1]]);
    expect(world.state.unreachable).toEqual(['gw-b']);
    expect(world.decision).toMatchObject({ missing: ['gw-b', 'gw-c'] });
  });
});

describe('a raise', () => {
  it('takes effect with a gateway that has it in memory only: a restart falls back to legacy', () => {
    const world = givenMigration().reaches('canary').overrides();
    world.applies({ confirmed: ['gw-a'], undurable: ['gw-a'] });
    expect(world.stage).toBe('rolling');
    expect(world.closing).toMatchObject({ gateways: ['gw-a'], undurable: ['gw-a'], missing: ['gw-b'] });
  });

  it('that only applies our share again goes on until somebody has it', () => {
    const world = givenMigration().reaches('canary').says('pause').says('resume', { accept: 'reapply' });
    expect(world.decision).toMatchObject({ direction: 'raise', record: { share: 0.1 } });
    world.applies({ confirmed: [] }).applies({ confirmed: [] });
    expect(world.state.phase).toBe('applying');
    expect(world.state.pending?.confirmations).toMatchObject({ attempts: 2, missing: ['gw-a', 'gw-b'] });
    expect(world.applies().state.phase).toBe('observing');
  });

  it('that only applies our share again ends where it meets another hand', () => {
    const world = givenMigration().reaches('canary').says('pause').says('resume', { accept: 'reapply' });
    world.applies({ confirmed: [], drift: KILLED });
    expect(world.closing.kind).toBe('failed');
    expect(world.state).toMatchObject({ phase: 'observing', paused: { cause: 'drift' }, drift: KILLED });
  });

  it('that meets another hand leaves its stage what it has seen, but for the verdict', () => {
    const world = givenMigration().reaches('canary').watches({ observedMs: HOUR_MS }).overrides();
    const { enteredAtMs } = world.state.stage;
    world.applies({ confirmed: [], drift: KILLED });
    expect(world.state.stage).toMatchObject({ enteredAtMs, observedMs: HOUR_MS, windows: 1, verdict: null });
  });

  it('that failed is undone under a newer epoch, by cutover, for the reason for which it failed', () => {
    const world = givenMigration().reaches('canary').watches({ observedMs: DAY_MS }).checksHealth();
    const { epoch } = world.intended;
    world.applies({ confirmed: [] });
    expect(world.closing).toMatchObject({ kind: 'failed', gateways: [], reason: 'no gateway confirmed' });
    expect(world.intended).toMatchObject({
      ...{ cause: 'restore', stage: 'canary', share: 0.1, epoch: epoch + 1 },
      ...{ by: 'cutover', reason: 'no gateway confirmed', commandId: null },
    });
  });
});

describe('who has a change in memory only', () => {
  it('is remembered until its disk has it as well', () => {
    const world = givenMigration().reaches('complete').says('rollback');
    world.applies({ undurable: ['gw-b'] });
    expect(world.decision).toMatchObject({ missing: ['gw-b'] });
    expect(world.state.pending?.confirmations).toMatchObject({ undurable: ['gw-b'] });
    world.applies({ confirmed: [] });
    expect(world.state.pending?.confirmations).toMatchObject({ undurable: ['gw-b'], missing: ['gw-b'] });
    world.applies({ confirmed: ['gw-b'] });
    expect(world.state.outcome).toBe('rolled back');
    expect(world.closing).not.toHaveProperty('undurable');
  });

  it('is nobody where everybody has it on disk', () => {
    const world = givenMigration()
      .reaches('canary')
      .says('rollback')
      .applies({ confirmed: ['gw-a'] });
    expect(world.state.pending?.confirmations).not.toHaveProperty('undurable');
  });
});

it('a migration that is left settled on the candidate closes what it had intended, with nobody named', () => {
  const world = givenMigration().says('rollback');
  world.applies({ confirmed: [], missing: ['gw-a'], settled: ['gw-b'] });
  expect(world.closing).toMatchObject({ kind: 'failed', gateways: [], lapsed: [], missing: [] });
});
