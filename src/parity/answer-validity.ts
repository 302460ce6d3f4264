import type { Answer, Reply } from '../core/assessment/question';
import { parsedJson } from '../core/text/json-object';
import type { Validity, ValidityOf } from './compare-answers';
import type { GoldenPrompt } from './golden-prompt';
import type { SchemaChecks, SchemaVerdict } from './schema-checks';

type Checks = Pick<SchemaChecks, 'check'>;

/** What a prompt's schemas say of each answer to it, or why one could not be checked. */
export async function validityOf(
  prompt: GoldenPrompt,
  replies: readonly Reply[],
  schemas: Checks,
): Promise<ValidityOf | { readonly unchecked: string }> {
  const known = new Map<Answer, Validity>();
  for (const reply of replies) {
    if (!reply.ok || reply.answer.kind !== 'chat') continue;
    const found = await validityOfChat(prompt, reply.answer, schemas);
    if ('unchecked' in found) return found;
    known.set(reply.answer, found);
  }
  return (answer) => known.get(answer) ?? UNKNOWN;
}

const UNKNOWN: Validity = { calls: null, json: null };

async function validityOfChat(
  { compare, toolSchemas, answerSchema }: GoldenPrompt,
  { text, toolCalls }: Answer & { readonly kind: 'chat' },
  schemas: Checks,
): Promise<Validity | { readonly unchecked: string }> {
  let calls: number | null = null;
  if (compare.includes('tools') && toolCalls.length > 0) {
    const kept: SchemaVerdict[] = [];
    for (const { name, arguments: given } of toolCalls) {
      const schema = Object.hasOwn(toolSchemas, name) ? toolSchemas[name] : undefined;
      kept.push(await keepsTo(schema, parsedJson(given.trim() === '' ? '{}' : given), schemas));
    }
    const unchecked = kept.find((each) => typeof each === 'object');
    if (unchecked !== undefined) return unchecked;
    calls = kept.every((each) => each === 'kept') ? 1 : 0;
  }
  if (!compare.includes('json') || answerSchema === null) return { calls, json: null };
  const json = await keepsTo(answerSchema, parsedJson(text), schemas);
  return typeof json === 'object' ? json : { calls, json: json === 'kept' ? 1 : 0 };
}

async function keepsTo(schema: object | undefined, value: unknown, schemas: Checks): Promise<SchemaVerdict> {
  return schema === undefined || value === undefined ? 'broken' : schemas.check(schema, value);
}
