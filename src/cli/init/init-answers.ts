import { z } from 'zod';
import type { Dialect } from '../../core/configuration/dialect';
import {
  httpUrlSchema,
  nameSchema,
  parseDocument,
  referenceSchema,
} from '../../core/configuration/schema-parts';
import { CliError, EXIT } from '../options/cli-error';
import { answerTo, canAsk } from '../options/confirmation';
import { printNote } from '../options/output';

export interface InitFlags {
  readonly route: string;
  readonly legacy?: string;
  readonly candidate?: string;
  readonly legacyKey?: string;
  readonly candidateKey?: string;
  readonly dialect: Dialect;
  readonly model?: readonly string[];
  readonly port: number;
  readonly quick?: boolean;
  readonly offline?: boolean;
  readonly force?: boolean;
  readonly json?: boolean;
}

/** All that a configuration is made of. */
export interface InitAnswers {
  readonly route: string;
  readonly legacy: string;
  readonly candidate: string;
  /** A reference; null for a provider without keys. */
  readonly legacyKey: string | null;
  readonly candidateKey: string | null;
  /** Of both. */
  readonly dialect: Dialect;
  /** Legacy's name of a model, and the candidate's. */
  readonly models: readonly (readonly [from: string, to: string])[];
}

const QUESTIONS = [
  ['legacy', '--legacy', 'Base URL of the provider that you leave', 'https://api.openai.com/v1'],
  ['legacyKey', '--legacy-key', 'Where its key is (env:NAME, file:/path or none)', 'env:LEGACY_API_KEY'],
  ['candidate', '--candidate', 'Base URL of the provider that you move to', 'https://api.deepseek.com/v1'],
  [
    'candidateKey',
    '--candidate-key',
    'Where its key is (env:NAME, file:/path or none)',
    'env:CANDIDATE_API_KEY',
  ],
] as const;

/** The answers that the options give, and a person at a terminal for the rest; throws `CliError` where nobody is asked. */
export async function completeAnswers(flags: InitFlags): Promise<InitAnswers> {
  const route = parseDocument(nameSchema, flags.route, 'the route');
  if (!canAsk(flags)) refuseMissing(flags);
  const given: Record<(typeof QUESTIONS)[number][0], string> = {
    legacy: '',
    legacyKey: '',
    candidate: '',
    candidateKey: '',
  };
  for (const [field, , question, fallback] of QUESTIONS) {
    const schema = field.endsWith('Key') ? keySchema : httpUrlSchema;
    given[field] = flags[field] ?? (await answer(question, fallback, schema));
  }
  return {
    route,
    legacy: given.legacy,
    candidate: given.candidate,
    legacyKey: keyOf(given.legacyKey),
    candidateKey: keyOf(given.candidateKey),
    dialect: flags.dialect,
    models: await modelsOf(flags),
  };
}

function refuseMissing(flags: InitFlags): void {
  const missing = QUESTIONS.filter(([field]) => flags[field] === undefined).map(([, option]) => option);
  if (flags.model === undefined) missing.push('--model' as never);
  if (missing.length === 0) return;
  throw new CliError(
    `expected ${missing.join(', ')}: nobody can be asked here. See cutover init --help`,
    EXIT.badInput,
  );
}

async function modelsOf({ model = [] }: InitFlags): Promise<InitAnswers['models']> {
  if (model.length > 0) return model.map((each) => each.split('=') as [string, string]);
  const from = await answer("Legacy's model, as callers name it", 'gpt-4o-mini');
  return [[from, await answer("The candidate's model that takes its place", 'deepseek-v4-flash')]];
}

const keySchema = z.union([z.literal('none'), referenceSchema]);

/** Asks until the answer is one that the configuration can hold: a slip at the first question must not cost all others. */
async function answer(question: string, fallback: string, schema: z.ZodType = z.string()): Promise<string> {
  for (;;) {
    const typed = (await answerTo(`${question} [${fallback}]: `))?.trim();
    if (typed === undefined) throw new CliError('ended: nothing was written', EXIT.negative);
    const given = typed === '' ? fallback : typed;
    if (schema.safeParse(given).success) return given;
    // What was typed is not repeated: it may be a key.
    printNote(
      schema === keySchema
        ? 'expected where the key is, not the key itself: env:NAME, file:/path or none'
        : 'expected an address that begins with http:// or https://, such as https://api.example.com/v1',
    );
  }
}

function keyOf(reference: string): string | null {
  return reference === 'none' ? null : reference;
}
