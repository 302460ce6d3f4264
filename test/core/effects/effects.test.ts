import type { EffectMoment } from '../../../src/core/effects/effect';
import { isOpen } from '../../../src/core/effects/effect-run';
import { dueRuns, runsOf } from '../../../src/core/effects/effect-runs';
import { statusOf } from '../../../src/core/migration/status';
import { coveredBy, exportRecord, recordHash } from '../../../src/core/record/record-chain';
import { DAY_MS, HOUR_MS } from '../../../src/core/text/duration';
import { effectEvent } from '../../support/migrations/migration-steps';
import { aPlan, MigrationWorld, OVERTAKEN } from '../../support/migrations/migration-world';

interface Asked {
  readonly effects?: Readonly<Record<string, readonly string[]>>;
  readonly confirm?: Readonly<Record<string, readonly string[]>>;
  readonly notify?: readonly { readonly name: string; readonly moments?: readonly EffectMoment[] }[];
}

function given({ effects = {}, confirm = {}, notify = [] }: Asked): MigrationWorld {
  const plan = aPlan();
  const stages = plan.stages.map((stage) => ({
    ...stage,
    effects: (effects[stage.name] ?? []).map((name) => ({ name, set: { share: stage.share } })),
    confirm: confirm[stage.name] ?? [],
  }));
  return new MigrationWorld({ ...plan, stages, notify });
}

const BOTH = { effects: { canary: ['dns', 'flag'], rolling: ['flag'] } };

/** Does what is due, well, until nothing is. */
function settle(world: MigrationWorld, rounds = 50): MigrationWorld {
  for (let round = 0; round < rounds; round += 1) {
    const [run] = dueRuns(world.state);
    if (run === undefined) return world;
    if (run.purpose === 'apply' && run.status === 'waiting') world.event(effectEvent(run, 'captured'));
    else world.event(effectEvent(run, 'ended'));
  }
  throw new Error('expected the effects to settle');
}

function due(world: MigrationWorld): string[] {
  return dueRuns(world.state).map(({ purpose, effect, key }) => `${purpose} ${effect.name} ${key}`);
}

it('does the effects of a stage once it is in effect, first what was there, then what is asked', () => {
  const world = given(BOTH);
  world.goesOnUntil('applying canary', () => world.state.pending?.record.stage === 'canary');
  expect(dueRuns(world.state)).toEqual([]);
  world.applies();
  const entered = world.closing.seq;
  expect(due(world)).toEqual([`apply dns m-1:${entered + 1}:dns`, `apply flag m-1:${entered + 2}:flag`]);
  expect(world.recorded.slice(-2)).toEqual(['effect intended', 'effect intended']);
  const [dns] = dueRuns(world.state);
  if (dns === undefined) throw new Error('expected an effect');
  world.event(effectEvent(dns, 'captured'));
  expect(runsOf(world.state)[0]).toMatchObject({ status: 'captured', captured: 'before' });
  world.event(effectEvent(dns, 'ended'));
  expect(world.recorded.at(-1)).toBe('effect took effect');
});

it('does not leave a stage before its effects are done', () => {
  const world = given(BOTH).reaches('canary').watches({ observedMs: DAY_MS });
  expect(world.decision.type).toBe('watch');
  expect(statusOf(world.state, world.nowMs).doing).toBe('watching; waiting for the effects dns, flag');
  expect(settle(world).decision.type).toBe('check health');
});

it('puts everything back, last first, when a rollback has been pushed, whoever is still missing', () => {
  const world = settle(given(BOTH).reaches('canary')).watches({ observedMs: DAY_MS });
  settle(world.checksHealth().applies());
  world.says('rollback', { by: 'ana' });
  expect(dueRuns(world.state)).toEqual([]);
  world.applies({ confirmed: ['gw-a'] });
  expect(world.state.phase).toBe('rolling back');
  const restores = runsOf(world.state).filter(({ purpose }) => purpose === 'restore');
  expect(restores.map(({ about, effect }) => `${effect.name} ${about.moment}`)).toEqual([
    'flag rolled back',
    'flag rolled back',
    'dns rolled back',
  ]);
  expect(restores.map(({ restores: id }) => id)).toEqual([3, 2, 1]);
  expect(dueRuns(world.state)).toHaveLength(1);
  world.applies();
  expect(world.state.outcome).toBe('rolled back');
  expect(statusOf(world.state, world.nowMs).doing).toBe('closed: rolled back; effects are pending');
  settle(world);
  expect(runsOf(world.state).some(isOpen)).toBe(false);
});

