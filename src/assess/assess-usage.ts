import { NO_RATE_LIMITS, type RateLimits } from '../core/assessment/rate-limits';
import type { MigrationEffort } from '../core/plan/migration-effort';
import type { AssessmentReport } from './assessment-report';
import { type CostProjection, projectCosts, type TokenRatios } from './cost-projection';
import { type MigrationTraffic, migrationCost } from './migration-cost';
import type { PriceFinder } from './prices/price-finder';
import {
  evaluateReadiness,
  type FeatureAnswer,
  type ProviderInquiry,
  type ReadinessFacts,
} from './readiness';
import { migrationTotal, recommend } from './recommendation';
import { analyzeUsage, type WindowChoice } from './usage/analyze-usage';
import type { FeatureName, UsageAnalysis } from './usage/usage-analysis';
import { type QueryProgress, UsageDatabase } from './usage/usage-database';
import { type LoadOptions, loadUsage } from './usage/usage-loader';

/** What an assessment is made of; a resolved route gives providers and mapping. */
export interface AssessmentRequest {
  readonly route: string | null;
  readonly files: readonly string[];
  readonly load: Omit<LoadOptions, 'loaded' | 'signal'>;
  readonly window: WindowChoice;
  readonly legacyProvider: string | null;
  /** Null when no candidate is named: usage is analysed and nothing projected. */
  readonly candidate: {
    readonly provider: string | null;
    /** Null when the candidate serves every model under its own name. */
    readonly modelMapping: ReadonlyMap<string, string> | null;
    readonly tokenRatios: TokenRatios | null;
  } | null;
  readonly warmUpDays: number;
  /** What the migration itself sends; null leaves its cost out. */
  readonly migration: PlannedMigration | null;
  /** What readiness judges beyond usage and projection; null leaves readiness out. */
  readonly readiness: Pick<
    ReadinessFacts,
    'contextLengths' | 'rateLimits' | 'measuredP50Ms' | 'attestations' | 'demands'
  > | null;
}

/** A plan's effort, and what its route says of copies and replays, each 0 to 1. */
export interface PlannedMigration extends Pick<MigrationTraffic, 'shadow' | 'replayBudget'> {
  readonly effort: MigrationEffort;
}

/** Outside things that an assessment needs; the same for the command and for an activity. */
export interface AssessmentPorts {
  readonly finder: PriceFinder;
  /** Null when the candidate's endpoint cannot or must not be asked. */
  readonly inquiry: ProviderInquiry | null;
  readonly now: Date;
  readonly progress?: QueryProgress;
  readonly loaded?: LoadOptions['loaded'];
  readonly signal?: AbortSignal;
  /** For an assessment that a later attempt may have to finish. */
  readonly attempt?: {
    /** The work folder of the attempt before. */
    readonly earlier: string | null;
    /** Told the work folder of this one. */
    readonly opened: (folder: string) => void;
    /** Whether a reason to abort leaves the work for a later attempt. */
    readonly goesOnAfter: (reason: unknown) => boolean;
  };
}

/** Reads, analyses, prices and judges. Throws UnreadableUsage, TooManyRejects or MissingPrice; starting over is safe. */
export async function assessUsage(
  request: AssessmentRequest,
  ports: AssessmentPorts,
): Promise<AssessmentReport> {
  const { finder, signal, attempt } = ports;
  const db = await UsageDatabase.open({
    earlier: attempt?.earlier ?? null,
    ...(ports.progress === undefined ? {} : { progress: ports.progress }),
  });
  try {
    attempt?.opened(db.folder);
    const sources = await loadUsage(db, request.files, {
      ...request.load,
      ...(ports.loaded === undefined ? {} : { loaded: ports.loaded }),
      ...(signal === undefined ? {} : { signal }),
    });
    const models = await db.rows('SELECT DISTINCT model FROM usage_all', 'listing models', signal);
    const names = models.map(({ model }) => String(model));
    const { candidate } = request;
    const modelMapping = candidate?.modelMapping ?? new Map(names.map((name) => [name, name]));
    const thresholds = thresholdsOf(request, finder, modelMapping, names, ports.now);
    const { analysis, cells } = await analyzeUsage(db, sources, request.window, thresholds, signal);
    const projected =
      candidate === null
        ? null
        : projectCosts(analysis, cells, finder, {
            legacyProvider: request.legacyProvider,
            candidateProvider: candidate.provider,
            modelMapping,
            tokenRatios: candidate.tokenRatios,
            warmUpDays: request.warmUpDays,
            contextThresholds: thresholds,
          });
    const { calls } = analysis.totals;
    const costs =
      projected === null || request.migration === null
        ? []
        : migrationCost(
            {
              ...request.migration,
              projection: projected,
              callsPerMonth: calls === null ? null : (calls * 30) / analysis.window.days,
              probed: probedRates(request, finder, projected, analysis.window.toMs),
            },
            request.migration.effort,
          );
    const days = analysis.window.days;
    const projection =
      projected === null
        ? null
        : {
            ...projected,
            recommendation: recommend({ ...projected, days, migrationUsd: migrationTotal(costs) }),
          };
    return {
      route: request.route,
      madeAt: ports.now.toISOString(),
      usage: analysis,
      projection,
      migrationCost: costs,
      readiness:
        request.readiness === null
          ? null
          : evaluateReadiness({
              ...request.readiness,
              usage: analysis,
              projection,
              modelMapping,
              ...(await askCandidate(ports, request.readiness, analysis, modelMapping)),
            }),
    };
  } finally {
    const goesOn = signal?.aborted === true && attempt?.goesOnAfter(signal.reason) === true;
    await db.close({ keepFolder: goesOn });
  }
}

