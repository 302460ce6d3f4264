/** Where something stands in a file; both count from 1. */
export interface Place {
  readonly line: number;
  readonly column: number;
}

/** Finds where a field of a document stands, or the nearest field around it that is there; null where that is not known. */
export type PlaceFinder = (path: readonly PropertyKey[]) => Place | null;

const finders = new WeakMap<object, PlaceFinder>();

/** Remembers how to find the fields of a document that was read from a file. */
export function rememberPlaces(document: unknown, finder: PlaceFinder): void {
  if (typeof document === 'object' && document !== null) finders.set(document, finder);
}

/** Where a field of a document stands; null for a document that was read from no file. */
export function placeOf(document: unknown, path: readonly PropertyKey[]): Place | null {
  if (typeof document !== 'object' || document === null) return null;
  return finders.get(document)?.(path) ?? null;
}
