import { type Command, isBadMessage, readCommand } from '../../../src/core/migration/command';
import { refusalOf, repeatedUpdate, updateRefusal } from '../../../src/core/migration/command-handling';
import { DAY_MS, HOUR_MS } from '../../../src/core/text/duration';
import { givenMigration, KILLED, OVERTAKEN } from '../../support/migrations/migration-world';

function command(name: Parameters<typeof readCommand>[0], payload: unknown = {}): Command {
  const read = readCommand(name, payload);
  if (isBadMessage(read)) throw new Error(read.problem);
  return read;
}

describe('promote', () => {
  it('leaves a stage that has passed, before its soak is over, after a health check', () => {
    const world = givenMigration().reaches('canary').watches({ observedMs: HOUR_MS });
    world.says('promote', { stage: 'canary', by: 'ana', commandId: 'c-1' });
    expect(world.decision.type).toBe('check health');
    world.checksHealth();
    expect(world.intended).toMatchObject({ cause: 'advance', by: 'ana', commandId: 'c-1', share: 0.5 });
  });

  it.each([
    ['names the wrong stage', { stage: 'rolling' }, 'expected the current stage "canary", got "rolling"'],
    [
      'comes without a pass',
      { stage: 'canary' },
      'expected a pass, got not evaluated: no window has ended yet',
    ],
  ])('is refused when it %s', (_name, payload, message) => {
    const world = givenMigration().reaches('canary').says('promote', payload);
    expect(world.lastRefusal).toBe(message);
    expect(world.state.promotion).toBeNull();
  });

  it('tells the sentence of the verdict that is no pass', () => {
    const world = givenMigration().reaches('canary');
    world.watches({
      verdict: { outcome: 'inconclusive', sentence: 'canary is inconclusive: 12 of 400 requests' },
    });
    expect(world.says('promote', { stage: 'canary' }).lastRefusal).toBe(
      'expected a pass, got inconclusive: 12 of 400 requests',
    );
  });

  it('is refused while paused, drifted, applying, promoting already, or in handover', () => {
    const canary = () => givenMigration().reaches('canary').watches();
    const promote = { stage: 'canary' };
    expect(canary().says('pause').says('promote', promote).lastRefusal).toContain('resume it first');
    expect(canary().watches({ drift: KILLED }).says('promote', promote).lastRefusal).toContain(
      'drift at gw-a',
    );
    expect(canary().overrides().says('promote', promote).lastRefusal).toContain('applying');
    expect(canary().says('promote', promote).says('promote', promote).lastRefusal).toContain(
      'already under way',
    );
    const handover = givenMigration().reaches('complete').watches({ observedMs: DAY_MS });
    expect(handover.says('promote', { stage: 'complete' }).lastRefusal).toContain('handover');
  });

  it('with an override needs no pass, records who and why, and works while paused', () => {
    const world = givenMigration().reaches('canary').says('pause').overrides();
    expect(
      world.checkpoints.find((entry) => entry.kind === 'recorded' && entry.what === 'override'),
    ).toMatchObject({
      by: 'ana',
      reason: 'we know better',
    });
    expect(world.decision).toMatchObject({ type: 'apply routing', record: { share: 0.5 } });
    expect(world.applies().state.paused).not.toBeNull();
  });

  it('with an override is refused on a checkpoint that is no longer in effect', () => {
    const world = givenMigration().reaches('canary');
    const stale = world.state.inEffect?.checkpoint;
    world.watches({ drift: OVERTAKEN }).says('resume', { accept: 'reapply' }).applies();
    world.says('promote', { stage: 'canary', override: true, by: 'ana', reason: 'go', checkpoint: stale });
    expect(world.lastRefusal).toContain('look again before you override');
    expect(world.state.pending).toBeNull();
  });

  it('with an override takes either number of the checkpoint in effect', () => {
    for (const pick of ['seq', 'closes'] as const) {
      const world = givenMigration().reaches('canary');
      const checkpoint = world.closing[pick];
      world.says('promote', { stage: 'canary', override: true, by: 'ana', reason: 'go', checkpoint });
      expect(world.state.phase).toBe('applying');
    }
  });

  it('with an override is refused while drifted', () => {
    const world = givenMigration().reaches('canary').watches({ drift: KILLED }).overrides();
    expect(world.lastRefusal).toContain('drift');
  });

  it('leaves a held stage', () => {
    const world = givenMigration()
      .reaches('canary')
      .elapse(4 * DAY_MS);
    world
      .watches({ verdict: { outcome: 'inconclusive' } })
      .watches()
      .says('promote', { stage: 'canary' });
    expect(world.decision.type).toBe('check health');
  });

  it('enters the handover from the last stage', () => {
    const world = givenMigration().reaches('complete').watches().says('promote', { stage: 'complete' });
    expect(world.state.phase).toBe('handover');
  });
});

