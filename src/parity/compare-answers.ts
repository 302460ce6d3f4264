import { DECISIONS, type MeasureName, type TokenTally } from '../core/assessment/parity-report';
import type { Answer, AnswerUsage, Reply } from '../core/assessment/question';
import { parsedJson } from '../core/text/json-object';
import { comparableJson, equalFields } from './canonical-json';
import type { GoldenPrompt } from './golden-prompt';

import { sameLanguage } from './text-language';
import { cosine, lengthRatio, similarity } from './text-likeness';
import { opensAsRefusal } from './text-refusal';

/** Three answers to one prompt: legacy's first and second, and the candidate's. */
export interface Replies {
  readonly first: Reply;
  readonly second: Reply;
  readonly candidate: Reply;
}

/** How one measure came out for one prompt, each score 0 to 1. */
export interface Score {
  readonly measure: MeasureName;
  /** Legacy against itself. */
  readonly self: number;
  /** The candidate against legacy. */
  readonly candidate: number;
  /** Which of the three answers is worse or farther off than the other two. */
  readonly apart: 'candidate' | 'legacy' | null;
}

/** What one prompt shows; `called` are the tools called, for the F1 of calling. */
export interface PromptComparison {
  readonly scores: readonly Score[];
  readonly called: { readonly first: boolean; readonly second: boolean; readonly candidate: boolean } | null;
  /** Null where a provider does not count. */
  readonly tokens: TokenTally | null;
}

/** What schemas say of an answer, 1 or 0; null where it has nothing of the kind. */
export interface Validity {
  readonly calls: number | null;
  readonly json: number | null;
}

/** Looked up, because a schema is run elsewhere and before. */
export type ValidityOf = (answer: Answer) => Validity;

type Chat = Answer & { readonly kind: 'chat' };

/** Likeness of two answers, 0 to 1; null where it means nothing. */
type Pairwise = (a: Chat, b: Chat) => number | null;
/** A quality of one answer, 0 or 1; null where it does not apply. */
type Quality = (answer: Chat) => number | null;

/** From here on two embeddings stand for the same input. */
const SAME_VECTOR = 0.95;

/**
 * Compares what two providers made of one prompt; null when legacy itself did not answer twice, so that nothing can
 * be compared. A candidate without an answer scores nothing but `answered`. `validity` is what the prompt's schemas
 * say of each answer.
 */
export function compareReplies(
  prompt: GoldenPrompt,
  replies: Replies,
  validity: ValidityOf,
): PromptComparison | null {
  const { first, second, candidate } = replies;
  if (!first.ok || !second.ok) return null;
  if (!candidate.ok) {
    const lost = (measure: MeasureName): Score => ({ measure, self: 1, candidate: 0, apart: 'candidate' });
    return { scores: [lost('decisions'), lost('answered')], called: null, tokens: null };
  }
  const tokens = tokensOf(first.usage, second.usage, candidate.usage);
  const answered: Score = { measure: 'answered', self: 1, candidate: 1, apart: null };
  const [a, b, c] = [first.answer, second.answer, candidate.answer];
  if (a.kind === 'embedding' || b.kind === 'embedding' || c.kind === 'embedding') {
    if (a.kind !== 'embedding' || b.kind !== 'embedding' || c.kind !== 'embedding') return null;
    const scores = embeddingScores(answered, [a.vectors, b.vectors, c.vectors]);
    return { scores, called: null, tokens };
  }
  const triple = [a, b, c] as const;
  const scores = [answered, ...chatScores(prompt, triple, validity)];
  const [self, forFirst, forSecond] = [
    flip(prompt, validity, a, b),
    flip(prompt, validity, a, c),
    flip(prompt, validity, b, c),
  ];
  const comparesTools = prompt.compare.includes('tools');
  return {
    scores: [agreement('decisions', self, forFirst, forSecond), ...scores],
    called: comparesTools
      ? { first: a.toolCalls.length > 0, second: b.toolCalls.length > 0, candidate: c.toolCalls.length > 0 }
      : null,
    tokens,
  };
}

type Usage = AnswerUsage | null;

function tokensOf(first: Usage, second: Usage, candidate: Usage): TokenTally | null {
  if (first === null || second === null || candidate === null) return null;
  return {
    legacyInput: (first.inputTokens + second.inputTokens) / 2,
    legacyOutput: (first.outputTokens + second.outputTokens) / 2,
    candidateInput: candidate.inputTokens,
    candidateOutput: candidate.outputTokens,
  };
}

function chatScores(
  prompt: GoldenPrompt,
  answers: readonly [Chat, Chat, Chat],
  validity: ValidityOf,
): Score[] {
  const [a, b, c] = answers;
  const scores: Score[] = [];
  for (const { measure, alike } of pairwiseOf(prompt)) {
    const [ab, ac, bc] = [alike(a, b), alike(a, c), alike(b, c)];
    if (ab !== null && ac !== null && bc !== null) scores.push(agreement(measure, ab, ac, bc));
  }
  for (const { measure, has } of qualitiesOf(prompt, validity)) {
    const [x, y, z] = [has(a), has(b), has(c)];
    if (x !== null && y !== null && z !== null) scores.push(quality(measure, x, y, z));
  }
  return scores;
}

/** 1 when two answers are the same in every decision, 0 when they differ in one. */
function flip(prompt: GoldenPrompt, validity: ValidityOf, a: Chat, b: Chat): number {
  const differs =
    pairwiseOf(prompt).some(({ measure, alike }) => DECISIONS.includes(measure) && alike(a, b) === 0) ||
    qualitiesOf(prompt, validity).some(
      ({ measure, has }) => DECISIONS.includes(measure) && has(a) !== has(b),
    );
  return differs ? 0 : 1;
}

