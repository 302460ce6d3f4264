import { dueRuns } from '../../../src/core/effects/effect-runs';
import { noStageEvidence } from '../../../src/core/evidence/stage/stage-evidence';
import type { MetricVerdict, ProbeRecord } from '../../../src/core/gates/verdict';
import { withReasons } from '../../../src/core/migration/gateway-roster';
import { nextDecision, transition } from '../../../src/core/migration/migration';
import { nextTurnMs } from '../../../src/core/migration/stage-exit';
import { rollbackEligibilityOf, statusOf } from '../../../src/core/migration/status';
import { DAY_MS, HOUR_MS, MINUTE_MS } from '../../../src/core/text/duration';
import { effectEvent } from '../../support/migrations/migration-steps';
import {
  ANSWERING,
  aPlan,
  aRoster,
  givenMigration,
  KILLED,
  LEGACY_DEAD,
  MigrationWorld,
  OVERTAKEN,
} from '../../support/migrations/migration-world';

describe('a migration that goes well', () => {
  it('passes assess, canary, rolling and complete, and closes when every gateway is settled', () => {
    const world = givenMigration();
    const stages: string[] = [];
    world.goesOnUntil('the end', () => {
      if (world.state.phase === 'observing' && stages.at(-1) !== world.stage) stages.push(world.stage);
      return world.state.phase === 'closed';
    });
    expect(stages).toEqual(['assess', 'canary', 'rolling', 'complete']);
    expect(world.state.outcome).toBe('completed');
    expect(world.recorded.slice(-2)).toEqual(['handover', 'completed']);
    expect(world.decision.type).toBe('close');
  });

  it('observes each stage for its soak before it leaves it', () => {
    const world = givenMigration().reaches('canary');
    const enteredMs = world.nowMs;
    world.reaches('rolling');
    expect(world.nowMs - enteredMs).toBeGreaterThanOrEqual(DAY_MS);
  });

  it('checks the health of both providers before every raise', () => {
    const world = givenMigration().reaches('canary');
    world.watches({ observedMs: DAY_MS });
    expect(world.decision.type).toBe('check health');
    world.checksHealth();
    expect(world.decision).toMatchObject({ type: 'apply routing', direction: 'raise' });
  });

  it('begins no health check anew for a notification, an effect or a lapse that is recorded meanwhile', () => {
    const plan = { ...aPlan(), notify: [{ name: 'channel' }] };
    const world = new MigrationWorld(plan).reaches('canary').watches({ observedMs: DAY_MS });
    const { key } = world.decision;
    const [told] = dueRuns(world.state);
    if (told === undefined) throw new Error('expected a notification');
    world.event(effectEvent(told, 'ended'));
    expect(world.recorded.at(-1)).toBe('notified');
    expect(world.decision).toMatchObject({ type: 'check health', key });
  });

  it('begins a health check anew for a promotion that was taken back and given again', () => {
    const world = givenMigration().reaches('canary').watches({ observedMs: DAY_MS });
    const { key } = world.decision;
    expect(world.says('pause').says('resume').decision.type).toBe('check health');
    expect(world.decision.key).not.toBe(key);
  });

  it('goes back to watching when the health check fails, and needs another pass', () => {
    const world = givenMigration().reaches('canary').watches({ observedMs: DAY_MS }).checksHealth(false);
    expect(world.recorded).toContain('health check failed');
    expect(world.decision.type).toBe('watch');
    expect(world.state.stage.verdict).toBeNull();
    expect(world.watches().decision.type).toBe('check health');
  });

  it('assesses again when the health check before the first step fails', () => {
    const world = givenMigration().reaches('assess').assesses().checksHealth(false);
    expect(world.decision.type).toBe('wait');
    world.goesOn();
    expect(world.decision.type).toBe('assess');
  });

  it('waits longer from one inconclusive assessment to the next', () => {
    const world = givenMigration().reaches('assess');
    const waits = [0, 1, 2, 3, 4, 5, 6, 7].map(() => {
      world.assesses({ outcome: 'inconclusive' });
      const { decision } = world;
      const waitMs = decision.type === 'wait' ? (decision.untilMs ?? 0) - world.nowMs : 0;
      world.goesOn();
      return waitMs;
    });
    expect(waits.slice(0, 3)).toEqual([2 * MINUTE_MS, 4 * MINUTE_MS, 8 * MINUTE_MS]);
    expect(Math.max(...waits)).toBe(15 * MINUTE_MS);
  });
});

describe('law 2: no advance without a pass', () => {
  it.each(['fail', 'inconclusive', 'not evaluated', 'not applicable'] as const)(
    'stays in the stage on %s, however long it was observed',
    (outcome) => {
      const world = givenMigration()
        .reaches('canary')
        .watches({ observedMs: 2 * DAY_MS, verdict: { outcome } });
      expect(world.decision.type).toBe('watch');
    },
  );

  it('stays in the stage on a pass whose soak is not over', () => {
    const world = givenMigration()
      .reaches('canary')
      .watches({ observedMs: DAY_MS - 1 });
    expect(world.decision.type).toBe('watch');
  });

  it('takes a promotion back when a window ends without a pass before the health check', () => {
    const world = givenMigration().reaches('canary').watches().says('promote', { stage: 'canary' });
    world.watches({ verdict: { outcome: 'inconclusive' } });
    expect(world.decision.type).toBe('watch');
    expect(world.checksHealth().state.pending).toBeNull();
  });

  it('takes the pass of the moment, not one from before a failed advance', () => {
    const world = givenMigration().reaches('canary').watches({ observedMs: DAY_MS }).checksHealth();
    world.applies({ confirmed: [] }).applies();
    expect(world.stage).toBe('canary');
    expect(world.state.stage.verdict).toBeNull();
    expect(world.state.stage.observedMs).toBe(0);
  });
});