describe('pause and resume', () => {
  it('pauses during a health check, so that nothing is raised after it', () => {
    const world = givenMigration()
      .reaches('canary')
      .watches({ observedMs: DAY_MS })
      .says('pause')
      .checksHealth();
    expect(world.state.pending).toBeNull();
    expect(world.decision.type).toBe('watch');
  });

  it('accepts a second pause without another entry', () => {
    const world = givenMigration().reaches('canary').says('pause', { commandId: 'c-1' });
    const { length } = world.checkpoints;
    world.says('pause', { commandId: 'c-2' });
    expect(world.checkpoints).toHaveLength(length);
    expect(world.state.seen.at(-1)).toMatchObject({
      accepted: true,
      message: 'already paused',
      checkpoint: null,
    });
  });

  it('keeps a pause from before the first reading until it is resumed', () => {
    const world = givenMigration().says('pause').reads().applies();
    expect(world.decision).toMatchObject({ type: 'wait', why: 'paused' });
    expect(world.says('resume').decision.type).toBe('assess');
  });

  it('lets a change of routing that is under way come to its end', () => {
    const world = givenMigration().reaches('canary').overrides().says('pause');
    expect(world.decision.type).toBe('apply routing');
    expect(world.applies().state.paused).not.toBeNull();
  });

  it('resumes into the health check when the stage has passed meanwhile', () => {
    const world = givenMigration()
      .reaches('canary')
      .says('pause')
      .watches({ observedMs: DAY_MS })
      .says('resume');
    expect(world.decision.type).toBe('check health');
  });

  it('is told what to do instead when there is nothing to resume', () => {
    const world = givenMigration().reaches('canary').says('resume');
    expect(world.lastRefusal).toBe('the migration is not paused');
    world
      .elapse(4 * DAY_MS)
      .watches({ verdict: { outcome: 'inconclusive' } })
      .says('resume');
    expect(world.lastRefusal).toContain('held at its deadline: reevaluate or promote it');
  });

  it('refuses to go on under a kill latch, whatever is accepted', () => {
    const world = givenMigration().reaches('canary').watches({ drift: KILLED });
    world.says('resume', { accept: 'reapply' });
    expect(world.lastRefusal).toContain('only cutover kill --clear clears it');
    expect(world.state.pending).toBeNull();
  });

  it('reapplies after lapses where that is asked for', () => {
    const lapses = [{ gateway: 'gw-b', what: 'its lease had lapsed' }];
    const world = givenMigration()
      .reaches('canary')
      .watches({ lapses })
      .watches({ lapses })
      .watches({ lapses });
    expect(world.says('resume', { accept: 'reapply' }).intended.cause).toBe('reapply');
  });

  it('refuses a reapply while a change of routing is under way', () => {
    const world = givenMigration()
      .reaches('canary')
      .says('pause')
      .overrides()
      .says('resume', { accept: 'reapply' });
    expect(world.lastRefusal).toContain('a change of routing is under way');
  });

  it('starts the stage anew after a reapply in handover', () => {
    const world = givenMigration()
      .reaches('complete')
      .watches({ observedMs: DAY_MS })
      .watches({ drift: OVERTAKEN });
    world.says('resume', { accept: 'reapply' }).applies();
    expect(world.state).toMatchObject({ phase: 'observing', stage: { observedMs: 0 } });
    expect(world.stage).toBe('complete');
  });
});

