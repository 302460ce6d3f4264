const WORDS = (
  'river stone lantern orchard window harbour copper meadow ladder thunder basket willow anchor marble candle ' +
  'valley saddle ribbon garden hollow timber feather castle mirror pepper silver bridge cotton winter barrel'
).split(' ');

/** So many plain words in sentences of a dozen: a long prompt that means nothing and is always the same. */
export function fillerText(words: number): string {
  const sentences: string[] = [];
  for (let from = 0; from < words; from += 12) {
    const length = Math.min(12, words - from);
    // Steps that share no factor with the list keep neighbouring sentences apart.
    const picked = Array.from({ length }, (_, index) => WORDS[(from * 7 + index * 11) % WORDS.length]);
    sentences.push(`${picked.join(' ')}.`);
  }
  return sentences.join(' ');
}
