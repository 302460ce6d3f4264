import {
  type ConformalBets,
  conformalEValue,
  conformalPValue,
  NO_BETS,
  withPValue,
} from '../statistics/conformal-martingale';
import { FIXED_TEXTS, type IdentityQuestion, SAMPLED_QUESTIONS } from './identity-questions';
import {
  ANSWER_CLASSES,
  comparedAnswers,
  comparedCounts,
  type IdentityReference,
  strangenessOf,
} from './identity-reference';

/** What a provider answered to one question. */
export type IdentityReply =
  | {
      readonly ok: true;
      /** As the provider names the model that answered; null where it does not. */
      readonly model: string | null;
      readonly fingerprint: string | null;
      readonly inputTokens: number | null;
      /** As `answerWord` cuts it. */
      readonly word: string;
      readonly reasons: boolean;
    }
  | { readonly ok: false; readonly problem: string };

/** Something that a model does not change by itself, and that is not as it was, or not as the reference has it. */
export interface IdentityEvent {
  readonly what: 'tokens' | 'model' | 'fingerprint' | 'reasoning' | 'context';
  /** A value that is accepted where a person accepts the event. */
  readonly got: string;
  readonly sentence: string;
}

type ByKind<Value> = Readonly<Record<IdentityQuestion['kind'], Value>>;

/** How far it is known which model answers: plain JSON, numbers and names, no answers. */
export interface IdentityKnowledge {
  /** Digest of the reference, and the path by which the plan names it. */
  readonly reference: string;
  readonly path: string;
  /** Answers of the reference that are compared with. */
  readonly compared: number;
  /** Questions asked so far: the turn that is next. */
  readonly turns: number;
  /** When the last one was asked while a stage was watched, milliseconds since 1970; absent: not yet. */
  readonly askedAtMs?: number;
  readonly answered: number;
  /** Turns in a row without a usable answer, by kind of question, and why. */
  readonly missing: ByKind<number>;
  readonly problem: ByKind<string | null>;
  /** Whether names and counts are still being learned: what is first seen then is no change. */
  readonly learning: boolean;
  /** Input tokens of the fixed texts as the candidate counts them; null before it was asked. */
  readonly tokens: readonly (number | null)[];
  readonly models: readonly string[];
  readonly fingerprints: readonly string[];
  readonly reasons: boolean | null;
  /** What is not accepted yet, oldest first. */
  readonly events: readonly IdentityEvent[];
  /** What was accepted, by kind and value. */
  readonly accepted: readonly string[];
  /** Answers of the candidate by question and class. */
  readonly counts: readonly (readonly number[])[];
  readonly bets: ConformalBets;
}

/** Before anything was asked. */
export function identityStart(reference: IdentityReference, path: string): IdentityKnowledge {
  return {
    ...{ reference: reference.digest, path, compared: comparedAnswers(reference) },
    ...{ turns: 0, answered: 0, learning: true },
    missing: { fixed: 0, sampled: 0 },
    problem: { fixed: null, sampled: null },
    tokens: FIXED_TEXTS.map(() => null),
    ...{ models: [], fingerprints: [], reasons: null, events: [], accepted: [] },
    counts: SAMPLED_QUESTIONS.map(() => new Array<number>(ANSWER_CLASSES).fill(0)),
    bets: NO_BETS,
  };
}

/** The e-value against "it is the same model", and the highest that it has been. */
export function identityEvidence({ bets }: Pick<IdentityKnowledge, 'bets'>): { now: number; peak: number } {
  return { now: conformalEValue(bets), peak: bets.peak };
}

/** For so many answers what a provider calls itself is learned, unless `learned` says before that it is known. */
const LEARNING_ANSWERS = 30;
const NAMES_KEPT = 20;
const EVENTS_KEPT = 10;

