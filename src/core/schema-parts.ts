import { z } from 'zod';
import { parseDuration } from './duration';

/** A name that fits into a URL path, a workflow id and a file name. */
export const nameSchema = z
  .string()
  .regex(
    /^[a-z0-9][a-z0-9._-]{0,62}$/,
    'expected a name of a-z, 0-9, dot, dash and underscore, at most 63 long',
  )
  .refine(
    (name) => name !== '__proto__' && name !== 'constructor' && name !== 'prototype',
    'expected another name',
  );

/** A part of the traffic, 0 to 1; `10%` is taken as well. */
export const shareSchema = z
  .union([
    z.number(),
    z
      .string()
      .regex(/^\d{1,3}(\.\d{1,4})?\s*%$/, 'expected a number from 0 to 1, or a percentage such as "10%"')
      .transform((text) => Number.parseFloat(text) / 100),
  ])
  .pipe(z.number().min(0, 'expected a share from 0 to 1').max(1, 'expected a share from 0 to 1 (100%)'));

/** A duration text such as `45s`, `10m`, `24h`, `7d`, as milliseconds. */
export const durationTextSchema = z.string().transform((text, context) => {
  const durationMs = parseDuration(text);
  if (durationMs === null) {
    context.addIssue({ code: 'custom', message: 'expected a duration such as "45s", "10m", "24h" or "7d"' });
    return z.NEVER;
  }
  return durationMs;
});

/** A duration with a default. */
export function durationSchema(fallback: string, description: string) {
  return durationTextSchema.prefault(fallback).describe(description);
}

/** One problem of a document: where, what was expected, what arrived. */
export interface DocumentProblem {
  readonly path: string;
  readonly message: string;
}

/** Thrown for a document that does not fit its schema; carries every problem, the message shows them all. */
export class InvalidDocument extends Error {
  override readonly name = 'InvalidDocument';
  constructor(
    readonly document: string,
    readonly problems: readonly DocumentProblem[],
  ) {
    super(
      `${document} is not valid:\n${problems.map(({ path, message }) => `  ${path}: ${message}`).join('\n')}`,
    );
  }
}

/** Parses a value against a schema; throws `InvalidDocument` that names path, expectation and arrival. */
export function parseDocument<Output>(schema: z.ZodType<Output>, value: unknown, document: string): Output {
  const result = schema.safeParse(value, { reportInput: true });
  if (result.success) return result.data;
  throw new InvalidDocument(
    document,
    result.error.issues.flatMap((issue) => problemsOf(issue, value)),
  );
}

function problemsOf(issue: z.core.$ZodIssue, root: unknown): DocumentProblem[] {
  if (issue.code === 'unrecognized_keys') {
    return issue.keys.map((key) => ({
      path: pathText([...issue.path, key]),
      message: 'expected no such field: check its spelling',
    }));
  }
  if (issue.code === 'invalid_union' && issue.errors.length > 0) {
    const closest = [...issue.errors].sort((a, b) => a.length - b.length)[0] ?? [];
    const nested = closest.flatMap((inner) =>
      problemsOf({ ...inner, path: [...issue.path, ...inner.path] }, root),
    );
    if (nested.length > 0) return nested;
  }
  const arrived = valueAt(root, issue.path);
  const message = issue.message.startsWith('expected') ? issue.message : lowerFirst(issue.message);
  const shown = message.includes('got ') || message.includes('received ') ? '' : `, got ${show(arrived)}`;
  return [{ path: pathText(issue.path), message: `${message}${shown}` }];
}

function valueAt(root: unknown, path: readonly PropertyKey[]): unknown {
  return path.reduce<unknown>(
    (value, key) =>
      typeof value === 'object' && value !== null ? (value as Record<PropertyKey, unknown>)[key] : undefined,
    root,
  );
}

function show(value: unknown): string {
  if (value === undefined) return 'nothing';
  const text = JSON.stringify(value) ?? String(value);
  return text.length > 80 ? `${text.slice(0, 77)}...` : text;
}

function pathText(path: readonly PropertyKey[]): string {
  const text = path
    .map((key) => (typeof key === 'number' ? `[${key}]` : `.${String(key)}`))
    .join('')
    .replace(/^\./, '');
  return text === '' ? '(document)' : text;
}

function lowerFirst(text: string): string {
  return text.charAt(0).toLowerCase() + text.slice(1);
}