describe('reevaluate', () => {
  it('ends the window at once and judges again, which a hold does not outlive on a pass', () => {
    const world = givenMigration()
      .reaches('canary')
      .elapse(4 * DAY_MS);
    world.watches({ verdict: { outcome: 'inconclusive' }, observedMs: DAY_MS });
    const { key } = world.decision;
    world.says('reevaluate');
    expect(world.decision).toMatchObject({ type: 'watch', windowMs: 0 });
    expect(world.decision.key).not.toBe(key);
    expect(world.watches().decision.type).toBe('check health');
  });

  it('is held again when it still has not passed', () => {
    const world = givenMigration()
      .reaches('canary')
      .elapse(4 * DAY_MS);
    const inconclusive = { verdict: { outcome: 'inconclusive' as const } };
    world.watches(inconclusive).says('reevaluate').watches(inconclusive);
    expect(world.state.stage.held).not.toBeNull();
    expect(world.recorded.filter((what) => what === 'held')).toHaveLength(2);
  });

  it('takes a waiting promotion back', () => {
    const world = givenMigration()
      .reaches('canary')
      .watches({ observedMs: DAY_MS })
      .says('reevaluate')
      .checksHealth();
    expect(world.state.pending).toBeNull();
  });

  it('assesses again at once, also while paused', () => {
    const world = givenMigration().reaches('assess').assesses({ outcome: 'inconclusive' }).says('pause');
    expect(world.says('reevaluate').decision.type).toBe('assess');
    expect(world.assesses().decision).toMatchObject({ type: 'wait', why: 'paused' });
  });

  it('is refused where nothing is judged', () => {
    expect(givenMigration().says('reevaluate').lastRefusal).toBe(
      'nothing is judged while the migration is reading',
    );
  });
});

describe('finish', () => {
  it('closes a migration in handover, with its reason', () => {
    const world = givenMigration().reaches('complete').watches({ observedMs: DAY_MS });
    world.says('finish', { by: 'ana', reason: 'configuration follows on Monday' });
    expect(world.state.outcome).toBe('completed');
    expect(world.checkpoints.at(-1)?.reason).toBe('finished by ana: configuration follows on Monday');
  });

  it('is refused before the handover', () => {
    const world = givenMigration().reaches('complete').says('finish', { reason: 'bored' });
    expect(world.lastRefusal).toContain('expected the handover, got observing');
    expect(world.state.outcome).toBeNull();
  });
});

describe('command ids', () => {
  it('carries a command out once', () => {
    const world = givenMigration()
      .reaches('rolling')
      .says('rollback', { to: 'previous', commandId: 'c-1' })
      .applies();
    const before = world.state;
    expect(world.says('rollback', { to: 'previous', commandId: 'c-1' }).state).toBe(before);
    expect(repeatedUpdate(before, command('rollback', { to: 'previous', commandId: 'c-1' }))).toEqual({
      accepted: true,
      message: 'rolling back to 10%',
      checkpoint: world.intended.seq,
    });
  });

  it.each([
    ['another command', 'resume', {}],
    ['the same with another target', 'promote', { stage: 'rolling' }],
    ['an order that could be carried out', 'reevaluate', {}],
  ] as const)(
    'refuse %s, which is kept among the bad messages and changes nothing',
    (_name, name, payload) => {
      const world = givenMigration().reaches('canary').says('pause', { commandId: 'x' });
      if (name === 'promote') world.says('promote', { stage: 'canary', commandId: 'y' });
      const commandId = name === 'promote' ? 'y' : 'x';
      const { badMessages: _bad, ...before } = world.state;
      expect(updateRefusal(world.state, command(name, { ...payload, commandId }))).toContain(
        `expected a new commandId, got "${commandId}"`,
      );
      world.says(name, { ...payload, commandId });
      const { badMessages, ...after } = world.state;
      expect(after).toEqual(before);
      expect(badMessages).toMatchObject({
        count: 1,
        last: [{ name, arrived: expect.stringContaining(name) }],
      });
      expect(badMessages.last[0]?.problem).toContain('which was used for {"name":');
    },
  );

  it('never drop a rollback to share 0: an id that was used for another one is noted beside it', () => {
    const world = givenMigration().reaches('rolling');
    world.says('rollback', { to: 'previous', commandId: 'x' }).applies();
    expect(updateRefusal(world.state, command('rollback', { commandId: 'x' }))).toBeNull();
    world.says('rollback', { commandId: 'x' });
    expect(world.decision).toMatchObject({ type: 'apply routing', record: { share: 0 } });
    expect(world.state.badMessages.last[0]?.problem).toContain('{"name":"rollback","to":"previous"}');
    expect(world.state.seen.filter(({ commandId }) => commandId === 'x')).toMatchObject([
      { message: 'rolling back to 0%' },
    ]);
  });

  it('are the same command whoever repeats it, and why', () => {
    const world = givenMigration().reaches('canary').says('pause', { by: 'ana', commandId: 'x' });
    world.says('resume', { commandId: 'y' });
    const before = world.state;
    expect(world.says('pause', { by: 'ben', reason: 'again', commandId: 'x' }).state).toBe(before);
  });

  it('keep the last 20 misuses', () => {
    const world = givenMigration().reaches('canary').says('pause', { commandId: 'x' });
    for (let sent = 0; sent < 30; sent += 1) world.says('resume', { commandId: 'x' });
    expect(world.state.badMessages.count).toBe(30);
    expect(world.state.badMessages.last).toHaveLength(20);
  });

  it('bears the id on the checkpoint that follows from it', () => {
    const world = givenMigration()
      .reaches('rolling')
      .says('rollback', { commandId: 'c-9', by: 'ben', reason: 'p95' });
    expect(world.intended).toMatchObject({ commandId: 'c-9', by: 'ben', reason: 'p95', cause: 'rollback' });
  });

  it('keeps the last 200', () => {
    const world = givenMigration().reaches('canary');
    for (let sent = 0; sent < 250; sent += 1) {
      world.says(sent % 2 === 0 ? 'pause' : 'resume', { commandId: `c-${sent}` });
    }
    expect(world.state.seen).toHaveLength(200);
    expect(world.state.seen.at(-1)?.commandId).toBe('c-249');
  });

  it('keeps the last 20 refusals', () => {
    const world = givenMigration().reaches('canary');
    for (let sent = 0; sent < 30; sent += 1) world.says('resume', { by: `p-${sent}` });
    expect(world.state.refusals).toHaveLength(20);
    expect(world.state.refusals.at(-1)?.by).toBe('p-29');
  });
});

