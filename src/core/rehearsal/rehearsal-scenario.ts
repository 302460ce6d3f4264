import type { StagePlan } from '../plan/plan';
import { stageKind } from '../plan/plan';
import { SPENDING_MEASURES, type SpendingGate } from '../plan/spending-gate';
import type { Traffic } from '../plan/traffic';
import { DAY_MS, HOUR_MS, MINUTE_MS } from '../text/duration';
import {
  type ArmBehaviour,
  type Breaches,
  CALM,
  type Conditions,
  drawNormal,
  type KeyModel,
  seededRandom,
} from './rehearsal';

/** What the candidate does in a rehearsal, from the stage's entry on. */
export interface Scenario {
  readonly name: string;
  /** For people. */
  readonly description: string;
  /** The candidate's behaviour so many milliseconds after the stage was entered. */
  readonly candidate: (stage: StagePlan, traffic: Traffic, atMs: number) => ArmBehaviour;
  /** What both providers go through meanwhile, other things with each seed; calm when absent. */
  readonly conditions?: (atMs: number, seed: number) => Conditions;
  /** When assignment is sticky. */
  readonly keys: KeyModel | null;
  /** How many models share the traffic; 1 when absent. */
  readonly models?: number;
  /** As in `TrafficModel`. */
  readonly retried?: number;
  /** What legacy's answers break of their contract, and the candidate's where it does nothing else; none when absent. */
  readonly breaches?: Breaches;
}

/** Errors of a regression are multiples of legacy's rate, which is taken to be at least this. */
const FAILURE_RATE_LEAST = 0.002;

const BURST_MS = 10 * MINUTE_MS;
const BURST_FAILURE_RATE = 0.5;

/** Users whose requests fail together: broken prompts, and retry storms. */
const CLUSTERED_KEYS: KeyModel = {
  keys: 500,
  skew: 0.8,
  failingKeys: 0.02,
  failingRate: 0.5,
  episodes: 0.002,
};

/** Keys with a latency level of their own, a few of which fail together. */
const LEVELLED_KEYS: KeyModel = { ...CLUSTERED_KEYS, levelSd: 0.8 };

/** What answers of real traffic break of their contract now and then. */
const USUAL_BREACHES: Breaches = { cut: 0.01, refusal: 0.003, json_schema: 0.003, empty: 0.001 };

