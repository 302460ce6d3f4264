import { SAMPLED_QUESTIONS } from '../core/identity/identity-questions';
import { sha256Hex } from '../core/record/digest';
import type { DemoRequest } from './provider-answers';

/** What tells one model from another where it serves: how it cuts texts, and its habits where it has a choice. */
export interface DemoModel {
  /** Bytes of a text per token. */
  readonly bytesPerToken: number;
  /** Another seed is another model. */
  readonly seed: number;
}

/** The model that is sold in a demo in which that matters, and another one. */
export const SOLD_MODEL: DemoModel = { bytesPerToken: 4, seed: 1 };
export const OTHER_MODEL: DemoModel = { bytesPerToken: 3.5, seed: 2 };

/** What a provider's own template adds to a prompt. */
const TEMPLATE_TOKENS = 7;

/** A request as this model counts it. */
export function countedBy({ bytesPerToken }: DemoModel, asked: DemoRequest): DemoRequest {
  const tokens = Math.ceil(Buffer.byteLength(asked.text) / bytesPerToken);
  return { ...asked, promptTokens: TEMPLATE_TOKENS + tokens };
}

const CHOICES = 'amber birch comet delta ember fjord gecko heron indigo jasper'.split(' ');

/** The one word that this model answers a question with that leaves a choice; null for every other request. */
export function chosenWord({ seed }: DemoModel, { text }: DemoRequest, draw: number): string | null {
  if (!SAMPLED_QUESTIONS.includes(text)) return null;
  // Each question has its own favourites: half of what is left goes to the next one.
  const favourites = [...CHOICES].sort((a, b) => (rankOf(seed, text, a) < rankOf(seed, text, b) ? -1 : 1));
  const place = Math.floor(-Math.log2(1 - draw));
  return favourites[Math.min(place, favourites.length - 1)] ?? null;
}

function rankOf(seed: number, text: string, word: string): string {
  return sha256Hex(`${seed} ${text} ${word}`);
}
