/**
 * What a provider is asked to find out which model answers. All of it looks like what applications send. The numbers of
 * a reference rest on these very texts: another set is another `QUESTION_SET`, and references of the old one are refused.
 */
export const QUESTION_SET = 1;

/** Texts that tokenizers cut differently; what is counted is their input. */
export const FIXED_TEXTS: readonly string[] = [
  'Please translate this sentence into Spanish: The meeting was moved to Thursday because the trains do not run.',
  'Fasse in einem Satz zusammen: Die Straßenverkehrszulassungsordnung regelt übrigens auch Anhängerkupplungen, Rückfahrscheinwerfer und Geschwindigkeitsbegrenzer.',
  'What does this function return for n = 12?\n\ndef f(n):\n    return n if n < 2 else f(n - 1) + f(n - 2)\n',
  'この文章を丁寧な日本語に直してください:明日の会議、3時からでいい？资料我今晚发给你。',
  'Add these up: 1048576 + 65537.25 + 0.333333 + 8675309 + 31415926535 = ? 🙂👍🏽 (№ 7, ½, €20)',
];

/** Questions that leave a choice: a model's habits show in what it answers at temperature 1. */
export const SAMPLED_QUESTIONS: readonly string[] = [
  'Pick a number between 1 and 100. Answer with the number only.',
  'Name one colour. Answer with a single word.',
  'Give me a first name for the main character of a story. Answer with the name only.',
  'Name an animal. Answer with a single word.',
  'Pick a random letter of the alphabet. Answer with the letter only.',
  'Name a city that is worth a visit. Answer with the name only.',
  'Complete with one word: The weather today is',
  'Say one word that comes to mind when you hear "river". Answer with that word only.',
];

/** A question that is asked for its input tokens, or for how its answers are distributed. */
export type IdentityQuestion = { readonly kind: 'fixed' | 'sampled'; readonly index: number };

/** The question of a turn, from 0: all fixed texts first, then one of them after every three sampled questions. */
export function questionAt(turn: number): IdentityQuestion {
  const fixed = FIXED_TEXTS.length;
  if (turn < fixed) return { kind: 'fixed', index: turn };
  const later = turn - fixed;
  const round = Math.floor(later / ROUND);
  return later % ROUND === ROUND - 1
    ? { kind: 'fixed', index: round % fixed }
    : { kind: 'sampled', index: (round * (ROUND - 1) + (later % ROUND)) % SAMPLED_QUESTIONS.length };
}

const ROUND = 4;

/** Questions of the assess stage: all fixed texts once and every sampled question twice, with the fixed ones in between. */
export const ASSESSED_TURNS =
  FIXED_TEXTS.length + Math.ceil((2 * SAMPLED_QUESTIONS.length * ROUND) / (ROUND - 1));

/** Tokens that an answer may have: room for a model that reasons before its one word; others stop by themselves. */
export const ANSWER_TOKENS: Readonly<Record<IdentityQuestion['kind'], number>> = { fixed: 16, sampled: 256 };

/** The text of a question. */
export function questionText({ kind, index }: IdentityQuestion): string {
  return (kind === 'fixed' ? FIXED_TEXTS : SAMPLED_QUESTIONS)[index] as string;
}

/** An answer as it is compared: its first word, without case and punctuation; empty where there is none. */
export function answerWord(text: string): string {
  const [word = ''] = text.normalize('NFKC').match(/[\p{L}\p{N}]+/u) ?? [];
  return word.toLowerCase().slice(0, WORD_MOST);
}

const WORD_MOST = 40;
