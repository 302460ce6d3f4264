import type { z } from 'zod';
import { type Place, placeOf } from './document-place';
import { knownFields, nearestWord } from './known-fields';

/** One problem of a document: where, what was expected, what arrived. */
export interface DocumentProblem {
  readonly path: string;
  readonly message: string;
  /** Where it stands in its file; null for what was read from no file. */
  readonly place?: Place | null;
}

/** What a schema's issue means to the person who wrote the document; never shows what may be a secret. */
export function problemsOf(
  issue: z.core.$ZodIssue,
  root: unknown,
  schema: z.core.$ZodType,
): readonly DocumentProblem[] {
  const path = pathText(issue.path);
  const place = placeOf(root, issue.path);
  switch (issue.code) {
    case 'unrecognized_keys':
      return issue.keys.map((key) => ({
        path: pathText([...issue.path, key]),
        message: unknownField(key, knownFields(schema, issue.path)),
        place: placeOf(root, [...issue.path, key]),
      }));
    case 'invalid_value': {
      const got = valueAt(root, issue.path);
      const isOurs = issue.message.startsWith('expected');
      const words = issue.values.map(String);
      const near = isOurs || typeof got !== 'string' ? null : nearestWord(got, words);
      const expected = isOurs ? issue.message : `expected ${words.join(' or ')}`;
      const hint = near === null ? '' : `: did you mean ${near}?`;
      return [{ path, place, message: `${expected}, got ${shown(got, issue.path)}${hint}` }];
    }
    case 'invalid_key':
      return issue.issues.slice(0, 1).map(({ message }) => ({
        path,
        place,
        message: `${message}, got ${shown(String(issue.path.at(-1)), issue.path.slice(0, -1))}`,
      }));
    case 'invalid_union': {
      const closest = closestBranch(issue.errors);
      if (closest !== null) {
        return closest.flatMap((inner) =>
          problemsOf({ ...inner, path: [...issue.path, ...inner.path] }, root, schema),
        );
      }
      const kinds = issue.errors.flat().flatMap((inner) => (isType(inner) ? [kindName(inner.expected)] : []));
      const expected = issue.message.startsWith('expected')
        ? issue.message
        : `expected ${[...new Set(kinds)].join(' or ') || 'another value'}`;
      return [{ path, place, message: `${expected}, got ${shown(valueAt(root, issue.path), issue.path)}` }];
    }
    default: {
      const message =
        isType(issue) && !issue.message.startsWith('expected')
          ? `expected ${kindName(issue.expected)}`
          : lowerFirst(issue.message);
      const complete = message.includes(', got ');
      const got = complete ? '' : `, got ${shown(valueAt(root, issue.path), issue.path)}`;
      return [{ path, place, message: `${message}${got}` }];
    }
  }
}

function unknownField(key: string, known: readonly string[]): string {
  const meant = nearestWord(key, known);
  if (meant !== null) return `unknown field: did you mean \`${meant}\`?`;
  return known.length === 0 ? 'unknown field' : `unknown field: expected one of ${known.join(', ')}`;
}

/** The branch of a union that the writer meant: of the right type at its root, with the fewest problems. */
function closestBranch(
  branches: readonly (readonly z.core.$ZodIssue[])[],
): readonly z.core.$ZodIssue[] | null {
  const meant = branches.filter(
    (issues) => !issues.some((issue) => issue.path.length === 0 && isAnother(issue)),
  );
  return meant.toSorted((a, b) => a.length - b.length)[0] ?? null;
}

/** Says at the branch's root that it is not meant at all, and has nothing of its own to say. */
function isAnother(issue: z.core.$ZodIssue): boolean {
  return issue.code !== 'unrecognized_keys' && !issue.message.startsWith('expected');
}

function isType(issue: z.core.$ZodIssue): issue is z.core.$ZodIssueInvalidType {
  return issue.code === 'invalid_type';
}

const KINDS: Readonly<Record<string, string>> = {
  object: 'an object',
  record: 'an object',
  array: 'a list',
  string: 'a text',
  number: 'a number',
  int: 'a whole number',
  boolean: 'true or false',
};

function kindName(expected: string): string {
  return KINDS[expected] ?? expected;
}

function valueAt(root: unknown, path: readonly PropertyKey[]): unknown {
  return path.reduce<unknown>(
    (value, key) =>
      typeof value === 'object' && value !== null && Object.hasOwn(value, key)
        ? (value as Record<PropertyKey, unknown>)[key]
        : undefined,
    root,
  );
}

/** Fields that may hold a key by mistake or on purpose: what arrived there is never repeated. */
const SECRETIVE = new Set<PropertyKey>([
  'auth',
  'command',
  'bearer',
  'key',
  'keys',
  'keySha256',
  'adminToken',
  'token',
  'secret',
  'headers',
  'query',
]);

function shown(value: unknown, path: readonly PropertyKey[]): string {
  if (value === undefined) return 'nothing';
  if (value === null) return 'null';
  if (Array.isArray(value)) return `a list of ${value.length}`;
  if (typeof value === 'object') return 'an object';
  if (typeof value !== 'string') return String(value);
  // Addresses carry secrets before an @ and after a question mark.
  if (path.some((key) => SECRETIVE.has(key)) || /:\/\/[^/]*@|\?.*=/.test(value)) return 'a text (not shown)';
  const text = JSON.stringify(value);
  return text.length > 80 ? `${text.slice(0, 77)}..."` : text;
}

function pathText(path: readonly PropertyKey[]): string {
  const text = path
    .map((key) => {
      if (typeof key === 'number') return `[${key}]`;
      const name = String(key);
      return /^[\w$-]+$/.test(name) ? `.${name}` : `[${JSON.stringify(name.slice(0, 100))}]`;
    })
    .join('')
    .replace(/^\./, '');
  return text === '' ? '(document)' : text;
}

function lowerFirst(text: string): string {
  return text.charAt(0).toLowerCase() + text.slice(1);
}