describe('law 3: missing data is never a pass', () => {
  it('holds the stage at its deadline and says so, then rolls back', () => {
    const world = givenMigration()
      .reaches('canary')
      .elapse(3 * DAY_MS);
    world.watches({ verdict: { outcome: 'not evaluated', sentence: 'no requests' } });
    expect(world.recorded.at(-1)).toBe('held');
    expect(world.state.stage.held?.reason).toContain('no requests');
    expect(world.decision.type).toBe('watch');
    world.elapse(4 * DAY_MS).watches({ verdict: { outcome: 'not evaluated' } });
    expect(world.decision).toMatchObject({ type: 'apply routing', record: { share: 0 } });
    expect(world.recorded.at(-1)).toBe('deadline');
  });

  it('does not advance by itself once held, even on a pass', () => {
    const world = givenMigration()
      .reaches('canary')
      .elapse(3 * DAY_MS);
    world.watches({ verdict: { outcome: 'inconclusive' } }).watches({ observedMs: DAY_MS });
    expect(world.decision.type).toBe('watch');
    world.says('promote', { stage: 'canary' });
    expect(world.decision.type).toBe('check health');
  });

  it('ends a window at the deadline', () => {
    const world = givenMigration({
      stages: [{ name: 'assess' }, { name: 'canary', window: '2d' }, { name: 'complete' }],
    });
    world.reaches('canary').elapse(3 * DAY_MS - MINUTE_MS);
    expect(world.decision).toMatchObject({ type: 'watch', windowMs: MINUTE_MS });
  });

  it('never rolls back by deadline at complete, where the plan says null', () => {
    const world = givenMigration()
      .reaches('complete')
      .elapse(30 * DAY_MS);
    world.watches({ verdict: { outcome: 'inconclusive' } });
    expect(world.recorded.at(-1)).toBe('held');
    expect(world.elapse(30 * DAY_MS).watches({ verdict: { outcome: 'inconclusive' } }).share).toBe(1);
  });

  it('never rolls back by deadline what has passed, whatever it waits for since then', () => {
    const world = givenMigration().reaches('canary').says('pause').watches({ observedMs: DAY_MS });
    world.timePasses(8 * DAY_MS);
    expect(world.decision.type).toBe('watch');
    world.watches({ verdict: { outcome: 'inconclusive' } });
    expect(world.state.stage.held?.reason).toContain('canary has not passed within 72 h');
    expect(world.watches().share).toBe(0.1);
    world.watches({ verdict: { outcome: 'fail', harm: 'errors' } });
    expect(world.state.phase).toBe('rolling back');
  });

  it('judges again before it holds what has passed and failed a health check after its deadline', () => {
    const world = givenMigration().reaches('canary').watches({ observedMs: DAY_MS });
    world.elapse(4 * DAY_MS).checksHealth(false);
    expect(world.timePasses(1).state.stage.held).toBeNull();
    expect(world.watches().decision.type).toBe('check health');
  });

  it('acts on its deadlines without waiting for a window or an assessment that never ends', () => {
    const world = givenMigration()
      .reaches('canary')
      .timePasses(3 * DAY_MS);
    expect(world.state.stage.held?.reason).toContain('canary has not passed within 72 h');
    expect(nextTurnMs(world.state)).toBe(world.state.stage.enteredAtMs + 7 * DAY_MS);
    world.timePasses(4 * DAY_MS);
    expect(world.state.phase).toBe('rolling back');
    expect(nextTurnMs(world.state)).toBeNull();
  });

  it('has time that passes beside a retry leave the retry where it is', () => {
    const world = givenMigration().reaches('canary');
    world.event({ type: 'activity failed', what: 'watch', message: 'bug', key: world.decision.key });
    const { key } = world.decision;
    expect(world.timePasses(1_000).decision.key).toBe(key);
    expect(world.timePasses(1_000).decision.type).toBe('watch');
  });

  describe('at complete every automatic rollback asks that the probes of legacy pass', () => {
    const complete = { name: 'complete', deadline: { hold: '2d', rollback: '3d' } };
    const stages = [{ name: 'assess' }, { name: 'canary' }, { name: 'rolling' }];
    const expiring = { ...complete, approval: { expires: '6h', onExpiry: 'roll back' } };
    const TIMES: Readonly<Record<string, (probes: ProbeRecord) => MigrationWorld>> = {
      harm: (probes) =>
        givenMigration()
          .reaches('complete')
          .watches({ probes, verdict: { outcome: 'fail', harm: 'floor' } }),
      'harm in handover': (probes) =>
        givenMigration()
          .reaches('complete')
          .watches({ observedMs: DAY_MS })
          .watches({ probes, verdict: { outcome: 'fail', harm: 'floor' } }),
      'a deadline': (probes) =>
        givenMigration({ stages: [...stages, complete] })
          .reaches('complete')
          .watches({ probes, verdict: { outcome: 'inconclusive' } })
          .timePasses(3 * DAY_MS),
      'an approval that expires': (probes) =>
        givenMigration({ stages: [...stages, expiring] })
          .reaches('complete')
          .watches({ probes, observedMs: DAY_MS })
          .timePasses(6 * HOUR_MS),
    };

    it.each(Object.entries(TIMES))('%s', (_name, reached) => {
      expect(reached(ANSWERING).state.phase).toBe('rolling back');
      const world = reached(LEGACY_DEAD);
      expect(world.share).toBe(1);
      expect(world.state.pending).toBeNull();
      expect(world.state.stage.held?.reason).toContain(
        "not rolled back by itself: legacy's probes do not pass",
      );
      expect(world.recorded.filter((what) => what === 'held')).toHaveLength(1);
      expect(nextTurnMs(world.state)).toBeNull();
      expect(world.says('rollback').state.phase).toBe('rolling back');
    });

    it('below complete harm rolls back to a legacy that is dead too: most of the traffic is there', () => {
      const world = givenMigration().reaches('rolling');
      world.watches({ probes: LEGACY_DEAD, verdict: { outcome: 'fail', harm: 'floor' } });
      expect(world.state.phase).toBe('rolling back');
    });

    it.each([
      ['harm', 'harm'],
      ['a deadline', 'deadline'],
    ])('%s is recorded as what caused it', (name, what) => {
      expect(TIMES[name]?.(ANSWERING).recorded).toContain(what);
    });

    it('a deadline that was due acts when legacy is back', () => {
      const world = TIMES['a deadline']?.(LEGACY_DEAD) as MigrationWorld;
      world.watches({ probes: LEGACY_DEAD, verdict: { outcome: 'inconclusive' } });
      expect(world.state.phase).toBe('observing');
      world.watches({ probes: ANSWERING, verdict: { outcome: 'inconclusive' } });
      expect(world.intended.reason).toContain('complete has not passed within 72 h');
    });
  });

  it('holds assess after a day without moving anything', () => {
    const world = givenMigration().reaches('assess').assesses({ outcome: 'inconclusive' }).timePasses(DAY_MS);
    expect(world.recorded.at(-1)).toBe('held');
    expect(world.decision).toMatchObject({ type: 'wait', untilMs: null });
    expect(world.says('reevaluate').decision.type).toBe('assess');
  });

  it('passes on the numbers of legacy to the stage that has no control arm', () => {
    const world = givenMigration().reaches('rolling');
    const baseline = { errorRate: 0.03, plainP95Ms: 1, firstTokenP95Ms: 2 };
    world.watches({ observedMs: 2 * DAY_MS, verdict: { baseline } }).reaches('complete');
    expect(world.state.baseline).toEqual(baseline);
  });
});

