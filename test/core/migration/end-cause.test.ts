import { currentDetails } from '../../../src/core/migration/details';
import {
  endCauseOf,
  endCauseOfState,
  headlineOf,
  headlineOfState,
  utcMinuteText,
} from '../../../src/core/migration/end-cause';
import { statusOf } from '../../../src/core/migration/status';
import { DAY_MS, HOUR_MS } from '../../../src/core/text/duration';
import { readMigration } from '../../../src/history/recorded-migration';
import { retrace } from '../../../src/history/retrace';
import { readRuns } from '../../../src/history/temporal-history';
import { watchesTraffic } from '../../support/migrations/judged-traffic';
import { aMetric } from '../../support/migrations/migration-sighting';
import { givenMigration, KILLED, type MigrationWorld } from '../../support/migrations/migration-world';
import { historyNames, historyOf } from '../../support/migrations/recorded-history';
import { scenes } from '../../support/migrations/scenes';

const QUICK = {
  window: '2m',
  soak: '2h',
  minimumKeys: 0,
  burnIn: { time: '0s', requests: 0 },
  gates: { floor: { success: 0.8 }, errors: { rollbackRatio: 1_000 } },
};

function headline(world: MigrationWorld): string | null {
  const ending = endCauseOfState(world.state);
  return ending === null ? null : headlineOf(ending, utcMinuteText);
}

function inRolling(): MigrationWorld {
  const stages = [
    { name: 'assess' },
    { name: 'canary' },
    { name: 'rolling', ...QUICK },
    { name: 'complete' },
  ];
  return givenMigration({ stages }).reaches('rolling');
}

/** A candidate that answers well for some windows and then fails half of its requests until it is rolled back. */
function failsAfter(windows: number): MigrationWorld {
  const world = inRolling();
  for (let at = 0; at < windows; at += 1) watchesTraffic(world, { legacy: 30, candidate: 30 });
  for (let at = 0; at < 30 && world.state.phase === 'observing'; at += 1) {
    watchesTraffic(world, { legacy: 30, candidate: 30, candidateFailures: 15 });
  }
  return world;
}

it('leads with what fell, since which window, and the numbers of the windows that decided', () => {
  const world = failsAfter(14).applies();
  expect(world.state.outcome).toBe('rolled back');
  const last = world.state.verdicts.findLast(({ harm }) => harm !== null);
  const windows = (last?.window ?? 0) - 14;
  const counts = `${15 * windows} of ${30 * windows}`;
  const when = utcMinuteText(world.nowMs);
  const since = windows === 1 ? 'in window 15' : 'since window 15';
  expect(headline(world)).toBe(
    `Rolled back ${when}: success fell to 50% (${counts}) ${since} of rolling, floor 80%`,
  );
});

it('says so while it still goes back, and where it was', () => {
  const world = failsAfter(3).applies({ confirmed: ['gw-a'] });
  expect(headline(world)).toMatch(/^Rolling back since 2026-.* UTC: success fell to 50%/);
  expect(statusOf(world.state, world.nowMs).stages.map(({ name, state }) => `${name} ${state}`)).toEqual([
    'assess done',
    'canary done',
    'rolling ended',
    'complete next',
  ]);
});

it('names no later window where it was like that from the start', () => {
  expect(headline(failsAfter(0).applies())).toMatch(
    /\((\d+) of (\d+)\) (since rolling began|in window 1 of rolling), floor 80%$/,
  );
});

it('compares errors with those of legacy in the same windows', () => {
  const stages = [
    { name: 'assess' },
    { name: 'canary' },
    { name: 'rolling', ...QUICK, gates: { floor: { success: 0.01 } } },
    { name: 'complete' },
  ];
  const world = givenMigration({ stages }).reaches('rolling');
  for (let at = 0; at < 10; at += 1) watchesTraffic(world, { legacy: 40, candidate: 40, legacyFailures: 1 });
  for (let at = 0; at < 20 && world.state.phase === 'observing'; at += 1) {
    watchesTraffic(world, { legacy: 40, candidate: 40, legacyFailures: 1, candidateFailures: 10 });
  }
  expect(headline(world.applies())).toMatch(
    /: errors rose to 25% \((\d+) of (\d+)\) since window 11 of rolling, at legacy 2\.5% \((\d+) of \2\)$/,
  );
});

it('says of a metric that it does not know what its verdict says, without the evidence', () => {
  const metric = aMetric({
    metric: 'p95 of plain answers',
    unit: 'ms',
    harm: true,
    sentence:
      'candidate p95 of plain answers 1,240 ms against 610 ms: 103% worse, allowed 50%, e-value over a million of 80 needed (25% of alpha 5%)',
  });
  const world = inRolling()
    .watches({})
    .watches({ verdict: { stage: 'rolling', outcome: 'fail', harm: metric.metric, metrics: [metric] } });
  expect(headline(world.applies())).toMatch(
    /: candidate p95 of plain answers 1,240 ms against 610 ms: 103% worse, allowed 50% \(window 2 of rolling\)$/,
  );
});

