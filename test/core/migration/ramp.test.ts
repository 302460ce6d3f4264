import { runsOf } from '../../../src/core/effects/effect-runs';
import { judgedStage } from '../../../src/core/gates/judged-stage';
import { routingEffectsOf } from '../../../src/core/migration/checkpoint';
import { currentDetails } from '../../../src/core/migration/details';
import { statusOf } from '../../../src/core/migration/status';
import { HOUR_MS, MINUTE_MS } from '../../../src/core/text/duration';
import { givenMigration, KILLED, type MigrationWorld } from '../../support/migrations/migration-world';

const EVERY_MS = 10 * MINUTE_MS;
const RAMP = { step: '15%', every: '10m' };
const STAGES = [
  { name: 'assess' },
  { name: 'canary', share: 0.1 },
  { name: 'rolling', share: 0.5, ramp: RAMP, effects: [{ name: 'flag', set: { llm: 'candidate' } }] },
  { name: 'complete' },
];

/** At the first step of rolling, 25%, from canary's 10%; its effect is done. */
function givenRamp(plan: Record<string, unknown> = {}): MigrationWorld {
  const world = givenMigration({ stages: STAGES, ...plan }).reaches('rolling');
  const [run] = runsOf(world.state);
  if (run === undefined) return world;
  const id = run.id;
  return world
    .event({ type: 'effect captured', id, captured: null })
    .event({ type: 'effect ended', id, note: '', answer: null });
}

/** A window that counts for the whole of a step, or for so long. */
const watched = (world: MigrationWorld, observedMs = EVERY_MS) =>
  world.elapse(observedMs).watches({ observedMs, verdict: { outcome: 'inconclusive' } });

const next = (world: MigrationWorld) => watched(world).checksHealth().applies();