describe('law 4: pause stops advancing, not watching', () => {
  it('watches a paused stage and does not advance it', () => {
    const world = givenMigration().reaches('canary').says('pause', { by: 'ana', reason: 'lunch' });
    world.watches({ observedMs: 2 * DAY_MS });
    expect(world.decision.type).toBe('watch');
  });

  it('rolls a paused canary back that starts to harm', () => {
    const world = givenMigration().reaches('canary').says('pause', {});
    world.watches({ verdict: { outcome: 'fail', harm: 'errors', sentence: 'twice the errors' } });
    expect(world.decision).toMatchObject({ type: 'apply routing', record: { share: 0 }, direction: 'lower' });
    expect(world.intended.reason).toBe('twice the errors');
    world.applies();
    expect(world.state.outcome).toBe('rolled back');
  });

  it('does not wake up again and again for a passed assessment that is paused past its deadline', () => {
    const world = givenMigration()
      .reaches('assess')
      .says('pause')
      .assesses()
      .timePasses(2 * DAY_MS);
    expect(world.decision).toMatchObject({ type: 'wait', untilMs: null, why: 'paused' });
    expect(world.says('resume').decision.type).toBe('check health');
  });

  it('pauses on an uneven sample, and a pause takes a waiting promotion back', () => {
    const world = givenMigration().reaches('canary').watches().says('promote', { stage: 'canary' });
    world.watches({ verdict: { pause: 'sample ratio' } });
    expect(world.state.paused).toMatchObject({ cause: 'sample ratio' });
    expect(world.decision.type).toBe('watch');
  });

  it('pauses on failures in a row of a stage of low traffic, and says so', () => {
    const metrics = [{ metric: 'failures in a row' } as MetricVerdict];
    const world = givenMigration()
      .reaches('canary')
      .watches({ verdict: { pause: 'three failed', metrics } });
    expect(world.state.paused).toMatchObject({ cause: 'failures in a row', reason: 'three failed' });
  });

  it('pauses where the candidate was closed too often, and names that as the cause', () => {
    const metrics = [{ metric: 'candidate closed', outcome: 'fail' } as MetricVerdict];
    const world = givenMigration()
      .reaches('canary')
      .watches({ verdict: { pause: '9% could not be sent', metrics } });
    expect(world.state.paused).toMatchObject({ cause: 'candidate closed' });
  });

  it('starts the evidence and soak of a paused stage anew with reapply, also without drift', () => {
    const world = givenMigration()
      .reaches('canary')
      .watches({ observedMs: 60_000, verdict: { pause: 'uneven' } });
    const epoch = world.state.inEffect?.record.epoch ?? 0;
    expect(world.state.stage).toMatchObject({ observedMs: 60_000, windows: 1 });
    world.says('resume', { accept: 'reapply' }).applies();
    expect(world.state).toMatchObject({ paused: null, stage: { observedMs: 0, windows: 0, verdict: null } });
    expect(world.state.inEffect?.record.epoch).toBeGreaterThan(epoch);
  });

  it('pauses at the third lapse within a day, and forgets them when resumed', () => {
    const lapses = [{ gateway: 'gw-b', what: 'its lease had lapsed' }];
    const world = givenMigration().reaches('canary').watches({ lapses }).watches({ lapses });
    expect(world.state.paused).toBeNull();
    world.watches({ lapses });
    expect(world.state.paused).toMatchObject({ cause: 'lapses' });
    world.says('resume').watches({ lapses });
    expect(world.state.paused).toBeNull();
  });

  it('counts no lapse that is older than a day', () => {
    const lapses = [{ gateway: 'gw-b', what: 'its lease had lapsed' }];
    const world = givenMigration().reaches('canary').watches({ lapses }).watches({ lapses });
    expect(world.elapse(DAY_MS).watches({ lapses }).state.paused).toBeNull();
  });

  it('records at most fifty lapses of one day and goes on counting', () => {
    const lapses = [{ gateway: 'gw-b', what: 'its lease had lapsed' }];
    const world = givenMigration().reaches('canary');
    for (let window = 0; window < 80; window += 1) world.watches({ lapses });
    expect(world.recorded.filter((what) => what === 'lapse')).toHaveLength(50);
  });

  it('watches on when a watch has failed for good, within seconds', () => {
    const world = givenMigration().reaches('canary');
    world.event({ type: 'activity failed', what: 'watch', message: 'bug', key: world.decision.key });
    const { decision } = world;
    expect(decision.type === 'wait' ? (decision.untilMs ?? 0) - world.nowMs : null).toBe(2_000);
    expect(world.goesOn().decision.type).toBe('watch');
  });

  it('watches on when a health check has failed for good', () => {
    const world = givenMigration().reaches('canary').watches({ observedMs: DAY_MS });
    world.event({ type: 'activity failed', what: 'check health', message: 'bug', key: world.decision.key });
    expect(world.decision.type).toBe('watch');
  });
});