describe('updates', () => {
  it('are refused for the reason that a signal would be', () => {
    const { state } = givenMigration().reaches('canary');
    expect(updateRefusal(state, command('resume'))).toBe(refusalOf(state, command('resume')));
    expect(updateRefusal(state, command('pause'))).toBeNull();
  });

  it('are told to follow the rollback that already does all they ask for', () => {
    const world = givenMigration().reaches('rolling').says('rollback');
    expect(updateRefusal(world.state, command('rollback'))).toBe(
      `a rollback to 0% is already under way: follow checkpoint ${world.intended.seq}`,
    );
    expect(updateRefusal(world.state, command('rollback', { to: 'previous' }))).not.toBeNull();
    expect(updateRefusal(world.state, command('emergencyRollback'))).toBeNull();
  });

  it('are answered again when their id was seen', () => {
    const world = givenMigration().reaches('canary').says('resume', { commandId: 'c-1' });
    expect(updateRefusal(world.state, command('resume', { commandId: 'c-1' }))).toBeNull();
    expect(repeatedUpdate(world.state, command('resume', { commandId: 'c-1' }))).toMatchObject({
      accepted: false,
    });
  });

  it('are refused when the migration is closed', () => {
    const { state } = givenMigration().reaches('canary').says('rollback').applies();
    for (const name of ['pause', 'rollback', 'emergencyRollback', 'reevaluate'] as const) {
      expect(updateRefusal(state, command(name))).toBe('the migration is closed: rolled back');
    }
  });
});

describe('the answer to a command', () => {
  const answered = (world: ReturnType<typeof givenMigration>) => world.state.seen.at(-1);

  it('names what came of it, and the checkpoint to follow', () => {
    const world = givenMigration().reaches('canary');
    world.says('pause', { commandId: 'c-1' });
    expect(answered(world)).toMatchObject({
      message: 'pause accepted',
      checkpoint: world.checkpoints.at(-1)?.seq,
    });
    world.says('reevaluate', { commandId: 'c-2' });
    expect(answered(world)).toMatchObject({
      message: 'reevaluate accepted',
      checkpoint: world.checkpoints.at(-1)?.seq,
    });
    world.says('resume', { commandId: 'c-3', accept: 'reapply' });
    expect(answered(world)).toMatchObject({ message: 'resume accepted', checkpoint: world.intended.seq });
    expect(world.state).toMatchObject({ lapses: [], drifts: [], paused: null });
  });

  it('of an emergency is that of a rollback', () => {
    const world = givenMigration().reaches('canary').says('emergencyRollback', { commandId: 'c-1' });
    expect(answered(world)).toMatchObject({ message: 'rolling back to 0%', checkpoint: world.intended.seq });
    world.says('emergencyRollback', { commandId: 'c-2' });
    expect(answered(world)).toMatchObject({
      message: 'a rollback to 0% is already under way',
      checkpoint: world.intended.seq,
    });
  });

  it('to a promotion stands for the reason that was given, else for that of the verdict', () => {
    const promoted = (reason?: string) =>
      givenMigration()
        .reaches('canary')
        .watches({ verdict: { sentence: 'errors are alike' } })
        .says('promote', { stage: 'canary', ...(reason === undefined ? {} : { reason }) })
        .checksHealth().intended.reason;
    expect(promoted('it looks well')).toBe('it looks well');
    expect(promoted()).toBe('errors are alike');
  });

  it('to an override says which checkpoint is in effect', () => {
    const world = givenMigration().reaches('canary');
    const inEffect = world.state.inEffect?.checkpoint;
    world.says('promote', { stage: 'canary', override: true, by: 'ana', reason: 'go', checkpoint: 999 });
    expect(world.lastRefusal).toBe(
      `expected the checkpoint in effect (${inEffect}), got 999: look again before you override`,
    );
  });
});