it.each<[string, () => MigrationWorld, RegExp]>([
  [
    'an operator, with who and why',
    () => inRolling().says('rollback', { by: 'ana', reason: 'wrong language' }).applies(),
    /^Rolled back .* by ana: wrong language$/,
  ],
  [
    'an operator who gave no reason',
    () => inRolling().says('emergencyRollback', { by: 'ana' }).applies(),
    /^Rolled back .* by ana: no reason was given$/,
  ],
  [
    'harm that an operator made an emergency of',
    () => failsAfter(2).says('emergencyRollback', { by: 'ben', reason: 'now' }).applies(),
    /^Rolled back .*: success fell to .*; then an emergency rollback by ben: now$/,
  ],
  [
    'a deadline',
    () =>
      inRolling()
        .watches({ verdict: { outcome: 'inconclusive' } })
        .timePasses(11 * DAY_MS)
        .applies(),
    /^Rolled back .*: rolling has not passed within 10 d$/,
  ],
  [
    'a cancellation in Temporal',
    () => inRolling().event({ type: 'cancelled' }).applies(),
    /^Rolled back .* by temporal: the workflow was cancelled$/,
  ],
  [
    'an assessment that found a blocker',
    () =>
      givenMigration()
        .reaches('assess')
        .assesses({ outcome: 'fail', blockers: ['no such model'] }),
    /^Rejected .*: nothing was moved: no such model$/,
  ],
  [
    'success',
    () => {
      const world = givenMigration();
      return world.goesOnUntil('the end', () => world.state.phase === 'closed');
    },
    /^Completed .*: complete has passed and every gateway's configuration says settled: candidate$/,
  ],
])('has a headline for %s', (_name, ended, expected) => {
  const world = ended();
  expect(headline(world)).toMatch(expected);
  const details = currentDetails(statusOf(world.state, world.nowMs));
  expect(details).toMatch(/^\*\*(Rolled back|Rejected|Completed) /);
});

it('has none while nothing has ended, and none after a rollback to a stage', () => {
  expect(headline(inRolling())).toBeNull();
  const restored = inRolling()
    .says('rollback', { to: 'previous', by: 'ana', reason: 'a step back' })
    .applies();
  expect(restored.stage).toBe('canary');
  expect(headline(restored)).toBeNull();
});

it('shows how far a migration had come that is over', () => {
  const states = (world: MigrationWorld) =>
    statusOf(world.state, world.nowMs).stages.map(({ state }) => state);
  expect(states(failsAfter(2).applies())).toEqual(['done', 'done', 'ended', 'next']);
  expect(states(givenMigration().reaches('assess').says('rollback').applies())).toEqual([
    ...['ended', 'next', 'next', 'next'],
  ]);
  expect(states(givenMigration().reaches('canary').elapse(HOUR_MS))).toEqual(['done', 'now', 'next', 'next']);
});

const ROLLED_BACK = historyNames().filter((name) => readMigration(historyOf(name)).outcome === 'rolled back');

it('has recorded histories of rollbacks by all releases to be tried on', () => {
  expect(ROLLED_BACK).toEqual(expect.arrayContaining(['harm', 'operator', 'harm-2', 'revision-3-cancelled']));
});

it.each(ROLLED_BACK)('gives the recorded rollback %s a cause', (name) => {
  const found = retrace(readRuns(historyOf(name)));
  if (found === null) throw new Error('expected a migration');
  const { checkpoints, state } = found;
  const ending = endCauseOf({ checkpoints, archived: state.archived, verdicts: state.verdicts });
  expect(ending?.what).toBe('rolled back');
  expect(ending?.cause).toMatch(/^\w/);
  expect(ending?.cause).not.toContain('verified');
  if (name.startsWith('harm')) expect(ending?.cause).toMatch(/ (fell|rose) to \d+% \(\d+ of \d+\) /);
});

describe('what a list says of a migration that is open', () => {
  const scene = scenes();

  it.each<[string, () => MigrationWorld | undefined, RegExp | null]>([
    ['nothing is in its way', () => scene['canary'], null],
    ['it was paused', () => scene['paused'], /^Paused by ana: let us look at p95 first$/],
    ['it met drift', () => givenMigration().reaches('canary').watches({ drift: KILLED }), /^Paused: .*kill/],
    [
      'its stage is held',
      () => scene['held'],
      /^Held: canary has not passed within 72 h: 20 of 200 candidate requests; /,
    ],
    ['it asks for an approval', () => scene['asked'], /^Approval needed: /],
    ['it goes back', () => scene['going-back'], /^Rolling back since .* UTC: success fell to 50%/],
    [
      'a gateway did not confirm',
      () =>
        givenMigration()
          .reads()
          .applies({ confirmed: ['gw-a'] }),
      /^Waiting for gw-b to confirm$/,
    ],
    [
      'no gateway answered at the start',
      () => givenMigration().reads({ unreachable: ['gw-b'] }),
      /^No answer from gw-b.*: a start reads every gateway$/,
    ],
    [
      'gateways are not settled yet',
      () => {
        const world = givenMigration();
        return world.goesOnUntil('handover', () => world.state.phase === 'handover');
      },
      /^Handover: waiting for "settled: candidate" at gw-a, gw-b$/,
    ],
  ])('when %s', (_name, world, expected) => {
    const state = world()?.state;
    const said = state === undefined ? 'no such scene' : headlineOfState(state);
    if (expected === null) expect(said).toBeNull();
    else expect(said).toMatch(expected);
  });
});