describe('law 5: epochs only rise', () => {
  it('starts above the highest epoch of any gateway', () => {
    expect(givenMigration().reads({ highestEpoch: 17 }).intended.epoch).toBe(18);
  });

  it('goes on above the epoch that share 0 had to take', () => {
    const world = givenMigration().reads({ highestEpoch: 17 }).applies({ epoch: 30 });
    expect(world.closing).toMatchObject({ epoch: 30, closes: world.intended.seq });
    expect(world.state.inEffect?.record.epoch).toBe(30);
    world.reaches('canary');
    expect(world.intended.epoch).toBe(31);
  });

  it('pushes to who is missing the epoch that the others have got', () => {
    const world = givenMigration()
      .reads()
      .applies({ epoch: 9, confirmed: ['gw-a'] });
    expect(world.decision).toMatchObject({ record: { epoch: 9 }, missing: ['gw-b'] });
    world.applies({ epoch: 9, confirmed: ['gw-b'] });
    expect(world.closing).toMatchObject({ epoch: 9, gateways: ['gw-a', 'gw-b'] });
  });

  it('never takes another epoch for a share above 0', () => {
    const world = givenMigration().reaches('canary').overrides();
    const { epoch } = world.intended;
    world.applies({ epoch: epoch + 5 });
    expect(world.state.inEffect?.record.epoch).toBe(epoch);
  });
});

describe('law 6: write-ahead checkpoints', () => {
  it('writes the intention before anything is applied, and closes it with who has it', () => {
    const world = givenMigration().reads();
    expect(world.checkpoints.map(({ kind }) => kind)).toEqual(['intended']);
    world.applies({ confirmed: ['gw-a'], lapsed: [] }).applies({ confirmed: ['gw-b'] });
    expect(world.closing).toMatchObject({
      kind: 'took effect',
      closes: 1,
      gateways: ['gw-a', 'gw-b'],
      missing: [],
    });
  });

  it('ignores an answer to a checkpoint that is closed', () => {
    const world = givenMigration().reaches('canary').overrides();
    const raise = world.intended.seq;
    world.says('rollback');
    const before = world.state;
    expect(world.applies({}, raise).state).toBe(before);
  });

  it('numbers without gaps', () => {
    const world = givenMigration();
    world.goesOnUntil('the end', () => world.state.phase === 'closed');
    expect(world.checkpoints.map(({ seq }) => seq)).toEqual(world.checkpoints.map((_, index) => index + 1));
  });

  it('undoes an advance that reached nobody, and verifies that nobody has it', () => {
    const world = givenMigration().reaches('canary').watches({ observedMs: DAY_MS }).checksHealth();
    world.applies({ confirmed: [], notes: ['gw-a: connection refused'] });
    expect(world.closing).toMatchObject({ kind: 'failed', share: 0.5, reason: 'gw-a: connection refused' });
    // The push that got no answer may have arrived: going back to 10% is a lowering.
    expect(world.decision).toMatchObject({
      type: 'apply routing',
      record: { share: 0.1 },
      direction: 'lower',
      leaseConfirms: true,
    });
    expect(world.intended.cause).toBe('restore');
    world.applies({ confirmed: ['gw-a'] });
    expect(world.state.phase).toBe('applying');
    expect(world.applies({ confirmed: ['gw-b'] }).share).toBe(0.1);
  });

  it('accepts no lapsed lease when the advance that failed was to be pinned', () => {
    const world = givenMigration().reaches('rolling').overrides().applies({ confirmed: [] });
    expect(world.decision).toMatchObject({ record: { share: 0.5 }, leaseConfirms: false });
    world.applies({ confirmed: ['gw-a'], lapsed: ['gw-b'] });
    expect(world.decision).toMatchObject({ missing: ['gw-b'] });
  });

  it('goes on restoring until somebody has it', () => {
    const world = givenMigration().reaches('canary').says('pause').watches({ drift: OVERTAKEN });
    world.watches().says('resume', { accept: 'reapply' }).applies({ confirmed: [] });
    expect(world.decision).toMatchObject({ type: 'apply routing', missing: ['gw-a', 'gw-b'] });
  });

  it('counts whoever a careless answer does not name as missing', () => {
    const world = givenMigration().reaches('canary').says('rollback');
    world.applies({ confirmed: ['gw-a'], missing: [] });
    expect(world.state.phase).toBe('rolling back');
    expect(world.decision).toMatchObject({ missing: ['gw-b'] });
  });
});

