import type { Configuration } from '../configuration/configuration-schema';
import type { DocumentProblem } from '../configuration/document-problem';
import type { Plan } from './plan';

/** What of a plan needs prices that the configuration does not have; nothing where all are there. */
export function planPriceProblems(
  plan: Plan,
  { providers, routes }: Pick<Configuration, 'providers' | 'routes'>,
): DocumentProblem[] {
  const route = routes[plan.route];
  if (route === undefined) return [];
  const unpriced = (provider: string, models: readonly string[]) => {
    const prices = providers[provider]?.prices ?? {};
    const missing = [...new Set(models)].filter((model) => !Object.hasOwn(prices, model));
    return missing.length === 0 ? [] : [`providers.${provider}.prices has none for ${missing.join(', ')}`];
  };
  const candidates = Object.values(route.models).map(({ candidate }) => candidate);
  const atCandidate = unpriced(route.candidate, candidates);
  const atBoth = [...unpriced(route.legacy, Object.keys(route.models)), ...atCandidate];
  return plan.stages.flatMap(({ gates, mirror }, index) => [
    ...(mirror === undefined || atCandidate.length === 0
      ? []
      : [
          {
            path: `stages[${index}].mirror`,
            message: `expected the candidate's prices of every model that the route maps, without which what copies cost is not known: ${atCandidate.join('; ')}`,
          },
        ]),
    ...(gates.cost === undefined || atBoth.length === 0
      ? []
      : [
          {
            path: `stages[${index}].gates.cost`,
            message: `expected prices of every model that the route maps, at both providers: ${atBoth.join('; ')}`,
          },
        ]),
  ]);
}
