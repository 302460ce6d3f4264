import { type EvidenceCell, emptyCell } from '../../../src/core/evidence/evidence';
import { callersText, moneyText } from '../../../src/core/evidence/tally-text';
import { addTallies, costAtLegacy, tallyOf, unanswered } from '../../../src/core/evidence/traffic-tally';
import { givenMigration } from '../../support/migrations/migration-world';

function cell(said: Partial<EvidenceCell> & Pick<EvidenceCell, 'side'>): EvidenceCell {
  const { kind = 'live' } = said;
  return { ...emptyCell({ kind, shape: 'plain', model: 'm', side: said.side }), ...said };
}

function priced(count: number, usdEach: number): Pick<EvidenceCell, 'costLog' | 'costUsd'> {
  return { costLog: { count, sum: 0, sumOfSquares: 0 }, costUsd: count * usdEach };
}

const WINDOW = tallyOf({
  cells: [
    cell({ side: 'legacy', attempts: 100, successes: 98, failures: { timeout: 2 }, ...priced(100, 0.02) }),
    cell({
      side: 'candidate',
      attempts: 42,
      successes: 30,
      aborted: 2,
      failures: { status_5xx: 6, shed: 4 },
      ...priced(40, 0.01),
    }),
    cell({ side: 'legacy', kind: 'failover', attempts: 10, successes: 9, ...priced(9, 0.02) }),
    cell({ side: 'candidate', kind: 'probe', attempts: 30, successes: 0, failures: { timeout: 30 } }),
  ],
});

it('counts as noticed what the candidate did not answer and legacy did not either', () => {
  expect(WINDOW).toMatchObject({ candidate: { requests: 40, failures: 10 }, rescued: 9, windows: 1 });
  expect(unanswered(WINDOW)).toBe(1);
  expect(callersText(WINDOW)).toBe(
    'callers noticed 1 failure of 40 requests that the candidate got in 1 window; legacy answered 9 that it failed',
  );
});

it('compares what was spent with what legacy would have asked by its mean price', () => {
  expect(costAtLegacy(WINDOW)).toBeCloseTo(0.8);
  expect(moneyText(WINDOW)).toBe(
    "$0.40 spent at the candidate for 40 requests and $0.18 to answer its failures at legacy: $0.22 saved against $0.80 by legacy's mean price",
  );
  const dear = { ...WINDOW, candidate: { ...WINDOW.candidate, costUsd: 2 } };
  expect(moneyText(dear)).toContain("$1.38 more against $0.80 by legacy's mean price");
});

it('keeps a cohort apart from both arms, by a name of its own', () => {
  const pilots = tallyOf({
    cells: [
      cell({
        side: 'candidate',
        kind: 'cohort',
        attempts: 120,
        successes: 117,
        failures: { timeout: 3 },
        ...priced(117, 0.01),
      }),
    ],
  });
  expect(pilots).toMatchObject({ candidate: { requests: 0 }, cohort: { requests: 120, failures: 3 } });
  const apart =
    'outside both arms the candidate got 120 requests of cohorts and failed 3, which legacy answers';
  expect(callersText(pilots)).toBe(
    `callers noticed 0 failures of 0 requests that the candidate got in 1 window; ${apart}`,
  );
  expect(moneyText(pilots)).toBe('$1.17 for 117 requests of cohorts spent at the candidate');
  const both = addTallies(WINDOW, pilots);
  expect(both).toMatchObject({ candidate: WINDOW.candidate, cohort: pilots.cohort, windows: 2 });
  expect(callersText(both)).toMatch(new RegExp(`^callers noticed 1 failure of 40 requests .*; ${apart}$`));
  expect(moneyText(both)).toBe(`${moneyText(WINDOW)}; besides, $1.17 for 117 requests of cohorts`);
  expect(WINDOW).not.toHaveProperty('cohort');
});

it('says nothing where nothing was counted or priced', () => {
  expect(callersText(undefined)).toBeNull();
  const free = tallyOf({ cells: [cell({ side: 'candidate', attempts: 3, successes: 3 })] });
  expect(moneyText(free)).toBeNull();
});

it('is summed over the windows of a migration, and not over those of older releases', () => {
  const world = givenMigration()
    .reaches('canary')
    .watches({ traffic: WINDOW })
    .watches({})
    .watches({ traffic: WINDOW });
  expect(world.state.traffic).toEqual(addTallies(WINDOW, WINDOW));
  expect(world.state.traffic).toMatchObject({ windows: 2, rescued: 18, candidate: { requests: 80 } });
  expect(givenMigration().reaches('canary').watches({}).state).not.toHaveProperty('traffic');
});