describe('law 8: what a start finds', () => {
  it('applies share 0 first over a forgotten share and says so', () => {
    const forgotten = [{ gateway: 'gw-b', share: 0.07, epoch: 12, migrationId: 'm-0' }];
    const world = givenMigration().reads({ highestEpoch: 12, forgotten });
    expect(world.checkpoints[0]).toMatchObject({ kind: 'recorded', what: 'forgotten share' });
    expect(world.checkpoints[0]?.reason).toContain('gw-b served 7% of');
    expect(world.decision).toMatchObject({ record: { share: 0, epoch: 13 }, leaseConfirms: false });
  });

  it('accepts no lapsed lease for the first share 0: a forgotten record may be pinned', () => {
    const world = givenMigration()
      .reads()
      .applies({ confirmed: ['gw-a'], lapsed: ['gw-b'] });
    expect(world.decision).toMatchObject({ type: 'apply routing', missing: ['gw-b'] });
  });

  it('touches nothing until every gateway has been read', () => {
    const world = givenMigration().reads({ unreachable: ['gw-b'], highestEpoch: 4 });
    expect(world.checkpoints).toHaveLength(0);
    expect(world.decision.type).toBe('wait');
    expect(world.state.unreachable).toEqual(['gw-b']);
    expect(world.goesOn().decision.type).toBe('read routing');
    expect(world.reads({ highestEpoch: 3 }).intended.epoch).toBe(5);
  });

  it('waits when there is no gateway at all', () => {
    const world = givenMigration().reads({ roster: [] });
    expect(world.decision).toMatchObject({ type: 'wait', why: 'no gateway is configured or discovered' });
  });
});