/** Every scenario that a rehearsal knows. */
export const SCENARIOS: readonly Scenario[] = [
  scenario('a/a', 'no difference', () => ({})),
  scenario('errors x2', 'twice the errors from the start', () => ({ errors: 2 })),
  scenario('errors x5', 'five times the errors from the start', () => ({ errors: 5 })),
  scenario('errors x2 late', 'twice the errors from half of the soak on', (stage, atMs) => ({
    errors: isLate(stage, atMs) ? 2 : 1,
  })),
  scenario('errors x5 late', 'five times the errors from half of the soak on', (stage, atMs) => ({
    errors: isLate(stage, atMs) ? 5 : 1,
  })),
  scenario('errors at rollback margin', 'errors exactly at the limit of harm', ({ gates }) => ({
    errors: gates.errors.rollbackRatio,
  })),
  scenario('errors at promotion margin', 'errors exactly at the margin for a promotion', ({ gates }) => ({
    excess: gates.errors.promotionExcess,
  })),
  scenario('p95 +20%', 'every answer 20% slower', () => ({ latency: 1.2 })),
  scenario('p95 +50%', 'every answer 50% slower', () => ({ latency: 1.5 })),
  scenario('p95 x2', 'every answer twice as slow', () => ({ latency: 2 })),
  scenario('slow drift', 'errors rise evenly to five times over the soak', ({ soakMs }, atMs) => ({
    errors: 1 + 4 * Math.min(1, atMs / Math.max(1, soakMs)),
  })),
  scenario('burst', 'half of the requests fail for ten minutes at half of the soak', (stage, atMs) => {
    const sinceMs = atMs - stage.soakMs / 2;
    return sinceMs >= 0 && sinceMs < BURST_MS ? { failureRate: BURST_FAILURE_RATE } : {};
  }),
  {
    ...scenario('sticky keys', 'no difference; 500 sticky keys whose errors cluster', () => ({})),
    keys: CLUSTERED_KEYS,
  },
  {
    ...scenario('own levels', 'no difference; 500 sticky keys with latency levels of their own', () => ({})),
    keys: { ...LEVELLED_KEYS, failingKeys: 0, episodes: 0 },
  },
  {
    ...scenario('days', 'no difference; three times the traffic and latency by day', () => ({})),
    conditions: day,
  },
  {
    ...scenario('half as slow', 'no difference; both half as slow again from 24 h on', () => ({})),
    conditions: (atMs) => ({ ...CALM, level: atMs < DAY_MS ? 1 : 1.5 }),
  },
  {
    ...scenario(
      'weekend',
      'no difference; two days of five at a third of the traffic and latency',
      () => ({}),
    ),
    conditions: weekend,
  },
  {
    ...scenario(
      'wandering',
      'no difference; latency and errors of both wander from hour to hour',
      () => ({}),
    ),
    conditions: wandering,
  },
  {
    ...scenario(
      'longer prompts',
      'no difference; three times as slow, 5% of both become 60% over two days',
      () => ({}),
    ),
    conditions: (atMs) => ({ ...CALM, long: 0.05 + 0.55 * Math.min(1, atMs / (2 * DAY_MS)) }),
  },
  {
    ...scenario(
      'retries',
      'no difference; errors of both at a time, and 80% of them sent again at once',
      () => ({}),
    ),
    conditions: (atMs) => (isWithin(atMs, 20, 1 / 2) ? { ...CALM, failureRate: 0.2 } : CALM),
    retried: 0.8,
  },
  {
    ...scenario('lapse', 'no difference; days, and leases lapse from hour 2 to hour 14', () => ({})),
    conditions: (atMs) => ({ ...day(atMs), lapsed: isWithin(atMs, 2, 12) }),
  },
  {
    ...scenario('slow hour', 'no difference; both four times as slow for an hour', () => ({})),
    conditions: (atMs) => (isWithin(atMs, 20, 1) ? { ...CALM, level: 4 } : CALM),
  },
  {
    ...scenario('outage of both', 'no difference; 30% of both fail for ten minutes', () => ({})),
    conditions: (atMs) => (isWithin(atMs, 20, 1 / 6) ? { ...CALM, failureRate: 0.3 } : CALM),
  },
  {
    ...scenario('five models', 'no difference; five models with as much traffic each', () => ({})),
    models: 5,
  },
  {
    ...scenario(
      'as it is',
      'no difference; days, an incident of both, five models, keys of their own',
      () => ({}),
    ),
    conditions: (atMs) => {
      const incident = isWithin(atMs, 30, 1 / 2)
        ? { failureRate: 0.2, slower: 3 }
        : { failureRate: 0, slower: 1 };
      const { level, volume } = day(atMs);
      return { level: level * incident.slower, failureRate: incident.failureRate, volume };
    },
    keys: LEVELLED_KEYS,
    models: 5,
  },
  planted(
    'one model of five',
    'ten times the errors in one model of five',
    { errors: 10, firstModelOnly: true },
    5,
  ),
  scenario(
    'p95 +45% late',
    'every answer 45% slower from seven eighths of the soak on',
    ({ soakMs }, atMs) => ({
      latency: atMs >= (soakMs * 7) / 8 ? 1.45 : 1,
    }),
  ),
  planted('hangs', '4% hang until their caller leaves', { hangs: 0.04 }),
  planted('far tail', '4% take ten times as long as p95', { tail: { part: 0.04, factor: 10 } }),
  {
    ...planted('failing keys', '5% of the keys fail half of the time', {
      failingKeys: { part: 0.05, failureRate: 0.5 },
    }),
    keys: { keys: 500, skew: 0.8, failingKeys: 0, failingRate: 0, episodes: 0 },
  },
  planted('longer answers', 'answers twice as long, and so twice as expensive', { lengthFactor: 2 }),
  planted('faster, more errors', '40% faster with twice the errors', { latency: 0.6, errors: 2 }),
  {
    ...scenario(
      'broken answers',
      'no difference; answers of both break, most of all those of some of 500 sticky keys, 20 of which send half',
      () => ({}),
    ),
    breaches: USUAL_BREACHES,
    keys: { ...CLUSTERED_KEYS, skew: 1, breakingKeys: 0.02 },
    models: 5,
  },
  breaking('tool arguments 1% to 6%', { tool_schema: 0.01 }, { tool_schema: 0.06 }),
  breaking('empty 0.2% to 4%', { empty: 0.002 }, { empty: 0.04 }),
  breaking('cut 2% to 12%', { cut: 0.02 }, { cut: 0.12 }),
  {
    ...breaking('tool arguments in one model', { tool_schema: 0.01 }, { tool_schema: 0.1 }, true),
    models: 5,
  },
  {
    ...breaking('tool arguments late', { tool_schema: 0.01 }, { tool_schema: 0.06 }),
    candidate: (stage, { failureRate }, atMs) => ({
      ...{ failureRate, latencyFactor: 1 },
      breaches: { tool_schema: isLate(stage, atMs) ? 0.06 : 0.01 },
    }),
  },
];