/** The standing after one more reply; `draw` is uniform in [0, 1). */
export function withReply(
  standing: IdentityKnowledge,
  reference: IdentityReference,
  question: IdentityQuestion,
  reply: IdentityReply,
  draw: number,
): IdentityKnowledge {
  const turned = { ...standing, turns: standing.turns + 1 };
  if (!reply.ok) return withoutAnswer(turned, question, reply.problem);
  if (question.kind === 'fixed' && reply.inputTokens === null)
    return withoutAnswer(turned, question, NO_USAGE);
  const answered = standing.answered + 1;
  const learning = standing.learning && answered < LEARNING_ANSWERS;
  let next: IdentityKnowledge = {
    ...turned,
    answered,
    missing: { ...standing.missing, [question.kind]: 0 },
    problem: { ...standing.problem, [question.kind]: null },
  };
  next = noteName(next, 'model', reply.model);
  next = noteName(next, 'fingerprint', reply.fingerprint);
  next = noteReasoning(next, reference, reply.reasons);
  next =
    question.kind === 'fixed'
      ? noteTokens(next, reference, question.index, reply.inputTokens ?? 0)
      : noteAnswer(next, reference, question.index, reply.word, draw);
  return { ...next, learning };
}

function withoutAnswer(
  standing: IdentityKnowledge,
  { kind }: IdentityQuestion,
  problem: string,
): IdentityKnowledge {
  return {
    ...standing,
    missing: { ...standing.missing, [kind]: standing.missing[kind] + 1 },
    problem: { ...standing.problem, [kind]: problem },
  };
}

/** So many questions of a kind in a row without a usable answer leave it unknown which model answers. */
const MISSING_MOST = 5;

/** Why it is not known which model answers; null where it is. */
export function identityProblem({ missing, problem, answered }: IdentityKnowledge): string | null {
  if (missing.fixed >= MISSING_MOST) return problem.fixed;
  if (missing.sampled >= MISSING_MOST) return problem.sampled;
  return answered === 0 ? (problem.fixed ?? problem.sampled ?? 'nothing has been asked yet') : null;
}

/** The standing where a reference cannot be used any more: nothing of it can be said until it can. */
export function withIdentityProblem(standing: IdentityKnowledge, problem: string): IdentityKnowledge {
  return {
    ...standing,
    missing: { ...standing.missing, fixed: MISSING_MOST },
    problem: { ...standing.problem, fixed: problem },
  };
}

/** The standing once a first look is over: what a provider calls itself is known now. */
export function afterFirstLook(standing: IdentityKnowledge): IdentityKnowledge {
  return { ...standing, learning: false };
}

/** The standing once a person has accepted what has changed. */
export function afterAcceptance(standing: IdentityKnowledge): IdentityKnowledge {
  const { events, accepted, tokens } = standing;
  const values = events.map(acceptedKey);
  const retokenised = events.some(({ what }) => what === 'tokens');
  const seen = (index: number) => values.includes(tokensKey(index, tokens[index] ?? 0));
  return {
    ...standing,
    events: [],
    accepted: [...new Set([...accepted, ...values, ...(retokenised ? [OTHER_TOKENIZER] : [])])].slice(
      -NAMES_KEPT,
    ),
    // Another tokenizer counts the other texts differently as well: that is no further change.
    tokens: retokenised ? tokens.map((count, index) => (seen(index) ? count : null)) : tokens,
  };
}

/** What is accepted with the first count of another tokenizer: from there on only its own changes count. */
const OTHER_TOKENIZER = 'another tokenizer';

function tokensKey(index: number, tokens: number): string {
  return acceptedKey({ what: 'tokens', got: `${index}:${tokens}` });
}

/** The standing with something that was found beside questions, such as another context. */
export function withIdentityEvent(standing: IdentityKnowledge, event: IdentityEvent): IdentityKnowledge {
  const { events, accepted } = standing;
  const isKnown =
    accepted.includes(acceptedKey(event)) ||
    events.some((known) => acceptedKey(known) === acceptedKey(event));
  return isKnown ? standing : { ...standing, events: [...events, event].slice(0, EVENTS_KEPT) };
}

/** What a context says that is not the one of the reference; null where either does not say it. */
export function contextEvent(
  { contextTokens }: Pick<IdentityReference, 'contextTokens'>,
  got: number | null,
): IdentityEvent | null {
  if (got === null || contextTokens === null || got === contextTokens) return null;
  const sentence = `the list of models names a context of ${got} tokens, ${contextTokens} in the reference`;
  return { what: 'context', got: String(got), sentence };
}

function acceptedKey({ what, got }: Pick<IdentityEvent, 'what' | 'got'>): string {
  return `${what} ${got}`;
}

const NO_NAME = '(none)';

