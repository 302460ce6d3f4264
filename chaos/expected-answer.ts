import { createHash } from 'node:crypto';

/** The two providers of every episode. */
export type ProviderName = 'legacy' | 'candidate';

export const PROVIDERS: readonly ProviderName[] = ['legacy', 'candidate'];

/** What callers put into a request so that whoever sees it anywhere knows which one it is. */
const NONCE = /nonce-\d+-\d+/;

/** The nonce that a text carries, null for what no caller sent, such as a probe. */
export function nonceIn(text: string): string | null {
  return NONCE.exec(text)?.[0] ?? null;
}

const WORDS = 8;

/** The words of the one right answer of a provider to a nonce: no two answers share their end. */
export function expectedWords(provider: ProviderName, nonce: string): string[] {
  const hex = createHash('sha256').update(`${provider} ${nonce}`).digest('hex');
  const words = Array.from({ length: WORDS }, (_, index) => ` ${hex.slice(index * 8, index * 8 + 8)}`);
  return [provider, ` ${nonce}`, ...words];
}