/** Prices of the model that probes are sent to: the first that is mapped and in use. */
function probedRates(
  { legacyProvider, candidate }: AssessmentRequest,
  finder: PriceFinder,
  { mapping }: CostProjection,
  atMs: number,
): MigrationTraffic['probed'] {
  const [first] = mapping;
  if (first === undefined || candidate === null) return null;
  const moment = { atMs, serviceTier: null, contextTokens: 0 };
  return {
    legacy: finder.find(legacyProvider, first.from, moment).rates,
    candidate: finder.find(candidate.provider, first.to, moment).rates,
  };
}

function thresholdsOf(
  request: AssessmentRequest,
  finder: PriceFinder,
  mapping: ReadonlyMap<string, string>,
  models: readonly string[],
  now: Date,
): number[] {
  const { candidate, legacyProvider } = request;
  if (candidate === null) return [];
  const all = models.flatMap((model) => [
    ...finder.contextThresholds(legacyProvider, model, now.getTime()),
    ...finder.contextThresholds(candidate.provider, mapping.get(model) ?? model, now.getTime()),
  ]);
  return [...new Set(all)].sort((a, b) => a - b);
}

/** Requests that a p50 is measured by: as many as the assess stage sends probes to each provider. */
const PINGS = 30;

type ProviderFacts = Pick<
  ReadinessFacts,
  'candidateModels' | 'features' | 'contextLengths' | 'toldLimits' | 'measuredP50Ms'
>;

/**
 * Asks for the models, then for each used or possibly used feature of each mapped model, one after the other. What an
 * operator gave is not asked for.
 */
async function askCandidate(
  { inquiry, progress, signal }: AssessmentPorts,
  given: NonNullable<AssessmentRequest['readiness']>,
  usage: UsageAnalysis,
  mapping: ReadonlyMap<string, string>,
): Promise<ProviderFacts> {
  const features = new Map<string, Map<FeatureName, FeatureAnswer>>();
  const { contextLengths, measuredP50Ms, demands } = given;
  const unasked = { features, contextLengths, toldLimits: NO_RATE_LIMITS, measuredP50Ms };
  if (inquiry === null) return { ...unasked, candidateModels: null };
  progress?.('asking the candidate for its models', null);
  const candidateModels = await inquiry.listModels(signal);
  const told = {
    ...unasked,
    contextLengths: new Map([...candidateModels.contextLengths, ...contextLengths]),
  };
  const served = (target: string) => candidateModels.models?.includes(target) !== false;
  const mapped = new Set(usage.byModel.flatMap(({ model }) => mapping.get(model) ?? []));
  const limits: RateLimits[] = [];
  const times: (number | null)[] = [];
  const pings = demands.maxP50Ms !== undefined && measuredP50Ms === null ? PINGS : 1;
  for (const target of candidateModels.ok ? [...mapped].filter(served) : []) {
    const answers = new Map<FeatureName, FeatureAnswer>();
    const embeds = /embed/i.test(target);
    for (const { feature, calls } of usage.features) {
      if (calls === 0 || embeds !== (feature === 'embeddings')) continue;
      progress?.(`probing ${feature} of ${target}`, null);
      answers.set(feature, await inquiry.probeFeature(feature, target, signal));
    }
    features.set(target, answers);
    if (embeds) continue;
    progress?.(`measuring ${target}`, null);
    const { p50Ms, rateLimits } = await inquiry.ping(target, pings, signal);
    times.push(p50Ms);
    limits.push(rateLimits);
  }
  return {
    ...told,
    candidateModels,
    toldLimits: {
      requestsPerMinute: least(limits.map(({ requestsPerMinute }) => requestsPerMinute)),
      tokensPerMinute: least(limits.map(({ tokensPerMinute }) => tokensPerMinute)),
    },
    measuredP50Ms: measuredP50Ms ?? (pings === PINGS ? slowest(times) : null),
  };
}

function least(limits: readonly (number | null)[]): number | null {
  const known = limits.filter((limit) => limit !== null);
  return known.length === 0 ? null : Math.min(...known);
}

/** Of all models that were measured; null as soon as one could not be. */
function slowest(times: readonly (number | null)[]): number | null {
  const known = times.filter((time) => time !== null);
  return known.length === 0 || known.length < times.length ? null : Math.round(Math.max(...known));
}