describe('law 9: drift is an event', () => {
  it.each([KILLED, OVERTAKEN])('pauses on a $kind, stops soak and evidence, and says so once', (drift) => {
    const world = givenMigration().reaches('canary').watches({ observedMs: HOUR_MS });
    world.watches({ drift, observedMs: HOUR_MS });
    expect(world.state.paused).toMatchObject({ cause: 'drift', reason: `gw-a: ${drift.detail}` });
    expect(world.state.stage).toMatchObject({ observedMs: HOUR_MS, verdict: null });
    world.watches({ drift, observedMs: HOUR_MS });
    expect(world.recorded.filter((what) => what === 'drift')).toHaveLength(1);
    expect(world.decision.type).toBe('watch');
  });

  it('takes back a promotion that waits for its health check', () => {
    const world = givenMigration().reaches('canary').watches({ observedMs: DAY_MS });
    expect(world.state.promotion).not.toBeNull();
    world.watches({ drift: OVERTAKEN }).checksHealth();
    expect(world.state.pending).toBeNull();
  });

  it('stays paused when the drift is gone, and reapplies only when told', () => {
    const world = givenMigration()
      .reaches('canary')
      .watches({ drift: KILLED })
      .watches({ observedMs: 2 * DAY_MS });
    expect(world.recorded.at(-1)).toBe('drift cleared');
    expect(world.decision.type).toBe('watch');
    expect(world.says('resume').lastRefusal).toContain('reapply');
    world.says('resume', { accept: 'reapply' });
    expect(world.intended).toMatchObject({ cause: 'reapply', share: 0.1 });
    world.applies();
    expect(world.state).toMatchObject({ paused: null, drift: null, phase: 'observing' });
  });

  it('replaces another pause, so that going on takes a reapply', () => {
    const world = givenMigration().reaches('canary').says('pause').watches({ drift: KILLED }).watches();
    expect(world.says('resume').lastRefusal).toContain('reapply');
  });

  it('reapplies above the epoch that got in between', () => {
    const world = givenMigration().reaches('canary').watches({ drift: OVERTAKEN });
    world.says('resume', { accept: 'reapply' });
    expect(world.intended.epoch).toBe(41);
  });

  it('takes no lapsed lease for a confirmation after another hand: its record may be pinned', () => {
    const world = givenMigration().reaches('canary').watches({ drift: OVERTAKEN }).says('rollback');
    expect(world.decision).toMatchObject({ leaseConfirms: false });
  });

  it('pauses when an advance meets it, and overwrites nothing', () => {
    const world = givenMigration().reaches('canary').watches({ observedMs: DAY_MS }).checksHealth();
    world.applies({ confirmed: [], drift: KILLED });
    expect(world.closing.kind).toBe('failed');
    expect(world.state).toMatchObject({ phase: 'observing', paused: { cause: 'drift' }, drift: KILLED });
    expect(world.decision).toMatchObject({ type: 'watch', record: { share: 0.1 } });
  });

  it('remembers what a failed advance may have left behind while drift stops the restoring', () => {
    const world = givenMigration().reaches('rolling').overrides().applies({ confirmed: [], drift: KILLED });
    world.says('rollback');
    expect(world.decision).toMatchObject({ leaseConfirms: false });
  });

  it('pauses when a reapply meets it again, rather than rolling back', () => {
    const world = givenMigration().reaches('canary').watches({ drift: OVERTAKEN });
    world
      .says('resume', { accept: 'reapply' })
      .applies({ confirmed: [], drift: { ...OVERTAKEN, epoch: 50 } });
    expect(world.state).toMatchObject({ phase: 'observing', paused: { cause: 'drift' } });
    expect(world.says('resume', { accept: 'reapply' }).intended.epoch).toBe(51);
  });

  it('watches a kill latch in assess, where nothing else would see it cleared', () => {
    const world = givenMigration().reads().applies({ drift: KILLED });
    expect(world.stage).toBe('assess');
    expect(world.decision).toMatchObject({ type: 'watch', record: { share: 0 } });
    expect(world.says('resume', { accept: 'reapply' }).lastRefusal).toContain('--clear');
    world.watches({ verdict: { outcome: 'pass' } });
    expect(world.state.stage.verdict).toBeNull();
    world.says('resume', { accept: 'reapply' }).applies();
    expect(world.decision.type).toBe('assess');
  });

  describe('silence is not good news', () => {
    const killedAt = (gateway: string) => ({ ...KILLED, gateway });

    it('keeps a latch whose gateway no longer answers, and refuses a reapply', () => {
      const world = givenMigration().reaches('canary').watches({ drift: KILLED });
      world.watches({ answered: ['gw-b'], observedMs: HOUR_MS });
      expect(world.recorded).not.toContain('drift cleared');
      expect(world.says('resume', { accept: 'reapply' }).lastRefusal).toContain(
        'the kill switch of gw-a is set',
      );
      expect(world.state.stage.observedMs).toBe(0);
    });

    it('keeps the latch of a silent gateway while that of another is cleared', () => {
      const world = givenMigration().reaches('canary');
      world.watches({ drifts: [KILLED, killedAt('gw-b')] });
      expect(world.recorded.filter((what) => what === 'drift')).toHaveLength(2);
      world.watches({ answered: ['gw-a'] });
      expect(world.says('resume', { accept: 'reapply' }).lastRefusal).toContain(
        'the kill switch of gw-b is set',
      );
      world.watches();
      expect(world.says('resume', { accept: 'reapply' }).intended.cause).toBe('reapply');
    });

    it('keeps any other drift whose gateway no longer answers', () => {
      const world = givenMigration().reaches('canary').watches({ drift: OVERTAKEN });
      expect(world.watches({ answered: ['gw-b'] }).state.drift).toEqual(OVERTAKEN);
      expect(world.watches().state.drift).toBeNull();
    });

    it('says that a latch was cleared, and waits for a reapply all the same', () => {
      const world = givenMigration().reaches('canary').watches({ drift: KILLED }).watches();
      expect(world.state.drift).toMatchObject({ kind: 'kill latch', kill: null });
      expect(world.recorded.at(-1)).toBe('drift cleared');
      expect(world.watches().recorded.filter((what) => what === 'drift cleared')).toHaveLength(1);
      world.watches({ drift: KILLED });
      expect(world.recorded.filter((what) => what === 'drift')).toHaveLength(2);
    });

    it('asks nobody to clear the latch of a gateway that has left, but still for a reapply', () => {
      const world = givenMigration().reaches('canary').watches({ drift: KILLED });
      world.watches({ answered: ['gw-b'], left: ['gw-a'] });
      expect(world.says('resume').lastRefusal).toContain('reapply');
      expect(world.says('resume', { accept: 'reapply' }).intended.cause).toBe('reapply');
    });

    it('applies no share above 0 under a latch that is known, a lower one included', () => {
      const world = givenMigration().reaches('rolling').watches({ drift: KILLED });
      expect(world.says('rollback', { to: 'previous' }).lastRefusal).toContain('nothing above 0% is applied');
      expect(rollbackEligibilityOf(world.state).targets.map(({ share }) => share)).toEqual([0]);
      expect(world.says('rollback').state.phase).toBe('rolling back');
    });
  });

  it('takes a window of a worker that says no highest epoch', () => {
    const world = givenMigration().reaches('canary');
    const { epoch } = world.state;
    world.watches({ highestEpoch: undefined as never });
    expect(world.state.epoch).toBe(epoch);
    expect(givenMigration().reads({ highestEpoch: undefined as never }).intended.epoch).toBe(1);
  });

  it('pushes a gateway that is merely behind: an event, no drift', () => {
    const world = givenMigration().reaches('canary');
    world.watches({ lapses: [{ gateway: 'gw-b', what: 'it held epoch 1, ours is 2' }] });
    expect(world.recorded.at(-1)).toBe('lapse');
    expect(world.state).toMatchObject({ drift: null, paused: null });
  });
});

