import type { CallerLine } from '../callers';
import { expectedWords, PROVIDERS } from '../expected-answer';
import { type Arrival, type Evidence, groupedBy } from './evidence';

/** No caller got a wrong answer, or a cut one that looked whole. */
export function wrongAnswers({ callers }: Evidence): string[] {
  return callers.flatMap((line) => {
    const problem = wrongIn(line);
    return problem === null ? [] : [`${line.nonce} (${line.kind} through ${line.gateway}): ${problem}`];
  });
}

function wrongIn(line: CallerLine): string | null {
  const { kind, status, end, done, error, text, provider, nonce } = line;
  // An error, a broken connection or the caller's own impatience is a failure that says so.
  if (status !== 200 || end !== 'clean' || error) return null;
  if (kind === 'stream' && !done) return 'the stream ended cleanly without [DONE] and without an error';
  const from = PROVIDERS.find((name) => expectedWords(name, nonce).join('') === text);
  if (from === undefined) return `the answer is not the one of either provider: ${JSON.stringify(text)}`;
  return from === provider ? null : `answered by ${from}, said to be from ${provider}`;
}

/** No request was tried twice that must not be, and none went from legacy to the candidate. */
export function repeatedRequests({ callers, arrivals }: Evidence): string[] {
  const byNonce = groupedBy(
    arrivals.filter(({ nonce }) => nonce !== null),
    ({ nonce }) => nonce as string,
  );
  return callers.flatMap(({ nonce, kind }) => {
    const problem = repeatedIn(kind, byNonce.get(nonce) ?? []);
    return problem === null ? [] : [`${nonce} (${kind}): ${problem}`];
  });
}

function repeatedIn(kind: CallerLine['kind'], arrivals: readonly Arrival[]): string | null {
  const [candidate, legacy] = (['candidate', 'legacy'] as const).map((name) =>
    arrivals.filter(({ provider }) => provider === name),
  ) as [Arrival[], Arrival[]];
  if (candidate.length > 1) return `the candidate was asked ${candidate.length} times`;
  // What legacy refuses is sent to it once more, to know whether the refusal was by chance.
  const isRefused = legacy.some(
    ({ answer }) => answer !== null && answer.status >= 400 && answer.status < 500,
  );
  if (legacy.length > (isRefused && kind !== 'hosted' ? 2 : 1))
    return `legacy was asked ${legacy.length} times`;
  const [first, second] = [candidate[0], legacy[0]];
  if (first === undefined || second === undefined) return null;
  if (second.atMs < first.earliestMs) return 'asked at legacy first and then at the candidate';
  if (kind === 'embedding' || kind === 'file') return 'never to be split, and asked at both providers';
  const refused = first.answer !== null && first.answer.status >= 400 && first.answer.status < 500;
  if (kind === 'hosted' && !refused)
    return 'a hosted tool may have run at the candidate, and legacy was asked as well';
  return null;
}

const OF_CALLERS = ['cookie', 'x-internal'];

/** No provider saw a key or header of another's, and no caller one of a provider's. */
export function foreignHeaders({ arrivals, callers, keys }: Evidence): string[] {
  const secretsOfCallers = Object.values(keys.callers);
  const atProviders = arrivals.flatMap(({ provider, nonce, headers }) => {
    const other = provider === 'legacy' ? 'candidate' : 'legacy';
    const text = JSON.stringify(headers);
    const said = `${provider} was sent (${nonce ?? 'a probe'})`;
    return [
      ...(headers['authorization'] === `Bearer ${keys.providers[provider]}`
        ? []
        : [`${said} without its own key`]),
      ...(text.includes(keys.providers[other]) ? [`${said} the key of ${other}`] : []),
      ...secretsOfCallers.flatMap((secret) => (text.includes(secret) ? [`${said} a caller's key`] : [])),
      ...OF_CALLERS.flatMap((name) => (Object.hasOwn(headers, name) ? [`${said} the caller's ${name}`] : [])),
    ];
  });
  const atCallers = callers.flatMap(({ nonce, headers }) => {
    const text = JSON.stringify(headers);
    const isLeaked = PROVIDERS.some((name) => text.includes(keys.providers[name]));
    const isForeign = headers['set-cookie'] !== undefined || headers['x-cutover-epoch'] === '999999';
    return isLeaked || isForeign ? [`${nonce}: its caller got a provider's own headers: ${text}`] : [];
  });
  return [...atProviders, ...atCallers];
}
