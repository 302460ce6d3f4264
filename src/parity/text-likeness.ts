/**
 * Likeness of two texts, 0 to 1: cosine of their counts of three characters in a row. It needs no words, so it holds
 * for every script; another wording of the same answer has about 0.6, unrelated text of one language 0.3, of two 0.1.
 */
export function similarity(a: string, b: string): number {
  const [left, right] = [plain(a), plain(b)];
  if (left === right) return 1;
  const [x, y] = [trigrams(left), trigrams(right)];
  let dot = 0;
  for (const [gram, count] of x) dot += count * (y.get(gram) ?? 0);
  return dot === 0 ? 0 : Math.min(1, dot / Math.sqrt(squares(x) * squares(y)));
}

/** The shorter text's length as a part of the longer one's, 0 to 1. */
export function lengthRatio(a: string, b: string): number {
  const [short, long] = [a.trim().length, b.trim().length].sort((x, y) => x - y) as [number, number];
  return long === 0 ? 1 : short / long;
}

/** Cosine of two vectors, 0 to 1; vectors of two lengths lie in two spaces: 0. */
export function cosine(a: readonly number[], b: readonly number[]): number {
  if (a.length !== b.length) return 0;
  let [dot, x, y] = [0, 0, 0];
  for (let index = 0; index < a.length; index += 1) {
    const [left, right] = [a[index] as number, b[index] as number];
    dot += left * right;
    x += left * left;
    y += right * right;
  }
  return x === 0 || y === 0 ? 0 : Math.min(1, Math.max(0, dot / Math.sqrt(x * y)));
}

function plain(text: string): string {
  return text.normalize('NFKC').toLowerCase().replace(/\s+/g, ' ').trim();
}

function trigrams(text: string): Map<string, number> {
  const counts = new Map<string, number>();
  const framed = ` ${text} `;
  for (let at = 0; at + 3 <= framed.length; at += 1) {
    const gram = framed.slice(at, at + 3);
    counts.set(gram, (counts.get(gram) ?? 0) + 1);
  }
  return counts;
}

function squares(counts: ReadonlyMap<string, number>): number {
  let sum = 0;
  for (const count of counts.values()) sum += count * count;
  return sum;
}
