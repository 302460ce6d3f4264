import { providerInquiry } from '../../adapters/openai/provider-inquiry';
import type { AssessmentPorts, AssessmentRequest } from '../../assess/assess-usage';
import type { TokenRatios } from '../../assess/cost-projection';
import { measuredTokenRatios } from '../../assess/parity-token-ratios';
import { plannedAssessment } from '../../assess/planned-assessment';
import { configuredPrices } from '../../assess/prices/configured-prices';
import { type PriceBook, parsePriceBook } from '../../assess/prices/price-book-schema';
import { PriceFinder } from '../../assess/prices/price-finder';
import type { ProviderInquiry } from '../../assess/readiness';
import { parseMapping } from '../../assess/usage/formats/mapping-schema';
import { defaultPlan, loadPlan } from '../../client/plan-file';
import {
  configurationPath,
  loadConfiguration,
  readDocument,
  resolveSecret,
  secretResolver,
  UnresolvedSecret,
} from '../../config';
import type { Configuration } from '../../core/configuration/configuration-schema';
import { parseDocument } from '../../core/configuration/schema-parts';
import type { Attestation } from '../../core/plan/assess-plan';
import { plannedEffort } from '../../core/plan/migration-effort';
import { assessPlanSchema } from '../../core/plan/schema/assess-plan-schema';
import { CliError, EXIT } from '../options/cli-error';
import { operatorName } from '../options/operator-name';
import type { AssessOptions } from './assess-options';

/** A route with both providers, as the configuration gives them. */
interface ResolvedRoute {
  readonly name: string;
  readonly legacy: string;
  readonly candidate: string;
  readonly modelMapping: ReadonlyMap<string, string>;
  readonly shadow: number;
  readonly replayBudget: number;
  readonly providers: Configuration['providers'];
  readonly resolveSecret: (reference: string) => string;
}

/** The route that `--route` names; null without it. */
function routeOf(options: AssessOptions): ResolvedRoute | null {
  const { route: name } = options;
  if (name === undefined) return null;
  const configuration = loadConfiguration(configurationPath(options.config));
  const route = Object.hasOwn(configuration.routes, name) ? configuration.routes[name] : undefined;
  if (route === undefined) {
    const known = Object.keys(configuration.routes).join(', ');
    throw new CliError(`expected one of the routes (${known}), got "${name}"`, EXIT.badInput);
  }
  return {
    name,
    legacy: route.legacy,
    candidate: route.candidate,
    modelMapping: new Map(Object.entries(route.models).map(([model, { candidate }]) => [model, candidate])),
    shadow: route.shadow,
    replayBudget: route.replayBudget.ratio,
    providers: configuration.providers,
    resolveSecret: secretResolver(configuration),
  };
}

/** What is to be assessed, and whom it asks. */
export interface AskedAssessment extends Pick<AssessmentPorts, 'finder' | 'inquiry'> {
  readonly request: AssessmentRequest;
}

/** As the options say. */
export function askedByOptions(files: readonly string[], options: AssessOptions): AskedAssessment {
  const route = routeOf(options);
  return {
    request: requestOf(files, options, route),
    finder: new PriceFinder(priceBooks(options, route)),
    inquiry: inquiryOf(options, route),
  };
}

/** As the migration of a plan would have it; files take the place of the logs that the plan names. */
export function askedByPlan(path: string, files: readonly string[], options: AssessOptions): AskedAssessment {
  const plan = loadPlan(path);
  if (plan.assess === undefined && files.length === 0) {
    throw new CliError(`${path} names no usage logs (assess.usage): expected files`, EXIT.badInput);
  }
  const configuration = loadConfiguration(configurationPath(options.config));
  const assess = plan.assess ?? parseDocument(assessPlanSchema, { usage: files }, path);
  return plannedAssessment(
    plan.route,
    {
      ...assess,
      usage: files.length > 0 ? files : assess.usage,
      ask: options.ask ?? assess.ask,
    },
    {
      configuration,
      inquire: (provider) => providerInquiry(provider, secretResolver(configuration)),
      readDocument,
      now: new Date(),
      effort: plannedEffort(plan),
    },
  );
}