it('undoes with a partial rollback only what it leaves behind, not the effects of the stage that it goes back to', () => {
  const world = settle(given(BOTH).reaches('canary')).watches({ observedMs: DAY_MS });
  settle(world.checksHealth().applies()).says('rollback', { to: 'previous' }).applies();
  const restored = runsOf(world.state).flatMap(({ restores, about }) =>
    restores === null ? [] : [about.stage],
  );
  expect(world.stage).toBe('canary');
  expect(runsOf(world.state).filter(({ purpose }) => purpose === 'restore')).toHaveLength(1);
  expect(restored).toHaveLength(1);
  expect(runsOf(world.state).find(({ purpose }) => purpose === 'restore')?.restores).toBe(3);
});

it('undoes what was done long ago, after any number of notifications', () => {
  const world = settle(
    given({ effects: { canary: ['dns'] }, notify: [{ name: 'channel' }] }).reaches('canary'),
  );
  for (let count = 0; count < 40; count += 1) settle(world.says('pause').says('resume'));
  expect(runsOf(world.state).length).toBeLessThan(40);
  world.says('rollback', { by: 'ana' }).applies();
  expect(dueRuns(world.state).map(({ purpose, effect }) => `${purpose} ${effect.name}`)).toContain(
    'restore dns',
  );
});

it('gives no effect of an open migration up, however long its target fails', () => {
  const world = given({ effects: { canary: ['dns'] } }).reaches('canary');
  const [dns] = runsOf(world.state);
  if (dns === undefined) throw new Error('expected an effect');
  for (let day = 0; day < 3; day += 1) world.elapse(DAY_MS).event(effectEvent(dns, 'failed'));
  expect(runsOf(world.state)[0]).toMatchObject({ status: 'waiting', attempts: 3 });
});

it('gives a notification up that tells nothing new any more', () => {
  const world = given({ notify: [{ name: 'channel' }] }).reaches('canary');
  const [told] = dueRuns(world.state);
  if (told === undefined) throw new Error('expected a notification');
  world.elapse(HOUR_MS).event(effectEvent(told, 'failed'));
  expect(runsOf(world.state)[0]?.status).toBe('waiting');
  world.elapse(1).event(effectEvent(told, 'failed'));
  expect(runsOf(world.state)[0]?.status).toBe('given up');
  expect(world.recorded.at(-1)).toBe('effect given up');
});

it('puts back what was captured as null: a flag may have been just that', () => {
  const world = given({ effects: { canary: ['flag'] } }).reaches('canary');
  const [flag] = dueRuns(world.state);
  if (flag === undefined) throw new Error('expected an effect');
  world.event({ type: 'effect captured', id: flag.id, captured: null }).event(effectEvent(flag, 'ended'));
  world.says('rollback', { by: 'ana' }).applies();
  expect(dueRuns(world.state)).toMatchObject([{ purpose: 'restore', captured: null, restores: flag.id }]);
});

it('drops what a rollback finds untouched, and undoes what was captured and may have been done', () => {
  const world = given(BOTH).reaches('canary');
  const [dns] = dueRuns(world.state);
  if (dns === undefined) throw new Error('expected an effect');
  world.event(effectEvent(dns, 'captured')).says('emergencyRollback').applies();
  expect(runsOf(world.state).map(({ purpose, effect, status }) => [purpose, effect.name, status])).toEqual([
    ['apply', 'dns', 'dropped'],
    ['apply', 'flag', 'dropped'],
    ['restore', 'dns', 'waiting'],
  ]);
  // The late answer of the attempt that was cancelled changes nothing.
  const before = world.state;
  world.event(effectEvent(dns, 'ended'));
  expect(world.state).toBe(before);
});

