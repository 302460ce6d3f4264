import { costOf, type PricedTokens, type Rates } from '../core/assessment/prices';
import type { ProbeKind } from '../core/assessment/probe-rotation';
import { ANSWER_TOKENS } from '../core/identity/identity-questions';
import type { MigrationEffort } from '../core/plan/migration-effort';
import { formatShare } from '../core/plan/plan';
import type { CostProjection } from './cost-projection';

/** What moving is estimated from, beside the plan. */
export interface MigrationTraffic {
  readonly projection: CostProjection;
  /** Null when the logs do not count calls. */
  readonly callsPerMonth: number | null;
  /** Fraction of legacy's requests that is copied to the candidate, 0 to 1. */
  readonly shadow: number;
  /** Fraction of the candidate's requests that may be sent to legacy as well after an ambiguous failure, 0 to 1. */
  readonly replayBudget: number;
  /** Of the model that is probed, in dollars; null when no model is mapped. */
  readonly probed: { readonly legacy: Rates; readonly candidate: Rates } | null;
}

/** One item of what a migration costs. */
export interface EffortCost {
  readonly item: 'shadow' | 'judge' | 'probes' | 'identity' | 'parity' | 'doubled requests';
  /** Null when the logs do not tell enough. */
  readonly usd: number | null;
  readonly how: string;
}

const HOURS_A_MONTH = 720;
/** Tokens of one probe at most, with its answer. */
const PROBE_TOKENS: Readonly<Record<ProbeKind, readonly [input: number, output: number]>> = {
  models: [0, 0],
  plain: [20, 1],
  stream: [20, 1],
  embeddings: [5, 0],
  tools: [150, 200],
  jsonSchema: [150, 100],
  longContext: [10_000, 1],
};

/** What moving costs beside the traffic itself: upper bounds, where a call is taken for a mean one. */
export function migrationCost(traffic: MigrationTraffic, effort: MigrationEffort): EffortCost[] {
  return [
    shadowCost(traffic, effort),
    ...judgeCost(effort),
    probeCost(traffic, effort),
    ...identityCost(traffic, effort),
    parityCost(traffic, effort),
    doubled(traffic, effort),
  ];
}

function shadowCost(
  { projection, shadow }: MigrationTraffic,
  { split, copying = [] }: MigrationEffort,
): EffortCost {
  const [staged = null] = copying;
  const months = split.reduce((sum, { share, hours }) => sum + (1 - share) * hours, 0) / HOURS_A_MONTH;
  return {
    item: 'shadow',
    usd: shadow * months * projection.candidate.monthly.highUsd + (staged?.maxCostUsd ?? 0),
    how:
      shadow === 0
        ? staged === null
          ? "no request of legacy's is copied to the candidate"
          : `copies of legacy's requests during ${staged.name}, up to its maxCostUsd`
        : `${formatShare(shadow)} of legacy's requests copied to the candidate during ${namesOf(split)}`,
  };
}

/** What the probes of a migration cost at both providers. */
export function probeCost(
  { probed }: Pick<MigrationTraffic, 'probed'>,
  { probes }: Pick<MigrationEffort, 'probes'>,
): EffortCost {
  const costAt = (rates: Rates) =>
    probes.reduce((sum, { kind, count }) => sum + count * costOf(rates, probeTokens(kind)), 0);
  const count = probes.reduce((sum, each) => sum + each.count, 0);
  return {
    item: 'probes',
    usd: probed === null ? null : costAt(probed.legacy) + costAt(probed.candidate),
    how: `${whole(count)} to each provider: ${probes.map(({ kind }) => kind).join(', ')}`,
  };
}

/** What the judge of a plan costs; nothing where it has none. */
export function judgeCost({ judge }: Pick<MigrationEffort, 'judge'>): EffortCost[] {
  if (judge === undefined) return [];
  const { name, model, maxCostUsd } = judge;
  return [
    { item: 'judge', usd: maxCostUsd, how: `${model} judges pairs during ${name}, up to its maxCostUsd` },
  ];
}

/** What it costs to ask the candidate which model it serves; nothing where a plan does not. */
export function identityCost(
  { probed }: Pick<MigrationTraffic, 'probed'>,
  { identity }: Pick<MigrationEffort, 'identity'>,
): EffortCost[] {
  if (identity === undefined) return [];
  const { assessed, perHour, hours } = identity;
  const questionUsd = probed === null ? null : costOf(probed.candidate, IDENTITY_TOKENS);
  const rate =
    questionUsd === null ? '' : `, at most $${Number((perHour * questionUsd).toPrecision(2))} per hour`;
  return [
    {
      item: 'identity',
      usd: questionUsd === null ? null : questionUsd * (assessed + perHour * hours),
      how: `${assessed} questions to the candidate in assess and ${whole(perHour)} per hour in each later stage${rate}`,
    },
  ];
}

/** Of a question with its answer at most: most of them are answered by one word. */
const IDENTITY_TOKENS: PricedTokens = {
  ...{ inputTokens: 100, cachedTokens: 0 },
  outputTokens: ANSWER_TOKENS.sampled,
};

function probeTokens(kind: ProbeKind): PricedTokens {
  const [inputTokens, outputTokens] = PROBE_TOKENS[kind];
  return { inputTokens, cachedTokens: 0, outputTokens };
}

function parityCost(
  { projection, callsPerMonth }: MigrationTraffic,
  { parity }: MigrationEffort,
): EffortCost {
  if (parity === null) return { item: 'parity', usd: 0, how: 'no golden prompts are compared' };
  const { leastPrompts, maxCostUsd } = parity;
  if (maxCostUsd !== null) {
    return { item: 'parity', usd: maxCostUsd, how: 'golden prompts are sent until this is spent' };
  }
  const how = `at least ${whole(leastPrompts)} golden prompts, twice to legacy and once to the candidate, without a cap`;
  if (callsPerMonth === null || callsPerMonth === 0) return { item: 'parity', usd: null, how };
  const { legacy, candidate } = projection;
  const month = 2 * legacy.monthly.usd + candidate.monthly.usd;
  return { item: 'parity', usd: (leastPrompts * month) / callsPerMonth, how };
}

function doubled({ projection, replayBudget }: MigrationTraffic, { split }: MigrationEffort): EffortCost {
  const months = split.reduce((sum, { share, hours }) => sum + share * hours, 0) / HOURS_A_MONTH;
  return {
    item: 'doubled requests',
    usd: replayBudget * months * projection.legacy.monthly.usd,
    how: `up to ${formatShare(replayBudget)} of the candidate's requests during ${namesOf(split)} sent to legacy as well`,
  };
}

function namesOf(split: MigrationEffort['split']): string {
  return split
    .map(({ name, share, hours }) => `${name} (${formatShare(share)}, ${whole(hours)} h)`)
    .join(', ');
}

function whole(value: number): string {
  return value.toLocaleString('en-US', { maximumFractionDigits: 1 });
}
