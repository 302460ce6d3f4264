import type { Projection } from './projection';

/** How the migration will be run, as far as it costs money. */
export interface MigrationEffort {
  readonly canary: { readonly share: number; readonly hours: number };
  readonly rolling: { readonly share: number; readonly hours: number };
  /** Part of traffic that is mirrored to the candidate before canary, and for how long. */
  readonly shadow: { readonly share: number; readonly hours: number };
  /** Probes a side over the whole migration. */
  readonly probes: number;
  readonly goldenPrompts: number;
  /** Part of the candidate's requests that may be sent to legacy as well after a failure. */
  readonly replayBudget: number;
}

/** The design's defaults: canary 10% for a day, rolling 50% for two, no shadow traffic. */
export const DEFAULT_EFFORT: MigrationEffort = {
  canary: { share: 0.1, hours: 24 },
  rolling: { share: 0.5, hours: 48 },
  shadow: { share: 0, hours: 24 },
  probes: 1000,
  goldenPrompts: 200,
  replayBudget: 0.1,
};

/** One item of what a migration costs. */
export interface EffortCost {
  readonly item: 'shadow' | 'probes' | 'parity' | 'doubled requests';
  readonly usd: number;
  readonly how: string;
}

const HOURS_A_MONTH = 720;

/** What moving costs beside the traffic itself; upper bounds, from the mean cost of a call on each side. */
export function migrationCost(
  projection: Projection,
  callsPerMonth: number,
  effort: MigrationEffort,
): EffortCost[] {
  const legacyMonth = projection.legacy.monthly.usd;
  const candidateMonth = projection.candidate.monthly.usd;
  const calls = Math.max(1, callsPerMonth);
  const legacyCall = legacyMonth / calls;
  const candidateCall = candidateMonth / calls;
  const { shadow, canary, rolling, probes, goldenPrompts, replayBudget } = effort;
  const moved = (canary.share * canary.hours + rolling.share * rolling.hours) / HOURS_A_MONTH;
  return [
    {
      item: 'shadow',
      usd: ((shadow.share * shadow.hours) / HOURS_A_MONTH) * candidateMonth,
      how: `${shadow.share * 100}% of traffic mirrored for ${shadow.hours} h`,
    },
    {
      item: 'probes',
      usd: probes * (legacyCall + candidateCall),
      how: `${probes} a side, each at most a mean call`,
    },
    {
      item: 'parity',
      usd: goldenPrompts * (2 * legacyCall + candidateCall),
      how: `${goldenPrompts} golden prompts, twice to legacy and once to the candidate`,
    },
    {
      item: 'doubled requests',
      usd: replayBudget * moved * legacyMonth,
      how: `up to ${replayBudget * 100}% of the candidate's requests in canary and rolling sent to legacy as well`,
    },
  ];
}
