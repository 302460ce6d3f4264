import type { Configuration } from '../../../src/core/configuration/configuration-schema';
import { planPriceProblems } from '../../../src/core/plan/plan-prices';
import { planSchema } from '../../../src/core/plan/plan-schema';

const PRICE = { inputPerMillion: 1, outputPerMillion: 2 };

/** What is missing of a configuration that has prices of these models only. */
function problems(
  stage: object,
  prices: { readonly legacy: readonly string[]; readonly candidate: readonly string[] },
) {
  const plan = planSchema.parse({
    route: 'chat',
    stages: [{ name: 'assess' }, stage, { name: 'rolling' }, { name: 'complete' }],
  });
  const of = (models: readonly string[]) => ({
    prices: Object.fromEntries(models.map((model) => [model, PRICE])),
  });
  const models = { large: { candidate: 'big' }, tiny: { candidate: 'small' } };
  const configuration = {
    providers: { old: of(prices.legacy), new: of(prices.candidate) },
    routes: { chat: { legacy: 'old', candidate: 'new', models } },
  } as unknown as Pick<Configuration, 'providers' | 'routes'>;
  return planPriceProblems(plan, configuration).map(({ path, message }) => `${path}: ${message}`);
}

const SHADOW = { name: 'shadow', mirror: '5%', maxCostUsd: 5 };
const COST = { name: 'canary', gates: { cost: {} } };

it('refuses a stage that copies without the candidate\u2019s price of every model, and names those without', () => {
  expect(problems(SHADOW, { legacy: [], candidate: ['big'] })).toEqual([
    "stages[1].mirror: expected the candidate's prices of every model that the route maps, without which what copies cost is not known: providers.new.prices has none for small",
  ]);
  expect(problems(SHADOW, { legacy: [], candidate: ['big', 'small'] })).toEqual([]);
});

it('refuses a stage that judges cost without prices of both providers', () => {
  expect(problems(COST, { legacy: ['tiny'], candidate: ['big'] })).toEqual([
    'stages[1].gates.cost: expected prices of every model that the route maps, at both providers: providers.old.prices has none for large; providers.new.prices has none for small',
  ]);
  expect(problems(COST, { legacy: ['tiny', 'large'], candidate: ['big', 'small'] })).toEqual([]);
});

it('needs no price where nothing is copied and no cost is judged', () => {
  expect(problems({ name: 'canary' }, { legacy: [], candidate: [] })).toEqual([]);
});
