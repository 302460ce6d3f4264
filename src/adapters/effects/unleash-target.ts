import { isDeepStrictEqual } from 'node:util';
import type { EffectTargetConfiguration } from '../../core/configuration/configuration-schema';
import type { Json } from '../../core/effects/effect';
import { EffectProblem } from '../../core/effects/effect-problem';
import type { UnleashSet } from '../../core/effects/effect-schema';
import type { EffectJob, EffectTarget, TargetTools } from './effect-target';
import { type HttpCall, type HttpLimits, sendGuarded } from './guarded-http';

type UnleashConfiguration = Extract<EffectTargetConfiguration, { type: 'unleash' }>;
type Fields = Readonly<Record<string, Json>>;

/** What the admin API calls a strategy of a flag in an environment; other fields are kept as they are. */
type Strategy = Fields & { readonly id: string; readonly name: string };

/** The flag as it was: whether it was on, and the strategy that is changed (null: there was none, ours is added). */
interface CapturedFlag {
  readonly enabled: boolean;
  readonly strategy: Strategy | null;
}

/** Marks the strategy that we added, so that only it is taken away again. */
const OWN_TITLE = 'cutover';
/** What the admin API takes back of a strategy; the rest of an answer is its own. */
const STRATEGY_FIELDS = [
  'name',
  'title',
  'disabled',
  'sortOrder',
  'parameters',
  'constraints',
  'segments',
  'variants',
] as const;

/**
 * The rollout percentage of a flag's flexibleRollout strategy in one environment of Unleash, through its admin API.
 * Other strategies of the flag stay as they are; Unleash joins strategies by "or".
 */
export function createUnleashTarget(
  configuration: UnleashConfiguration,
  limits: HttpLimits,
  { resolveSecret }: TargetTools,
): EffectTarget {
  const { project, environment } = configuration;
  const base = `${configuration.url.replace(/\/+$/, '')}/api/admin/projects/${encodeURIComponent(project)}`;

  const call = async (
    method: HttpCall['method'],
    url: string,
    signal: AbortSignal,
    body?: Fields,
  ): Promise<unknown> => {
    const token = resolveSecret(configuration.token);
    const headers = { authorization: token, accept: 'application/json', 'content-type': 'application/json' };
    const { text } = await sendGuarded(
      {
        method,
        url,
        headers,
        secrets: [token],
        ...(body === undefined ? {} : { body: JSON.stringify(body) }),
      },
      limits,
      signal,
    );
    return parsed(text);
  };

  const placeOf = (flag: string): string =>
    `${base}/features/${encodeURIComponent(flag)}/environments/${encodeURIComponent(environment)}`;

  const read = async (flag: string, signal: AbortSignal) => {
    const answer = await call('GET', placeOf(flag), signal);
    if (isEnvironment(answer)) return answer;
    throw new EffectProblem(`expected the strategies of "${flag}" from Unleash, got something else`, false);
  };

  const store = async (
    flag: string,
    { id, ...strategy }: Fields & { readonly id: string | null },
    signal: AbortSignal,
  ): Promise<void> => {
    const place = `${placeOf(flag)}/strategies`;
    if (id === null) await call('POST', place, signal, strategy);
    else await call('PUT', `${place}/${encodeURIComponent(id)}`, signal, strategy);
  };

  /** Switched on while the flag has a strategy: without any, Unleash adds one of its own for everybody. */
  const turn = async (flag: string, enabled: boolean, signal: AbortSignal): Promise<void> => {
    await call('POST', `${placeOf(flag)}/${enabled ? 'on' : 'off'}`, signal);
  };

  const capture = async (job: EffectJob, signal: AbortSignal): Promise<CapturedFlag> => {
    const set = job.set as unknown as UnleashSet;
    const { enabled, strategies } = await read(set.flag, signal);
    const strategy = chosen(set, strategies);
    return { enabled, strategy: strategy === null ? null : complete(strategy) };
  };

  return {
    async reach(signal) {
      await call('GET', `${base}/overview`, signal);
      return `Unleash knows the project ${project}`;
    },
    capture: async (job, signal) => (await capture(job, signal)) as unknown as Json,
    async apply(job, signal) {
      const set = job.set as unknown as UnleashSet;
      const before = await read(set.flag, signal);
      const rollout = set.rollout === 'share' ? (job.values['percent'] as number) : set.rollout;
      const strategy = chosen(set, before.strategies);
      const enabled = set.enabled ?? null;
      const done = strategy !== null && rolloutOf(strategy) === rollout && strategy['disabled'] !== true;
      if (!done) await store(set.flag, withRollout(strategy, set.flag, rollout), signal);
      if (enabled !== null && before.enabled !== enabled) await turn(set.flag, enabled, signal);
      const after = await read(set.flag, signal);
      const seen = chosen(set, after.strategies);
      if (seen === null || rolloutOf(seen) !== rollout || (enabled !== null && after.enabled !== enabled)) {
        throw new EffectProblem(
          `Unleash accepted ${rollout}% for ${set.flag}, but reports something else`,
          true,
        );
      }
      const others = after.strategies.filter(
        ({ id, disabled }) => id !== seen.id && disabled !== true,
      ).length;
      return [
        `${set.flag} is at ${rollout}% in ${environment}`,
        ...(after.enabled ? [] : ['the flag is switched off there']),
        ...(others === 0 ? [] : [`${others} other strategies stay as they are and count as well`]),
      ].join('; ');
    },
    async restore(job, signal) {
      const set = job.set as unknown as UnleashSet;
      const { enabled, strategy } = job.captured as unknown as CapturedFlag;
      const now = await read(set.flag, signal);
      if (strategy !== null) {
        const there = now.strategies.some(({ id }) => id === strategy.id);
        await store(set.flag, { ...sent(strategy), id: there ? strategy.id : null }, signal);
      }
      if (set.enabled !== undefined && now.enabled !== enabled) await turn(set.flag, enabled, signal);
      for (const { id } of strategy === null ? now.strategies.filter(isOurs) : []) {
        await call('DELETE', `${placeOf(set.flag)}/strategies/${encodeURIComponent(id)}`, signal);
      }
      return verifyRestored(set, { enabled, strategy }, await read(set.flag, signal), environment);
    },
  };
}

