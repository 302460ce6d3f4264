import {
  type AnswerPair,
  judgeMessages,
  NO_PAIRS_JUDGED,
  type PreferenceTally,
  pairResult,
  readJudgement,
} from '../core/assessment/judge-pairs';

/** What one question to the judge may cost, and did. */
export interface JudgeAnswer {
  /** Null where the judge did not answer. */
  readonly text: string | null;
  readonly costUsd: number;
}

export interface JudgeRun {
  readonly pairs: readonly AnswerPair[];
  readonly rubric: string;
  /** Pairs at a time. */
  readonly concurrency: number;
  readonly maxCostUsd: number;
  /** What asking about a pair both ways may cost at most. */
  readonly mostCostOf: (pair: AnswerPair) => number;
  readonly ask: (messages: ReturnType<typeof judgeMessages>) => Promise<JudgeAnswer>;
  /** Called after each pair. */
  readonly report: (judged: JudgedPairs) => void;
  readonly signal: AbortSignal;
}

/** What a run came to: numbers, and by pair who won. */
export interface JudgedPairs {
  readonly tally: PreferenceTally;
  readonly results: readonly { readonly pair: AnswerPair; readonly result: keyof PreferenceTally }[];
  readonly calls: number;
  readonly costUsd: number;
  /** Pairs that were left out because the rest of the money would not have been enough for them. */
  readonly unpaid: number;
}

/** Shows every pair to the judge both ways, under a cap that no answer exceeds. */
export async function runJudge(run: JudgeRun): Promise<JudgedPairs> {
  const { pairs, rubric, maxCostUsd, signal } = run;
  let judged: JudgedPairs = { tally: NO_PAIRS_JUDGED, results: [], calls: 0, costUsd: 0, unpaid: 0 };
  let reservedUsd = 0;
  let next = 0;
  const underWay = new Set<Promise<unknown>>();
  const judgeOne = async (pair: AnswerPair, mostUsd: number): Promise<void> => {
    const answers = await Promise.all([
      run.ask(judgeMessages(pair, rubric, 'legacy')),
      run.ask(judgeMessages(pair, rubric, 'candidate')),
    ]);
    const result = resultOf(answers.map(({ text }) => text));
    const { tally, results, calls, costUsd } = judged;
    reservedUsd -= mostUsd;
    judged = {
      ...judged,
      tally: { ...tally, [result]: tally[result] + 1 },
      results: [...results, { pair, result }],
      calls: calls + answers.length,
      costUsd: costUsd + answers.reduce((sum, answer) => sum + answer.costUsd, 0),
    };
    run.report(judged);
  };
  const take = async (): Promise<void> => {
    for (let index = next++; index < pairs.length && !signal.aborted; index = next++) {
      const pair = pairs[index] as AnswerPair;
      const mostUsd = run.mostCostOf(pair);
      const isUnpaid = () => judged.costUsd + reservedUsd + mostUsd > maxCostUsd;
      // What is under way costs less than was set aside for it.
      while (isUnpaid() && underWay.size > 0) await Promise.race(underWay);
      if (isUnpaid()) {
        judged = { ...judged, unpaid: judged.unpaid + 1 };
        continue;
      }
      reservedUsd += mostUsd;
      const judging: Promise<void> = judgeOne(pair, mostUsd).finally(() => underWay.delete(judging));
      underWay.add(judging);
      await judging;
    }
  };
  await Promise.all(Array.from({ length: Math.min(run.concurrency, pairs.length) }, take));
  return judged;
}

function resultOf([legacyFirst = null, candidateFirst = null]: readonly (
  | string
  | null
)[]): keyof PreferenceTally {
  if (legacyFirst === null || candidateFirst === null) return 'failed';
  return pairResult(readJudgement(legacyFirst), readJudgement(candidateFirst));
}
