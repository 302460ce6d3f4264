import type { AssessmentReport } from './assessment-report';
import { DEFAULT_EFFORT, type MigrationEffort, migrationCost } from './migration-cost';
import type { PriceFinder } from './prices/price-finder';
import { projectCosts } from './projection';
import {
  evaluateReadiness,
  type FeatureAnswer,
  type ProviderInquiry,
  type ReadinessFacts,
} from './readiness';
import { analyzeUsage, type WindowChoice } from './usage/analyze-usage';
import type { FeatureName, UsageAnalysis } from './usage/usage-analysis';
import { type Progress, UsageDatabase } from './usage/usage-database';
import { type LoadOptions, loadUsage } from './usage/usage-loader';

/** What an assessment is made of; a resolved route gives providers and mapping. */
export interface AssessmentRequest {
  readonly route: string | null;
  readonly files: readonly string[];
  readonly load: Omit<LoadOptions, 'progress' | 'signal'>;
  readonly window: WindowChoice;
  readonly legacyProvider: string | null;
  /** Null when no candidate is named: usage is analysed and nothing projected. */
  readonly candidate: {
    readonly provider: string | null;
    /** Null when the candidate serves every model under its own name. */
    readonly modelMapping: ReadonlyMap<string, string> | null;
    readonly tokenizerRatio: { readonly low: number; readonly point: number; readonly high: number } | null;
  } | null;
  readonly warmUpDays: number;
  readonly effort?: MigrationEffort;
  /** What readiness judges beyond usage and projection; null leaves readiness out. */
  readonly readiness: Pick<
    ReadinessFacts,
    'contextLengths' | 'rateLimits' | 'measuredP50Ms' | 'attestations' | 'demands'
  > | null;
}

/** Outside things that an assessment needs; the same for the command and for an activity. */
export interface AssessmentPorts {
  readonly finder: PriceFinder;
  /** Null when the candidate's endpoint cannot or must not be asked. */
  readonly inquiry: ProviderInquiry | null;
  readonly now: Date;
  readonly progress?: Progress;
  readonly signal?: AbortSignal;
}

/** Reads, analyses, prices and judges. Throws UnreadableUsage, TooManyRejects or MissingPrice; starting over is safe. */
export async function assessUsage(
  request: AssessmentRequest,
  ports: AssessmentPorts,
): Promise<AssessmentReport> {
  const { finder, signal } = ports;
  const observed = {
    ...(ports.progress === undefined ? {} : { progress: ports.progress }),
    ...(signal === undefined ? {} : { signal }),
  };
  const db = await UsageDatabase.open(observed);
  try {
    const sources = await loadUsage(db, request.files, { ...request.load, ...observed });
    const models = await db.rows('SELECT DISTINCT model FROM usage_all', 'listing models', signal);
    const names = models.map(({ model }) => String(model));
    const { candidate } = request;
    const modelMapping = candidate?.modelMapping ?? new Map(names.map((name) => [name, name]));
    const thresholds = thresholdsOf(request, finder, modelMapping, names, ports.now);
    const { analysis, cells } = await analyzeUsage(db, sources, request.window, thresholds, signal);
    const projection =
      candidate === null
        ? null
        : projectCosts(analysis, cells, finder, {
            legacyProvider: request.legacyProvider,
            candidateProvider: candidate.provider,
            modelMapping,
            tokenizerRatio: candidate.tokenizerRatio,
            warmUpDays: request.warmUpDays,
            contextThresholds: thresholds,
          });
    const callsPerMonth = (analysis.totals.calls * 30) / analysis.window.days;
    return {
      route: request.route,
      madeAt: ports.now.toISOString(),
      usage: analysis,
      projection,
      migrationCost:
        projection === null ? [] : migrationCost(projection, callsPerMonth, request.effort ?? DEFAULT_EFFORT),
      readiness:
        request.readiness === null
          ? null
          : evaluateReadiness({
              ...request.readiness,
              usage: analysis,
              projection,
              modelMapping,
              ...(await askCandidate(ports, analysis, modelMapping)),
            }),
    };
  } finally {
    await db.close();
  }
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

/** Asks for the models, then for each used or possibly used feature of each mapped model, one after the other. */
async function askCandidate(
  { inquiry, progress, signal }: AssessmentPorts,
  usage: UsageAnalysis,
  mapping: ReadonlyMap<string, string>,
): Promise<Pick<ReadinessFacts, 'candidateModels' | 'features'>> {
  const features = new Map<string, Map<FeatureName, FeatureAnswer>>();
  if (inquiry === null) return { candidateModels: null, features };
  progress?.('asking the candidate for its models', null);
  const candidateModels = await inquiry.listModels(signal);
  const targets = new Set(usage.byModel.flatMap(({ model }) => mapping.get(model) ?? []));
  for (const target of candidateModels.ok ? targets : []) {
    const answers = new Map<FeatureName, FeatureAnswer>();
    const embeds = /embed/i.test(target);
    for (const { feature, calls } of usage.features) {
      if (calls === 0 || embeds !== (feature === 'embeddings')) continue;
      progress?.(`probing ${feature} of ${target}`, null);
      answers.set(feature, await inquiry.probeFeature(feature, target, signal));
    }
    features.set(target, answers);
  }
  return { candidateModels, features };
}
