import { statusOf } from '../../../../src/core/migration/status';
import { DAY_MS, HOUR_MS, MINUTE_MS } from '../../../../src/core/text/duration';
import { aRoster, givenMigration } from '../../../support/migrations/migration-world';

const located = { located: aRoster(), answered: ['gw-a', 'gw-b'] };

it('keeps a rollback from complete open until every gateway has it on its disk: a restart would forget the rest', () => {
  const world = givenMigration().reaches('complete').says('rollback', { by: 'ana' });
  world.applies({ ...located, confirmed: ['gw-a', 'gw-b'], undurable: ['gw-b'] });
  expect(world.state).toMatchObject({
    phase: 'rolling back',
    pending: { confirmations: { confirmed: ['gw-a'], missing: ['gw-b'] } },
  });
  expect(statusOf(world.state, world.nowMs).doing).toBe(
    'waiting for gw-b (applied in memory, its disk refuses) to confirm',
  );
  world.applies({ ...located, confirmed: ['gw-b'], missing: [], undurable: [] });
  expect(world.state.outcome).toBe('rolled back');
  expect(world.closing).toMatchObject({ gateways: ['gw-a', 'gw-b'], missing: [] });
  expect(world.closing).not.toHaveProperty('undurable');
});

it('does not wait for a disk where a restart needs a lease, and the record names who confirmed in memory only', () => {
  const world = givenMigration().reaches('canary').says('rollback', { by: 'ana' });
  world.applies({ ...located, confirmed: ['gw-a', 'gw-b'], undurable: ['gw-b'] });
  expect(world.state.outcome).toBe('rolled back');
  expect(world.closing).toMatchObject({ gateways: ['gw-a', 'gw-b'], undurable: ['gw-b'] });
});

it('does not begin a migration over a gateway whose disk refuses: what it holds from before may be pinned', () => {
  const world = givenMigration().reads();
  world.applies({ ...located, confirmed: ['gw-a', 'gw-b'], undurable: ['gw-b'] });
  expect(world.state).toMatchObject({ phase: 'applying', pending: { confirmations: { missing: ['gw-b'] } } });
});

const RESTARTED = { gateway: 'gw-a', what: 'it restarted in order', routine: true } as const;
const LAPSED = { gateway: 'gw-b', what: 'its lease had lapsed' };

describe('restarts in order', () => {
  it('of all gateways, twice a day, are recorded and pause nothing', () => {
    const world = givenMigration().reaches('canary');
    for (let update = 0; update < 2; update += 1) {
      for (const gateway of ['gw-a', 'gw-b', 'gw-c']) {
        world.elapse(MINUTE_MS).watches({ lapses: [{ ...RESTARTED, gateway }] });
      }
    }
    expect(world.state.paused).toBeNull();
    expect(world.recorded.filter((what) => what === 'restarted')).toHaveLength(6);
  });

  it('do not count towards the lapses that do', () => {
    const world = givenMigration().reaches('canary');
    world.watches({ lapses: [RESTARTED, LAPSED] }).watches({ lapses: [RESTARTED, LAPSED] });
    expect(world.state.paused).toBeNull();
    world.watches({ lapses: [LAPSED] });
    expect(world.state.paused).toMatchObject({
      cause: 'lapses',
      reason: '3 lapses within a day, the last at gw-b',
    });
  });

  it('of one gateway again and again are trouble after all', () => {
    const world = givenMigration().reaches('canary');
    for (let count = 0; count < 5; count += 1) world.elapse(HOUR_MS).watches({ lapses: [RESTARTED] });
    expect(world.state.paused).toBeNull();
    world.elapse(HOUR_MS).watches({ lapses: [RESTARTED] });
    expect(world.state.paused).toMatchObject({ cause: 'lapses' });
  });

  it('of yesterday are forgotten', () => {
    const world = givenMigration().reaches('canary');
    for (let count = 0; count < 3; count += 1) world.watches({ lapses: [RESTARTED] });
    world.elapse(DAY_MS + 1);
    for (let count = 0; count < 3; count += 1) world.watches({ lapses: [RESTARTED] });
    expect(world.state.paused).toBeNull();
  });
});
