import { guardedFetch } from '../../guarded-fetch';
import type { JudgedPairs } from '../../parity/run-judge';
import { CliError, EXIT } from '../options/cli-error';

/** As many as a gateway takes at once. */
const AT_ONCE = 1_000;
/** What the outcome is called. */
const NAME = 'judge';

/** Reports what a judge said as outcomes of both answers, and returns how many a gateway took. Throws `CliError`. */
export async function postJudgements(
  url: string,
  key: string | null,
  results: JudgedPairs['results'],
): Promise<number> {
  const outcomes = results.flatMap(({ pair: { requests }, result }) => {
    const value = { won: 1, tie: 0.5, lost: 0 }[result as string];
    if (value === undefined) return [];
    return [
      ...(requests?.candidate === undefined ? [] : [{ request: requests.candidate, name: NAME, value }]),
      ...(requests?.legacy === undefined ? [] : [{ request: requests.legacy, name: NAME, value: 1 - value }]),
    ];
  });
  for (let from = 0; from < outcomes.length; from += AT_ONCE) {
    await postSome(url, key, outcomes.slice(from, from + AT_ONCE));
  }
  return outcomes.length;
}

async function postSome(url: string, key: string | null, outcomes: readonly object[]): Promise<void> {
  const answer = await guardedFetch(`${url.replace(/\/$/, '')}/outcomes`, {
    method: 'POST',
    headers: {
      'content-type': 'application/json',
      ...(key === null ? {} : { authorization: `Bearer ${key}` }),
    },
    body: JSON.stringify(outcomes),
  }).catch((cause: unknown) => {
    throw new CliError(`--post: ${url} does not answer`, EXIT.unreachable, { cause });
  });
  if (answer.ok) return;
  const said = (await answer.text()).slice(0, 300);
  throw new CliError(`--post: expected status 200, got ${answer.status}: ${said}`, EXIT.refused);
}