describe('a resume', () => {
  it('while a change of routing is under way lets the next stage advance by itself', () => {
    const world = givenMigration().reaches('canary').says('pause').overrides().says('resume');
    expect(world.state).toMatchObject({ phase: 'applying', paused: null });
  });

  it('takes a reapply for drift that is gone by now', () => {
    const world = givenMigration().reaches('canary').watches({ drift: OVERTAKEN }).watches();
    expect(world.state.drift).toBeNull();
    expect(world.says('resume').lastRefusal).toContain('the routing was changed by someone else');
    expect(world.says('resume', { accept: 'reapply' }).intended.cause).toBe('reapply');
  });

  it('forgets what was known of another hand once its share is applied again', () => {
    const world = givenMigration().reaches('canary').watches({ drift: OVERTAKEN });
    expect(world.says('resume', { accept: 'reapply' }).state).toMatchObject({ drift: null, drifts: [] });
  });

  it('accepts nothing of what is counted where an operator paused', () => {
    const world = givenMigration().reaches('canary').says('pause').says('resume');
    expect(world.state.stage).not.toHaveProperty('accepted');
  });
});

describe('a rollback', () => {
  it('to the previous checkpoint is one to share 0 where nothing has moved yet', () => {
    for (const world of [givenMigration(), givenMigration().reaches('assess')]) {
      world.says('rollback', { to: 'previous' });
      expect(world.intended).toMatchObject({ stage: 'assess', share: 0, cause: 'rollback' });
      expect(world.applies().state.outcome).toBe('rolled back');
    }
  });

  it('that is asked for once more, to the same share, is accepted and changes nothing', () => {
    const world = givenMigration().reaches('rolling').says('rollback', { to: 'previous' });
    const { length } = world.checkpoints;
    world.says('rollback', { to: 'previous', commandId: 'c-1' });
    expect(world.state.refusals).toEqual([]);
    expect(world.checkpoints).toHaveLength(length);
    const message = `a rollback to 10% is already under way: follow checkpoint ${world.intended.seq}`;
    expect(updateRefusal(world.state, command('rollback', { to: 'previous' }))).toBe(message);
    expect(updateRefusal(world.state, command('rollback'))).toBeNull();
  });

  it('to an archived checkpoint is refused as such, up to the last of them', () => {
    const world = givenMigration().reaches('canary');
    world.state = { ...world.state, archived: { ...world.state.archived, count: 3 } };
    expect(world.says('rollback', { to: 3 }).lastRefusal).toContain(
      'checkpoint 3 is archived and cannot be a target',
    );
    expect(world.says('rollback', { to: 6 }).lastRefusal).toContain('checkpoint 6 never took effect');
  });

  it('above share 0 is refused under the id of another command, as everything else is', () => {
    for (const to of ['previous', 999]) {
      const world = givenMigration().reaches('rolling').says('pause', { commandId: 'x' });
      const { length } = world.checkpoints;
      world.says('rollback', { to, commandId: 'x' });
      expect(world.state).toMatchObject({ phase: 'observing', refusals: [], badMessages: { count: 1 } });
      expect(world.checkpoints).toHaveLength(length);
    }
  });

  it('under the id of another command takes its place', () => {
    const world = givenMigration().reaches('rolling').says('pause', { commandId: 'x' });
    world.says('emergencyRollback', { commandId: 'x' });
    expect(world.state.seen).toMatchObject([{ commandId: 'x', name: 'emergencyRollback' }]);
  });

  it('that was refused is carried out when it is sent again and nothing stands against it any more', () => {
    const world = givenMigration().reaches('rolling').watches({ drift: KILLED });
    const again = { to: 'previous', commandId: 'x' };
    expect(world.says('rollback', again).lastRefusal).toContain('nothing above 0% is applied');
    expect(repeatedUpdate(world.state, command('rollback', again))).toBeNull();
    expect(world.watches().says('rollback', again).state.phase).toBe('rolling back');
    expect(world.state.seen).toHaveLength(1);
  });
});