it('tries again with growing pauses, tells of it once, and escalates', () => {
  const notify = [{ name: 'pager', moments: ['escalated'] as const }];
  const world = given({ effects: { canary: ['dns'] }, notify }).reaches('canary');
  const [dns] = runsOf(world.state);
  if (dns === undefined) throw new Error('expected an effect');
  const pauses = [];
  for (let attempt = 0; attempt < 5; attempt += 1) {
    world.event(effectEvent(dns, 'failed'));
    pauses.push((runsOf(world.state)[0]?.dueAtMs ?? 0) - world.nowMs);
  }
  expect(pauses).toEqual([1_000, 2_000, 4_000, 8_000, 16_000]);
  expect(world.recorded.filter((what) => what.startsWith('effect '))).toEqual([
    'effect intended',
    'effect pending',
    'effect escalated',
  ]);
  expect(due(world).at(-1)).toContain('notify pager');
  expect(statusOf(world.state, world.nowMs).effects[0]).toMatchObject({
    name: 'dns',
    attempts: 5,
    lastError: 'no answer',
  });
});

it('escalates at once what a target refuses', () => {
  const world = given({ effects: { canary: ['dns'] } }).reaches('canary');
  const [dns] = runsOf(world.state);
  if (dns === undefined) throw new Error('expected an effect');
  world.event({ type: 'effect failed', id: dns.id, message: 'REFUSED', refused: true });
  expect(world.recorded.at(-1)).toBe('effect escalated');
  world.event({ type: 'effect failed', id: dns.id, message: 'REFUSED', refused: true });
  expect(world.recorded.filter((what) => what === 'effect escalated')).toHaveLength(1);
});

it('lets a restore that keeps failing be passed by, and gives up a day after the end', () => {
  const world = settle(given({ effects: { canary: ['dns', 'flag'] } }).reaches('canary'));
  world.says('rollback', { by: 'ana' }).applies();
  const [flag] = dueRuns(world.state);
  if (flag === undefined) throw new Error('expected a restore');
  expect(dueRuns(world.state)).toHaveLength(1);
  for (let attempt = 0; attempt < 3; attempt += 1) world.event(effectEvent(flag, 'failed'));
  expect(dueRuns(world.state).map(({ effect }) => effect.name)).toEqual(['flag', 'dns']);
  settle(world.elapse(DAY_MS + HOUR_MS).event(effectEvent(flag, 'failed')));
  expect(runsOf(world.state).map(({ status }) => status)).toEqual(['done', 'done', 'given up', 'done']);
  expect(world.recorded).toContain('effect given up');
});

it('tells whoever wants to know, each moment under a key of its own', () => {
  const notify = [{ name: 'channel' }, { name: 'pager', moments: ['rolled back'] as const }];
  const world = settle(given({ notify }).reaches('canary'));
  settle(world.says('pause', { by: 'ana', reason: 'release' }));
  settle(world.says('rollback', { by: 'ana', reason: 'enough' }).applies());
  const told = runsOf(world.state);
  expect(told.map(({ effect, about }) => [effect.name, about.moment, about.by, about.reason])).toEqual([
    ['channel', 'stage entered', 'cutover', 'both providers answer'],
    ['channel', 'paused', 'ana', 'release'],
    ['channel', 'rolled back', 'ana', 'enough'],
    ['pager', 'rolled back', 'ana', 'enough'],
  ]);
  expect(new Set(told.map(({ key }) => key)).size).toBe(told.length);
});

it('asks external gates before a stage, waits for all of them, and holds when one says no', () => {
  const confirm = { rolling: ['board', 'sre'] };
  const world = given({ confirm }).reaches('canary').watches({ observedMs: DAY_MS });
  const [board, sre] = dueRuns(world.state);
  if (board === undefined || sre === undefined) throw new Error('expected two questions');
  world.event(effectEvent(board, 'ended', 'yes'));
  expect(world.decision.type).toBe('watch');
  expect(statusOf(world.state, world.nowMs).doing).toContain('waiting for sre to confirm the next stage');
  world.event(effectEvent(sre, 'ended', 'no'));
  expect(world.state.stage.held?.reason).toContain('sre said no');
  world.watches();
  expect(dueRuns(world.state)).toEqual([]);
  settle(world.says('reevaluate', { by: 'ana' }).watches());
  expect(world.decision.type).toBe('check health');
});

