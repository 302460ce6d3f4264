import type { ListedMigration } from '../../../src/client/listed-migration';
import { headlineOfState } from '../../../src/core/migration/end-cause';
import { DAY_MS, HOUR_MS, MINUTE_MS } from '../../../src/core/text/duration';
import { watchesTraffic } from './judged-traffic';
import { aPlan, MigrationWorld } from './migration-world';

const NOW_MS = Date.now();
const PLAN = {
  stages: [
    { name: 'assess' },
    {
      name: 'canary',
      share: 0.1,
      soak: '30m',
      window: '2m',
      minimumSample: 200,
      minimumKeys: 0,
      burnIn: { time: '0s', requests: 0 },
    },
    {
      name: 'rolling',
      share: 0.5,
      soak: '1h',
      window: '4m',
      minimumSample: 400,
      minimumKeys: 0,
      burnIn: { time: '0s', requests: 0 },
      gates: { floor: { success: 0.8 }, errors: { rollbackRatio: 1_000 } },
    },
    { name: 'complete', soak: '1h', window: '4m', minimumSample: 100, burnIn: { time: '0s', requests: 0 } },
  ],
};

function world(route: string, startedAgoMs: number, plan: Record<string, unknown> = {}): MigrationWorld {
  const made = new MigrationWorld(aPlan({ route, ...PLAN, ...plan }));
  made.nowMs = NOW_MS - startedAgoMs;
  made.state = { ...made.state, startedAtMs: made.nowMs, migrationId: `${route}-20261129t010203z-3f5a01` };
  return made;
}

/** A canary that is half through. */
function inCanary(route = 'canary'): MigrationWorld {
  const made = world(route, 21 * MINUTE_MS).reaches('canary');
  for (let at = 0; at < 9; at += 1)
    watchesTraffic(made, { legacy: 200 + at, candidate: 22, legacyFailures: 1 });
  return made;
}

/** A canary whose gate has passed and whose soak is nearly over. */
function nearlyThrough(route = 'nearly'): MigrationWorld {
  const made = world(route, 29.5 * MINUTE_MS).reaches('canary');
  for (let at = 0; at < 14; at += 1)
    watchesTraffic(made, { legacy: 2000 + at, candidate: 220, legacyFailures: 1 });
  watchesTraffic(made, { legacy: 2000, candidate: 220 }, 89_000);
  return made;
}

/** A rolling stage that fell below its floor and went back by itself. */
function rolledBack(route = 'rolled'): MigrationWorld {
  const made = world(route, 2.2 * HOUR_MS).reaches('rolling');
  for (let at = 0; at < 14 && made.state.phase === 'observing'; at += 1)
    watchesTraffic(made, { legacy: 30, candidate: 30, candidateFailures: at % 3 === 0 ? 1 : 0 });
  for (let at = 0; at < 9 && made.state.phase === 'observing'; at += 1)
    watchesTraffic(made, { legacy: 24, candidate: 24, candidateFailures: 12 });
  made.elapse(1_200);
  return made.applies();
}

function held(route = 'held'): MigrationWorld {
  const made = world(route, 3 * DAY_MS + HOUR_MS).reaches('canary');
  watchesTraffic(made, { legacy: 100, candidate: 11 });
  made.elapse(3 * DAY_MS);
  return watchesTraffic(made, { legacy: 80, candidate: 9 });
}

function asked(route = 'asked'): MigrationWorld {
  const made = world(route, 40 * MINUTE_MS, {
    stages: PLAN.stages.map((stage) => (stage.name === 'canary' ? { ...stage, approval: true } : stage)),
  }).reaches('canary');
  for (let at = 0; at < 16; at += 1)
    watchesTraffic(made, { legacy: 2000 + at, candidate: 220, legacyFailures: 1 });
  return made;
}

function operatorBack(route = 'operator'): MigrationWorld {
  const made = inCanary(route);
  return made
    .says('rollback', { by: 'ana (ana@laptop via ui)', reason: 'answers in the wrong language' })
    .elapse(900)
    .applies();
}

function completed(route = 'completed'): MigrationWorld {
  const made = world(route, 5 * HOUR_MS).reaches('canary');
  return made.goesOnUntil('the end', () => made.state.phase === 'closed');
}

function paused(route = 'paused'): MigrationWorld {
  return inCanary(route).says('pause', { by: 'ana', reason: 'let us look at p95 first' });
}

function rollingBack(route = 'going-back'): MigrationWorld {
  const made = world(route, 2.2 * HOUR_MS).reaches('rolling');
  for (let at = 0; at < 20 && made.state.phase === 'observing'; at += 1)
    watchesTraffic(made, { legacy: 24, candidate: 24, candidateFailures: 12 });
  return made.applies({ confirmed: ['gw-a'] });
}

export function scenes(): Record<string, MigrationWorld> {
  const all = [
    inCanary(),
    nearlyThrough(),
    rolledBack(),
    held(),
    asked(),
    operatorBack(),
    completed(),
    paused(),
    rollingBack(),
  ];
  return Object.fromEntries(all.map((each) => [each.state.plan.route, each]));
}

export function listedScenes(worlds: Readonly<Record<string, MigrationWorld>>): ListedMigration[] {
  return Object.entries(worlds).map(([route, { state, nowMs }], index) => ({
    route,
    migrationId: state.migrationId,
    runId: `00000000-0000-4000-8000-00000000000${index}`,
    status: state.phase === 'closed' ? 'COMPLETED' : 'RUNNING',
    stage:
      state.outcome ??
      (state.phase === 'observing' ? (state.plan.stages[state.stageIndex]?.name ?? '') : state.phase),
    share: state.inEffect?.record.share ?? 0,
    paused: state.paused !== null,
    startedAtMs: state.startedAtMs,
    closedAtMs: state.phase === 'closed' ? nowMs : null,
    by: state.by,
    reason: state.reason,
    headline: headlineOfState(state) ?? '',
  }));
}
