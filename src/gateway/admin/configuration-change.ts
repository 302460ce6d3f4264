import type { Configuration } from '../../core/configuration/configuration-schema';
import { canonicalJson } from '../../core/record/digest';
import { isJsonObject } from '../../core/text/json-object';

/** What another configuration changes of the one that a gateway runs by, as the fields are called. */
export interface ConfigurationChange {
  readonly changed: readonly string[];
  /** Of these: what only a restart changes. */
  readonly fixed: readonly string[];
}

/** Nothing of these concerns a gateway. */
const ELSEWHERE: readonly string[] = ['$schema', 'effects', 'links', 'console'];
/** Read anew whole. */
const WHOLE: readonly string[] = ['callers', 'credentials'];
/** Of a provider: how it is asked, not where, nor with how many connections. */
const OF_PROVIDER: readonly string[] = ['auth', 'headers', 'query', 'prices', 'streamUsage', 'timeouts'];

/** Compares two configurations; `timeouts.connect` belongs to connections, which stay. */
export function configurationChange(running: Configuration, next: Configuration): ConfigurationChange {
  const paths = differences([], running, next).filter(([first = '']) => !ELSEWHERE.includes(first));
  const fixed = paths.filter((path) => !mayChange(path, running, next));
  const texts = (some: readonly (readonly string[])[]) => [...new Set(some.map((path) => path.join('.')))];
  return { changed: texts(paths), fixed: texts(fixed) };
}

function mayChange(
  [first = '', name = '', field = '', part]: Path,
  running: Configuration,
  next: Configuration,
) {
  if (WHOLE.includes(first)) return true;
  const isKept = Object.hasOwn(running.providers, name) && Object.hasOwn(next.providers, name);
  return first === 'providers' && isKept && OF_PROVIDER.includes(field) && part !== 'connect';
}

type Path = readonly string[];

/** Where two values differ: lists whole, `auth` whole, and everything else by field. */
function differences(path: Path, from: unknown, to: unknown): readonly Path[] {
  if (from === undefined || to === undefined) return from === to ? [] : [path];
  if (canonicalJson(from) === canonicalJson(to)) return [];
  const isWhole = WHOLE.includes(path[0] ?? '') || path[2] === 'auth';
  if (isWhole || !isJsonObject(from) || !isJsonObject(to)) return [path];
  const names = [...new Set([...Object.keys(from), ...Object.keys(to)])];
  return names.flatMap((name) => differences([...path, name], from[name], to[name]));
}
