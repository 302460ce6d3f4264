import type { Configuration } from '../configuration/configuration-schema';
import type { DocumentProblem } from '../configuration/document-problem';
import type { Plan } from './plan';

/** What the cohorts of a plan need of the configuration and is not there; nothing where all is. */
export function planCohortProblems(
  { stages }: Plan,
  { callers, gateway }: Pick<Configuration, 'callers' | 'gateway'>,
): DocumentProblem[] {
  const teams = [...new Set(callers.map(({ team }) => team))];
  return stages.flatMap(({ only }, index): DocumentProblem[] => {
    if (only === undefined) return [];
    if ('header' in only) {
      return gateway.cohorts === undefined
        ? [
            {
              path: `stages[${index}].only.header`,
              message:
                'expected gateway.cohorts in the configuration, such as {key: env:CUTOVER_COHORT_KEY}: without a key no header is believed, and the stage would serve nobody',
            },
          ]
        : [];
    }
    const unknown = only.teams.filter((team) => !teams.includes(team));
    const known = teams.length === 0 ? 'which has no callers' : `which are ${teams.join(', ')}`;
    return unknown.map((team) => ({
      path: `stages[${index}].only.teams`,
      message: `expected teams of the configuration's callers, ${known}, got "${team}"`,
    }));
  });
}
