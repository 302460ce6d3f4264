import { planSchema } from '../../../src/core/plan/plan-schema';
import { replayPlan } from '../../../src/core/rehearsal/replay-plan';
import { readMigration } from '../../../src/history/recorded-migration';
import { historyOf } from '../../support/migrations/recorded-history';

const completed = readMigration(historyOf('completed'));
const harmed = readMigration(historyOf('harm'));

it('decides by the plan of the migration itself what the migration decided', () => {
  for (const { plan, windows } of [completed, harmed]) {
    const { stages } = replayPlan(plan, windows);
    expect(stages.length).toBeGreaterThan(0);
    for (const { recorded, replayed } of stages) {
      expect(replayed).toMatchObject({ decision: recorded.decision, window: recorded.window });
    }
  }
});

it('would not have promoted by the default plan on some dozens of requests', () => {
  const { stages, withoutEvidence } = replayPlan(planSchema.parse({ route: 'chat' }), completed.windows);
  expect(
    stages.map(({ stage, recorded, replayed }) => [stage, recorded.decision, replayed.decision]),
  ).toEqual([
    ['canary', 'promoted', 'undecided'],
    ['rolling', 'promoted', 'undecided'],
    ['complete', 'promoted', 'undecided'],
  ]);
  expect(stages[0]?.replayed.sentence).toContain('no more evidence was recorded at 30%');
  expect(withoutEvidence).toEqual([]);
});

it('rolls back sooner by a plan with tighter margins, and what follows is not reached', () => {
  const strict = planSchema.parse({
    route: 'chat',
    stages: [
      { name: 'assess' },
      {
        name: 'first',
        share: 0.2,
        burnIn: { time: '0s', requests: 0 },
        gates: { floor: { success: 0.999 } },
      },
      { name: 'complete' },
    ],
  });
  const { stages, withoutEvidence } = replayPlan(strict, harmed.windows);
  expect(stages).toMatchObject([
    { stage: 'first', recordedStage: 'canary', recordedShare: 0.3, replayed: { decision: 'rolled back' } },
  ]);
  expect(stages[0]?.replayed.window).toBeLessThan(stages[0]?.recorded.window ?? 0);
  expect(withoutEvidence).toEqual(['complete']);
});

it('holds at the deadline of the other plan', () => {
  const hasty = planSchema.parse({
    route: 'chat',
    stages: [
      { name: 'assess' },
      { name: 'canary', soak: '500ms', window: '500ms', deadline: { hold: '1s', rollback: null } },
      { name: 'complete' },
    ],
  });
  const [first] = replayPlan(hasty, completed.windows).stages;
  expect(first?.replayed).toMatchObject({ decision: 'held', window: 1 });
  expect(first?.replayed.sentence).toMatch(/^canary has not passed within 1 s: /);
});