describe('a question belongs to the stage as it was entered', () => {
  const asking = (confirm: Readonly<Record<string, readonly string[]>>) =>
    given({ confirm }).reaches('canary').watches({ observedMs: DAY_MS });

  it('holds nothing with a late no after an override', () => {
    const world = asking({ rolling: ['board'], complete: ['board'] });
    const [question] = dueRuns(world.state);
    if (question === undefined) throw new Error('expected a question');
    world.overrides();
    expect(runsOf(world.state).some(isOpen)).toBe(false);
    world.applies().event(effectEvent(question, 'ended', 'no'));
    expect(world.state.stage.held).toBeNull();
    expect(world.recorded).not.toContain('not confirmed');
    // The next stage asks the same target, which is free.
    world.watches({ observedMs: 2 * DAY_MS });
    expect(dueRuns(world.state)).toMatchObject([{ purpose: 'confirm', about: { stage: 'rolling' } }]);
  });

  it('takes no yes that was given before a reapply, and lets no old question block the new one', () => {
    for (const answered of [true, false]) {
      const world = asking({ rolling: ['board'] });
      const [old] = dueRuns(world.state);
      if (old === undefined) throw new Error('expected a question');
      // In the same moment: what tells the two apart is the entry, not the time.
      world.watches({ drift: OVERTAKEN });
      world.event(effectEvent(old, 'ended', 'yes'));
      if (answered) expect(runsOf(world.state)[0]?.status).toBe('dropped');
      world.says('resume', { accept: 'reapply' }).applies().watches({ observedMs: DAY_MS });
      const [fresh] = dueRuns(world.state);
      expect(fresh?.id).not.toBe(old.id);
      expect(world.decision.type).toBe('watch');
      world.event(effectEvent(old, 'ended', 'yes'));
      expect(world.decision.type).toBe('watch');
      settle(world);
      expect(world.decision.type).toBe('check health');
    }
  });

  it('does not count the yes of an entry that is over', () => {
    const world = asking({ rolling: ['board'] });
    const [board] = dueRuns(world.state);
    if (board === undefined) throw new Error('expected a question');
    world.says('pause').event(effectEvent(board, 'ended', 'yes'));
    world.says('rollback', { to: world.state.inEffect?.checkpoint }).applies().says('resume');
    world.watches({ observedMs: DAY_MS });
    expect(world.decision.type).toBe('watch');
    expect(dueRuns(world.state)).toMatchObject([{ purpose: 'confirm' }]);
  });

  it('leaves nothing open behind a migration that completes', () => {
    const world = given({ confirm: { complete: ['board'] } }).reaches('rolling');
    world.watches({ observedMs: 2 * DAY_MS });
    expect(dueRuns(world.state)).toHaveLength(1);
    world.overrides().applies().watches({ observedMs: DAY_MS });
    world.says('finish', { by: 'ana', reason: 'done' });
    expect(world.state.outcome).toBe('completed');
    expect(runsOf(world.state).some(isOpen)).toBe(false);
  });
});

it('asks others again when the stage has not passed in between', () => {
  const world = given({ confirm: { rolling: ['board'] } })
    .reaches('canary')
    .watches({ observedMs: DAY_MS });
  const [first] = dueRuns(world.state);
  world.watches({ verdict: { outcome: 'inconclusive' } });
  expect(dueRuns(world.state)).toEqual([]);
  world.watches();
  const [second] = dueRuns(world.state);
  expect(second?.key).not.toBe(first?.key);
});

it('gives with each notification a hash that proves the record up to then', () => {
  const world = settle(given({ notify: [{ name: 'channel' }] }).reaches('canary'));
  const told = runsOf(world.state)[0]?.about;
  if (told?.headHash == null) throw new Error('expected a hash');
  const subject = { migrationId: 'm-1', route: 'chat', exportedAt: '2026-01-06T00:00:00.000Z' };
  const text = exportRecord(
    subject,
    world.checkpoints.map((checkpoint) => ({ checkpoint })),
  );
  expect(coveredBy(text, 'm-1', told.headHash)).toEqual({ checkpoints: told.checkpoint, seal: null });
  expect(coveredBy(text, 'm-2', told.headHash)).toBeNull();
  const changed = world.checkpoints.map((entry) =>
    entry.seq === 2 ? { ...entry, atMs: entry.atMs + 1 } : entry,
  );
  expect(recordHash('m-1', changed)).not.toBe(recordHash('m-1', world.checkpoints));
});
