import { z } from 'zod';
import { type AnswerPair, requestText } from '../core/assessment/judge-pairs';
import { problemsOf } from '../core/configuration/document-problem';
import { InvalidDocument } from '../core/configuration/schema-parts';
import { parsedJson } from '../core/text/json-object';
import type { RecordedCall } from './answer-journal';
import type { GoldenPrompt } from './golden-prompt';

const PAIRS_MOST = 100_000;
const TEXT_MOST = 200_000;
const PROBLEMS_TOLD = 20;

const text = z.string().min(1, 'expected a text').max(TEXT_MOST, `expected at most ${TEXT_MOST} characters`);
const pairSchema = z.strictObject({
  id: z.string().min(1).max(200).optional(),
  prompt: text,
  legacy: text,
  candidate: text,
  requests: z
    .strictObject({
      legacy: z.string().min(1).max(1_000).optional(),
      candidate: z.string().min(1).max(1_000).optional(),
    })
    .optional(),
});

/** Reads pairs, one JSON object a line; throws `InvalidDocument` that names the lines. */
export function readAnswerPairs(document: string, name: string): AnswerPair[] {
  const lines = document
    .split('\n')
    .map((line, index) => ({ line, number: index + 1 }))
    .filter(({ line }) => line.trim() !== '');
  if (lines.length === 0 || lines.length > PAIRS_MOST) {
    const message = `expected 1 to ${PAIRS_MOST.toLocaleString('en-US')} pairs, one a line, got ${lines.length}`;
    throw new InvalidDocument(name, [{ path: '(file)', message }]);
  }
  const read = lines.map(({ line, number }) => {
    const value = parsedJson(line);
    if (value === undefined) return [{ path: `line ${number}`, message: 'expected a JSON object' }];
    const result = pairSchema.safeParse(value, { reportInput: true });
    if (!result.success) {
      const problems = result.error.issues.flatMap((issue) => problemsOf(issue, value, pairSchema));
      return problems.map(({ path, message }) => ({ path: `line ${number}: ${path}`, message }));
    }
    const { id = `line ${number}`, requests, ...pair } = result.data;
    return { id, ...pair, ...(requests === undefined ? {} : { requests: tokensOf(requests) }) };
  });
  const problems = read.filter(Array.isArray).flat();
  if (problems.length > 0) throw new InvalidDocument(name, problems.slice(0, PROBLEMS_TOLD));
  return read.filter((pair): pair is AnswerPair => !Array.isArray(pair));
}

function tokensOf({ legacy, candidate }: { legacy?: string | undefined; candidate?: string | undefined }) {
  return {
    ...(legacy === undefined ? {} : { legacy }),
    ...(candidate === undefined ? {} : { candidate }),
  };
}

/** The pairs of a parity run: of each golden prompt legacy's first answer and the candidate's, where both are texts. */
export function pairsOfParity(prompts: readonly GoldenPrompt[], journal: string): AnswerPair[] {
  const answers = new Map<string, string>();
  for (const line of journal.split('\n')) {
    const call = parsedJson(line) as Partial<RecordedCall> | undefined;
    const { reply } = call ?? {};
    if (call?.draw !== 1 || reply?.ok !== true || reply.answer.kind !== 'chat') continue;
    if (reply.answer.text !== '') answers.set(`${call.side} ${call.id}`, reply.answer.text);
  }
  return prompts.flatMap(({ id, question }) => {
    const [legacy, candidate] = [answers.get(`legacy ${id}`), answers.get(`candidate ${id}`)];
    if (question.kind !== 'chat' || legacy === undefined || candidate === undefined) return [];
    return [{ id, prompt: requestText({ messages: question.messages }) ?? '', legacy, candidate }];
  });
}
