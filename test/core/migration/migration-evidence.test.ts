import { noStageEvidence, type StageEvidence } from '../../../src/core/evidence/stage/stage-evidence';
import type { Drift, MigrationState } from '../../../src/core/migration/migration-state';
import { DAY_MS, HOUR_MS, MINUTE_MS } from '../../../src/core/text/duration';
import { aMetric } from '../../support/migrations/migration-sighting';
import {
  aRoster,
  givenMigration,
  KILLED,
  LEGACY_DEAD,
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

  it('counts neither in assess, whose gate is another', () => {
    const world = givenMigration().reaches('assess');
    const before = world.state.stage.evidence;
    world.watches({ evidence: afterJudged(world.state, 1), observedMs: HOUR_MS });
    expect(world.state.stage).toMatchObject({ observedMs: 0, verdict: null });
    expect(world.state.stage.evidence).toBe(before);
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

describe('what is pushed', () => {
  it('bears the copies that the candidate is sent, but for a rollback that is final', () => {
    const world = givenMigration().reaches('rolling');
    expect(world.state.inEffect?.record.shadow).toBe(0.2);
    expect(world.says('rollback', { to: 'previous' }).decision).toMatchObject({ record: { shadow: 0.2 } });
    expect(world.says('rollback').decision).toMatchObject({ record: { shadow: 0 } });
  });

  it('is confirmed by lapsed leases where it lowers the share', () => {
    const world = givenMigration().reaches('canary').overrides();
    expect(world.decision).toMatchObject({ direction: 'raise', leaseConfirms: false });
    expect(world.says('rollback').decision).toMatchObject({ direction: 'lower', leaseConfirms: true });
  });

  it('with another salt at share 0 is waited for at every gateway', () => {
    const world = givenMigration().reaches('assess').assesses({ saltBalanced: false });
    expect(world.decision).toMatchObject({ direction: 'lower', leaseConfirms: true });
    expect(world.applies({ confirmed: ['gw-a'] }).state.phase).toBe('applying');
  });

  it('says, where something else takes its place, who had confirmed it', () => {
    const world = givenMigration().reaches('rolling').says('rollback');
    world.applies({ confirmed: [], lapsed: ['gw-b'] }).says('emergencyRollback');
    expect(world.closing).toMatchObject({
      ...{ kind: 'superseded', gateways: [], lapsed: ['gw-b'], missing: ['gw-a'] },
      reason: expect.stringMatching(
        /^superseded by emergency under epoch \d+ \(share 0% was not waited for\)$/,
      ),
    });
    const unanswered = givenMigration().reaches('rolling').says('rollback').says('emergencyRollback');
    expect(unanswered.closing).toMatchObject({ gateways: [], lapsed: [], missing: [] });
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

describe('a window', () => {
  it('is counted, and its verdict kept with its number and time, the last twenty of them', () => {
    const world = givenMigration().reaches('canary');
    const before = world.state.verdicts.length;
    world.elapse(MINUTE_MS).watches({ verdict: { outcome: 'inconclusive', sentence: 'too few' } });
    expect(world.state.stage.windows).toBe(1);
    expect(world.state.verdicts).toHaveLength(before + 1);
    expect(world.state.verdicts.at(-1)).toMatchObject({ sentence: 'too few', window: 1, atMs: world.nowMs });
    for (let window = 0; window < 25; window += 1) world.watches({ verdict: { outcome: 'inconclusive' } });
    expect(world.state.verdicts.map(({ window }) => window)).toEqual(
      Array.from({ length: 20 }, (_, index) => index + 7),
    );
  });

  it('that was watched in assess, for a kill latch, is no evidence', () => {
    const world = givenMigration().reads().applies({ drift: KILLED });
    world.watches({ drift: KILLED, observedMs: HOUR_MS }).watches({ observedMs: HOUR_MS });
    expect(world.state.stage).toMatchObject({ observedMs: 0, verdict: null });
  });

  it('without a pass takes a question back for its own reason, or for drift', () => {
    const stages = [{ name: 'assess' }, { name: 'canary', approval: {} }, { name: 'complete' }];
    const asked = () => givenMigration({ stages }).reaches('canary').watches({ observedMs: DAY_MS });
    const reasonOf = (world: ReturnType<typeof asked>) =>
      world.checkpoints.find((entry) => entry.kind === 'recorded' && entry.what === 'approval withdrawn')
        ?.reason;
    expect(reasonOf(asked().watches({ verdict: { outcome: 'fail', sentence: 'p95 rises' } }))).toBe(
      'p95 rises',
    );
    expect(reasonOf(asked().watches({ drift: OVERTAKEN }))).toBe('drift');
    expect(reasonOf(asked().watches())).toBeUndefined();
  });

  it('of a worker that does not say who answered leaves open who is silent, and names its own drift', () => {
    const world = givenMigration()
      .reaches('canary')
      .watches({ answered: ['gw-a'] });
    const older = { answered: undefined as never, drifts: undefined as never };
    expect(world.watches({ ...older, drift: OVERTAKEN }).state).toMatchObject({
      unreachable: ['gw-b'],
      drift: OVERTAKEN,
    });
    expect(world.watches(older).state.drift).toBeNull();
  });

  it('ends a hold that was judged again, and no other', () => {
    const world = givenMigration()
      .reaches('canary')
      .timePasses(3 * DAY_MS);
    expect(world.watches().state.stage.held).not.toBeNull();
    expect(world.says('reevaluate').watches({ observedMs: DAY_MS }).state.stage).toMatchObject({
      held: null,
      reevaluating: false,
    });
  });

  it('rolls back for the reason of the metric that harms', () => {
    const metrics = [
      aMetric({ metric: 'latency', sentence: 'as slow as legacy' }),
      aMetric({ metric: 'errors', sentence: 'twice the errors', harm: true, outcome: 'fail' }),
    ];
    const world = givenMigration().reaches('canary');
    world.watches({ verdict: { outcome: 'fail', harm: 'errors', sentence: 'fails', metrics } });
    expect(world.intended).toMatchObject({ by: 'cutover', reason: 'twice the errors', share: 0 });
    expect(world.recorded.at(-1)).toBe('harm');
  });

  it('that harms says nothing else beside the rollback', () => {
    const lapses = [{ gateway: 'gw-b', what: 'behind' }];
    const harm = { lapses, verdict: { outcome: 'fail', harm: 'floor', pause: 'look' } } as const;
    const world = givenMigration().reaches('canary').watches(harm);
    expect(world.recorded.slice(-1)).toEqual(['harm']);
    expect(world.state.lapses).toEqual([]);
    // Where legacy is no place to go back to, the stage is held and all the rest is noted.
    const held = givenMigration()
      .reaches('complete')
      .watches({ ...harm, probes: LEGACY_DEAD });
    expect(held.recorded.slice(-3)).toEqual(['held', 'lapse', 'paused']);
  });

  it('with a pass leaves a promotion to who asked for it', () => {
    const world = givenMigration().reaches('canary').watches();
    world.says('promote', { stage: 'canary', by: 'ana', reason: 'go' }).watches({ observedMs: MINUTE_MS });
    expect(world.state.promotion).toMatchObject({ by: 'ana', reason: 'go' });
  });

  it('that brings evidence of another epoch leaves that of its own', () => {
    const world = givenMigration().reaches('canary');
    const { evidence } = world.state.stage;
    world.watches({ evidence: noStageEvidence(1), observedMs: HOUR_MS });
    expect(world.state.stage.evidence).toBe(evidence);
  });

  it('pauses for what its metrics say, and for an uneven sample where none does', () => {
    const causeOf = (metric: string, outcome: 'fail' | 'pass') =>
      givenMigration()
        .reaches('canary')
        .watches({
          verdict: { pause: 'look', metrics: [aMetric({ metric: 'errors' }), aMetric({ metric, outcome })] },
        }).state.paused;
    expect(causeOf('candidate closed', 'fail')).toMatchObject({ cause: 'candidate closed', reason: 'look' });
    expect(causeOf('candidate closed', 'pass')).toMatchObject({ cause: 'sample ratio', by: 'cutover' });
    expect(causeOf('failures in a row', 'pass')).toMatchObject({ cause: 'failures in a row' });
    expect(causeOf('errors', 'fail')).toMatchObject({ cause: 'sample ratio' });
  });
});

describe('of a verdict with many strata', () => {
  const kept = (metrics: readonly ReturnType<typeof aMetric>[]) =>
    givenMigration()
      .reaches('canary')
      .watches({ verdict: { outcome: 'inconclusive', metrics } })
      .state.stage.verdict?.metrics.map(({ metric }) => metric);
  const some = (count: number, name: string, said: Parameters<typeof aMetric>[0] = {}) =>
    Array.from({ length: count }, (_, index) => aMetric({ metric: `${name} ${index}`, ...said }));

  it('all are kept up to twelve', () => {
    expect(kept(some(12, 'report', { role: 'report' }))).toHaveLength(12);
  });

  it('those are kept that say most, in the order in which they were judged', () => {
    const report = some(3, 'report', { role: 'report', outcome: 'fail' });
    const passed = some(8, 'passed', { outcome: 'pass' });
    const open = some(2, 'open', { outcome: 'inconclusive' });
    const none = some(3, 'none', { outcome: 'not applicable' });
    const [harm] = some(1, 'harm', { harm: true, outcome: 'fail', role: 'report' });
    const [more] = some(1, 'more', { outcome: 'fail' });
    if (harm === undefined || more === undefined) throw new Error('expected two metrics');
    const names = (...metrics: ReturnType<typeof aMetric>[]) => metrics.map(({ metric }) => metric);
    expect(kept([...report, ...none, ...passed, ...open, more, harm])).toEqual(
      names(...passed, ...open, more, harm),
    );
    const goal = some(5, 'goal', { outcome: 'fail' });
    expect(kept([...passed, ...goal, ...open])).toEqual(names(...passed.slice(0, 5), ...goal, ...open));
    expect(kept([...report, ...none, ...passed, ...open])).toEqual(
      names(...none.slice(0, 2), ...passed, ...open),
    );
    expect(kept([...report, ...none, ...open, ...open, ...open, ...open])).toEqual(
      names(...report.slice(0, 1), ...none, ...open, ...open, ...open, ...open),
    );
  });
});

describe('the roster after a window', () => {
  it('is without who left and was in it, and with who was found and was not', () => {
    const world = givenMigration().reaches('canary');
    const { length } = world.checkpoints;
    world.watches({ discovered: aRoster(['gw-a']), left: ['gw-x'] });
    expect(world.state.roster).toEqual(aRoster());
    expect(world.checkpoints).toHaveLength(length);
    world.watches({ discovered: aRoster(['gw-a', 'gw-c']), left: ['gw-x', 'gw-b'] });
    expect(world.checkpoints.at(-1)?.reason).toBe('gw-c joined, gw-b left');
    expect(world.state.roster).toEqual(aRoster(['gw-a', 'gw-c']));
  });

  it('is never empty: the last ones stay until another joins', () => {
    const world = givenMigration()
      .reaches('canary')
      .watches({ left: ['gw-a', 'gw-b'] });
    expect(world.state.roster).toEqual(aRoster());
    world.watches({ left: ['gw-a', 'gw-b'], discovered: aRoster(['gw-c']) });
    expect(world.state.roster).toEqual(aRoster(['gw-c']));
  });

  it('takes nobody in for being located', () => {
    const world = givenMigration()
      .reaches('canary')
      .watches({ located: aRoster(['gw-a', 'gw-c']) });
    expect(world.state.roster).toEqual(aRoster());
  });
});

describe('what contradicts the routing', () => {
  const at = (gateway: string, drift: Drift): Drift => ({ ...drift, gateway });

  it('is recorded once per gateway and kind, and when it is over', () => {
    const world = givenMigration().reaches('canary');
    world.watches({ drift: OVERTAKEN, drifts: [OVERTAKEN, at('gw-b', OVERTAKEN)] });
    expect(world.recorded.filter((what) => what === 'drift')).toHaveLength(2);
    expect(world.state.paused?.reason).toBe(`gw-b: ${OVERTAKEN.detail}`);
    world.watches({ drift: at('gw-b', OVERTAKEN) });
    expect(world.checkpoints.at(-1)).toMatchObject({
      what: 'drift cleared',
      reason: 'gw-a: newer epoch is gone; resume with accept "reapply" goes on',
    });
    const other: Drift = { gateway: 'gw-b', kind: 'other content', detail: 'other', kill: null };
    world.watches({ drift: other });
    expect(world.checkpoints.slice(-2)[0]?.reason).toContain('gw-b: newer epoch is gone');
    expect(world.recorded.slice(-2)).toEqual(['drift cleared', 'drift']);
  });

  it('at another gateway as well is another one, and the first is not over', () => {
    const world = givenMigration().reaches('canary').watches({ drift: OVERTAKEN });
    const both = { drift: OVERTAKEN, drifts: [OVERTAKEN, at('gw-b', OVERTAKEN)] };
    world.watches(both).watches(both);
    expect(world.recorded.filter((what) => what.startsWith('drift'))).toEqual(['drift', 'drift']);
  });

  it('keeps the pause when it is over: only an operator resumes', () => {
    const world = givenMigration().reaches('canary').watches({ drift: OVERTAKEN }).watches();
    expect(world.state).toMatchObject({ drift: null, drifts: [], paused: { cause: 'drift' } });
  });

  it('says how a latch was cleared', () => {
    const world = givenMigration().reaches('canary').watches({ drift: KILLED }).watches();
    expect(world.checkpoints.at(-1)?.reason).toBe(
      'gw-a: its kill switch is no longer set; resume with accept "reapply" goes on',
    );
  });

  it('raises nothing of what gateways may hold where it is a latch', () => {
    const world = givenMigration().reaches('canary').watches({ drift: KILLED }).says('rollback');
    expect(world.decision).toMatchObject({ leaseConfirms: true });
  });
});

describe('lapses', () => {
  const lapse = (gateway: string, what = 'its lease had lapsed') => ({ gateway, what });

  it('of several gateways in one window are one outage, each recorded', () => {
    const world = givenMigration().reaches('canary');
    world.watches({ lapses: [lapse('gw-a', 'silent'), lapse('gw-b', 'behind')] });
    expect(world.state.lapses).toEqual([{ gateway: 'gw-a, gw-b', what: 'silent', atMs: world.nowMs }]);
    expect(world.checkpoints.slice(-2).map(({ reason }) => reason)).toEqual(['gw-a: silent', 'gw-b: behind']);
  });

  it('are kept with two hundred characters of who and how', () => {
    const long = 'n'.repeat(300);
    const world = givenMigration().reaches('canary');
    world.watches({ lapses: [lapse(long, long), { ...lapse(long), routine: true }] });
    expect(world.state.lapses).toEqual([
      { gateway: 'n'.repeat(200), what: 'it restarted in order', atMs: world.nowMs, routine: true },
      { gateway: 'n'.repeat(200), what: 'n'.repeat(200), atMs: world.nowMs },
    ]);
  });

  it('pause a migration for the last of three', () => {
    const world = givenMigration().reaches('canary');
    for (const gateway of ['gw-a', 'gw-b', 'gw-c']) world.watches({ lapses: [lapse(gateway)] });
    expect(world.state.paused?.reason).toBe('3 lapses within a day, the last at gw-c');
  });

  it('are no restarts in order, and those no lapses', () => {
    const world = givenMigration().reaches('canary');
    const restart = { ...lapse('gw-a'), routine: true as const };
    world.watches({ lapses: [restart] });
    expect(world.state.lapses).toEqual([
      { gateway: 'gw-a', what: 'it restarted in order', atMs: world.nowMs, routine: true },
    ]);
    for (const one of [lapse('gw-a'), lapse('gw-a'), restart]) world.watches({ lapses: [one] });
    expect(world.state.paused).toBeNull();
  });

  it('pause a migration once, and a pause that is there already stays', () => {
    const world = givenMigration().reaches('canary').says('pause', { by: 'ana' });
    for (let count = 0; count < 3; count += 1) world.watches({ lapses: [lapse('gw-b')] });
    expect(world.state.paused).toMatchObject({ cause: 'operator', by: 'ana' });
    expect(world.state.lapses).toHaveLength(3);
    expect(world.recorded.filter((what) => what === 'paused')).toHaveLength(1);
  });

  it('count for a day and not a moment longer', () => {
    const paused = (laterMs: number) => {
      const world = givenMigration()
        .reaches('canary')
        .watches({ lapses: [lapse('gw-b')] });
      world.elapse(laterMs).watches({ lapses: [lapse('gw-b')] });
      return world.watches({ lapses: [lapse('gw-b')] }).state.paused;
    };
    expect(paused(DAY_MS)).toBeNull();
    expect(paused(DAY_MS - 1)).toMatchObject({
      by: 'cutover',
      reason: '3 lapses within a day, the last at gw-b',
    });
  });

  it('are the last fifty', () => {
    const world = givenMigration().reaches('canary');
    for (let count = 0; count < 60; count += 1) world.elapse(1).watches({ lapses: [lapse(`gw-${count}`)] });
    expect(world.state.lapses).toHaveLength(50);
    expect(world.state.lapses.at(-1)?.gateway).toBe('gw-59');
    world.watches();
    expect(world.state.lapses).toHaveLength(50);
  });
});

describe('the handover', () => {
  const handedOver = () => givenMigration().reaches('complete').watches({ observedMs: DAY_MS });

  it('remembers who is settled, and ends with the last of them, for that reason', () => {
    const world = handedOver().watches({ settled: ['gw-b'] });
    expect(world.state.settled).toEqual(['gw-b']);
    world.watches({ settled: ['gw-b', 'gw-a', 'gw-x'] });
    expect(world.checkpoints.at(-1)).toMatchObject({
      what: 'completed',
      reason: "complete has passed and every gateway's configuration says settled: candidate",
    });
  });

  it('does not end where nobody is there to be settled', () => {
    const world = handedOver();
    world.state = { ...world.state, roster: [] };
    expect(world.watches({ settled: [], answered: [] }).state.phase).toBe('handover');
  });

  it('acts on no deadline', () => {
    const world = handedOver().elapse(90 * DAY_MS);
    world.watches({ verdict: { outcome: 'inconclusive' } });
    expect(world.state).toMatchObject({ phase: 'handover', stage: { held: null } });
  });
});