describe('the roster', () => {
  it('takes in a gateway that was discovered and lets one go that left', () => {
    const world = givenMigration().reaches('canary');
    world.watches({ discovered: aRoster(['gw-c']), left: ['gw-a'] });
    expect(world.state.roster.map(({ name }) => name)).toEqual(['gw-b', 'gw-c']);
    expect(world.checkpoints.at(-1)).toMatchObject({ what: 'roster', reason: 'gw-c joined, gw-a left' });
    world.says('rollback').applies();
    expect(world.closing.gateways).toEqual(['gw-b', 'gw-c']);
  });

  it('keeps a gateway that may hold a pinned record', () => {
    const world = givenMigration()
      .reaches('complete')
      .watches({ left: ['gw-a'] });
    expect(world.state.roster).toHaveLength(2);
  });
});

describe('law 10: final states leave the routing explicit', () => {
  it('rejects when assess says no, with share 0 in effect', () => {
    const world = givenMigration()
      .reaches('assess')
      .assesses({ outcome: 'fail', blockers: ['no gpt-4o'] });
    expect(world.state.outcome).toBe('rejected');
    expect(world.checkpoints.at(-1)?.reason).toContain('no gpt-4o');
    expect(world.share).toBe(0);
  });

  it('stays rolling back, with the missing gateways named, until all have confirmed', () => {
    const world = givenMigration()
      .reaches('complete')
      .says('rollback')
      .applies({ confirmed: ['gw-a'] });
    for (let attempt = 0; attempt < 50; attempt += 1) world.applies({ confirmed: [], lapsed: ['gw-b'] });
    expect(world.state.phase).toBe('rolling back');
    expect(world.decision).toMatchObject({ missing: ['gw-b'], leaseConfirms: false });
    expect(world.applies({ confirmed: ['gw-b'] }).state.outcome).toBe('rolled back');
  });

  it('retries an apply that failed for good', () => {
    const world = givenMigration().reaches('canary').says('rollback');
    world.event({ type: 'activity failed', what: 'apply routing', message: 'bug', key: world.decision.key });
    expect(world.decision.type).toBe('wait');
    expect(world.goesOn().decision.type).toBe('apply routing');
  });

  it('changes nothing after the end', () => {
    const world = givenMigration().reaches('canary').says('rollback').applies();
    const before = world.state;
    world
      .says('emergencyRollback')
      .says('pause')
      .watches()
      .applies()
      .timePasses(DAY_MS)
      .event({ type: 'cancelled' });
    expect(world.state).toBe(before);
  });
});

describe('the salt', () => {
  it('is replaced when it splits the traffic of legacy unevenly', () => {
    const world = givenMigration().reaches('assess').assesses({ saltBalanced: false }, 'salt-2');
    expect(world.intended.cause).toBe('new salt');
    expect(world.decision).toMatchObject({ record: { salt: 'salt-2', share: 0 } });
    expect(world.applies().decision.type).toBe('assess');
  });

  it('is not replaced for ever: the assessment becomes inconclusive', () => {
    const world = givenMigration().reaches('assess');
    for (let salt = 0; salt < 3; salt += 1) world.assesses({ saltBalanced: false }).applies();
    world.assesses({ saltBalanced: false });
    expect(world.state.stage.verdict).toMatchObject({ outcome: 'inconclusive' });
    expect(world.decision.type).toBe('wait');
  });
});

describe('handover', () => {
  it('keeps watching, and closes when every gateway is settled', () => {
    const world = givenMigration().reaches('complete').watches({ observedMs: DAY_MS });
    expect(world.state.phase).toBe('handover');
    expect(world.decision).toMatchObject({ type: 'watch', handover: true });
    expect(world.watches({ settled: ['gw-a'] }).state.phase).toBe('handover');
    expect(world.watches({ settled: ['gw-a', 'gw-b'] }).state.outcome).toBe('completed');
  });

  it('rolls back by itself when the candidate harms', () => {
    const world = givenMigration().reaches('complete').watches({ observedMs: DAY_MS });
    world.watches({ verdict: { harm: 'floor', outcome: 'fail' }, settled: ['gw-a', 'gw-b'] });
    expect(world.decision).toMatchObject({ record: { share: 0 }, leaseConfirms: false });
  });

  it('does not close while it is paused or drifted, nor asks the watch to look for it', () => {
    const settled = ['gw-a', 'gw-b'];
    const paused = givenMigration().reaches('complete').watches({ observedMs: DAY_MS }).says('pause');
    expect(paused.decision).toMatchObject({ handover: false });
    expect(paused.watches({ settled }).state.phase).toBe('handover');
    expect(paused.says('resume').decision).toMatchObject({ handover: true });
    const drifted = givenMigration().reaches('complete').watches({ observedMs: DAY_MS });
    expect(drifted.watches({ settled, drift: KILLED }).state.phase).toBe('handover');
  });

  it('is entered at once by promote, pre-empting the window that runs', () => {
    const world = givenMigration().reaches('complete').watches({ observedMs: HOUR_MS });
    const { key } = world.decision;
    world.says('promote', { stage: 'complete' });
    expect(world.state.phase).toBe('handover');
    expect(world.decision.key).not.toBe(key);
  });
});

