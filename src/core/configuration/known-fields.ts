import type { z } from 'zod';

/** The fields that a schema knows at a path of a document, of every kind that may stand there. */
export function knownFields(schema: z.core.$ZodType, path: readonly PropertyKey[]): readonly string[] {
  const found = path.reduce<readonly z.core.$ZodType[]>(
    (schemas, key) => schemas.flatMap(kindsOf).flatMap((each) => below(each, key)),
    [schema],
  );
  const names = found
    .flatMap(kindsOf)
    .flatMap((each) => (isObject(each) ? Object.keys(each._zod.def.shape) : []));
  return [...new Set(names)];
}

/** A schema without what is around it; each branch of a union. */
function kindsOf(schema: z.core.$ZodType): readonly z.core.$ZodType[] {
  const def = schema._zod.def as z.core.$ZodTypeDef & {
    readonly innerType?: z.core.$ZodType;
    readonly in?: z.core.$ZodType;
    readonly options?: readonly z.core.$ZodType[];
    readonly getter?: () => z.core.$ZodType;
  };
  if (def.innerType !== undefined) return kindsOf(def.innerType);
  if (def.type === 'pipe' && def.in !== undefined) return kindsOf(def.in);
  if (def.type === 'union') return (def.options ?? []).flatMap(kindsOf);
  if (def.type === 'lazy' && def.getter !== undefined) return kindsOf(def.getter());
  return [schema];
}

function below(schema: z.core.$ZodType, key: PropertyKey): readonly z.core.$ZodType[] {
  const def = schema._zod.def as z.core.$ZodTypeDef & {
    readonly element?: z.core.$ZodType;
    readonly valueType?: z.core.$ZodType;
  };
  if (isObject(schema)) {
    const field = schema._zod.def.shape[String(key)];
    return field === undefined ? [] : [field];
  }
  const inner = def.type === 'array' ? def.element : def.valueType;
  return inner === undefined ? [] : [inner];
}

function isObject(schema: z.core.$ZodType): schema is z.core.$ZodObject {
  return schema._zod.def.type === 'object';
}

/** The known word that somebody most likely meant; null where none is near. */
export function nearestWord(word: string, known: readonly string[]): string | null {
  const most = word.length < 4 ? 1 : Math.max(2, Math.floor(word.length / 3));
  const near = known
    .map((each) => ({ each, edits: editsBetween(word.toLowerCase(), each.toLowerCase()) }))
    .filter(({ edits }) => edits <= most)
    .toSorted((a, b) => a.edits - b.edits);
  return near[0]?.each ?? null;
}

/** Letters to insert, remove, replace, or swap with their neighbour, to make one word of another. */
function editsBetween(from: string, to: string): number {
  let before: number[] = [];
  let last = Array.from({ length: to.length + 1 }, (_, column) => column);
  for (let row = 1; row <= from.length; row += 1) {
    const next = [row];
    for (let column = 1; column <= to.length; column += 1) {
      const replaced = (last[column - 1] ?? 0) + (from[row - 1] === to[column - 1] ? 0 : 1);
      const swapped =
        row > 1 && column > 1 && from[row - 1] === to[column - 2] && from[row - 2] === to[column - 1]
          ? (before[column - 2] ?? 0) + 1
          : Number.POSITIVE_INFINITY;
      next.push(Math.min(replaced, swapped, (last[column] ?? 0) + 1, (next[column - 1] ?? 0) + 1));
    }
    before = last;
    last = next;
  }
  return last[to.length] ?? 0;
}
