import type { ModelsAnswer } from '../core/assessment/assessment';
import type { ApprovalQuestion, Finding } from '../core/assessment/finding';
import type { RateLimits } from '../core/assessment/rate-limits';
import {
  ATTESTATION_ITEMS,
  type Attestation,
  type AttestationItem,
  type ChecklistPoint,
} from '../core/plan/assess-plan';
import { DAY_MS, formatDuration } from '../core/text/duration';
import { type CostProjection, WEEK_DAYS } from './cost-projection';
import type { FeatureName, UsageAnalysis } from './usage/usage-analysis';

/** What one feature probe of a real endpoint showed; null when it could not be determined (a timeout, a rate limit). */
export interface FeatureAnswer {
  readonly supported: boolean | null;
  readonly detail: string;
}

/** The models of a provider, and the context in tokens of those for which it tells. */
export interface ServedModels extends ModelsAnswer {
  readonly contextLengths: ReadonlyMap<string, number>;
}

/** What some tiny requests showed; null where they failed, or the answers did not tell. */
export interface PingAnswer {
  readonly p50Ms: number | null;
  /** Why there is no p50; null when there is one. */
  readonly error: string | null;
  readonly rateLimits: RateLimits;
}

/** What readiness asks of a provider. Implemented with the openai client; a fake in tests. */
export interface ProviderInquiry {
  listModels(signal?: AbortSignal): Promise<ServedModels>;
  probeFeature(feature: FeatureName, model: string, signal?: AbortSignal): Promise<FeatureAnswer>;
  /** Sends so many tiny requests, one after the other. */
  ping(model: string, requests: number, signal?: AbortSignal): Promise<PingAnswer>;
}

/** What a plan demands beyond the facts; every field may be left out. */
export interface ReadinessDemands {
  /** Highest error rate of legacy's usage at which moving makes sense, 0 to 1. */
  readonly maxErrorRate?: number;
  readonly maxP50Ms?: number;
  /** What must be attested before traffic moves; default: all four. */
  readonly attested?: readonly AttestationItem[];
  /** Least saving in percent. */
  readonly minSavingPercent?: number;
  /** Further points, judged by a person, in the words of the plan. */
  readonly further?: readonly ChecklistPoint[];
  /** The operator who is asked for what nobody has attested; anyone when absent. */
  readonly asks?: string | null;
}

/** Everything that readiness is judged by; null is "not asked" or "not known". */
export interface ReadinessFacts {
  readonly usage: UsageAnalysis;
  readonly projection: CostProjection | null;
  readonly modelMapping: ReadonlyMap<string, string>;
  readonly candidateModels: ModelsAnswer | null;
  /** By the candidate's model and feature. */
  readonly features: ReadonlyMap<string, ReadonlyMap<FeatureName, FeatureAnswer>>;
  /** Context length of the candidate's models, in tokens. */
  readonly contextLengths: ReadonlyMap<string, number>;
  /** As an operator gives them. */
  readonly rateLimits: RateLimits;
  /** As the candidate's answers tell them. */
  readonly toldLimits: RateLimits;
  readonly measuredP50Ms: number | null;
  readonly attestations: readonly Attestation[];
  readonly demands: ReadinessDemands;
}

/** The verdict of the assess stage. */
export interface Readiness {
  readonly verdict: 'pass' | 'hold' | 'rejected';
  readonly findings: readonly Finding[];
}

const QUESTIONS: Readonly<Record<AttestationItem, string>> = {
  sla: "Does the candidate's service level meet what this route promises?",
  dataResidency: 'May the data of this route be processed where the candidate runs?',
  payment: 'Is payment arranged, and funded for the expected month?',
  contract: 'Do a contract or terms cover this use?',
};

/** Judges the checklist: blockers reject, doubts and open questions hold, warnings are shown. */
export function evaluateReadiness(facts: ReadinessFacts): Readiness {
  const findings = [
    ...mappedModels(facts),
    ...contextLengths(facts),
    ...features(facts),
    ...rateLimits(facts),
    ...span(facts),
    ...untoldTokens(facts),
    ...targets(facts),
    ...attestations(facts),
    ...furtherPoints(facts),
  ];
  const has = (kind: Finding['kind']) => findings.some((finding) => finding.kind === kind);
  const verdict = has('blocker') ? 'rejected' : has('doubt') || has('approval') ? 'hold' : 'pass';
  return { verdict, findings };
}

