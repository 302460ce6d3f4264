import { isDeepStrictEqual } from 'node:util';
import type { EffectTargetConfiguration } from '../../core/configuration/configuration-schema';
import { keyReferenceOf } from '../../core/configuration/provider-schema';
import type { Json } from '../../core/effects/effect';
import { EffectProblem } from '../../core/effects/effect-problem';
import { fillJson, fillText } from '../../core/effects/template';
import type { EffectJob, EffectTarget, TargetTools } from './effect-target';
import { type HttpLimits, reachGuarded, sendGuarded } from './guarded-http';

type FlagConfiguration = Extract<EffectTargetConfiguration, { type: 'flag' }>;

interface FlagSet {
  readonly flag: string;
  readonly value: Json;
}

/** A flag behind any HTTP interface: a key with a boolean, number, text or object, as OpenFeature has them. */
export function createFlagTarget(
  configuration: FlagConfiguration,
  limits: HttpLimits,
  { resolveSecret }: TargetTools,
): EffectTarget {
  const credentials = (): { headers: Record<string, string>; secrets: string[] } => {
    const { auth, headers } = configuration;
    if (auth === undefined) return { headers, secrets: [] };
    const key = resolveSecret(keyReferenceOf(auth));
    const named = 'bearer' in auth ? { authorization: `Bearer ${key}` } : { [auth.header]: key };
    return { headers: { ...headers, ...named }, secrets: [key] };
  };

  const read = async ({ set, values }: EffectJob, signal: AbortSignal): Promise<Json> => {
    const { flag } = set as unknown as FlagSet;
    const url = fillText(configuration.get.url, { ...values, flag }, encodeURIComponent);
    const { headers, secrets } = credentials();
    const call = {
      method: 'GET' as const,
      url,
      headers: { accept: 'application/json', ...headers },
      secrets,
    };
    const { text } = await sendGuarded(call, limits, signal);
    const value = valueAt(text, configuration.get.value);
    if (value !== undefined) return value;
    const place = configuration.get.value === '' ? 'the answer' : configuration.get.value;
    throw new EffectProblem(`expected JSON with a value at ${place} for the flag "${flag}", got none`, false);
  };

  const write = async (job: EffectJob, value: Json, signal: AbortSignal): Promise<string> => {
    const { flag } = job.set as unknown as FlagSet;
    if (isDeepStrictEqual(await read(job, signal), value)) return `${flag} was already ${shown(value)}`;
    const { headers, secrets } = credentials();
    const values = { ...job.values, flag, value };
    await sendGuarded(
      {
        method: configuration.set.method,
        url: fillText(configuration.set.url, values, encodeURIComponent),
        headers: { 'content-type': 'application/json', 'idempotency-key': job.key, ...headers },
        body: JSON.stringify(fillJson(configuration.set.body as Json, values)),
        secrets,
      },
      limits,
      signal,
    );
    const seen = await read(job, signal);
    if (isDeepStrictEqual(seen, value)) return `${flag} is ${shown(value)}`;
    throw new EffectProblem(
      `expected ${flag} to be ${shown(value)} after setting it, got ${shown(seen)}`,
      true,
    );
  };

  return {
    reach: (signal) => reachGuarded(configuration.get.url, limits, signal),
    capture: read,
    apply: (job, signal) => write(job, fillJson((job.set as unknown as FlagSet).value, job.values), signal),
    restore: (job, signal) => write(job, job.captured, signal),
  };
}

/** RFC 6901; undefined where there is nothing. */
function valueAt(text: string, pointer: string): Json | undefined {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return undefined;
  }
  const keys = pointer
    .split('/')
    .slice(1)
    .map((key) => key.replaceAll('~1', '/').replaceAll('~0', '~'));
  for (const key of keys) {
    if (typeof value !== 'object' || value === null || !Object.hasOwn(value, key)) return undefined;
    value = (value as Record<string, unknown>)[key];
  }
  return value as Json;
}

function shown(value: Json): string {
  const text = JSON.stringify(value);
  return text.length > 100 ? `${text.slice(0, 97)}...` : text;
}