/** The model or the fingerprint that an answer names: one of those that are known, or a change. */
function noteName(
  standing: IdentityKnowledge,
  what: 'model' | 'fingerprint',
  said: string | null,
): IdentityKnowledge {
  const field = what === 'model' ? 'models' : 'fingerprints';
  const name = said ?? NO_NAME;
  const known = standing[field];
  if (known.includes(name)) return standing;
  const next = { ...standing, [field]: [...known, name].slice(-NAMES_KEPT) };
  if (standing.learning) return next;
  const label = what === 'model' ? 'the model named in answers' : 'the fingerprint of answers';
  const sentence = `${label} has changed: ${known.slice(0, 3).join(', ')} before, ${name} now`;
  return withIdentityEvent(next, { what, got: name, sentence });
}

function noteReasoning(
  standing: IdentityKnowledge,
  reference: IdentityReference,
  reasons: boolean,
): IdentityKnowledge {
  // One answer without it says nothing where others had some: short answers need none.
  if (standing.reasons === true || standing.reasons === reasons) return standing;
  const next = { ...standing, reasons };
  if (!reasons || reference.reasons) return next;
  return withIdentityEvent(next, {
    what: 'reasoning',
    got: 'yes',
    sentence: 'answers come with reasoning, which the reference has none of',
  });
}

/**
 * A provider may put a prompt of its own in front of every request: that moves all counts alike. The differences between
 * two texts belong to the tokenizer.
 */
function noteTokens(
  standing: IdentityKnowledge,
  { fixed }: IdentityReference,
  index: number,
  got: number,
): IdentityKnowledge {
  const before = standing.tokens[index] ?? null;
  if (before === got) return standing;
  const tokens = standing.tokens.map((count, other) => (other === index ? got : count));
  const next = { ...standing, tokens };
  const text = `fixed text ${index + 1}`;
  if (before !== null) {
    const sentence = `the token count of ${text} has changed: ${before} before, ${got} now`;
    return withIdentityEvent(next, { what: 'tokens', got: `${index}:${got}`, sentence });
  }
  if (standing.accepted.includes(OTHER_TOKENIZER)) return next;
  const other = standing.tokens.findIndex((count) => count !== null);
  const [had = 0, has = 0] = [fixed[other], standing.tokens[other] ?? undefined];
  const expected = has + ((fixed[index] ?? 0) - had);
  if (other < 0 || expected === got) return next;
  const sentence = `another tokenizer than the reference: ${text} has ${got} tokens, ${expected} expected from those of text ${other + 1}`;
  return withIdentityEvent(next, { what: 'tokens', got: `${index}:${got}`, sentence });
}

/** What is missing of an answer without usage. */
const NO_USAGE = 'answers report no usage.prompt_tokens, so token counts cannot be compared';

function noteAnswer(
  standing: IdentityKnowledge,
  reference: IdentityReference,
  index: number,
  word: string,
  draw: number,
): IdentityKnowledge {
  const answers = reference.answers[index];
  const counts = standing.counts[index];
  if (answers === undefined || counts === undefined) return standing;
  const strangeness = strangenessOf(answers, word);
  const before = comparedCounts(answers).map((count, at) => count + (counts[at] ?? 0));
  const after = counts.map((count, at) => (at === strangeness ? count + 1 : count));
  return {
    ...standing,
    counts: standing.counts.map((held, at) => (at === index ? after : held)),
    bets: withPValue(standing.bets, conformalPValue(before, strangeness, draw)),
  };
}

/** Answers to sampled questions so far. */
export function sampledAnswers({ bets }: Pick<IdentityKnowledge, 'bets'>): number {
  return bets.steps;
}

/**
 * What so many answers may leave unseen: a model that answers differently in fewer than this part of its answers. Between
 * half and seven tenths of the models at it were found in simulations (docs/identity.md).
 */
export function unseenDifference(answers: number, compared: number, alpha: number): number {
  if (answers === 0 || compared === 0) return 1;
  const needed = Math.log(1 / alpha) + BETTING_COST;
  return Math.min(1, Math.sqrt((needed / 2) * (1 / answers + 2 / compared)));
}

/** What bets that do not know how answers differ lose against those that do, as ln of an e-value. */
const BETTING_COST = 3;
