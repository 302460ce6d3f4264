import { planSchema } from '../../src/core/plan/plan-schema';
import { plannedGates } from '../../src/history/planned-gates';

const { stages } = planSchema.parse({
  route: 'chat',
  outcomes: [{ name: 'solved', better: 'higher', harm: 0.03, promotion: 0.05 }],
  judge: { provider: 'openai', model: 'arbiter', maxCostUsd: 2 },
  stages: [
    { name: 'assess' },
    { name: 'shadow', mirror: '5%', maxCostUsd: 5, gates: { cost: {} } },
    { name: 'team', only: { teams: ['search'] } },
    {
      name: 'canary',
      gates: { cost: { promotionIncrease: null }, latency: { quantile: 0.5, promotionIncrease: 0.2 } },
    },
    { name: 'complete' },
  ],
});
const gates = (name: string) => {
  const stage = stages.find((each) => each.name === name);
  if (stage === undefined) throw new Error(`expected the stage ${name}`);
  return plannedGates(stage);
};

it('says by what arms are compared, outcomes and cost as well, and the median where that is judged', () => {
  expect(gates('canary')).toEqual({
    harm: [
      'errors x1.5',
      'answers x1.5',
      'p50 +50%',
      'success under 97%',
      'p95 of cost +50%',
      'solved worse by 3 points',
    ],
    promotion: ['errors +2%', 'answers +3%', 'p50 +20%', 'solved worse by 5 points'],
  });
});

it('says by what pairs are judged where nobody is served', () => {
  expect(gates('shadow')).toEqual({
    harm: [
      'more pairs lost than won',
      'half of the pairs slower by 50%',
      'half of the pairs more expensive by 50%',
      '10 points more lost than won by arbiter',
    ],
    promotion: ['3 points more pairs lost than won', 'at least 50 pairs judged by arbiter'],
  });
});

it('says the bounds of a cohort, and none of a stage that moves nothing', () => {
  expect(gates('team').harm).toEqual(expect.arrayContaining([expect.stringMatching(/^success under \d+%$/)]));
  expect(gates('assess')).toEqual({ harm: [], promotion: [] });
});
