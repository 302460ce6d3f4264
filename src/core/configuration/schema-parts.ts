import { z } from 'zod';
import { DAY_MS, DURATION_PATTERN, formatDuration, parseDuration } from '../text/duration';
import { BadInput } from './bad-input';
import { type DocumentProblem, problemsOf } from './document-problem';

const LONGEST_MS = 366 * DAY_MS;
const SHARE_EXPECTED = 'expected a number from 0 to 1, or a percentage such as "10%"';

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

const share = z.number().min(0, 'expected a share from 0 to 1').max(1, 'expected a share from 0 to 1 (100%)');

/** A part of the traffic, 0 to 1; `10%` is taken as well. */
export const shareSchema = z.union(
  [
    share,
    z
      .string()
      .regex(/^\d{1,3}(\.\d{1,4})?\s*%$/, SHARE_EXPECTED)
      .transform((text) => Number.parseFloat(text) / 100)
      .pipe(share),
  ],
  SHARE_EXPECTED,
);

/** Where a key is found; a key itself is refused and not repeated. */
export const referenceSchema = z
  .string()
  .regex(
    /^(env:[A-Za-z_][A-Za-z0-9_]*|file:.+)$/,
    'expected a reference such as env:NAME or file:/path, got something else (not shown: it may be a key)',
  );

/** Where a provider's key is found: as others, or printed by a command of `credentials`. */
export const keyReferenceSchema = z
  .string()
  .regex(
    /^(env:[A-Za-z_][A-Za-z0-9_]*|file:.+|credential:[a-z0-9][a-z0-9._-]{0,62})$/,
    'expected a reference such as env:NAME, file:/path or credential:NAME, got something else (not shown: it may be a key)',
  );

/** Headers that end at the gateway: hop-by-hop ones, what it writes itself, and what opens it or a caller's session. */
const NEVER_FORWARDED =
  /^(accept-encoding|api-key|x-api-key|authorization|connection|content-length|cookie|expect|host|http2-settings|keep-alive|proxy-.*|te|trailer|transfer-encoding|upgrade|x-cutover-.*)$/i;

/** The name of a caller's header that may be passed on to a provider. */
export const forwardedHeaderSchema = z
  .string()
  .regex(/^[A-Za-z0-9_-]{1,100}$/, 'expected the name of a header')
  .refine(
    (name) => !NEVER_FORWARDED.test(name),
    'expected a header that may leave the gateway: credentials are configured with auth, callers[].keys and headers; cookies, connection headers and x-cutover-* are never passed on',
  );

/** The name of a caller's query parameter that may be passed on to a provider, without brackets. */
export const forwardedParameterSchema = z
  .string()
  .regex(/^[A-Za-z0-9_.~-]{1,100}$/, 'expected the name of a query parameter, without brackets');

/** An absolute http:// or https:// URL without user and password. */
export const httpUrlSchema = z.string().superRefine((text, context) => {
  let url: URL;
  try {
    url = new URL(text);
  } catch {
    context.addIssue({ code: 'custom', message: 'expected an absolute http:// or https:// URL' });
    return;
  }
  if (url.protocol !== 'http:' && url.protocol !== 'https:') {
    context.addIssue({ code: 'custom', message: 'expected an http:// or https:// URL' });
  }
  if (url.username !== '' || url.password !== '') {
    context.addIssue({ code: 'custom', message: 'expected no user or password in the URL: use auth' });
  }
});

/** A duration text such as `45s`, `10m`, `24h`, `7d`, as milliseconds; at most a year. */
export const durationTextSchema = durationAtLeast(0);

/** A duration with a default. */
export function durationSchema(fallback: string, description: string, minimumMs = 1) {
  return durationAtLeast(minimumMs).prefault(fallback).describe(description);
}

/** A duration text of at least `minimumMs` milliseconds. */
export function durationAtLeast(minimumMs: number) {
  return z
    .string('expected a duration such as "45s", "10m", "24h" or "7d"')
    .regex(DURATION_PATTERN, 'expected a duration such as "45s", "10m", "24h" or "7d"')
    .transform((text) => parseDuration(text) ?? Number.NaN)
    .pipe(
      z
        .number()
        .min(minimumMs, `expected at least ${formatDuration(minimumMs)}`)
        .max(LONGEST_MS, 'expected at most 366d'),
    );
}

/** A problem in one line: where it stands, the field, what is wrong. */
export function problemText({ path, message, place }: DocumentProblem): string {
  const where = place == null ? '' : `line ${place.line}, column ${place.column}: `;
  return path === '(file)' ? `${where}${message}` : `${where}${path}: ${message}`;
}

/** Thrown for a document that does not fit its schema; carries every problem, the message shows them all. */
export class InvalidDocument extends BadInput {
  override readonly name = 'InvalidDocument';
  constructor(
    readonly document: string,
    readonly problems: readonly DocumentProblem[],
  ) {
    super(`${document} is not valid:\n${problems.map((problem) => `  ${problemText(problem)}`).join('\n')}`);
  }
}

/** Parses a value against a schema; throws `InvalidDocument` that names path, expectation and arrival. */
export function parseDocument<Output>(schema: z.ZodType<Output>, value: unknown, document: string): Output {
  const result = schema.safeParse(value, { reportInput: true });
  if (result.success) return result.data;
  throw new InvalidDocument(
    document,
    result.error.issues.flatMap((issue) => problemsOf(issue, value, schema)),
  );
}