function verifyRestored(
  set: UnleashSet,
  captured: CapturedFlag,
  after: Environment,
  environment: string,
): string {
  const same =
    captured.strategy === null
      ? !after.strategies.some(isOurs)
      : after.strategies.some((one) => isDeepStrictEqual(sent(one), sent(captured.strategy as Strategy)));
  if (same && (set.enabled === undefined || after.enabled === captured.enabled)) {
    return captured.strategy === null
      ? `${set.flag} is without our strategy again in ${environment}`
      : `${set.flag} is at ${rolloutOf(captured.strategy)}% again in ${environment}`;
  }
  throw new EffectProblem(
    `Unleash accepted the former strategy of ${set.flag}, but reports something else`,
    true,
  );
}

interface Environment {
  readonly enabled: boolean;
  readonly strategies: readonly Strategy[];
}

/** The strategy whose rollout is changed; null where there is none yet. */
function chosen(set: UnleashSet, strategies: readonly Strategy[]): Strategy | null {
  const rollouts = strategies.filter(({ name }) => name === 'flexibleRollout');
  const named =
    set.strategy === undefined
      ? rollouts
      : rollouts.filter(({ id, title }) => id === set.strategy || title === set.strategy);
  const [only] = named;
  if (named.length === 1 && only !== undefined) return only;
  if (named.length === 0 && set.strategy === undefined) return null;
  const known = rollouts.map(({ id, title }) => (typeof title === 'string' && title !== '' ? title : id));
  throw new EffectProblem(
    `expected one strategy of type flexibleRollout for "${set.flag}"${set.strategy === undefined ? '' : ` named "${set.strategy}"`}, got ${named.length} of ${rollouts.length} (${known.join(', ')}): name one by \`strategy\``,
    false,
  );
}

function isOurs({ title }: Strategy): boolean {
  return title === OWN_TITLE;
}

function rolloutOf({ parameters }: Fields): number {
  return Number((parameters as { rollout?: string } | undefined)?.rollout);
}

function withRollout(
  strategy: Strategy | null,
  flag: string,
  rollout: number,
): Fields & { readonly id: string | null } {
  if (strategy === null) {
    const parameters = { rollout: String(rollout), stickiness: 'default', groupId: flag };
    return { id: null, name: 'flexibleRollout', title: OWN_TITLE, parameters, constraints: [] };
  }
  const parameters = { ...(strategy['parameters'] as Fields), rollout: String(rollout) };
  return { ...sent(strategy), id: strategy.id, parameters, disabled: false };
}

/** The fields of a strategy that the admin API takes. */
function sent(strategy: Strategy): Fields {
  return Object.fromEntries(
    STRATEGY_FIELDS.flatMap((field) => {
      const value = strategy[field];
      return value === undefined ? [] : [[field, value]];
    }),
  );
}

function complete(strategy: Strategy): Strategy {
  return { ...sent(strategy), id: strategy.id, name: strategy.name };
}

function isEnvironment(value: unknown): value is Environment {
  const { enabled, strategies } = (value ?? {}) as Partial<Environment>;
  return (
    typeof enabled === 'boolean' &&
    Array.isArray(strategies) &&
    strategies.every(({ id, name }) => typeof id === 'string' && typeof name === 'string')
  );
}

function parsed(text: string): unknown {
  if (text === '') return null;
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}
