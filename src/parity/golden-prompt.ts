import { z } from 'zod';
import { fillerText } from '../core/assessment/filler-text';
import type { Message, Question } from '../core/assessment/question';
import { problemsOf } from '../core/configuration/document-problem';
import { InvalidDocument } from '../core/configuration/schema-parts';
import type { SchemaChecks } from './schema-checks';

/** What of two answers is compared. */
export type Comparison = 'finish' | 'tools' | 'json' | 'text' | 'embedding';

/** A prompt whose answers are compared. */
export interface GoldenPrompt {
  readonly id: string;
  readonly stratum: string;
  readonly question: Question;
  readonly compare: readonly Comparison[];
  /** Parameters' JSON Schema by tool. */
  readonly toolSchemas: Readonly<Record<string, object>>;
  /** The JSON Schema of the response format; null without. */
  readonly answerSchema: object | null;
}

const PROMPTS_MOST = 5_000;
const STRATA_MOST = 20;
const PROBLEMS_TOLD = 20;
const FILLER = '{{filler}}';

const COMPARISONS = ['finish', 'tools', 'json', 'text', 'embedding'] as const;

const messageSchema = z.looseObject({
  role: z.enum(['system', 'developer', 'user', 'assistant', 'tool']),
});

const toolSchema = z.looseObject({
  type: z.literal('function'),
  function: z.looseObject({
    name: z.string().min(1),
    parameters: z.record(z.string(), z.unknown()).optional(),
  }),
});

const responseFormatSchema = z.union(
  [
    z.strictObject({ type: z.literal('json_object') }),
    z.strictObject({
      type: z.literal('json_schema'),
      json_schema: z.looseObject({
        name: z.string().min(1),
        schema: z.record(z.string(), z.unknown()),
      }),
    }),
  ],
  'expected {"type":"json_object"} or {"type":"json_schema","json_schema":{"name":...,"schema":...}}',
);

const shared = {
  id: z.string().regex(/^[\w.-]{1,80}$/, 'expected letters, digits, dot, dash and underscore, at most 80'),
  stratum: z
    .string()
    .regex(/^[\w .-]{1,40}$/, 'expected letters, digits, blank, dot, dash and underscore, at most 40'),
  model: z.string().min(1).optional(),
  compare: z
    .array(z.enum(COMPARISONS, `expected one of ${COMPARISONS.join(', ')}`))
    .min(1)
    .optional(),
};

const chatSchema = z.strictObject({
  ...shared,
  messages: z.array(messageSchema).min(1),
  tools: z.array(toolSchema).min(1).optional(),
  toolChoice: z.union([z.string(), z.record(z.string(), z.unknown())]).optional(),
  responseFormat: responseFormatSchema.optional(),
  maxTokens: z.int().min(1).max(100_000).default(400),
  fillerWords: z.int().min(1).max(1_000_000).optional(),
});

const embeddingSchema = z.strictObject({
  ...shared,
  input: z.union([z.string().min(1), z.array(z.string().min(1)).min(1).max(100)]),
});

type Problem = { readonly path: string; readonly message: string };

/**
 * The golden prompts of a JSON lines file. Throws `InvalidDocument` that names each line that is wrong: no JSON, an
 * unknown field or comparison, a JSON Schema that does not compile, an id that is there twice; and for an empty file.
 */
export async function readGoldenPrompts(
  text: string,
  document: string,
  schemas: Pick<SchemaChecks, 'problemOf'>,
): Promise<GoldenPrompt[]> {
  const prompts: GoldenPrompt[] = [];
  const problems: Problem[] = [];
  const lineOf = new Map<string, number>();
  for (const [index, line] of text.split('\n').entries()) {
    if (line.trim() === '') continue;
    const where = `line ${index + 1}`;
    const read = await readLine(line, where, schemas);
    if ('problems' in read) {
      problems.push(...read.problems);
      continue;
    }
    const { prompt } = read;
    const before = lineOf.get(prompt.id);
    if (before !== undefined) {
      problems.push({
        path: `${where}: id`,
        message: `expected ids that differ, got "${prompt.id}" on line ${before} too`,
      });
    }
    lineOf.set(prompt.id, index + 1);
    prompts.push(prompt);
  }
  const strata = new Set(prompts.map(({ stratum }) => stratum));
  if (prompts.length + problems.length === 0) problems.push(whole('expected at least one prompt, got none'));
  if (prompts.length > PROMPTS_MOST) {
    problems.push(whole(`expected at most ${PROMPTS_MOST} prompts, got ${prompts.length}`));
  }
  if (strata.size > STRATA_MOST) {
    problems.push(whole(`expected at most ${STRATA_MOST} strata, got ${strata.size}`));
  }
  if (problems.length === 0) return prompts;
  const more = problems.length - PROBLEMS_TOLD;
  throw new InvalidDocument(document, [
    ...problems.slice(0, PROBLEMS_TOLD),
    ...(more > 0 ? [whole(`and ${more} more problems`)] : []),
  ]);
}