function attestations({ attestations: given, demands }: ReadinessFacts): Finding[] {
  return (demands.attested ?? ATTESTATION_ITEMS).flatMap((item) => {
    const said = given.find((attestation) => attestation.item === item);
    if (said === undefined) return [approval({ item, text: QUESTIONS[item], asks: demands.asks ?? null })];
    return said.holds ? [] : [blocker(`${QUESTIONS[item]} No, says ${said.by} on ${said.on}`)];
  });
}

function furtherPoints({ demands }: ReadinessFacts): Finding[] {
  return (demands.further ?? []).flatMap(({ text, attestedBy }, index) =>
    attestedBy === null ? [approval({ item: `point-${index + 1}`, text, asks: demands.asks ?? null })] : [],
  );
}

function mappedModels({ usage, modelMapping, candidateModels }: ReadinessFacts): Finding[] {
  const findings: Finding[] = [];
  for (const { model } of usage.byModel) {
    const target = modelMapping.get(model);
    if (target === undefined) {
      findings.push(warning(`"${model}" is used and not mapped: its traffic stays with legacy`));
    } else if (candidateModels?.models != null && !candidateModels.models.includes(target)) {
      findings.push(blocker(`the candidate does not serve "${target}", which "${model}" is mapped to`));
    }
  }
  if (!usage.byModel.some(({ model }) => modelMapping.has(model))) {
    findings.push(blocker('no model in use is mapped: nothing can be moved'));
  }
  if (candidateModels === null) findings.push(doubt('the candidate was not asked which models it serves'));
  else if (!candidateModels.ok) {
    findings.push(
      doubt(`the candidate did not list its models: ${candidateModels.error ?? 'no reason given'}`),
    );
  }
  return findings;
}

function contextLengths({ usage, modelMapping, contextLengths: lengths }: ReadinessFacts): Finding[] {
  return longestRequests(usage, modelMapping).flatMap(({ target, model, tokens }) => {
    const length = lengths.get(target);
    if (length === undefined) {
      return [
        doubt(`the context length of "${target}" is not known; the longest request has ${tokens} tokens`),
      ];
    }
    if (tokens > length) {
      return [blocker(`"${target}" takes ${length} tokens, the longest request of "${model}" has ${tokens}`)];
    }
    return tokens > 0.8 * length
      ? [
          warning(
            `the longest request of "${model}" fills ${Math.round((tokens / length) * 100)}% of the context of "${target}"`,
          ),
        ]
      : [];
  });
}

/** For each of the candidate's models the longest request that is mapped to it, and the model that it was for. */
function longestRequests(
  usage: UsageAnalysis,
  modelMapping: ReadonlyMap<string, string>,
): { target: string; model: string; tokens: number }[] {
  const longest = new Map<string, { target: string; model: string; tokens: number }>();
  for (const { model, maxContextTokens: tokens } of usage.byModel) {
    const target = modelMapping.get(model);
    if (target === undefined || tokens === null) continue;
    if (tokens > (longest.get(target)?.tokens ?? -1)) longest.set(target, { target, model, tokens });
  }
  return [...longest.values()];
}

function features({ usage, modelMapping, candidateModels, features: answers }: ReadinessFacts): Finding[] {
  const mapped = new Set(usage.byModel.flatMap(({ model }) => modelMapping.get(model) ?? []));
  // A model that is not served at all is a blocker already.
  const targets = [...mapped].filter((target) => candidateModels?.models?.includes(target) !== false);
  return targets.flatMap((target) =>
    usage.features.flatMap(({ feature, calls }) => {
      if (calls === 0) return [];
      const answer = answers.get(target)?.get(feature);
      // Embeddings are probed on embedding models only, which the mapping of each route names.
      if (answer === undefined) {
        return calls === null || feature === 'embeddings'
          ? []
          : [doubt(`${feature} is used, and "${target}" was not probed for it`)];
      }
      if (answer.supported === true) return [];
      if (answer.supported === null)
        return [doubt(`${feature} of "${target}" could not be determined: ${answer.detail}`)];
      const text = `"${target}" does not support ${feature}: ${answer.detail}`;
      return [calls === null ? warning(`${text} (the log does not say whether it is used)`) : blocker(text)];
    }),
  );
}

