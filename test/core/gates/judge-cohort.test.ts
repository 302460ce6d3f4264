import { type EvidenceCell, emptyCell, failureCount } from '../../../src/core/evidence/evidence';
import { type StageCohort, withCohort } from '../../../src/core/evidence/stage/stage-cohort';
import { noStageEvidence } from '../../../src/core/evidence/stage/stage-evidence';
import { judgedStage } from '../../../src/core/gates/judged-stage';
import { currentDetails } from '../../../src/core/migration/details';
import { startProblem } from '../../../src/core/migration/start-problem';
import { statusOf } from '../../../src/core/migration/status';
import type { CohortGate, StagePlan } from '../../../src/core/plan/plan';
import { COHORT_SHARE } from '../../../src/core/routing/cohort';
import { histogramOf } from '../../../src/core/statistics/histogram';
import { EPOCH, judged, metricOf } from '../../support/migrations/gate-evidence';
import { aPlan, givenMigration, type MigrationWorld } from '../../support/migrations/migration-world';

const ONLY = { teams: ['search'] };
const STAGES = [
  { name: 'assess' },
  { name: 'pilot', only: ONLY, gates: { cohort: { p95: '2s', firstTokenP95: '1s' } } },
  { name: 'canary' },
  { name: 'complete' },
];

function pilot(): StagePlan {
  return aPlan({ stages: STAGES }).stages[1] as StagePlan;
}

interface Said {
  readonly requests?: number;
  readonly failures?: number;
  readonly shed?: number;
  readonly breaches?: number;
  readonly unchecked?: number;
  readonly slow?: number;
  readonly kind?: EvidenceCell['kind'];
}

/** Plain answers of 100 ms, some of 5 s. */
function cell({ requests = 400, failures = 0, shed = 0, breaches = 0, unchecked = 0, slow = 0, kind }: Said) {
  const checked = requests - failures - unchecked;
  return {
    ...emptyCell({ side: 'candidate', kind: kind ?? 'cohort', shape: 'plain', model: 'large' }),
    attempts: requests + shed,
    successes: requests - failures,
    failures: { status_5xx: failures, shed },
    answers: { checked, unchecked, breaches: { json_schema: breaches }, ends: {} },
    totalMs: histogramOf([
      ...Array.from({ length: slow }, () => 5_000),
      ...Array.from({ length: requests - slow }, () => 100),
    ]),
  };
}

function verdictOf(...windows: readonly Said[]) {
  const stage = pilot();
  const cohort = windows.reduce<StageCohort | undefined>(
    (held, said) => withCohort(held, [cell(said)], stage.gates.cohort as CohortGate),
    undefined,
  );
  return judged(stage, { ...noStageEvidence(EPOCH), ...(cohort === undefined ? {} : { cohort }) });
}

describe('a stage that serves a cohort', () => {
  it('passes on the bounds of its own, with the requests of the cohort as its sample', () => {
    const verdict = verdictOf({ failures: 1, breaches: 4, slow: 4 });
    expect(verdict).toMatchObject({
      outcome: 'pass',
      harm: null,
      observedShare: null,
      requests: { legacy: 0, candidate: 400 },
    });
    expect(verdict.sentence).toMatch(
      /^pilot passes: of 400 requests of team search the candidate failed 1 \(0.25%\), at most 3% are allowed/,
    );
    expect(verdict.metrics.map(({ metric }) => metric)).toEqual([
      ...['cohort success', 'cohort answers', 'cohort p95 of plain answers', 'minimum sample', 'probes'],
    ]);
  });

  it.each([
    ['cohort success', { failures: 60 }],
    ['cohort answers', { breaches: 60 }],
    ['cohort p95 of plain answers', { slow: 80 }],
  ])('finds harm beyond %s', (metric, said) => {
    expect(verdictOf(said)).toMatchObject({ outcome: 'fail', harm: metric });
  });

  it('finds harm that begins late', () => {
    const well = Array.from({ length: 20 }, () => ({ requests: 200, failures: 2 }));
    expect(verdictOf(...well).harm).toBeNull();
    expect(verdictOf(...well, { requests: 100, failures: 40 }).harm).toBe('cohort success');
  });

  it('holds without traffic and says so, whatever the arms have counted', () => {
    for (const verdict of [verdictOf(), verdictOf({ requests: 0 }), verdictOf({ kind: 'live' })]) {
      expect(verdict.outcome).toBe('not evaluated');
      expect(verdict.sentence).toContain(
        'no request of team search has come yet, and nothing else is served here',
      );
    }
  });

  it('holds on few requests, on answers that nobody could check, and pauses where the candidate takes none', () => {
    expect(verdictOf({ requests: 150 })).toMatchObject({ outcome: 'inconclusive' });
    expect(metricOf(verdictOf({ unchecked: 100 }), 'cohort answers')).toMatchObject({
      outcome: 'not evaluated',
    });
    expect(verdictOf({ shed: 100 }).pause).toContain(
      "20% of the cohort's requests could not be sent to the candidate",
    );
    expect(failureCount(cell({ failures: 3, shed: 2 }))).toBe(5);
  });
});

