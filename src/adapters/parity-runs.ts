import { createHash } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { resolve } from 'node:path';
import type { Rates } from '../core/assessment/prices';
import type { Question } from '../core/assessment/question';
import type { Configuration, RouteConfiguration } from '../core/configuration/configuration-schema';
import { InvalidDocument } from '../core/configuration/schema-parts';
import type { Arm } from '../core/routing/routing';
import { fileProblem } from '../core/text/file-problem';
import { type AnswerJournal, openAnswerJournal, setAnswersAside } from '../parity/answer-journal';
import { type GoldenPrompt, readGoldenPrompts } from '../parity/golden-prompt';
import { runParity } from '../parity/run-parity';
import { SchemaChecks } from '../parity/schema-checks';
import type { ParityPort, ParityRequest, ProviderPort } from '../ports';
import { ratesOfModel } from './model-rates';
import { configuredRoute, modelAtProvider } from './openai/provider-client';
import { systemClock } from './system-clock';

/** Where parity runs keep their files. */
export interface ParityDirectories {
  /** Where golden prompts with a relative path lie. */
  readonly golden: string;
  /** Where raw answers are kept: they leave this machine by no other way. */
  readonly answers: string;
}

/** Parity runs on files of this machine; throws `InvalidDocument` for what a person wrote wrong. */
export function createParityRuns(
  configuration: Configuration,
  providers: Pick<ProviderPort, 'ask'>,
  directories: ParityDirectories,
): ParityPort {
  return {
    async run(request, hooks) {
      const schemas = new SchemaChecks();
      try {
        return await runWith({ configuration, providers, directories, schemas }, request, hooks);
      } finally {
        await schemas.close();
      }
    },
  };
}

interface Means {
  readonly configuration: Configuration;
  readonly providers: Pick<ProviderPort, 'ask'>;
  readonly directories: ParityDirectories;
  readonly schemas: SchemaChecks;
}

async function runWith(
  { configuration, providers, directories, schemas }: Means,
  request: ParityRequest,
  { signal, standing, report }: Parameters<ParityPort['run']>[1],
): ReturnType<ParityPort['run']> {
  const route = configuredRoute(configuration, request.route);
  const text = await readGolden(resolve(directories.golden, request.golden));
  const prompts = await readGoldenPrompts(text, request.golden, schemas);
  checkModels(prompts, route, request.golden);
  const ratesOf = pricesOf(configuration, route);
  if (request.maxCostUsd !== null) checkPrices(prompts, ratesOf, route);
  const journal = await journalFor(request, directories.answers, standing !== null);
  try {
    const found = await runParity({
      ...request,
      prompts,
      golden: createHash('sha256').update(text).digest('hex'),
      journal,
      standing,
      schemas,
      signal,
      report,
      ratesOf,
      ask: (provider, question) =>
        providers.ask(request.route, provider, question, { timeoutMs: request.timeoutMs, signal }),
      identityOf: (provider, question) => identityOf(configuration, route, provider, question),
      sleep: systemClock.sleep,
      now: () => new Date(),
    });
    if (found.stopped === null && found.prompts.skipped === 0) journal.finish(new Date());
    return found;
  } finally {
    await journal.close();
  }
}

/** The answers of a route; those of a run that came to its end are put aside where only unfinished ones are wanted. */
async function journalFor(
  { route, reuse }: ParityRequest,
  directory: string,
  goesOn: boolean,
): Promise<AnswerJournal> {
  const journal = await openAnswerJournal(directory, route);
  if (reuse === 'all' || goesOn || !journal.isFinished) return journal;
  await journal.close();
  setAnswersAside(directory, route, new Date());
  return openAnswerJournal(directory, route);
}

async function readGolden(path: string): Promise<string> {
  try {
    return await readFile(path, 'utf8');
  } catch (error) {
    const message = `cannot be read: ${fileProblem(error)}; examples/golden/starter.jsonl is one to begin with`;
    throw new InvalidDocument(path, [{ path: '(file)', message }]);
  }
}

function checkModels(prompts: readonly GoldenPrompt[], route: RouteConfiguration, document: string): void {
  const unknown = new Set(
    prompts.flatMap(({ question: { model } }) =>
      model === null || Object.hasOwn(route.models, model) ? [] : [model],
    ),
  );
  if (unknown.size === 0) return;
  const known = Object.keys(route.models).join(', ') || 'it maps none';
  throw new InvalidDocument(
    document,
    [...unknown].map((model) => ({
      path: 'model',
      message: `expected one of the models that the route maps (${known}), got "${model}"`,
    })),
  );
}

type RatesOf = (provider: Arm, question: Question) => Rates | null;

/** The configuration's prices, else list prices of whoever names the model. */
function pricesOf(configuration: Configuration, route: RouteConfiguration): RatesOf {
  const known = new Map<string, Rates | null>();
  return (provider, question) => {
    const { name: model } = modelAtProvider(route, provider, question);
    const key = `${provider} ${model}`;
    let rates = known.get(key);
    if (rates === undefined) {
      rates = ratesOfModel(configuration, route[provider], model);
      known.set(key, rates);
    }
    return rates;
  };
}

function checkPrices(prompts: readonly GoldenPrompt[], ratesOf: RatesOf, route: RouteConfiguration): void {
  const missing = new Map<string, { provider: string; model: string }>();
  for (const { question } of prompts) {
    for (const provider of ['legacy', 'candidate'] as const) {
      const { name: model } = modelAtProvider(route, provider, question);
      if (ratesOf(provider, question) === null)
        missing.set(`${provider} ${model}`, { provider: route[provider], model });
    }
  }
  if (missing.size === 0) return;
  throw new InvalidDocument(
    'the configuration',
    [...missing.values()].map(({ provider, model }) => ({
      path: `providers.${provider}.prices`,
      message: `expected a price of "${model}", without which no cost can be capped: add it, or run without a cap`,
    })),
  );
}

function identityOf(
  configuration: Configuration,
  route: RouteConfiguration,
  provider: Arm,
  question: Question,
): string {
  const { baseUrl, query } = configuration.providers[route[provider]] ?? {};
  return JSON.stringify([baseUrl, query, modelAtProvider(route, provider, question)]);
}
