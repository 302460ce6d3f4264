import {
  type IdentityKnowledge,
  type IdentityReply,
  identityStart,
  withReply,
} from '../../../src/core/identity/identity-audit';
import {
  FIXED_TEXTS,
  type IdentityQuestion,
  QUESTION_SET,
  questionAt,
  SAMPLED_QUESTIONS,
} from '../../../src/core/identity/identity-questions';
import type { IdentityReference } from '../../../src/core/identity/identity-reference';
import { referenceDigest } from '../../../src/core/identity/identity-reference-schema';
import { drawNormal, type Random } from '../../../src/core/rehearsal/rehearsal';

/** A model as questions about its identity see it: chances of its words by question, and how it counts texts. */
export interface SimulatedModel {
  readonly chances: readonly (readonly number[])[];
  readonly tokens: readonly number[];
}

const WORDS = 'oak elm fir ash yew box ivy fig bay gum'.split(' ');
/** Gamma numbers of this shape make habits as models have them: two of them give about two thirds other answers. */
const HABIT = 1 / 3;

/** A model with habits of its own. */
export function simulatedModel(random: Random): SimulatedModel {
  return {
    chances: SAMPLED_QUESTIONS.map(() => {
      const weights = WORDS.map(() => Math.abs(drawNormal(random)) ** (1 / HABIT));
      const sum = weights.reduce((all, weight) => all + weight, 0);
      return weights.map((weight) => weight / sum);
    }),
    tokens: FIXED_TEXTS.map((text) => Math.ceil(text.length / 4)),
  };
}

/** A model that answers as another does in a part of its answers, and as one stranger does in the others. */
export function mixedModel(model: SimulatedModel, stranger: SimulatedModel, part: number): SimulatedModel {
  const chances = model.chances.map((own, index) =>
    own.map((chance, word) => (1 - part) * chance + part * (stranger.chances[index]?.[word] ?? 0)),
  );
  return { ...model, chances };
}

export function wordOf(chances: readonly number[], random: Random): string {
  let left = random();
  const index = chances.findIndex((chance) => {
    left -= chance;
    return left < 0;
  });
  return WORDS[index < 0 ? WORDS.length - 1 : index] as string;
}

/** What enrolment would have written. */
export function referenceOf(model: SimulatedModel, random: Random, samples = 100): IdentityReference {
  const counts = (size: number, chances: readonly number[]) => {
    const words: Record<string, number> = {};
    for (let drawn = 0; drawn < size; drawn += 1) {
      const word = wordOf(chances, random);
      words[word] = (words[word] ?? 0) + 1;
    }
    return words;
  };
  const content = {
    ...{ questionSet: QUESTION_SET, provider: 'original', model: 'large-chat', declared: null },
    ...{ enrolledAt: '2026-11-29T12:00:00.000Z', reasons: false, contextTokens: 32_768 },
    fixed: model.tokens,
    answers: model.chances.map((chances) => ({
      learned: counts(0.4 * samples, chances),
      compared: counts(0.6 * samples, chances),
    })),
  };
  return { ...content, digest: referenceDigest(content) };
}

export function replyOf(
  model: SimulatedModel,
  { kind, index }: IdentityQuestion,
  random: Random,
): IdentityReply {
  return {
    ...{ ok: true, model: 'large-chat', fingerprint: 'fp_1', reasons: false },
    // A relay puts seven tokens of its own in front.
    inputTokens: kind === 'fixed' ? 7 + (model.tokens[index] ?? 0) : 30,
    word: kind === 'sampled' ? wordOf(model.chances[index] ?? [], random) : 'ok',
  };
}

/** After so many probes, or as soon as `until` holds; `served` says which model answers which probe. */
export function probed(
  reference: IdentityReference,
  served: (turn: number) => SimulatedModel,
  {
    probes,
    random,
    until = () => false,
  }: {
    readonly probes: number;
    readonly random: Random;
    readonly until?: (standing: IdentityKnowledge) => boolean;
  },
  start = identityStart(reference, 'sold.json'),
): IdentityKnowledge {
  let standing = start;
  while (standing.turns < probes && !until(standing)) {
    const question = questionAt(standing.turns);
    const reply = replyOf(served(standing.turns), question, random);
    standing = withReply(standing, reference, question, reply, random());
  }
  return standing;
}
