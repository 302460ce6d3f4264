import { approvalRefusal } from '../../../src/core/migration/approval';
import { readCommand } from '../../../src/core/migration/command';
import { statusOf } from '../../../src/core/migration/status';
import { DAY_MS, HOUR_MS } from '../../../src/core/text/duration';
import { givenMigration, type MigrationWorld } from '../../support/migrations/migration-world';

const ASKING = {
  stages: [
    { name: 'assess' },
    { name: 'canary', approval: { expires: '6h' } },
    { name: 'rolling' },
    { name: 'complete' },
  ],
};

function givenAsked(plan: object = ASKING): MigrationWorld {
  return givenMigration(plan as Record<string, unknown>)
    .reaches('canary')
    .watches({ observedMs: DAY_MS });
}

function asked(world: MigrationWorld) {
  const { approval } = world.state;
  if (approval == null) throw new Error('expected an approval to be asked for');
  return approval;
}

it('asks once when everything else is there, and goes on when a named person approves', () => {
  const world = givenAsked();
  expect(world.recorded.at(-1)).toBe('approval asked');
  expect(world.decision.type).toBe('watch');
  expect(statusOf(world.state, world.nowMs).doing).toContain('the plan asks for an approval to leave canary');
  const { checkpoint, digest } = asked(world);
  expect(digest).toMatch(/^[0-9a-f]{64}$/);
  world.watches({ observedMs: HOUR_MS });
  expect(asked(world).checkpoint).toBe(checkpoint);
  world.says('approve', { checkpoint, digest, by: 'ana', reason: 'looked at 200 answers' });
  expect(world.recorded.at(-1)).toBe('approved');
  expect(world.decision.type).toBe('check health');
  expect(world.checksHealth().intended).toMatchObject({ cause: 'advance', stage: 'rolling' });
  expect(world.state.approval).toBeNull();
});

it('refuses an approval by nobody, of another checkpoint, of other evidence, twice, or after the end', () => {
  const world = givenAsked();
  const { checkpoint } = asked(world);
  expect(readCommand('approve', { checkpoint })).toMatchObject({
    problem: 'expected by: an approval records who gave it',
  });
  expect(readCommand('approve', { by: 'ana' })).toMatchObject({
    problem: 'expected checkpoint to be the number of the one that asks, got undefined',
  });
  expect(world.says('approve', { checkpoint: 1, by: 'ana' }).lastRefusal).toContain(
    'look again at what is asked',
  );
  expect(world.says('approve', { checkpoint, digest: 'ab', by: 'ana' }).lastRefusal).toContain('(digest ab)');
  world.says('approve', { checkpoint, by: 'ana' });
  expect(approvalRefusal(world.state, { by: 'ben', checkpoint, digest: null })).toBe(
    'already approved by ana',
  );
  world.checksHealth().applies();
  expect(world.says('approve', { checkpoint, by: 'ana' }).lastRefusal).toBe('no approval is pending');
});

it('takes the question back when the stage passes no longer: the old answer is refused', () => {
  const world = givenAsked();
  const { checkpoint } = asked(world);
  world.watches({ verdict: { outcome: 'inconclusive', sentence: 'p95 rises' } });
  expect(world.recorded.at(-1)).toBe('approval withdrawn');
  world.watches();
  expect(asked(world).checkpoint).toBeGreaterThan(checkpoint);
  expect(world.says('approve', { checkpoint, by: 'ana' }).lastRefusal).toContain('look again');
});

it('holds the stage when nobody answers in time, and asks again when it is judged again', () => {
  const world = givenAsked();
  world.timePasses(6 * HOUR_MS);
  expect(world.recorded.slice(-1)).toEqual(['approval expired']);
  expect(world.state.stage.held?.reason).toContain('nobody approved checkpoint');
  world.watches();
  expect(world.state.approval).toBeNull();
  world.says('reevaluate', { by: 'ana' }).watches();
  expect(asked(world).granted).toBeNull();
});

it('rolls back when nobody answers in time and the plan says so', () => {
  const stages = ASKING.stages.map((stage) =>
    stage.name === 'canary' ? { ...stage, approval: { expires: '6h', onExpiry: 'roll back' } } : stage,
  );
  const world = givenAsked({ stages }).timePasses(6 * HOUR_MS);
  expect(world.state.phase).toBe('rolling back');
  expect(world.recorded.at(-1)).toBe('approval expired');
  expect(world.intended.reason).toContain('nobody approved checkpoint');
});

