import { rollbackEligibilityOf } from '../../../../src/core/migration/status';
import { DAY_MS } from '../../../../src/core/text/duration';
import {
  givenMigration,
  KILLED,
  type MigrationWorld,
  OVERTAKEN,
} from '../../../support/migrations/migration-world';

/** Every state that is not final, by how a migration gets there. */
const MOMENTS: Readonly<Record<string, () => MigrationWorld>> = {
  'before the first reading': () => givenMigration(),
  'while a gateway cannot be read': () => givenMigration().reads({ unreachable: ['gw-b'] }),
  'while the first share 0 is applied': () => givenMigration().reads(),
  'during assess': () => givenMigration().reaches('assess'),
  'while an inconclusive assessment waits': () =>
    givenMigration().reaches('assess').assesses({ outcome: 'inconclusive' }),
  'during the health check before canary': () => givenMigration().reaches('assess').assesses(),
  'while canary is applied': () => givenMigration().reaches('assess').assesses().checksHealth(),
  'during canary': () => givenMigration().reaches('canary'),
  'while canary is held': () =>
    givenMigration()
      .reaches('canary')
      .elapse(4 * DAY_MS)
      .watches({ verdict: { outcome: 'inconclusive' } }),
  'during the health check before rolling': () =>
    givenMigration().reaches('canary').watches({ observedMs: DAY_MS }),
  'while rolling is applied': () => givenMigration().reaches('canary').overrides(),
  'while a failed advance is undone': () =>
    givenMigration().reaches('canary').overrides().applies({ confirmed: [] }),
  'while rolling back partially': () =>
    givenMigration().reaches('rolling').says('rollback', { to: 'previous' }),
  'while paused': () => givenMigration().reaches('rolling').says('pause'),
  'while drifted by a kill latch': () => givenMigration().reaches('rolling').watches({ drift: KILLED }),
  'while drifted by a newer epoch': () => givenMigration().reaches('rolling').watches({ drift: OVERTAKEN }),
  'while reapplying': () =>
    givenMigration().reaches('rolling').watches({ drift: OVERTAKEN }).says('resume', { accept: 'reapply' }),
  'while judged again': () => givenMigration().reaches('rolling').says('reevaluate'),
  'while a watch is retried': () => {
    const world = givenMigration().reaches('rolling');
    return world.event({ type: 'activity failed', what: 'watch', message: 'bug', key: world.decision.key });
  },
  'while complete is applied': () => givenMigration().reaches('rolling').overrides(),
  'during complete': () => givenMigration().reaches('complete'),
  'during handover': () => givenMigration().reaches('complete').watches({ observedMs: DAY_MS }),
};

describe('law 1: rollback pre-empts everything', () => {
  for (const [moment, given] of Object.entries(MOMENTS)) {
    it.each([
      [
        'rollback',
        (world: MigrationWorld) => world.says('rollback', { by: 'ben', reason: 'p95', commandId: 'c-1' }),
      ],
      ['emergencyRollback', (world: MigrationWorld) => world.says('emergencyRollback', { commandId: 'c-1' })],
      ['a cancellation', (world: MigrationWorld) => world.event({ type: 'cancelled' })],
    ] as const)(`${moment}: %s is what happens next, and ends rolled back`, (_name, roll) => {
      const world = given();
      const before = world.decision.key;
      roll(world);
      expect(world.decision).toMatchObject({
        type: 'apply routing',
        direction: 'lower',
        record: { share: 0, shadow: 0 },
      });
      expect(world.decision.key).not.toBe(before);
      expect(world.state.phase).toBe('rolling back');
      world.applies();
      expect(world.state.outcome).toBe('rolled back');
      expect(world.closing).toMatchObject({ kind: 'took effect', share: 0, closes: world.intended.seq });
      expect(world.share).toBe(0);
    });

    it(`${moment}: a rollback never waits for what it pre-empted`, () => {
      const world = given().says('rollback');
      const intended = world.intended.seq;
      const before = world.state;
      // Late results of everything that may have been under way.
      world.watches({ observedMs: DAY_MS }).checksHealth().assesses().reads({ highestEpoch: 99 });
      for (let checkpoint = 1; checkpoint < intended; checkpoint += 1) world.applies({}, checkpoint);
      expect(world.state).toBe(before);
    });
  }

  it('is idempotent: a second rollback changes nothing and is told what to follow', () => {
    const world = givenMigration().reaches('rolling').says('rollback', { commandId: 'c-1' });
    const { length } = world.checkpoints;
    world.says('rollback', { commandId: 'c-2' }).says('rollback').event({ type: 'cancelled' });
    expect(world.checkpoints).toHaveLength(length);
    expect(world.state.seen.at(-1)).toMatchObject({
      commandId: 'c-2',
      accepted: true,
      checkpoint: world.intended.seq,
      message: 'a rollback to 0% is already under way',
    });
  });

  it('starts again at once when one is asked for while it waits to retry', () => {
    const world = givenMigration().reaches('rolling').says('rollback');
    world.event({ type: 'activity failed', what: 'apply routing', message: 'bug', key: world.decision.key });
    expect(world.decision.type).toBe('wait');
    expect(world.says('rollback').decision.type).toBe('apply routing');
  });

  it('is superseded by an emergency, which cuts what is in flight', () => {
    const world = givenMigration().reaches('rolling').says('rollback');
    expect(world.decision).toMatchObject({ inFlight: 'drain' });
    world.says('emergencyRollback');
    expect(world.decision).toMatchObject({ inFlight: 'cut', record: { share: 0 } });
    expect(world.closing.kind).toBe('superseded');
    expect(world.intended.cause).toBe('emergency');
  });

  it('is not weakened: after an emergency a rollback changes nothing', () => {
    const world = givenMigration().reaches('rolling').says('emergencyRollback');
    const { key } = world.decision;
    expect(world.says('rollback').decision.key).toBe(key);
    world.says('rollback', { to: 'previous' });
    expect(world.lastRefusal).toBe('after an emergency only share 0 is accepted');
  });

  it('cannot be paused', () => {
    const world = givenMigration().reaches('rolling').says('rollback').says('pause');
    expect(world.lastRefusal).toContain('cannot be paused');
  });

  it('is not dropped for an id that another command bore, or that was refused before', () => {
    const world = givenMigration().reaches('rolling').says('pause', { commandId: 'x' });
    world.says('emergencyRollback', { commandId: 'x' });
    expect(world.state.phase).toBe('rolling back');
    const again = givenMigration().reaches('rolling').says('rollback', { to: 999, commandId: 'y' });
    expect(again.says('rollback', { commandId: 'y' }).state.phase).toBe('rolling back');
  });
});