describe('a ramp', () => {
  it('enters its stage at the first step and comes to its share in steps, each under an epoch of its own', () => {
    const world = givenRamp();
    const first = world.state.epoch;
    expect(world.share).toBe(0.25);
    expect([next(world).share, next(world).share]).toEqual([0.4, 0.5]);
    expect(world.state.epoch).toBe(first + 2);
    const steps = world.checkpoints.filter((entry) => entry.kind === 'intended' && entry.cause === 'step');
    expect(steps).toMatchObject([
      { stage: 'rolling', share: 0.4, reason: '10 min at 25%: the next step is 40%' },
      { stage: 'rolling', share: 0.5 },
    ]);
    expect(routingEffectsOf(world.state).map(({ share }) => share)).toEqual([0, 0.1, 0.25, 0.4, 0.5]);
  });

  it('takes a step only after its time, and after a health check', () => {
    const world = watched(givenRamp(), EVERY_MS - 1);
    expect(world.decision).toMatchObject({ type: 'watch', windowMs: 500 });
    watched(world, 1);
    expect(world.decision.type).toBe('check health');
    world.checksHealth(false);
    expect(world.share).toBe(0.25);
    expect(world.recorded.at(-1)).toBe('health check failed');
    expect(statusOf(world.state, world.nowMs).doing).toContain(
      'the next step waits: candidate stream: timeout',
    );
    expect(world.decision).toMatchObject({ type: 'watch', windowMs: EVERY_MS });
    expect(next(world).share).toBe(0.4);
  });

  it('judges the stage at its own share: soak and evidence begin there, and no step passes', () => {
    const world = givenRamp();
    world.elapse(3 * 24 * HOUR_MS - HOUR_MS).watches({ observedMs: 3 * 24 * HOUR_MS - HOUR_MS });
    // A pass there would leave the stage: it is a step.
    expect(world.state.promotion).toMatchObject({ toIndex: 2 });
    next(world.checksHealth().applies());
    expect(world).toMatchObject({ share: 0.5, state: { stage: { observedMs: 0, windows: 0 } } });
    expect(world.elapse(HOUR_MS).watches({ observedMs: HOUR_MS }).state.promotion).toBeNull();
  });

  it('is one entry of the stage: alpha is divided over its shares, and its burn-in is had once', () => {
    const world = givenRamp();
    const { entry } = world.state.stage;
    const alphaOf = () => judgedStage(world.state).alpha.rollback;
    expect(judgedStage(world.state)).toMatchObject({ share: 0.25, rampingTo: 0.5 });
    const spent = [alphaOf()];
    expect(judgedStage(world.state).burnIn).toEqual({ timeMs: EVERY_MS, requests: 50 });
    world
      .elapse(EVERY_MS)
      .watches({ observedMs: EVERY_MS, verdict: { outcome: 'inconclusive', burnIn: true } })
      .checksHealth()
      .applies();
    expect(judgedStage(world.state).burnIn).toEqual({ timeMs: 0, requests: 0 });
    spent.push(alphaOf());
    next(world);
    spent.push(alphaOf());
    expect(world.state.stage.entry).toBe(entry);
    expect(judgedStage(world.state)).not.toHaveProperty('rampingTo');
    // The second entry has a quarter of 5%: half of it at the stage's own share.
    expect(spent).toEqual([0.0125 / 4, 0.0125 / 4, 0.0125 / 2]);
  });

  it('waits while it is paused, drifted, held, without traffic, or while an effect of the stage is open', () => {
    const paused = watched(givenRamp().says('pause', { by: 'ana' }));
    expect(paused.state.promotion).toBeNull();
    expect(paused.says('resume', { by: 'ana' }).state.promotion).not.toBeNull();

    const drifted = givenRamp().elapse(EVERY_MS).watches({ observedMs: EVERY_MS, drift: KILLED });
    expect(drifted.state.promotion).toBeNull();

    const late = givenRamp().says('pause', { by: 'ana' });
    late.timePasses(6 * 24 * HOUR_MS);
    expect(late.state.stage.held?.reason).toContain('rolling has not passed within 5 d');
    expect(watched(late.says('resume', { by: 'ana' })).state.promotion).toBeNull();

    const silent = givenRamp()
      .elapse(EVERY_MS)
      .watches({ observedMs: EVERY_MS, verdict: { requests: { legacy: 9, candidate: 0 } } });
    expect(silent.state.promotion).toBeNull();
    expect(statusOf(silent.state, silent.nowMs).doing).toContain('waits for traffic');

    const open = watched(givenMigration({ stages: STAGES }).reaches('rolling'));
    expect(open.state.promotion).toBeNull();
    expect(statusOf(open.state, open.nowMs).doing).toContain('waits for the effects flag');
  });

  it('counts the deadlines from the entry into the stage, not from the step', () => {
    const world = givenRamp();
    const { enteredAtMs } = world.state.stage;
    next(world);
    expect(world.state.stage.enteredAtMs).toBe(enteredAtMs);
    expect(world.state.stage.ramp?.sinceMs).toBe(world.nowMs);
  });

  it('goes back to 0% from its middle for harm and for an operator, and to the step before when it is asked', () => {
    const harmed = next(givenRamp()).watches({ verdict: { outcome: 'fail', harm: 'errors' } });
    expect(harmed.intended).toMatchObject({ cause: 'rollback', share: 0 });
    const asked = watched(givenRamp()).says('emergencyRollback', { by: 'ana' });
    expect(asked.intended).toMatchObject({ cause: 'emergency', share: 0 });

    const back = next(givenRamp()).says('rollback', { to: 'previous', by: 'ana' }).applies();
    expect(back).toMatchObject({ share: 0.25, stage: 'rolling', state: { paused: { cause: 'rollback' } } });
    // It is another entry with evidence of its own, and goes on by steps once it is resumed.
    expect(back.state.stage.entry).toBe(3);
    expect(next(back.says('resume', { by: 'ana' })).share).toBe(0.4);
  });

  it('applies the step before again when a step reaches nobody', () => {
    const world = watched(givenRamp()).checksHealth().applies({ confirmed: [] });
    expect(world.intended).toMatchObject({ cause: 'restore', stage: 'rolling', share: 0.25 });
  });

  it('refuses a promotion and says why; an override takes the next step, not the next stage', () => {
    const world = givenRamp().watches();
    world.says('promote', { stage: 'rolling', by: 'ana' });
    expect(world.lastRefusal).toBe(
      'rolling is at step 1 of 3 of its ramp, and is judged at 50%: wait for it; an override takes the next step, 40%, now',
    );
    world.overrides();
    expect(world.intended).toMatchObject({ cause: 'step', stage: 'rolling', share: 0.4 });
  });

  it('does the effects of the stage once, and notifies of its entry alone', () => {
    const world = givenRamp({ notify: [{ name: 'channel', moments: ['stage entered'] }] });
    const runs = () => runsOf(world.state).map(({ purpose, about }) => `${purpose} ${about.stage}`);
    const before = runs();
    next(next(world));
    expect(runs()).toEqual(before);
  });

  it('of complete comes to what is not held back, and that moves after the pass', () => {
    const stages = [
      { name: 'assess' },
      { name: 'canary' },
      { name: 'complete', ramp: { step: 0.5, every: '10m' } },
    ];
    const world = givenMigration({ holdback: '5%', stages }).reaches('complete');
    expect(judgedStage(world.state)).toMatchObject({ share: 0.6, holdback: 0.05, rampingTo: 0.95 });
    expect(next(world).share).toBe(0.95);
    world
      .elapse(24 * HOUR_MS)
      .watches({ observedMs: 24 * HOUR_MS })
      .checksHealth()
      .applies();
    expect(world).toMatchObject({ share: 1, state: { phase: 'handover' } });
  });

  it('is shown in status and details', () => {
    const world = watched(givenRamp(), 4 * MINUTE_MS);
    const status = statusOf(world.state, world.nowMs);
    expect(status.ramp).toEqual({
      ...{ step: 1, of: 3, nextShare: 0.4, toShare: 0.5, observedMs: 4 * MINUTE_MS, everyMs: EVERY_MS },
    });
    expect(status.soak.observedMs).toBe(0);
    expect(status.doing).toBe('watching; ramping, step 1 of 3, next 40%, up to 50%: 4 min of 10 min');
    expect(currentDetails(status)).toContain('| **rolling** | 50% in steps of 15% | now |');
    expect(statusOf(next(next(world)).state, world.nowMs).ramp).toBeUndefined();
  });

  it('counts the lapses of a day over its steps', () => {
    const world = givenRamp();
    const lapsed = (gateway: string) =>
      world.watches({ lapses: [{ gateway, what: 'its lease had lapsed' }] });
    lapsed('gw-1');
    lapsed('gw-2');
    next(world);
    expect(world.state.paused).toBeNull();
    lapsed('gw-1');
    expect(world.state.paused).toMatchObject({ cause: 'lapses' });
  });

  it('can be amended in a stage ahead, and not in one that was entered', () => {
    const world = givenMigration({ stages: STAGES }).reaches('canary');
    const { plan } = world.state;
    const slower = plan.stages.map((stage) =>
      stage.ramp === undefined ? stage : { ...stage, ramp: { step: 0.1, everyMs: EVERY_MS } },
    );
    world.says('amend', { plan: { ...plan, stages: slower }, by: 'ana', reason: 'throttled' });
    expect(world.reaches('rolling').share).toBe(0.2);
    world.says('amend', { plan, by: 'ana', reason: 'faster' });
    expect(world.lastRefusal).toContain('ramp');
  });
});