function requestOf(
  files: readonly string[],
  options: AssessOptions,
  route: ResolvedRoute | null,
): AssessmentRequest {
  const candidate =
    options.candidate ?? (options.candidatePrice === undefined ? route?.candidate : CANDIDATE);
  if (candidate === undefined && options.mapping !== undefined) {
    throw new CliError('--mapping needs --candidate, --candidate-price or --route', EXIT.badInput);
  }
  const mappings = (options.mappingFile ?? []).map((path) => parseMapping(readDocument(path), path));
  return {
    route: route?.name ?? null,
    files,
    load: {
      mappings,
      maxRejectShare: options.maxRejects,
      ...(options.format === undefined ? {} : { format: options.format }),
    },
    window: { fromMs: options.from ?? null, toMs: options.to ?? null, days: options.days },
    legacyProvider: options.legacy ?? route?.legacy ?? null,
    candidate:
      candidate === undefined
        ? null
        : {
            provider: candidate,
            modelMapping: options.mapping ?? route?.modelMapping ?? null,
            tokenRatios: ratiosOf(options),
          },
    warmUpDays: options.warmUpDays,
    migration: {
      effort: plannedEffort(defaultPlan(route?.name ?? 'any')),
      shadow: route?.shadow ?? 0,
      replayBudget: route?.replayBudget ?? 0.1,
    },
    readiness:
      candidate === undefined
        ? null
        : {
            contextLengths: options.contextLength ?? new Map(),
            rateLimits: {
              requestsPerMinute: options.requestsPerMinute ?? null,
              tokensPerMinute: options.tokensPerMinute ?? null,
            },
            measuredP50Ms: options.measuredP50 ?? null,
            attestations: attested(options),
            demands: {
              ...(options.maxP50 === undefined ? {} : { maxP50Ms: options.maxP50 }),
              ...(options.maxErrorRate === undefined ? {} : { maxErrorRate: options.maxErrorRate }),
              ...(options.minSaving === undefined ? {} : { minSavingPercent: options.minSaving }),
            },
          },
  };
}

function ratiosOf({ parity, tokenizerRatio }: AssessOptions): TokenRatios | null {
  if (parity !== undefined) return measuredTokenRatios(readDocument(parity), parity);
  return tokenizerRatio === undefined ? null : { input: tokenizerRatio, output: tokenizerRatio };
}

/** The name of a candidate that is known by its price only. */
const CANDIDATE = 'candidate';

function attested(options: AssessOptions): Attestation[] {
  const on = new Date().toISOString().slice(0, 10);
  return (options.attest ?? []).map((each) => ({ ...each, by: options.by ?? operatorName(), on }));
}

/** Price books in the order in which they are asked: files, the command's own prices, the configuration's. */
function priceBooks(options: AssessOptions, route: ResolvedRoute | null): PriceBook[] {
  const books = (options.prices ?? []).map((path) => parsePriceBook(readDocument(path), path));
  const today = new Date().toISOString().slice(0, 10);
  const written: object[] = [];
  if (options.candidatePrice !== undefined) {
    const provider = options.candidate ?? CANDIDATE;
    const models = new Set([
      ...(options.mapping ?? route?.modelMapping ?? new Map<string, string>()).values(),
    ]);
    if (models.size === 0)
      throw new CliError('--candidate-price needs --mapping, which names the models', EXIT.badInput);
    for (const model of models) {
      written.push({ provider, model, ...options.candidatePrice, source: 'command line', asOf: today });
    }
  }
  return [
    ...books,
    parsePriceBook({ version: 1, prices: written }, 'the prices of this command'),
    configuredPrices(route?.providers ?? {}, today),
  ];
}

/** How the candidate is asked; null where it is not. A route's candidate is asked unless `--no-ask` says not to. */
function inquiryOf(options: AssessOptions, route: ResolvedRoute | null): ProviderInquiry | null {
  if (options.candidateUrl !== undefined) {
    if (options.key === undefined) throw new CliError('--candidate-url needs --key env:NAME', EXIT.badInput);
    const endpoint = { baseUrl: options.candidateUrl, auth: { bearer: options.key }, headers: {}, query: {} };
    return providerInquiry(endpoint, resolveSecret);
  }
  if (!(options.ask ?? route !== null)) return null;
  const provider = route?.providers[options.candidate ?? route.candidate];
  if (provider === undefined) {
    // Without --ask nobody insists: a candidate that is only a name in a price book cannot be asked.
    if (options.ask === undefined) return null;
    throw new CliError('--ask needs --route, or --candidate-url and --key', EXIT.badInput);
  }
  try {
    return providerInquiry(provider, route?.resolveSecret ?? resolveSecret);
  } catch (error) {
    if (!(error instanceof UnresolvedSecret)) throw error;
    throw new CliError(`${error.message}; --no-ask sends the candidate nothing`, EXIT.badInput, {
      cause: error,
    });
  }
}