describe('law 7: where a rollback goes', () => {
  it('goes to share 0 and ends there without a target', () => {
    const world = givenMigration().reaches('rolling').says('rollback').applies();
    expect(world.checkpoints.at(-1)).toMatchObject({ what: 'rolled back' });
  });

  it('re-enters the stage of an earlier checkpoint, paused, with fresh evidence and a new epoch', () => {
    const world = givenMigration().reaches('rolling').watches({ observedMs: DAY_MS });
    const { epoch } = world.intended;
    world.says('rollback', { to: 'previous', by: 'ben' });
    expect(world.decision).toMatchObject({ record: { share: 0.1, epoch: epoch + 1 }, direction: 'lower' });
    world.applies();
    expect(world.stage).toBe('canary');
    expect(world.state).toMatchObject({ phase: 'observing', paused: { cause: 'rollback' } });
    expect(world.state.stage).toMatchObject({ observedMs: 0, verdict: null, windows: 0 });
    expect(world.watches({ observedMs: 2 * DAY_MS }).decision.type).toBe('watch');
    expect(world.says('resume').decision.type).toBe('check health');
  });

  it('waits for every gateway before a partial rollback counts', () => {
    const world = givenMigration().reaches('rolling').says('rollback', { to: 'previous' });
    world.applies({ confirmed: ['gw-a'] });
    expect(world.state.phase).toBe('rolling back');
    expect(world.applies({ confirmed: [], lapsed: ['gw-b'] }).state.phase).toBe('observing');
    expect(world.closing).toMatchObject({ gateways: ['gw-a'], lapsed: ['gw-b'] });
  });

  it('goes to a checkpoint by either of its two numbers', () => {
    for (const pick of ['seq', 'closes'] as const) {
      const world = givenMigration().reaches('canary');
      const target = world.closing[pick];
      world.reaches('rolling').says('rollback', { to: target });
      expect(world.decision).toMatchObject({ record: { share: 0.1 } });
    }
  });

  it('verifies a rollback to the share that is already served', () => {
    const world = givenMigration().reaches('canary');
    world.says('rollback', { to: world.state.inEffect?.checkpoint });
    expect(world.decision).toMatchObject({ direction: 'lower', record: { share: 0.1 } });
  });

  it('ends at share 0 when the checkpoint has share 0', () => {
    const world = givenMigration().reaches('canary').says('rollback', { to: 'previous' }).applies();
    expect(world.state.outcome).toBe('rolled back');
  });

  it.each([
    ['does not exist', 999, 'expected a checkpoint from 1 to'],
    ['has a higher share', 'rolling', 'above the current 10%'],
    ['never took effect', 'failed', 'never took effect'],
    ['changed no routing', 'recorded', 'never took effect'],
  ])('is refused when the checkpoint %s', (_name, target, message) => {
    const world = givenMigration().reaches('rolling');
    const rolling = world.state.inEffect?.checkpoint;
    world.overrides().applies({ confirmed: [] });
    const failed = world.closing.seq;
    world.applies().says('rollback', { to: 'previous' }).applies();
    const recorded = world.checkpoints.find(({ kind }) => kind === 'recorded')?.seq;
    const { length } = world.checkpoints;
    const to =
      target === 'rolling'
        ? rolling
        : target === 'failed'
          ? failed
          : target === 'recorded'
            ? recorded
            : target;
    world.says('rollback', { to });
    expect(world.lastRefusal).toContain(message);
    expect(world.checkpoints).toHaveLength(length);
    expect(world.decision.type).toBe('watch');
  });

  it('lets the lower share win among concurrent rollbacks', () => {
    const world = givenMigration().reaches('complete').says('rollback', { to: 'previous' });
    expect(world.decision).toMatchObject({ record: { share: 0.5 } });
    const canary = world.checkpoints.find(
      (entry) => entry.kind === 'took effect' && entry.share === 0.1,
    )?.seq;
    const rolling = world.checkpoints.find(
      (entry) => entry.kind === 'took effect' && entry.share === 0.5,
    )?.seq;
    world.says('rollback', { to: canary });
    expect(world.decision).toMatchObject({ record: { share: 0.1 } });
    world.says('rollback', { to: rolling });
    expect(world.lastRefusal).toContain('the lower share wins');
    expect(world.decision).toMatchObject({ record: { share: 0.1 } });
    // Complete was pinned somewhere, and nobody has confirmed since: no lapsed lease counts.
    expect(world.decision).toMatchObject({ leaseConfirms: false });
    world.says('rollback');
    expect(world.decision).toMatchObject({ record: { share: 0 }, leaseConfirms: false });
  });

  it('trusts leases again once everyone has left the pinned record', () => {
    const world = givenMigration().reaches('complete').says('rollback', { to: 'previous' }).applies();
    expect(world.says('rollback').decision).toMatchObject({ leaseConfirms: true });
  });

  it('keeps a pinned advance in mind that was pre-empted before anyone answered', () => {
    const world = givenMigration().reaches('rolling').overrides().says('rollback', { to: 'previous' });
    world.says('emergencyRollback');
    expect(world.decision).toMatchObject({ leaseConfirms: false });
  });

  it('goes on to share 0 when a partial one meets drift', () => {
    const world = givenMigration().reaches('rolling').says('rollback', { to: 'previous' });
    world.applies({ confirmed: ['gw-b'], drift: OVERTAKEN });
    expect(world.decision).toMatchObject({ record: { share: 0, epoch: 41 } });
    expect(world.recorded).toContain('drift');
  });

  it('records drift that it met on the way to share 0', () => {
    const world = givenMigration().reaches('rolling').says('rollback').applies({ drift: KILLED });
    expect(world.recorded.slice(-2)).toEqual(['drift', 'rolled back']);
  });

  it('asks the configuration who there is when it comes before the first reading', () => {
    const world = givenMigration()
      .says('rollback')
      .applies({ confirmed: ['gw-a'], missing: ['gw-b'] });
    expect(world.decision).toMatchObject({ type: 'apply routing', missing: ['gw-b'], leaseConfirms: false });
    expect(world.applies({ confirmed: ['gw-b'], missing: [] }).state.outcome).toBe('rolled back');
    expect(world.closing.gateways).toEqual(['gw-a', 'gw-b']);
  });

  it('says so when there is no gateway to verify', () => {
    const world = givenMigration().event({ type: 'cancelled' }).applies({ confirmed: [], missing: [] });
    expect(world.checkpoints.at(-1)?.reason).toContain('no gateway is configured');
  });
});

describe('where a rollback could go', () => {
  it('names every checkpoint that would be accepted, newest first', () => {
    const world = givenMigration().reaches('rolling');
    const { eligible, targets } = rollbackEligibilityOf(world.state);
    expect(eligible).toBe(true);
    expect(targets.map(({ share }) => share)).toEqual([0.5, 0.1, 0]);
    for (const { checkpoint, share } of targets) {
      const tried = givenMigration().reaches('rolling').says('rollback', { to: checkpoint });
      expect(tried.decision).toMatchObject({ record: { share } });
    }
  });

  it('names only share 0 after an emergency, and nothing after the end', () => {
    const world = givenMigration().reaches('rolling').says('emergencyRollback');
    expect(rollbackEligibilityOf(world.state).targets.map(({ share }) => share)).toEqual([0]);
    expect(rollbackEligibilityOf(world.applies().state)).toMatchObject({ eligible: false, targets: [] });
  });
});
