import { type BetaPrior, checkProbability, type LogEvidence, rateAbove, rateBelow } from './beta-binomial';

/** Failures of requests in each arm; fractional when deflated. */
export interface TwoRates {
  readonly legacy: { readonly events: number; readonly requests: number };
  readonly candidate: { readonly events: number; readonly requests: number };
}

/**
 * Evidence that the candidate's rate exceeds that of legacy by less than `margin`, absolute, against
 * H0: p_candidate >= p_legacy + margin:
 *
 *     E = min over q of E[p_legacy > q] x E[p_candidate < q + margin].
 *
 * q is covered by cells: legacy is tested at a cell's upper end and the candidate at its lower end plus the
 * margin, so under H0 the cell that holds p_legacy is a product of two e-processes of independent samples, and
 * the minimum at most that, for any cells fixed beforehand. Legacy's process is averaged with the constant 1,
 * which is also an e-process: it costs at most ln 2 where legacy has no errors to show. ln E out.
 */
export function differenceWithin(margin: number): (rates: TwoRates) => number {
  checkProbability('the margin', margin);
  const cells = cellsOf(margin);
  return ({ legacy, candidate }) => {
    const evidenceAt = ({ legacyAbove, candidateBelow }: Cell, least: number) => {
      const below = candidateBelow(candidate.events, candidate.requests);
      // Legacy's part is at least -ln 2: where the candidate's alone is more than that above, this is not the minimum.
      if (below - Math.LN2 >= least) return least;
      return Math.log((1 + Math.exp(legacyAbove(legacy.events, legacy.requests))) / 2) + below;
    };
    const rate = legacy.requests === 0 ? 0 : legacy.events / legacy.requests;
    const likely = cells.findLast(({ low }) => low <= rate) ?? cells[0];
    let least =
      likely === undefined ? Number.POSITIVE_INFINITY : evidenceAt(likely, Number.POSITIVE_INFINITY);
    for (const cell of cells) least = Math.min(least, evidenceAt(cell, least));
    return least;
  };
}

/**
 * Evidence that the candidate's rate exceeds that of legacy by more than `margin`, absolute, where legacy was counted
 * before and the candidate is counted since, against H0: p_candidate <= p_legacy + margin:
 *
 *     E = min over q of E[p_legacy < q] x E[p_candidate > q + margin].
 *
 * Cells as in `differenceWithin`: legacy is tested at a cell's lower end, the candidate at its upper end plus the margin.
 * What legacy counted is one of two factors and not a rate that is known, so the less it counted the less is proven.
 * It assumes that legacy would do now as it did then. ln E out.
 */
export function differenceExceeds(
  margin: number,
  legacy: TwoRates['legacy'],
): (candidate: TwoRates['candidate']) => number {
  checkProbability('the margin', margin);
  const cells = cellsOf(margin).map(({ low, high }) => ({
    logLegacy: Math.log(
      (1 + Math.exp(low === 0 ? 0 : rateBelow(low, oneEventPrior(low / 2))(legacy.events, legacy.requests))) /
        2,
    ),
    // In the last cell the candidate may fail always.
    candidateAbove: high + margin < 1 ? rateAbove(high + margin, priorAbove(high + margin)) : () => 0,
  }));
  return ({ events, requests }) =>
    cells.reduce(
      (least, { logLegacy, candidateAbove }) => Math.min(least, logLegacy + candidateAbove(events, requests)),
      Number.POSITIVE_INFINITY,
    );
}

interface Cell {
  readonly high: number;
  /** Legacy's rate from which on it stands. */
  readonly low: number;
  readonly legacyAbove: LogEvidence;
  readonly candidateBelow: LogEvidence;
}

/** Cells are a twentieth of the margin wide up to five margins, then widen by 5% each: about 180 in all. */
const CELLS_PER_MARGIN = 20;

const MARGINS_KEPT = 4;
const cellsByMargin = new Map<number, readonly Cell[]>();

/** The cells of a margin; those of the last few are kept, since a stage asks for the same at each evaluation. */
function cellsOf(margin: number): readonly Cell[] {
  const known = cellsByMargin.get(margin);
  if (known !== undefined) return known;
  const cells = newCells(margin);
  if (cellsByMargin.size >= MARGINS_KEPT) cellsByMargin.clear();
  cellsByMargin.set(margin, cells);
  return cells;
}

function newCells(margin: number): Cell[] {
  const cells: Cell[] = [];
  let width = margin / CELLS_PER_MARGIN;
  for (let low = 0; low + margin < 1; low += width) {
    if (low > 5 * margin) width *= 1.05;
    const high = low + width;
    cells.push({
      low,
      high,
      // Past the last cell legacy would have to fail always; no evidence is asked of it there.
      legacyAbove: high + margin / 2 < 1 ? rateAbove(high, oneEventPrior(high + margin / 2)) : () => 0,
      candidateBelow: rateBelow(low + margin, oneEventPrior(low + margin / 4)),
    });
  }
  return cells;
}

/** A rate is expected at twice its bound where it lies above, known as well as from one and a half events. */
export function priorAbove(bound: number): BetaPrior {
  return { mean: Math.min(2 * bound, (1 + bound) / 2), strength: 1.5 / bound };
}

/** A prior that weighs as much as the requests in which one event is expected. */
function oneEventPrior(mean: number): BetaPrior {
  return { mean, strength: 1 / mean };
}
