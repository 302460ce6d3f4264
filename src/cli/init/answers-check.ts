import { readModelList } from '../../adapters/openai/model-list';
import { resolveSecret } from '../../config';
import { nearestWord } from '../../core/configuration/known-fields';
import { CliError, EXIT } from '../options/cli-error';
import { printNote } from '../options/output';
import type { InitAnswers } from './init-answers';
import { configurationOf } from './init-documents';

const TIMEOUT_MS = 10_000;

/** Asks both providers with their keys for their models; throws `CliError` with what to do where that fails. */
export async function checkAnswers(answers: InitAnswers): Promise<void> {
  const { providers, routes } = configurationOf({
    ...answers,
    adminToken: 'env:CUTOVER_ADMIN_TOKEN',
    port: 8_080,
  });
  const { legacy, candidate } = routes[answers.route] as {
    readonly legacy: string;
    readonly candidate: string;
  };
  const [old, fresh] = await Promise.all([listOf(legacy), listOf(candidate)]);
  for (const [from, to] of answers.models) {
    if (!old.includes(from)) printNote(`note: ${legacy} does not list ${from}; callers may still use it`);
    if (fresh.includes(to)) continue;
    const near = nearestWord(to, fresh);
    const hint = near === null ? `it lists ${fresh.slice(0, 10).join(', ')}` : `did you mean ${near}?`;
    throw new CliError(`${candidate} does not list the model ${to}: ${hint}`, EXIT.badInput);
  }

  async function listOf(name: string): Promise<readonly string[]> {
    const provider = providers[name];
    if (provider === undefined) return [];
    const list = await readModelList(provider, resolveSecret, TIMEOUT_MS);
    if (list.ok) return list.models;
    throw new CliError(
      `${name}: ${list.problem}: ${list.fix}. Nothing was written; --offline writes without asking`,
      EXIT.unreachable,
    );
  }
}
