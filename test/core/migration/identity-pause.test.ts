import { noStageEvidence } from '../../../src/core/evidence/stage/stage-evidence';
import { judgeStage } from '../../../src/core/gates/judge-stage';
import { judgedStage } from '../../../src/core/gates/judged-stage';
import {
  afterFirstLook,
  type IdentityKnowledge,
  type IdentityReply,
  withReply,
} from '../../../src/core/identity/identity-audit';
import { questionAt } from '../../../src/core/identity/identity-questions';
import { missingApproval } from '../../../src/core/migration/approval';
import { seededRandom } from '../../../src/core/rehearsal/rehearsal';
import { PROBES } from '../../support/migrations/gate-evidence';
import { givenMigration } from '../../support/migrations/migration-world';
import { probed, referenceOf, replyOf, simulatedModel } from '../../support/providers/sold-model';

const random = seededRandom(3);
const SOLD = simulatedModel(random);
const REFERENCE = referenceOf(SOLD, random);
const ASSESSED = afterFirstLook(probed(REFERENCE, () => SOLD, { probes: 27, random }));
const PLAN = { identity: { reference: 'sold.json', alpha: 0.01 } };

type World = ReturnType<typeof givenMigration>;

function after(standing: IdentityKnowledge, said: Partial<IdentityReply & { ok: true }>): IdentityKnowledge {
  const question = questionAt(standing.turns);
  const reply = { ...replyOf(SOLD, question, random), ...said } as IdentityReply;
  return withReply(standing, REFERENCE, question, reply, random());
}

/** A window as the activity returns it that has learned this much. */
function watch(world: World, standing: IdentityKnowledge): void {
  const { state } = world;
  const epoch = state.inEffect?.record.epoch ?? 0;
  const evidence = noStageEvidence(epoch);
  const verdict = judgeStage(judgedStage(state), epoch, {
    ...{ evidence, windowRequests: { legacy: 0, candidate: 0 }, probes: PROBES, burnIn: false, silent: [] },
    baseline: null,
    servedModel: { standing, alpha: 0.01 },
  });
  world.watches({ evidence, verdict, servedModel: standing });
}

it('pauses at once, and after a resume only for what nobody has seen', () => {
  const world = givenMigration(PLAN).reaches('canary');
  watch(world, ASSESSED);
  expect(world.state.paused).toBeNull();
  watch(world, after(ASSESSED, { model: 'small-chat' }));
  expect(world.state.paused).toMatchObject({
    by: 'cutover',
    cause: 'served model',
    reason: 'identity: the model named in answers has changed: large-chat before, small-chat now',
  });
  world.says('resume', { reason: 'they announced a new name' });
  const accepted = world.state.servedModel as IdentityKnowledge;
  watch(world, after(accepted, { model: 'small-chat' }));
  expect(world.state.paused).toBeNull();
  watch(world, after(accepted, { model: 'small-chat', fingerprint: 'fp_2' }));
  expect(world.state.paused).toMatchObject({
    reason: 'identity: the fingerprint of answers has changed: fp_1 before, fp_2 now',
  });
});

it('holds a stage that has passed for an approval where answers are distributed otherwise', () => {
  const world = givenMigration(PLAN).reaches('canary');
  const other = simulatedModel(random);
  const standing = probed(REFERENCE, () => other, { probes: 120, random }, ASSESSED);
  watch(world, standing);
  expect(world.state.paused).toBeNull();
  expect(missingApproval(world.state)).toEqual([
    expect.stringMatching(/^identity: \d+ answers are distributed differently from those of the reference/),
  ]);
});

it('does not pass while nothing is known of which model answers', () => {
  const world = givenMigration(PLAN).reaches('canary');
  const epoch = world.state.inEffect?.record.epoch ?? 0;
  const { metrics } = judgeStage(judgedStage(world.state), epoch, {
    ...{ evidence: noStageEvidence(epoch), windowRequests: { legacy: 0, candidate: 0 }, probes: PROBES },
    ...{ burnIn: false, silent: [], baseline: null },
    servedModel: { standing: null, alpha: 0.01 },
  });
  expect(metrics.at(-1)).toMatchObject({ metric: 'served model', outcome: 'not evaluated' });
});

it('takes another reference by an amendment, and does not let one be left out', () => {
  const world = givenMigration(PLAN).reaches('canary');
  const { identity } = world.state.plan;
  const amended = (plan: object) =>
    world.says('amend', { plan, by: 'ana', reason: 'it was enrolled again' }).lastRefusal;
  const { identity: _, ...without } = world.state.plan;
  expect(amended(without)).toMatch(/identity.*cannot be amended/);
  expect(world.state.plan.identity).toEqual(identity);
  const next = { ...world.state.plan, identity: { ...identity, reference: 'sold-2.json', perHour: 60 } };
  amended(next);
  expect(world.state.plan.identity).toMatchObject({ reference: 'sold-2.json', perHour: 60 });
});
