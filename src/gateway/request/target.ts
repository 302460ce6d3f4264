import type { Route } from '../routing/route';

/** Where a request's path leads: a route, and the path below its /v1. */
export interface Target {
  readonly route: Route;
  readonly path: string;
}

/** Finds the route of a path (`/v1/...` or `/routes/NAME/v1/...`, without query); null when it is neither. */
export function findTarget(
  path: string,
  routes: ReadonlyMap<string, Route>,
  defaultRoute: Route,
): Target | null {
  if (path.startsWith('/v1/')) return { route: defaultRoute, path: path.slice(3) };
  if (!path.startsWith('/routes/')) return null;
  const nameEnd = path.indexOf('/', 8);
  if (nameEnd < 0 || !path.startsWith('/v1/', nameEnd)) return null;
  const route = routes.get(path.slice(8, nameEnd));
  return route === undefined ? null : { route, path: path.slice(nameEnd + 3) };
}