describe('stale results', () => {
  it('ignores a window of another epoch', () => {
    const world = givenMigration().reaches('canary');
    const before = world.state;
    expect(world.watches({ epoch: 1, observedMs: DAY_MS }).state).toBe(before);
  });

  it('ignores what a watch saw while a change of routing is under way', () => {
    const world = givenMigration().reaches('canary').says('rollback');
    const before = world.state;
    expect(world.watches({ verdict: { harm: 'errors' } }).state).toBe(before);
  });

  it('drops evidence of another epoch instead of failing', () => {
    const world = givenMigration().reaches('canary');
    const evidence = noStageEvidence(1);
    expect(() => world.watches({ evidence, observedMs: HOUR_MS })).not.toThrow();
    expect(world.state.stage.observedMs).toBe(HOUR_MS);
  });

  it('lets a failure of work that was pre-empted delay nothing', () => {
    const world = givenMigration().reaches('canary');
    const { key } = world.decision;
    world.says('rollback').event({ type: 'activity failed', what: 'watch', message: 'cancelled', key });
    expect(world.decision.type).toBe('apply routing');
    const raise = givenMigration().reaches('canary').overrides();
    const raiseKey = raise.decision.key;
    raise.says('rollback');
    raise.event({ type: 'activity failed', what: 'apply routing', message: 'cancelled', key: raiseKey });
    expect(raise.decision.type).toBe('apply routing');
  });

  it('ignores a second reading', () => {
    const world = givenMigration().reads({ highestEpoch: 3 });
    const before = world.state;
    expect(world.reads({ highestEpoch: 90 }).state).toBe(before);
  });
});

it('decides purely: the same state and time give the same decision', () => {
  const world = givenMigration().reaches('rolling');
  expect(nextDecision(world.state, world.nowMs)).toEqual(nextDecision(world.state, world.nowMs));
  const event = { type: 'time passed', atMs: world.nowMs } as const;
  expect(transition(world.state, event)).toEqual(transition(world.state, event));
});

describe('a start over a route that is settled on the candidate', () => {
  const settled = ['gw-b'];

  it('is refused by name, and applies nothing', () => {
    const world = givenMigration().reads({ settled, unreachable: ['gw-a'] });
    expect(world.state).toMatchObject({ phase: 'closed', outcome: 'rejected', pending: null });
    expect(world.checkpoints).toMatchObject([
      {
        kind: 'recorded',
        what: 'rejected',
        reason: expect.stringMatching(/at gw-b.*start chat --move-back/),
      },
    ]);
  });

  it('moves its traffic back where that was asked for', () => {
    const world = givenMigration();
    world.state = { ...world.state, moveBack: true };
    expect(world.reads({ settled }).decision).toMatchObject({ type: 'apply routing', record: { share: 0 } });
  });
});

describe('a migration that is taken back before it has read its gateways', () => {
  const takenBack: [string, (world: MigrationWorld) => MigrationWorld][] = [
    ['by a rollback', (world) => world.says('rollback')],
    ['by a cancellation', (world) => world.event({ type: 'cancelled' })],
    ['by both, and then an emergency', (world) => world.says('rollback').says('emergencyRollback')],
  ];

  it.each(takenBack)('moves nothing where the route is settled on the candidate, %s', (_, takeBack) => {
    const world = takeBack(givenMigration());
    expect(world.state.pending).toMatchObject({ record: { share: 0 }, sparesSettled: true });
    world.applies({ confirmed: [], missing: ['gw-a', 'gw-b'], settled: ['gw-b'] });
    expect(world.state).toMatchObject({
      phase: 'closed',
      outcome: 'rejected',
      pending: null,
      inEffect: null,
    });
    expect(world.closing).toMatchObject({ kind: 'failed', gateways: [] });
    expect(world.closing.reason).toContain('settled on the candidate at gw-b');
  });

  it('applies share 0 where it is not, and where moving it back was asked for', () => {
    expect(givenMigration().says('rollback').applies().state.outcome).toBe('rolled back');
    const world = givenMigration();
    world.state = { ...world.state, moveBack: true };
    expect(world.says('rollback').state.pending?.sparesSettled).toBeUndefined();
  });

  it('spares nothing once anything was applied', () => {
    expect(givenMigration().reads().says('rollback').state.pending?.sparesSettled).toBeUndefined();
    const canary = givenMigration().reaches('canary').says('rollback');
    expect(canary.state.pending?.sparesSettled).toBeUndefined();
  });
});

describe('gateways that do not answer', () => {
  it('are named with the reason while a start waits for them', () => {
    const unreachableBecause = { 'gw-a': 'unauthorized: expected the admin token' };
    const world = givenMigration().reads({ unreachable: ['gw-a'], unreachableBecause });
    expect(world.state.retry?.reason).toContain('gw-a (unauthorized: expected the admin token)');
  });

  it('are named after each window, until they answer again', () => {
    const world = givenMigration()
      .reaches('canary')
      .watches({ answered: ['gw-b'] });
    expect(world.state.unreachable).toEqual(['gw-a']);
    expect(world.watches({ answered: ['gw-a', 'gw-b'] }).state.unreachable).toEqual([]);
  });

  it('are named with what they said, also where a window was refused', () => {
    const unansweredBecause = { 'gw-a': 'unauthorized: expected the admin token' };
    const world = givenMigration()
      .reaches('canary')
      .watches({ answered: ['gw-b'], unansweredBecause });
    expect(withReasons(statusOf(world.state, world.nowMs))).toBe(
      'gw-a (unauthorized: expected the admin token)',
    );
  });
});