/** Scenarios without a difference, as kinds of traffic on which anything else can be rehearsed. */
export const TRAFFIC_KINDS = [
  ...([
    'days',
    'weekend',
    'wandering',
    'longer prompts',
    'half as slow',
    'slow hour',
    'outage of both',
  ] as const),
  ...(['retries', 'lapse', 'sticky keys', 'own levels', 'as it is'] as const),
] as const;

/** What a kind of traffic goes through; what the scenario says itself comes first. */
export function onTraffic(scenario: Scenario, { kind }: Traffic): Scenario {
  const known = SCENARIOS.find(({ name }) => name === kind);
  if (known === undefined) return scenario;
  const { conditions = known.conditions, retried = known.retried, keys } = scenario;
  return {
    ...scenario,
    keys: keys ?? known.keys,
    ...(conditions === undefined ? {} : { conditions }),
    ...(retried === undefined ? {} : { retried }),
  };
}

/** Three times the traffic, and three times the latency, at noon as at midnight. */
function day(atMs: number): Conditions {
  const wave = 2 - Math.cos((2 * Math.PI * atMs) / DAY_MS);
  return { level: wave, failureRate: 0, volume: wave / 2 };
}

/** Five days as they are, then two at a third of the traffic and of the latency; a stage begins on a Friday noon. */
function weekend(atMs: number): Conditions {
  const days = (atMs / DAY_MS + 4.5) % 7;
  const { level, volume, ...rest } = day(atMs);
  const part = days >= 5 ? 1 / 3 : 1;
  return { ...rest, level: level * part, volume: volume * part };
}

/** Levels that stay alike for hours, and failures that come in spells of an hour or two. */
function wandering(atMs: number, seed: number): Conditions {
  const hours = atMs / HOUR_MS;
  const level = Math.exp(0.3 * between(hours / 6, seed) + 0.2 * between(hours, seed + 0.25));
  const trouble = between(hours, seed + 0.5);
  return {
    level,
    failureRate: trouble > 1.5 ? 0.05 * trouble : 0,
    volume: Math.exp(0.3 * between(hours, seed)),
  };
}

/** A random line through a standard normal value at each whole number. */
function between(x: number, seed: number): number {
  const whole = Math.floor(x);
  const at = (number: number) => drawNormal(seededRandom((seed + 1) * 4_096 + number * 4));
  return at(whole) + (x - whole) * (at(whole + 1) - at(whole));
}

/** Whether a time lies in some hours from an hour of the stage on. */
function isWithin(atMs: number, fromHour: number, hours: number): boolean {
  return atMs >= fromHour * HOUR_MS && atMs < (fromHour + hours) * HOUR_MS;
}

/** A candidate that does something from the start. */
function planted(name: string, description: string, regression: Regression, models = 1): Scenario {
  return { ...scenario(name, description, () => regression), models };
}

