import { z } from 'zod';
import { DECLARED_DIGEST } from '../assessment/declared-identity';
import { InvalidDocument, parseDocument } from '../configuration/schema-parts';
import { digestOf } from '../record/digest';
import { FIXED_TEXTS, QUESTION_SET, SAMPLED_QUESTIONS } from './identity-questions';
import type { IdentityReference } from './identity-reference';

/** The version of the file. */
const FORMAT = 1;

/** A digest of weights, as it is declared. */
export const weightsDigestSchema = z
  .string()
  .regex(DECLARED_DIGEST, 'expected a digest: sha256: and 64 hexadecimal digits');

const count = z.int().min(1, 'expected a count above 0');
const counts = z
  .record(z.string().max(40, 'expected words of at most 40 characters'), count)
  .refine((words) => Object.keys(words).length > 0, 'expected at least one answer');

const fileSchema = z.strictObject({
  identityReference: z.literal(FORMAT, `expected version ${FORMAT} of the format`),
  questionSet: z.literal(
    QUESTION_SET,
    `expected questions of set ${QUESTION_SET}, which this release asks: enrol the model again`,
  ),
  provider: z.string().min(1).max(200),
  model: z.string().min(1).max(200),
  enrolledAt: z.string().min(1).max(40),
  declared: weightsDigestSchema.nullable(),
  fixed: z
    .array(z.int().min(1, 'expected a number of tokens above 0'))
    .length(FIXED_TEXTS.length, `expected ${FIXED_TEXTS.length} numbers of tokens`),
  answers: z
    .array(z.strictObject({ learned: counts, compared: counts }))
    .length(SAMPLED_QUESTIONS.length, `expected answers to ${SAMPLED_QUESTIONS.length} questions`),
  reasons: z.boolean(),
  contextTokens: z.int().min(1).nullable(),
  digest: weightsDigestSchema,
});

/** The digest of a reference: whoever changes a number of it changes the digest. */
export function referenceDigest(reference: Omit<IdentityReference, 'digest'>): string {
  const { digest: _, ...content } = { digest: null, ...reference };
  return `sha256:${digestOf(content)}`;
}

/** A reference as it is written to a file. */
export function referenceFile(reference: IdentityReference): string {
  return `${JSON.stringify({ identityReference: FORMAT, ...reference }, null, 2)}\n`;
}

/** Reads the text of a reference file; throws `InvalidDocument` for one that is cut short, changed, or something else. */
export function parseReference(text: string, document: string): IdentityReference {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    throw new InvalidDocument(document, [
      {
        path: '(file)',
        message: `expected a reference that cutover identity enrol wrote, got ${text.length} characters that are not JSON: it may be cut short`,
      },
    ]);
  }
  const { identityReference: _, ...reference } = parseDocument(fileSchema, value, document);
  const digest = referenceDigest(reference);
  if (digest === reference.digest) return reference;
  throw new InvalidDocument(document, [
    {
      path: 'digest',
      message: `expected ${digest}, which the content has, got ${reference.digest}: the file was changed after it was enrolled`,
    },
  ]);
}
