import type { Route } from './route';

/** Where a request's path leads: a route, and the path below its /v1. */
export interface Target {
  readonly route: Route;
  readonly path: string;
}

/**
 * Finds the route of a path (`/v1/...` or `/routes/NAME/v1/...`, without query); null when it is neither, or
 * when it could mean another path to a provider than it does here (dot segments, empty segments, escapes of
 * either).
 */
export function findTarget(
  path: string,
  routes: ReadonlyMap<string, Route>,
  defaultRoute: Route,
): Target | null {
  if (path.startsWith('/v1/')) return below(path, 3, defaultRoute);
  if (!path.startsWith('/routes/')) return null;
  const nameEnd = path.indexOf('/', 8);
  if (nameEnd < 0 || !path.startsWith('/v1/', nameEnd)) return null;
  const route = routes.get(path.slice(8, nameEnd));
  return route === undefined ? null : below(path, nameEnd + 3, route);
}

function below(path: string, start: number, route: Route): Target | null {
  const rest = path.slice(start);
  return isUnambiguous(rest) ? { route, path: rest } : null;
}

function isUnambiguous(path: string): boolean {
  if (path.includes('//') || path.includes('\\') || path.includes('#')) return false;
  if (path.includes('/.') && /\/\.{1,2}(\/|$)/.test(path)) return false;
  return !(path.includes('%') && /%(2e|2f|5c|00|23|3f)/i.test(path));
}