it('refuses a promotion without an override while an approval is needed, and never delays a rollback', () => {
  const world = givenAsked();
  expect(world.says('promote', { stage: 'canary' }).lastRefusal).toContain('an approval comes first');
  expect(world.overrides().state.phase).toBe('applying');
  expect(givenAsked().says('rollback', { by: 'ana' }).state.phase).toBe('rolling back');
});

it('asks nothing while paused, and then when it goes on', () => {
  const world = givenMigration(ASKING).reaches('canary').says('pause', { by: 'ana' });
  world.watches({ observedMs: DAY_MS });
  expect(world.state.approval).toBeNull();
  expect(world.says('resume', { by: 'ana' }).recorded.at(-1)).toBe('approval asked');
});

it('asks for what assessing and judging leave to a person', () => {
  const world = givenMigration();
  world.goesOnUntil('assessing', () => world.decision.type === 'assess');
  world.assesses({ approvals: [{ item: 'contract', text: 'nobody has signed the contract', asks: 'ben' }] });
  expect(world.decision).toMatchObject({ type: 'wait' });
  expect(asked(world).asks).toEqual(['ben is asked: nobody has signed the contract']);
  world.says('approve', { checkpoint: asked(world).checkpoint, by: 'ana' });
  expect(world.decision.type).toBe('check health');
  world
    .checksHealth()
    .applies()
    .watches({ observedMs: DAY_MS, verdict: { approvals: ['low power'] } });
  expect(asked(world).asks).toEqual(['low power']);
});

it('waits for the rollout hours while it watches on, and raises the share then', () => {
  const world = givenMigration().reaches('canary').watches({ observedMs: DAY_MS });
  const notBefore = { atMs: world.nowMs + HOUR_MS, why: 'outside the rollout hours (UTC)' };
  world.event({ type: 'health checked', healthy: false, sentence: '', notBefore });
  expect(world.recorded.at(-1)).toBe('waiting');
  expect(statusOf(world.state, world.nowMs).nextPossibleAtMs).toBe(notBefore.atMs);
  const { decision } = world;
  expect(decision).toMatchObject({ type: 'watch' });
  world.watches();
  expect(world.decision.type).toBe('watch');
  world.elapse(HOUR_MS).watches();
  expect(world.decision.type).toBe('check health');
});

it('watches a while before it asks again for a time that a clock behind ours says has come', () => {
  const world = givenMigration().reaches('canary').watches({ observedMs: DAY_MS });
  const { length } = world.checkpoints;
  // The worker's clock is 5 s behind: by its own it is too early, by the workflow's it is not.
  const notBefore = { atMs: world.nowMs, why: 'outside the rollout hours (UTC)' };
  world.event({ type: 'health checked', healthy: false, sentence: '', notBefore });
  expect(world.decision.type).toBe('watch');
  expect(world.checkpoints).toHaveLength(length + 1);
  world.timePasses(10_000);
  expect(world.decision.type).toBe('check health');
});

it('says which checkpoint is asked about, and which evidence, by the first digits of its digest', () => {
  const world = givenAsked();
  const { checkpoint, digest } = asked(world);
  const answer = { by: 'ana', checkpoint: 1, digest: 'f'.repeat(64) };
  expect(approvalRefusal(world.state, answer)).toBe(
    `expected an approval of checkpoint ${checkpoint} (digest ${digest.slice(0, 12)}), got one of 1 (digest ffffffffffff): look again at what is asked`,
  );
  expect(approvalRefusal(world.state, { ...answer, by: 'unknown' })).toBe(
    'expected by: an approval records who gave it',
  );
});

it('takes nothing back where nothing was asked', () => {
  const world = givenMigration().reaches('canary');
  const { length } = world.checkpoints;
  world.watches({ verdict: { outcome: 'inconclusive' } });
  expect(world.checkpoints).toHaveLength(length);
});

it('is bound to the moment at which it expires', () => {
  const world = givenAsked();
  expect(asked(world)).toMatchObject({ askedAtMs: world.nowMs, expiresAtMs: world.nowMs + 6 * HOUR_MS });
  world.timePasses(6 * HOUR_MS - 1);
  expect(world.recorded.at(-1)).toBe('approval asked');
  expect(world.timePasses(1).recorded.at(-1)).toBe('approval expired');
});
