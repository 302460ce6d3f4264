import type { Configuration } from '../../configuration/configuration-schema';
import type { DocumentProblem } from '../../configuration/document-problem';
import type { Plan } from '../plan';

/** What a plan's judge needs of the configuration and does not find there; nothing where it has no judge. */
export function planJudgeProblems(
  { stages }: Plan,
  { providers }: Pick<Configuration, 'providers'>,
): DocumentProblem[] {
  const judge = stages.find((stage) => stage.judge !== undefined)?.judge;
  if (judge === undefined) return [];
  const provider = Object.hasOwn(providers, judge.provider) ? providers[judge.provider] : undefined;
  if (provider === undefined) {
    const known = Object.keys(providers).join(', ');
    return [{ path: 'judge.provider', message: `expected one of ${known}, got "${judge.provider}"` }];
  }
  if (provider.dialect !== 'openai') {
    const message = `expected a provider with dialect: openai, got ${judge.provider} with dialect: ${provider.dialect}`;
    return [{ path: 'judge.provider', message }];
  }
  if (Object.hasOwn(provider.prices, judge.model)) return [];
  const message = `expected a price in providers.${judge.provider}.prices, without which maxCostUsd cannot be kept, got none for "${judge.model}"`;
  return [{ path: 'judge.model', message }];
}
