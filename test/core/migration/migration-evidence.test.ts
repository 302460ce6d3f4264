import { noStageEvidence, type StageEvidence } from '../../../src/core/evidence/stage-evidence';
import type { MigrationState } from '../../../src/core/migration/migration-state';
import {
  DAY_MS,
  givenMigration,
  HOUR_MS,
  MINUTE_MS,
  OVERTAKEN,
} from '../../support/migrations/migration-world';

/** The evidence of the stage in effect after so many windows that were judged. */
function afterJudged(state: MigrationState, windows: number): StageEvidence {
  const nothing = noStageEvidence(state.inEffect?.record.epoch ?? 0);
  return { ...nothing, judged: { ...nothing.judged, windows } };
}

describe('what a window saw', () => {
  it('is what the next one goes on from', () => {
    const world = givenMigration().reaches('canary');
    const [first, second] = [1, 2].map((windows) => afterJudged(world.state, windows));
    world.watches({ evidence: first as StageEvidence });
    expect(world.state.stage.evidence).toEqual(first);
    world.watches({ evidence: second as StageEvidence });
    expect(world.state.stage.evidence).toEqual(second);
  });

  it('is read once: the next one goes on where each gateway was read to', () => {
    const world = givenMigration()
      .reaches('canary')
      .watches({ cursors: { 'gw-a': 'a:1', 'gw-b': 'b:1' } });
    expect(world.watches({ cursors: { 'gw-a': 'a:2' } }).state.stage.cursors).toEqual({
      'gw-a': 'a:2',
      'gw-b': 'b:1',
    });
  });

  it('adds up the requests of burn-in, and of nothing else', () => {
    const world = givenMigration().reaches('canary');
    const requests = (candidate: number) => ({ requests: { legacy: 90, candidate } });
    world.watches({ verdict: { burnIn: true, ...requests(10) } });
    world.watches({ verdict: { burnIn: true, ...requests(15) } });
    expect(world.watches({ verdict: requests(40) }).state.stage.burnInRequests).toBe(25);
  });

  it('counts neither as evidence nor as soak while the routing was drifted, the window that clears it included', () => {
    const world = givenMigration().reaches('canary').watches({ drift: OVERTAKEN });
    world.watches({ evidence: afterJudged(world.state, 1), observedMs: HOUR_MS });
    expect(world.state.drift).toBeNull();
    expect(world.state.stage).toMatchObject({ observedMs: 0, verdict: null });
    expect(world.state.stage.evidence).toEqual(afterJudged(world.state, 0));
    world.watches({ evidence: afterJudged(world.state, 1), observedMs: HOUR_MS });
    expect(world.state.stage.observedMs).toBe(HOUR_MS);
  });

  it('says which epochs are taken, and ours go on above them', () => {
    const world = givenMigration().reaches('canary').watches({ highestEpoch: 40 });
    expect(world.says('rollback').intended.epoch).toBe(41);
  });

  it('never replaces why somebody paused', () => {
    const world = givenMigration().reaches('canary').says('pause', { by: 'ana', reason: 'lunch' });
    world.watches({ verdict: { pause: 'sample ratio' } });
    expect(world.state.paused).toMatchObject({ by: 'ana', reason: 'lunch', cause: 'operator' });
  });

  it('ends with the soak, where less of it is left than a window', () => {
    const world = givenMigration().reaches('canary');
    world.watches({ observedMs: DAY_MS - 3 * MINUTE_MS, verdict: { outcome: 'inconclusive' } });
    expect(world.decision).toMatchObject({ type: 'watch', windowMs: 3 * MINUTE_MS });
  });
});

describe('a change of routing', () => {
  const lapses = [{ gateway: 'gw-b', what: 'its lease had lapsed' }];

  it('to a share that everybody may hold already is no lowering: it takes effect with the first who has it', () => {
    const world = givenMigration().reaches('canary');
    world.watches({ lapses }).watches({ lapses }).watches({ lapses });
    world.says('resume', { accept: 'reapply' });
    expect(world.decision).toMatchObject({ direction: 'raise', record: { share: 0.1 } });
    expect(world.applies({ confirmed: ['gw-a'] }).state.phase).toBe('observing');
  });

  it('upwards takes effect with the first who has it, and names who is missing', () => {
    const world = givenMigration()
      .reaches('canary')
      .overrides()
      .applies({ confirmed: ['gw-a'] });
    expect(world.stage).toBe('rolling');
    expect(world.closing).toMatchObject({ kind: 'took effect', gateways: ['gw-a'], missing: ['gw-b'] });
  });

  it('starts the count of lapses anew', () => {
    const world = givenMigration().reaches('canary').watches({ lapses }).watches({ lapses });
    expect(world.overrides().applies().watches({ lapses }).state.paused).toBeNull();
  });

  it('forgets which gateways were settled', () => {
    const world = givenMigration().reaches('complete').watches({ observedMs: DAY_MS });
    world.watches({ settled: ['gw-a'] }).watches({ settled: ['gw-a'], drift: OVERTAKEN });
    expect(world.state.settled).toEqual(['gw-a']);
    expect(world.says('resume', { accept: 'reapply' }).applies().state.settled).toEqual([]);
  });

  it('that is under way is not yet the current share: a rollback to it is refused', () => {
    const world = givenMigration().reaches('rolling');
    const rolling = world.state.inEffect?.checkpoint;
    world.says('rollback', { to: 'previous' }).applies().says('resume').overrides();
    expect(world.state.pending?.record.share).toBe(0.5);
    expect(world.says('rollback', { to: rolling }).lastRefusal).toContain('above the current 10%');
  });
});
