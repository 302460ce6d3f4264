import type {
  MeasureName,
  MeasureTally,
  StratumTally,
  TokenTally,
  TriggerTally,
} from '../core/assessment/parity-report';
import type { PromptComparison, Score } from './compare-answers';

type Strata = Readonly<Record<string, StratumTally>>;

const NO_TRIGGERS: TriggerTally = { both: 0, onlyOther: 0, onlyLegacy: 0 };
const NO_TOKENS: TokenTally = { legacyInput: 0, legacyOutput: 0, candidateInput: 0, candidateOutput: 0 };
const NOTHING: StratumTally = {
  prompts: 0,
  measures: {},
  trigger: { self: NO_TRIGGERS, candidate: NO_TRIGGERS },
  tokens: NO_TOKENS,
};

/** The tallies with one more prompt. */
export function withPrompt(strata: Strata, stratum: string, comparison: PromptComparison): Strata {
  const before = Object.hasOwn(strata, stratum) ? (strata[stratum] ?? NOTHING) : NOTHING;
  const measures = { ...before.measures };
  for (const score of comparison.scores) measures[score.measure] = withScore(measures[score.measure], score);
  const { called } = comparison;
  const tokens = comparison.tokens === null ? before.tokens : addedTokens(before.tokens, comparison.tokens);
  const trigger =
    called === null
      ? before.trigger
      : {
          self: withCall(before.trigger.self, called.first, called.second),
          candidate: withCall(before.trigger.candidate, called.first, called.candidate),
        };
  return { ...strata, [stratum]: { prompts: before.prompts + 1, measures, trigger, tokens } };
}

/** All strata as one. */
export function wholeOf(strata: Strata): StratumTally {
  return Object.values(strata).reduce((sum, each) => {
    const measures = { ...sum.measures };
    for (const [name, tally] of Object.entries(each.measures) as [MeasureName, MeasureTally][]) {
      const held = measures[name];
      measures[name] = held === undefined ? tally : added(held, tally);
    }
    return {
      prompts: sum.prompts + each.prompts,
      measures,
      trigger: {
        self: addedCalls(sum.trigger.self, each.trigger.self),
        candidate: addedCalls(sum.trigger.candidate, each.trigger.candidate),
      },
      tokens: addedTokens(sum.tokens, each.tokens),
    };
  }, NOTHING);
}

function withScore(tally: MeasureTally | undefined, { self, candidate, apart }: Score): MeasureTally {
  const one: MeasureTally = {
    prompts: 1,
    self: shortened(self),
    candidate: shortened(candidate),
    lost: Math.max(0, shortened(self - candidate)),
    won: Math.max(0, shortened(candidate - self)),
    apart: apart === null ? 0 : 1,
    candidateApart: apart === 'candidate' ? 1 : 0,
  };
  return tally === undefined ? one : added(tally, one);
}

function added(a: MeasureTally, b: MeasureTally): MeasureTally {
  return {
    prompts: a.prompts + b.prompts,
    self: shortened(a.self + b.self),
    candidate: shortened(a.candidate + b.candidate),
    lost: shortened(a.lost + b.lost),
    won: shortened(a.won + b.won),
    apart: a.apart + b.apart,
    candidateApart: a.candidateApart + b.candidateApart,
  };
}

/** Six digits: heartbeats carry the sums. */
function shortened(value: number): number {
  return Number(value.toFixed(6));
}

function addedTokens(a: TokenTally, b: TokenTally): TokenTally {
  return {
    legacyInput: a.legacyInput + b.legacyInput,
    legacyOutput: a.legacyOutput + b.legacyOutput,
    candidateInput: a.candidateInput + b.candidateInput,
    candidateOutput: a.candidateOutput + b.candidateOutput,
  };
}

function withCall(tally: TriggerTally, legacy: boolean, other: boolean): TriggerTally {
  return addedCalls(tally, {
    both: legacy && other ? 1 : 0,
    onlyOther: !legacy && other ? 1 : 0,
    onlyLegacy: legacy && !other ? 1 : 0,
  });
}

function addedCalls(a: TriggerTally, b: TriggerTally): TriggerTally {
  return {
    both: a.both + b.both,
    onlyOther: a.onlyOther + b.onlyOther,
    onlyLegacy: a.onlyLegacy + b.onlyLegacy,
  };
}