describe('the migration in it', () => {
  const givenPilot = (): MigrationWorld => givenMigration({ stages: STAGES }).reaches('pilot');

  it('is a raise under a lease like every other, to a share by which nobody is drawn', () => {
    const world = givenPilot();
    expect(world.state.inEffect?.record).toMatchObject({
      ...{ stage: 'pilot', share: COHORT_SHARE, only: ONLY, pinned: false },
    });
    const intended = world.checkpoints.filter(({ kind }) => kind === 'intended');
    expect(intended.at(-1)).toMatchObject({ cause: 'advance', stage: 'pilot' });
    expect(world.state.stage.entry).toBe(1);
    expect(judgedStage(world.state).alpha.rollback).toBeCloseTo(0.025, 12);
  });

  it('is left for the percentages on a pass, whose record names no cohort', () => {
    const world = givenPilot().reaches('canary');
    expect(world.share).toBe(0.1);
    expect(world.state.inEffect?.record).not.toHaveProperty('only');
  });

  it('goes to share 0, verified, for harm and for an operator; a rollback may come back to it, paused', () => {
    const harmed = givenPilot().watches({ verdict: { outcome: 'fail', harm: 'cohort success' } });
    expect(harmed.intended).toMatchObject({ cause: 'rollback', share: 0 });
    expect(harmed.state.pending).toMatchObject({ direction: 'lower', rollback: { final: true } });
    expect(harmed.state.pending?.record).not.toHaveProperty('only');
    expect(harmed.applies({ confirmed: [] }).state.phase).toBe('rolling back');

    const back = givenPilot().reaches('canary').says('rollback', { to: 'previous', by: 'ana' }).applies();
    expect(back).toMatchObject({ stage: 'pilot', state: { paused: { cause: 'rollback' } } });
    expect(back.state.inEffect?.record).toMatchObject({ share: COHORT_SHARE, only: ONLY });
    expect(back.says('rollback', { by: 'ana' }).intended).toMatchObject({ share: 0 });
  });

  it('is shown by whom it serves', () => {
    const world = givenPilot();
    const status = statusOf(world.state, world.nowMs);
    expect(status.doing).toContain('serving team search alone, and nobody else by the candidate');
    expect(currentDetails(status)).toContain('| **pilot** | team search alone | now |');
    expect(currentDetails(status)).toContain('share 0%');
  });

  it('keeps a start out that would serve a cohort by a share', () => {
    const plan = aPlan({ stages: STAGES });
    const { migrationId, by, reason, stickyKey, newConversationsOnly, shadow, salt } = givenPilot().state;
    const start = { migrationId, by, reason, stickyKey, newConversationsOnly, shadow, salt };
    const withPilot = (said: object) => ({
      start: {
        ...start,
        plan: { ...plan, stages: plan.stages.map((stage, at) => (at === 1 ? { ...stage, ...said } : stage)) },
      },
      carried: null,
    });
    expect(startProblem(withPilot({}))).toBeNull();
    expect(startProblem(withPilot({ share: 0.05 }))).toContain('together with only');
    expect(startProblem(withPilot({ only: { teams: [], header: 'x' } }))).toContain(
      'start.plan.stages.1.only',
    );
  });
});