/** A score from how alike the three answers are: one stands apart when the other two are closest to each other. */
function agreement(measure: MeasureName, ab: number, ac: number, bc: number): Score {
  const closest = Math.max(ab, ac, bc);
  const tied = [ab, ac, bc].filter((value) => value === closest).length > 1;
  return {
    measure,
    self: ab,
    candidate: (ac + bc) / 2,
    apart: tied ? null : closest === ab ? 'candidate' : 'legacy',
  };
}

/** A score from what each of the three answers is worth: one stands apart when it alone is the worst. */
function quality(measure: MeasureName, a: number, b: number, c: number): Score {
  const worst = Math.min(a, b, c);
  const tied = [a, b, c].filter((value) => value === worst).length > 1;
  return {
    measure,
    self: (a + b) / 2,
    candidate: c,
    apart: tied ? null : worst === c ? 'candidate' : 'legacy',
  };
}

function pairwiseOf({ compare }: GoldenPrompt): { measure: MeasureName; alike: Pairwise }[] {
  const pairs: { measure: MeasureName; alike: Pairwise }[] = [];
  if (compare.includes('finish')) {
    pairs.push({ measure: 'finish reason', alike: (a, b) => same(finishOf(a), finishOf(b)) });
  }
  if (compare.includes('tools')) {
    pairs.push(
      { measure: 'tool trigger', alike: (a, b) => same(toolNames(a), toolNames(b)) },
      { measure: 'tool arguments', alike: sameCalls },
    );
  }
  if (compare.includes('json')) pairs.push({ measure: 'json fields', alike: sameFields });
  if (compare.includes('text')) {
    pairs.push(
      { measure: 'refusal', alike: (a, b) => same(String(refuses(a)), String(refuses(b))) },
      { measure: 'language', alike: inWords((a, b) => numbered(sameLanguage(a, b))) },
      { measure: 'similarity', alike: inWords(similarity) },
      { measure: 'length', alike: inWords(lengthRatio) },
    );
  }
  return pairs;
}

function qualitiesOf(
  { compare, answerSchema }: GoldenPrompt,
  validity: ValidityOf,
): { measure: MeasureName; has: Quality }[] {
  const qualities: { measure: MeasureName; has: Quality }[] = [];
  if (compare.includes('finish')) {
    qualities.push({ measure: 'truncation', has: (answer) => (finishOf(answer) === 'length' ? 0 : 1) });
  }
  if (compare.includes('tools')) {
    qualities.push({ measure: 'tool schema', has: (answer) => validity(answer).calls });
  }
  if (compare.includes('json')) {
    qualities.push({ measure: 'json', has: ({ text }) => (parsedJson(text) === undefined ? 0 : 1) });
  }
  if (compare.includes('json') && answerSchema !== null) {
    qualities.push({ measure: 'json schema', has: (answer) => validity(answer).json ?? 0 });
  }
  return qualities;
}

/** Reasons that mean the same under their older and their vendors' names. */
const FINISH: Readonly<Record<string, string>> = {
  function_call: 'tool_calls',
  tool_use: 'tool_calls',
  end_turn: 'stop',
  eos: 'stop',
  stop_sequence: 'stop',
  max_tokens: 'length',
};

function finishOf({ finishReason }: Chat): string {
  if (finishReason === null) return 'none';
  return Object.hasOwn(FINISH, finishReason) ? (FINISH[finishReason] as string) : finishReason;
}

function toolNames({ toolCalls }: Chat): string {
  return JSON.stringify(toolCalls.map(({ name }) => name).sort());
}

/** Exact match on names and canonical arguments, in any order: parallel calls have none. */
function sameCalls(a: Chat, b: Chat): number | null {
  if (a.toolCalls.length === 0 || b.toolCalls.length === 0) return null;
  const canonical = ({ toolCalls }: Chat) =>
    JSON.stringify(toolCalls.map((call) => `${call.name} ${canonicalArguments(call.arguments)}`).sort());
  return same(canonical(a), canonical(b));
}

function canonicalArguments(text: string): string {
  const value = parsedJson(text.trim() === '' ? '{}' : text);
  return value === undefined ? text : comparableJson(value);
}

function sameFields(a: Chat, b: Chat): number | null {
  const [left, right] = [parsedJson(a.text), parsedJson(b.text)];
  return left === undefined || right === undefined ? null : equalFields(left, right);
}

function refuses({ text, refusal, finishReason }: Chat): boolean {
  return refusal !== null || finishReason === 'content_filter' || opensAsRefusal(text);
}

/** A likeness of texts, where both answers are texts. */
function inWords(alike: (a: string, b: string) => number | null): Pairwise {
  const isText = ({ toolCalls }: Chat) => toolCalls.length === 0;
  const said = ({ text, refusal }: Chat) => (text === '' ? (refusal ?? '') : text);
  return (a, b) => (isText(a) && isText(b) ? alike(said(a), said(b)) : null);
}

type Vectors = readonly (readonly number[])[];

function embeddingScores(answered: Score, [a, b, c]: readonly [Vectors, Vectors, Vectors]): Score[] {
  const mean = (x: Vectors, y: Vectors) =>
    x.reduce((sum, vector, index) => sum + cosine(vector, y[index] ?? []), 0) / x.length;
  const [ab, ac, bc] = [mean(a, b), mean(a, c), mean(b, c)];
  const near = (value: number) => (value >= SAME_VECTOR ? 1 : 0);
  return [agreement('decisions', near(ab), near(ac), near(bc)), answered, agreement('embedding', ab, ac, bc)];
}

function same(a: string, b: string): number {
  return a === b ? 1 : 0;
}

function numbered(value: boolean | null): number | null {
  return value === null ? null : value ? 1 : 0;
}
