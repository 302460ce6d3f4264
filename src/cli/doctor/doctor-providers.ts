import { readModelList } from '../../adapters/openai/model-list';
import { secretResolver, UnresolvedSecret } from '../../config';
import type { Configuration, ProviderConfiguration } from '../../core/configuration/configuration-schema';
import { nearestWord } from '../../core/configuration/known-fields';
import type { Check } from './doctor-check';

const TIMEOUT_MS = 5_000;
const LISTED_AT_MOST = 8;

/** Asks each provider that a route uses for its models, and looks for those that routes map. */
export async function checkProviders(configuration: Configuration): Promise<Check[]> {
  const { providers, routes } = configuration;
  const used = new Set(Object.values(routes).flatMap(({ legacy, candidate }) => [legacy, candidate]));
  const resolve = secretResolver(configuration);
  const checks = await Promise.all(
    [...used].map((name) =>
      checkProvider(name, providers[name] as ProviderConfiguration, wantedOf(routes, name), resolve),
    ),
  );
  return checks.flat();
}

interface WantedModel {
  readonly model: string;
  readonly field: string;
  /** Callers may use names of legacy's that its list leaves out; the candidate's are ours to write. */
  readonly isNeeded: boolean;
}

function wantedOf(routes: Configuration['routes'], provider: string): WantedModel[] {
  return Object.entries(routes).flatMap(([route, { legacy, candidate, models }]) =>
    Object.entries(models).flatMap(([model, mapping]): WantedModel[] => {
      const field = `routes.${route}.models`;
      return [
        ...(legacy === provider ? [{ model, field, isNeeded: false }] : []),
        ...(candidate === provider ? [{ model: mapping.candidate, field, isNeeded: true }] : []),
      ];
    }),
  );
}

async function checkProvider(
  provider: string,
  configured: ProviderConfiguration,
  wanted: readonly WantedModel[],
  resolve: (reference: string) => string,
): Promise<Check[]> {
  const name = `provider ${provider}`;
  try {
    const list = await readModelList(configured, resolve, TIMEOUT_MS);
    if (!list.ok) return [{ name, state: 'wrong', detail: list.problem, fix: list.fix }];
    const { models } = list;
    return [
      { name, state: 'ok', detail: `lists ${models.length} ${models.length === 1 ? 'model' : 'models'}` },
      ...wanted.filter(({ model }) => !models.includes(model)).map((each) => absent(name, each, models)),
    ];
  } catch (error) {
    if (!(error instanceof UnresolvedSecret)) throw error;
    // The key has a line of its own.
    return [{ name, state: 'missing', detail: error.message, fix: `set ${error.reference}` }];
  }
}

function absent(name: string, { model, field, isNeeded }: WantedModel, models: readonly string[]): Check {
  const near = nearestWord(model, models);
  const listed = `${models.slice(0, LISTED_AT_MOST).join(', ')}${models.length > LISTED_AT_MOST ? ', ...' : ''}`;
  const detail = `does not list ${model}, which ${field} names`;
  const fix = `correct ${field}: ${near === null ? `it lists ${listed}` : `did you mean ${near}?`}`;
  return isNeeded ? { name, state: 'wrong', detail, fix } : { name, state: 'note', detail };
}
