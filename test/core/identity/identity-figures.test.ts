import {
  type IdentityKnowledge,
  identityEvidence,
  unseenDifference,
} from '../../../src/core/identity/identity-audit';
import { questionAt } from '../../../src/core/identity/identity-questions';
import { comparedCounts, strangenessOf } from '../../../src/core/identity/identity-reference';
import { seededRandom } from '../../../src/core/rehearsal/rehearsal';
import { conformalPValue, NO_BETS, withPValue } from '../../../src/core/statistics/conformal-martingale';
import {
  mixedModel,
  probed,
  referenceOf,
  type SimulatedModel,
  simulatedModel,
  wordOf,
} from '../../support/providers/sold-model';
import { mostFalseDecisions } from '../../support/statistics-draws';

const ALPHA = 0.05;
const differs = (standing: IdentityKnowledge) => identityEvidence(standing).peak >= 1 / ALPHA;

it('calls the same model another in at most alpha of runs of 10,000 probes', () => {
  const random = seededRandom(1);
  const runs = 60;
  let wrong = 0;
  for (let run = 0; run < runs; run += 1) {
    const model = simulatedModel(random);
    const { answers } = referenceOf(model, random, 40);
    // As `withReply` does it, without what else it notes: that takes ten times as long.
    const counts = answers.map((each) => [...comparedCounts(each)]);
    let bets = NO_BETS;
    for (let probe = 0; probe < 10_000 && bets.peak < 1 / ALPHA; probe += 1) {
      const index = probe % answers.length;
      const word = wordOf(model.chances[index] ?? [], random);
      const strangeness = strangenessOf(answers[index] as (typeof answers)[number], word);
      const own = counts[index] ?? [];
      bets = withPValue(bets, conformalPValue(own, strangeness, random()));
      own[strangeness] = (own[strangeness] ?? 0) + 1;
    }
    if (bets.peak >= 1 / ALPHA) wrong += 1;
  }
  expect(wrong).toBeLessThanOrEqual(mostFalseDecisions(runs, ALPHA));
});

it('keeps to that where probes are taken as they come', () => {
  const random = seededRandom(9);
  const runs = Array.from({ length: 40 }, () => {
    const model = simulatedModel(random);
    return differs(
      probed(referenceOf(model, random, 40), () => model, { probes: 300, random, until: differs }),
    );
  });
  expect(runs.filter((wrong) => wrong).length).toBeLessThanOrEqual(mostFalseDecisions(runs.length, ALPHA));
});

it('would be wrong if it took the frequencies of the reference for those of the model', () => {
  const random = seededRandom(1);
  let wrong = 0;
  for (let run = 0; run < 10; run += 1) {
    const model = simulatedModel(random);
    const reference = referenceOf(model, random, 40);
    const counts = reference.answers.map((answers) => comparedCounts(answers).map(() => 0));
    let logRatio = 0;
    for (let turn = 0; turn < 10_000 && logRatio < -Math.log(ALPHA); turn += 1) {
      const { kind, index } = questionAt(turn);
      const [answers, chances, own] = [reference.answers[index], model.chances[index], counts[index]];
      if (kind === 'fixed' || answers === undefined || chances === undefined || own === undefined) continue;
      const strangeness = strangenessOf(answers, wordOf(chances, random));
      logRatio += Math.log(smoothed(own, strangeness) / smoothed(comparedCounts(answers), strangeness));
      own[strangeness] = (own[strangeness] ?? 0) + 1;
    }
    if (logRatio >= -Math.log(ALPHA)) wrong += 1;
  }
  expect(wrong).toBeGreaterThan(mostFalseDecisions(10, ALPHA));
});

function smoothed(counts: readonly number[], at: number): number {
  const all = counts.reduce((sum, count) => sum + count, 0);
  return ((counts[at] ?? 0) + 0.5) / (all + counts.length / 2);
}

/** How many probes show another model, by runs in order; 300 where so many do not. */
function probesUntilSeen(
  seed: number,
  runs: number,
  at: number,
  other: (model: SimulatedModel) => SimulatedModel,
) {
  const random = seededRandom(seed);
  return Array.from({ length: runs }, () => {
    const model = simulatedModel(random);
    const stranger = other(model);
    const served = (turn: number) => (turn < at ? model : stranger);
    const until = (standing: IdentityKnowledge) =>
      standing.turns > at && (differs(standing) || standing.events.length > 0);
    const { turns } = probed(referenceOf(model, random), served, { probes: at + 300, random, until });
    return turns - at;
  }).sort((a, b) => a - b);
}

it('flags another model behind the same name within 50 probes, by its answers alone', () => {
  const random = seededRandom(5);
  const probes = probesUntilSeen(2, 100, 0, () => simulatedModel(random));
  expect(probes[95]).toBeLessThanOrEqual(50);
});

it('flags one that comes after 1,000 probes within 150', () => {
  const random = seededRandom(6);
  const probes = probesUntilSeen(3, 40, 1_000, () => simulatedModel(random));
  expect(probes[36]).toBeLessThanOrEqual(150);
});

it('flags the same weights in another tokenizer within 5 probes', () => {
  const retokenised = (model: SimulatedModel) => ({
    ...model,
    tokens: model.tokens.map((count) => Math.ceil(count * 1.07)),
  });
  expect(probesUntilSeen(4, 20, 0, retokenised).at(-1)).toBeLessThanOrEqual(5);
});

it('says honestly which difference it would not see', () => {
  const random = seededRandom(7);
  const seenAt = (part: number) => {
    const runs = 40;
    let seen = 0;
    for (let run = 0; run < runs; run += 1) {
      const model = simulatedModel(random);
      const candidate = mixedModel(model, simulatedModel(random), part);
      if (
        differs(probed(referenceOf(model, random), () => candidate, { probes: 400, random, until: differs }))
      )
        seen += 1;
    }
    return seen / runs;
  };
  const bound = unseenDifference(300, 480, ALPHA);
  // Two such models differ in about two thirds of their answers.
  expect(seenAt((1.5 * bound) / 0.65)).toBeGreaterThan(0.5);
  expect(seenAt(bound / 3 / 0.65)).toBeLessThan(0.25);
});