function whole(message: string): Problem {
  return { path: '(file)', message };
}

async function readLine(
  line: string,
  where: string,
  schemas: Pick<SchemaChecks, 'problemOf'>,
): Promise<{ prompt: GoldenPrompt } | { problems: Problem[] }> {
  let value: unknown;
  try {
    value = JSON.parse(line);
  } catch (error) {
    const why = error instanceof Error ? error.message.slice(0, 120) : '';
    return { problems: [{ path: where, message: `expected a JSON object on one line: ${why}` }] };
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    return { problems: [{ path: where, message: 'expected a JSON object on one line' }] };
  }
  const embeds = 'input' in value;
  const schema = embeds ? embeddingSchema : chatSchema;
  const result = schema.safeParse(value, { reportInput: true });
  if (!result.success) {
    const problems = result.error.issues.flatMap((issue) => problemsOf(issue, value, schema));
    return { problems: problems.map(({ path, message }) => ({ path: `${where}: ${path}`, message })) };
  }
  const { data } = result;
  const prompt = 'input' in data ? embeddingPrompt(data) : chatPrompt(data);
  const wrong = [...problemsOfPrompt(prompt, where), ...(await problemsOfSchemas(prompt, where, schemas))];
  return wrong.length > 0 ? { problems: wrong } : { prompt };
}

function embeddingPrompt(data: z.output<typeof embeddingSchema>): GoldenPrompt {
  return {
    id: data.id,
    stratum: data.stratum,
    compare: data.compare ?? ['embedding'],
    question: {
      kind: 'embedding',
      model: data.model ?? null,
      inputs: typeof data.input === 'string' ? [data.input] : data.input,
    },
    toolSchemas: {},
    answerSchema: null,
  };
}

function chatPrompt(data: z.output<typeof chatSchema>): GoldenPrompt {
  const { tools, responseFormat } = data;
  const inferred: readonly Comparison[] =
    tools !== undefined
      ? ['finish', 'tools', 'text']
      : responseFormat !== undefined
        ? ['finish', 'json']
        : ['finish', 'text'];
  const parameters = (tools ?? []).map(({ function: { name, parameters: schema } }) => [name, schema ?? {}]);
  return {
    id: data.id,
    stratum: data.stratum,
    compare: data.compare ?? inferred,
    question: {
      kind: 'chat',
      model: data.model ?? null,
      messages: data.messages.map((message) => filled(message, data.fillerWords)),
      tools: tools ?? null,
      toolChoice: data.toolChoice ?? null,
      responseFormat: responseFormat ?? null,
      maxTokens: data.maxTokens,
    },
    toolSchemas: Object.fromEntries(parameters),
    answerSchema: responseFormat?.type === 'json_schema' ? responseFormat.json_schema.schema : null,
  };
}

/** Long prompts are written short: `{{filler}}` stands for so many words that mean nothing. */
function filled(message: Message, words: number | undefined): Message {
  const { content } = message as { content?: unknown };
  if (words === undefined || typeof content !== 'string') return message;
  return { ...message, content: content.replaceAll(FILLER, () => fillerText(words)) };
}

function problemsOfPrompt({ question, compare }: GoldenPrompt, where: string): Problem[] {
  const problems: Problem[] = [];
  const impossible = (name: Comparison, why: string) =>
    problems.push({ path: `${where}: compare`, message: `expected no "${name}": ${why}` });
  for (const name of compare) {
    if (question.kind === 'embedding' && name !== 'embedding')
      impossible(name, 'the line has inputs to embed');
    if (question.kind === 'chat' && name === 'embedding') impossible(name, 'the line has no input to embed');
    if (question.kind === 'chat' && name === 'tools' && question.tools === null) {
      impossible(name, 'the line has no tools');
    }
  }
  return problems;
}

async function problemsOfSchemas(
  { toolSchemas, answerSchema }: GoldenPrompt,
  where: string,
  schemas: Pick<SchemaChecks, 'problemOf'>,
): Promise<Problem[]> {
  const problems: Problem[] = [];
  for (const [name, schema] of Object.entries(toolSchemas)) {
    const problem = await schemas.problemOf(schema);
    if (problem === null) continue;
    problems.push({ path: `${where}: tools`, message: `expected a JSON Schema of "${name}": ${problem}` });
  }
  const problem = answerSchema === null ? null : await schemas.problemOf(answerSchema);
  if (problem !== null) {
    problems.push({ path: `${where}: responseFormat`, message: `expected a JSON Schema: ${problem}` });
  }
  return problems;
}