/** A candidate whose answers break their contract more often than legacy's from the start. */
function breaking(name: string, legacy: Breaches, candidate: Breaches, firstModelOnly = false): Scenario {
  const where = firstModelOnly ? ' of one model of five' : '';
  const description = `answers${where} break their contract: ${name}`;
  const regression = { breaches: { ...legacy, ...candidate }, firstModelOnly };
  return { ...scenario(name, description, () => regression), breaches: legacy };
}

interface Regression
  extends Pick<
    ArmBehaviour,
    'hangs' | 'tail' | 'failingKeys' | 'firstModelOnly' | 'breaches' | 'lengthFactor'
  > {
  readonly errors?: number;
  readonly excess?: number;
  readonly failureRate?: number;
  readonly latency?: number;
}

function scenario(
  name: string,
  description: string,
  regression: (stage: StagePlan, atMs: number) => Regression,
): Scenario {
  return {
    name,
    description,
    keys: null,
    candidate: (stage, { failureRate: base }, atMs) => {
      const { errors = 1, excess = 0, failureRate, latency = 1, ...more } = regression(stage, atMs);
      const multiplied = errors === 1 ? base : Math.max(base, FAILURE_RATE_LEAST) * errors;
      return {
        failureRate: Math.min(1, failureRate ?? multiplied + excess),
        latencyFactor: latency,
        ...more,
      };
    },
  };
}

function isLate({ soakMs }: StagePlan, atMs: number): boolean {
  return atMs >= soakMs / 2;
}

const ROUNDING = 1e-9;

/** Part of the answers that break their contract. */
export function breachRate(breaches: Breaches = {}): number {
  return Object.values(breaches).reduce((sum, part) => sum + part, 0);
}

/** Whether a rollback is right: the candidate does worse than the stage's margins for harm. */
export function isHarm(stage: StagePlan, base: ArmBehaviour, behaviour: ArmBehaviour): boolean {
  const { failureRate, latencyFactor } = behaviour;
  const { errors, latency, floor } = stage.gates;
  const limitOf = (
    rate: number,
    gate: { readonly rollbackRatio: number; readonly promotionExcess: number },
  ) => (stageKind(stage) === 'complete' ? rate + gate.promotionExcess : rate * gate.rollbackRatio);
  return (
    harmsSome(behaviour) ||
    failureRate > limitOf(base.failureRate, errors) + ROUNDING ||
    failureRate > 1 - floor.success + ROUNDING ||
    latencyFactor > 1 + latency.rollbackIncrease + ROUNDING ||
    spendingGates(stage).some((gate) => lengthOf(behaviour) > 1 + gate.rollbackIncrease + ROUNDING) ||
    (stage.gates.answers !== undefined &&
      breachRate(behaviour.breaches) > limitOf(breachRate(base.breaches), stage.gates.answers) + ROUNDING)
  );
}

function spendingGates({ gates }: StagePlan): SpendingGate[] {
  return SPENDING_MEASURES.flatMap((measure) => gates[measure] ?? []);
}

function lengthOf({ lengthFactor = 1 }: ArmBehaviour): number {
  return lengthFactor;
}

/** What is harm wherever it is planted: requests that hang or crawl, keys that fail. */
function harmsSome({ hangs = 0, tail, failingKeys }: ArmBehaviour): boolean {
  return hangs > 0 || tail !== undefined || failingKeys !== undefined;
}

/** Whether a promotion is right: the candidate does better than the stage's margins for a promotion. */
export function isFit(stage: StagePlan, base: ArmBehaviour, behaviour: ArmBehaviour): boolean {
  const { failureRate, latencyFactor } = behaviour;
  const { errors, latency, answers } = stage.gates;
  const { promotionIncrease } = latency;
  return (
    !harmsSome(behaviour) &&
    failureRate < base.failureRate + errors.promotionExcess - ROUNDING &&
    (promotionIncrease === null || latencyFactor < 1 + promotionIncrease - ROUNDING) &&
    spendingGates(stage).every(
      ({ promotionIncrease: most }) => most === null || lengthOf(behaviour) < 1 + most - ROUNDING,
    ) &&
    (answers === undefined ||
      breachRate(behaviour.breaches) < breachRate(base.breaches) + answers.promotionExcess - ROUNDING)
  );
}