function rateLimits({ usage, rateLimits: given, toldLimits: told }: ReadinessFacts): Finding[] {
  const { peak } = usage;
  if (peak === null)
    return [warning('peaks per minute are not in these sources: rate limits were not checked')];
  const checks = [
    ['requests', peak.requestsPerMinute, given.requestsPerMinute, told.requestsPerMinute],
    ['tokens', peak.tokensPerMinute, given.tokensPerMinute, told.tokensPerMinute],
  ] as const;
  return checks.flatMap(([what, most, givenLimit, toldLimit]) => {
    if (most === null) return [];
    const limit = givenLimit ?? toldLimit;
    if (limit === null)
      return [warning(`the candidate's limit of ${what} per minute is not known; the peak is ${most}`)];
    if (most > limit && givenLimit === null) {
      return [
        doubt(
          `the peak of ${most} ${what} per minute is above the ${limit} that the candidate's answers mention; give its limit to settle it`,
        ),
      ];
    }
    if (most > limit)
      return [blocker(`the peak of ${most} ${what} per minute is above the candidate's limit of ${limit}`)];
    return most > 0.8 * limit
      ? [warning(`the peak of ${most} ${what} per minute is above 80% of the candidate's limit of ${limit}`)]
      : [];
  });
}

/** Part of the calls without token counts from which cost is not what it seems. */
const UNTOLD_PART = 0.01;

function untoldTokens({ usage, projection }: ReadinessFacts): Finding[] {
  if (projection === null) return [];
  const { sources } = usage;
  const untold = sources.reduce((sum, source) => sum + source.untold, 0);
  const rows = sources.reduce(
    (sum, { rows: read, skipped, rejects }) => sum + read - skipped - rejects.total,
    0,
  );
  if (untold <= UNTOLD_PART * rows) return [];
  const percent = ((untold / rows) * 100).toFixed(1);
  return [warning(`${percent}% of the calls have no token counts: cost is that of the others`)];
}

/** A target that was met or missed within an hour of usage says little. */
function span({ projection }: ReadinessFacts): Finding[] {
  if (projection === null || projection.days >= WEEK_DAYS) return [];
  const covered = formatDuration(projection.days * DAY_MS);
  return [warning(`the logs cover ${covered}: what a month costs is extrapolated`)];
}

function targets({ usage, projection, measuredP50Ms, demands }: ReadinessFacts): Finding[] {
  const findings: Finding[] = [];
  const { failed, calls } = usage.totals;
  if (demands.maxErrorRate !== undefined) {
    if (failed === null)
      findings.push(doubt('errors are not in these sources, and the plan has a target for them'));
    else if (calls !== null && calls > 0 && failed / calls > demands.maxErrorRate) {
      findings.push(
        warning(
          `legacy fails ${((failed / calls) * 100).toFixed(2)}% of calls, the plan aims at ${demands.maxErrorRate * 100}%`,
        ),
      );
    }
  }
  if (demands.maxP50Ms !== undefined) {
    if (measuredP50Ms === null)
      findings.push(doubt("the candidate's p50 was not measured, and the plan has a target for it"));
    else if (measuredP50Ms > demands.maxP50Ms) {
      findings.push(
        blocker(`the candidate's p50 is ${measuredP50Ms} ms, the plan allows ${demands.maxP50Ms} ms`),
      );
    }
  }
  if (demands.minSavingPercent !== undefined) {
    const percent = projection?.savingPercent?.percent ?? null;
    if (percent === null) findings.push(doubt('the saving is not known, and the plan demands one'));
    else if (percent < demands.minSavingPercent) {
      findings.push(
        blocker(`the candidate saves ${percent.toFixed(1)}%, the plan demands ${demands.minSavingPercent}%`),
      );
    }
  }
  return findings;
}

function blocker(text: string): Finding {
  return { kind: 'blocker', text };
}

function doubt(text: string): Finding {
  return { kind: 'doubt', text };
}

function warning(text: string): Finding {
  return { kind: 'warning', text };
}

function approval(question: ApprovalQuestion): Finding {
  return { kind: 'approval', ...question };
}
