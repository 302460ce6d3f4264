import fc from 'fast-check';
import { dueRuns } from '../../../src/core/effects/effect-runs';
import type { MigrationEvent } from '../../../src/core/migration/events';
import { nextDecision, transition } from '../../../src/core/migration/migration';
import { isRamping, type MigrationState } from '../../../src/core/migration/migration-state';
import { rollbackEligibilityOf, statusOf } from '../../../src/core/migration/status';
import type { Plan, StagePlan } from '../../../src/core/plan/plan';
import { driftsOf, latchedGateways, withDrifts } from '../../../src/core/routing/drift';
import { MINUTE_MS } from '../../../src/core/text/duration';
import { LawKeeper } from '../../support/migrations/migration-laws';
import {
  anyStep,
  countedBy,
  effectEvent,
  eventOf,
  type Step,
} from '../../support/migrations/migration-steps';
import {
  ANSWERING,
  aPlan,
  aWindow,
  benignAnswer,
  MigrationWorld,
} from '../../support/migrations/migration-world';

type Transition = typeof transition;

/** How many times as many orders as in `npm test`. */
const TIMES = Number(process.env['CUTOVER_PROPERTY_TIMES'] ?? 1);

const TIMED = aPlan({
  stages: [
    { name: 'assess' },
    { name: 'canary', soak: '10m', window: '5m', deadline: { hold: '3h', rollback: '10h' } },
    { name: 'rolling', soak: '10m', window: '5m', deadline: { hold: '3h', rollback: '10h' } },
    { name: 'complete', soak: '10m', window: '5m', deadline: { hold: '3h', rollback: '10h' } },
  ],
});

/** With everything that a plan can ask for beside routing. */
const PLAN: Plan = {
  ...TIMED,
  notify: [{ name: 'channel' }, { name: 'pager', moments: ['rolled back', 'escalated'] }],
  stages: TIMED.stages.map((stage) => ({
    ...stage,
    ...(stage.name === 'canary'
      ? { approval: { expiresMs: 20 * MINUTE_MS, onExpiry: 'hold' } as const }
      : {}),
    ...(stage.name === 'rolling'
      ? { confirm: ['board'], approval: { expiresMs: 20 * MINUTE_MS, onExpiry: 'roll back' } as const }
      : {}),
    ...(stage.name === 'complete' ? { confirm: ['board', 'sre'] } : {}),
    ...(stage.share > 0
      ? {
          effects: [
            { name: 'flag', set: stage.share },
            ...(stage.share < 1 ? [{ name: 'dns', set: stage.name }] : []),
          ],
        }
      : {}),
  })),
};

/** The same with a part of the traffic that stays at legacy until complete has passed. */
function holdingBack(plan: Plan): Plan {
  const stages = plan.stages.map((stage) => (stage.share === 1 ? { ...stage, holdback: 0.05 } : stage));
  return { ...plan, stages };
}

/** The same with a ramp in every stage that has so far to go. */
function ramping(plan: Plan): Plan {
  const ramp = { step: 0.2, everyMs: 4 * MINUTE_MS };
  const stages = plan.stages.map((stage) => (stage.share > 0.2 ? { ...stage, ramp } : stage));
  return { ...plan, stages };
}

/** The same with a stage for a cohort before the percentages. */
function piloting(plan: Plan): Plan {
  const [assess, ...others] = plan.stages;
  const cohort = aPlan({
    stages: [{ name: 'assess' }, { name: 'pilot', only: { teams: ['search'] } }, { name: 'complete' }],
  }).stages[1];
  const { deadline, soakMs, windowMs } = others[0] as StagePlan;
  const pilot = { ...cohort, deadline, soakMs, windowMs };
  return { ...plan, stages: [assess, pilot, ...others] as Plan['stages'] };
}

const anyOrder = fc.record({
  /** A gateway that is gone: it answers nothing from the start of what is strange. */
  dead: fc.constantFrom(null, null, null, 'gw-b'),
  /** Half of them with routing alone, so that more migrations get far. */
  plan: fc.constantFrom(
    TIMED,
    PLAN,
    holdingBack(TIMED),
    holdingBack(PLAN),
    ramping(holdingBack(PLAN)),
    piloting(PLAN),
  ),
  /** Benign steps before anything strange happens, so that every stage is a place to start from. */
  lead: fc.nat(60),
  steps: fc.array(
    fc.tuple(anyStep, fc.constantFrom(0, 0, 1_000, 1_000, 60_000, 600_000, 4_000_000, 40_000_000)),
    {
      maxLength: 40,
      size: 'max',
    },
  ),
});

interface Order {
  readonly plan: Plan;
  readonly lead: number;
  readonly dead: string | null;
  readonly steps: readonly (readonly [Step, number])[];
}

/** The event as it comes where one gateway does not answer. */
function withoutAnswersOf(dead: string | null, event: MigrationEvent | null): MigrationEvent | null {
  const others = (names: readonly string[]) => names.filter((name) => name !== dead);
  if (event?.type === 'routing applied') {
    const { confirmed, drift } = event.result;
    const silent = drift?.gateway === dead ? null : drift;
    return { ...event, result: { ...event.result, confirmed: others(confirmed), drift: silent } };
  }
  if (event?.type === 'watched') {
    const { answered = [], drifts = [], settled } = event.window;
    const seen = drifts.filter(({ gateway }) => gateway !== dead);
    const said = {
      answered: others(answered),
      settled: others(settled),
      drifts: seen,
      drift: seen[0] ?? null,
    };
    return { ...event, window: { ...event.window, ...said } };
  }
  return event;
}

/** Runs an order of events under the laws; throws the first one that is broken. */
function runUnderLaws({ plan, lead, dead, steps }: Order, step: Transition): MigrationWorld {
  const world = new MigrationWorld(plan, step);
  const keeper = new LawKeeper();
  const happen = (event: MigrationEvent | null) => {
    if (event === null) return;
    const before = world.state;
    world.state = step(before, event);
    keeper.check(before, event, world.state);
  };
  for (let index = 0; index < lead && world.state.phase !== 'handover'; index += 1) {
    const { decision, state } = world;
    const isDue = dueRuns(state).length > 0;
    const asks = state.approval?.granted === null;
    world.nowMs += decision.type === 'watch' && !isDue && !asks ? decision.windowMs : 1_000;
    const kind = isDue ? 'due' : asks ? 'approve' : 'benign';
    happen(eventOf(kind === 'due' ? { kind, answer: 'yes' } : { kind }, state, world.nowMs));
  }
  for (const [strange, elapsedMs] of steps) {
    world.nowMs += elapsedMs;
    happen(withoutAnswersOf(dead, eventOf(strange, world.state, world.nowMs)));
  }
  return world;
}

/** Goes on in a world where everything works and an operator does what the migration asks for. */
function endsWell(world: MigrationWorld, steps: number): boolean {
  for (let step = 0; step < steps && world.state.phase !== 'closed'; step += 1) {
    const { state, decision } = world;
    for (const run of dueRuns(state))
      world.event(effectEvent(run, 'captured')).event(effectEvent(run, 'ended'));
    if (world.state !== state) continue;
    const settled = state.phase === 'observing' || state.phase === 'handover';
    if (settled && latchedGateways(state).length > 0)
      world.event({ type: 'watched', window: aWindow(state) });
    else if (settled && state.paused !== null) world.says('resume', { accept: 'reapply' });
    else if (state.approval?.granted === null) {
      world.says('approve', { checkpoint: state.approval.checkpoint, by: 'ana' });
    } else if (passedButHeld(state)) world.says('reevaluate');
    else if (settled && state.stage.held !== null && decision.type === 'wait') world.says('reevaluate');
    else if (decision.type === 'wait') {
      world.nowMs = Math.max(world.nowMs + 1, decision.untilMs ?? 0);
      world.event({ type: 'time passed' });
    } else {
      if (decision.type === 'watch') world.nowMs += decision.windowMs;
      world.event(benignAnswer(state, decision));
    }
  }
  return world.state.phase === 'closed';
}

function passedButHeld(state: MigrationState): boolean {
  const { plan, stageIndex, phase, promotion, stage } = state;
  const waits = phase === 'observing' && promotion === null && stage.held !== null && !stage.reevaluating;
  // A window that is ended to judge again adds no soak.
  const { ramp, soakMs = 0 } = plan.stages[stageIndex] ?? {};
  const soaked = stage.observedMs >= (isRamping(state) && ramp !== undefined ? ramp.everyMs : soakMs);
  return waits && soaked && stage.verdict?.outcome === 'pass';
}

describe('in any order of events, late results and junk included', () => {
  it('no law is broken', () => {
    fc.assert(
      fc.property(anyOrder, (order) => {
        runUnderLaws(order, transition);
      }),
      { numRuns: 3_000 * TIMES },
    );
  });

  it('a migration can always be brought to its end', () => {
    fc.assert(
      fc.property(anyOrder, (order) => {
        const world = runUnderLaws(order, transition);
        if (!endsWell(world, 400)) {
          throw new Error(
            `still ${world.state.phase} in ${world.stage}: ${statusOf(world.state, world.nowMs).doing}`,
          );
        }
      }),
      { numRuns: 500 * TIMES },
    );
  });

  it('a state goes on the same after a journey through JSON', () => {
    fc.assert(
      fc.property(anyOrder, anyStep, (order, next) => {
        const { state, nowMs } = runUnderLaws(order, transition);
        const carried = JSON.parse(JSON.stringify(state)) as MigrationState;
        expect(carried).toEqual(state);
        const event = eventOf(next, state, nowMs);
        if (event === null) return;
        expect(transition(carried, event)).toEqual(transition(state, event));
        expect(nextDecision(carried, nowMs)).toEqual(nextDecision(state, nowMs));
      }),
      { numRuns: 100 * TIMES },
    );
  });

  it('status and eligibility can be asked in every state', () => {
    fc.assert(
      fc.property(anyOrder, (order) => {
        const { state, nowMs } = runUnderLaws(order, transition);
        expect(statusOf(state, nowMs).doing).not.toBe('');
        const { eligible, targets } = rollbackEligibilityOf(state);
        expect(eligible).toBe(state.phase !== 'closed');
        for (const { share } of targets) expect(share).toBeLessThanOrEqual(state.inEffect?.record.share ?? 0);
      }),
      { numRuns: 200 * TIMES },
    );
  });
});

/** What the orders must reach for the laws to mean anything; each was once out of their reach. */
const REACHED: Readonly<Record<string, (state: MigrationState, dead: string | null) => boolean>> = {
  'a gate that says yes': (state) => says(state, 'confirmed'),
  'a gate that says no': (state) => says(state, 'not confirmed'),
  'a partial rollback that meets drift': (state) => says(state, 'rollback', /^a rollback to .* met drift/),
  'an approval that expires and rolls back': (state) => says(state, 'rollback', /^nobody approved/),
  'a deadline that holds': (state) => says(state, 'held', /has not passed within/),
  'a deadline that rolls back': (state) => says(state, 'deadline'),
  'a legacy that is no place to go back to': (state) => says(state, 'held', /not rolled back by itself/),
  'an effect that is refused': (state) => says(state, 'effect escalated', /^refused/),
  'a time before which nothing is promoted': (state) => says(state, 'waiting'),
  'a latch that was cleared': (state) => says(state, 'drift cleared', /kill switch/),
  'an id that is used twice': ({ badMessages }) => badMessages.count > 0,
  'cursors and metrics': ({ stage }) =>
    Object.keys(stage.cursors).length > 0 && (stage.verdict?.metrics.length ?? 0) > 0,
  'a rollback that waits for a dead gateway': ({ phase, pending }, dead) =>
    phase === 'rolling back' && dead !== null && (pending?.confirmations?.missing.includes(dead) ?? false),
};

/** Whether a checkpoint records something, or changes the routing for a cause, with such a reason. */
function says({ checkpoints }: MigrationState, what: string, reason = /^/): boolean {
  return checkpoints.some((entry) => {
    const said = entry.kind === 'recorded' ? entry.what : entry.kind === 'intended' ? entry.cause : null;
    return said === what && reason.test(entry.reason);
  });
}

it.each(Object.entries(REACHED))('the orders reach %s', (_name, isReached) => {
  const orders = fc.sample(anyOrder, { numRuns: 1_500, seed: 11 });
  expect(orders.some((order) => isReached(runUnderLaws(order, transition).state, order.dead))).toBe(true);
});

/** Small faults, each of which some real system has had; every one must be caught by a law. */
const FAULTS: Readonly<Record<string, Transition>> = {
  'a rollback is dropped while a change of routing is under way': (state, event) =>
    state.phase === 'applying' && event.type === 'command' && event.command.name === 'rollback'
      ? state
      : transition(state, event),
  'an emergency is dropped at complete': (state, event) =>
    state.stageIndex === 3 && event.type === 'command' && event.command.name === 'emergencyRollback'
      ? state
      : transition(state, event),
  'a cancellation is ignored while paused': (state, event) =>
    state.paused !== null && event.type === 'cancelled' ? state : transition(state, event),
  'a pause does not stop advancing': (state, event) => {
    if (event.type !== 'watched' || state.paused === null || state.drift !== null)
      return transition(state, event);
    const after = transition({ ...state, paused: null }, event);
    return { ...after, paused: after.paused ?? state.paused };
  },
  'harm is not acted on while paused': (state, event) =>
    event.type === 'watched' && state.paused !== null
      ? transition(state, {
          ...event,
          window: { ...event.window, verdict: { ...event.window.verdict, harm: null } },
        })
      : transition(state, event),
  'missing data passes': (state, event) =>
    event.type === 'watched' && event.window.verdict.outcome === 'not evaluated'
      ? transition(state, {
          ...event,
          window: { ...event.window, verdict: { ...event.window.verdict, outcome: 'pass' } },
        })
      : transition(state, event),
  'a failed health check is taken for a good one': (state, event) =>
    event.type === 'health checked'
      ? transition(state, { ...event, healthy: true })
      : transition(state, event),
  'an epoch is used twice': (state, event) => {
    const after = transition(state, event);
    return after.epoch > state.epoch && state.epoch > 0 ? { ...after, epoch: state.epoch } : after;
  },
  'a closing entry is written twice': (state, event) => {
    const after = transition(state, event);
    const last = after.checkpoints.at(-1);
    if (after.checkpoints.length === state.checkpoints.length || last === undefined || !('closes' in last))
      return after;
    return { ...after, checkpoints: [...after.checkpoints, { ...last, seq: last.seq + 1 }] };
  },
  'a sequence number is skipped': (state, event) => {
    const after = transition(state, event);
    const last = after.checkpoints.at(-1);
    if (after.checkpoints.length < 6 || last === undefined || last === state.checkpoints.at(-1)) return after;
    return { ...after, checkpoints: [...after.checkpoints.slice(0, -1), { ...last, seq: last.seq + 1 }] };
  },
  'a late answer to an older change closes the one that is pending': (state, event) =>
    event.type === 'routing applied' && state.pending !== null
      ? transition(state, { ...event, checkpoint: state.pending.checkpoint })
      : transition(state, event),
  'a missing gateway counts as confirmed': (state, event) =>
    event.type === 'routing applied'
      ? transition(state, {
          ...event,
          result: {
            ...event.result,
            confirmed: [...event.result.confirmed, ...event.result.missing],
            missing: [],
          },
        })
      : transition(state, event),
  'a lapsed lease counts as confirmed wherever a pinned record may be': (state, event) =>
    transition({ ...state, mayHold: { ...state.mayHold, pinned: false } }, event),
  'a rollback is not verified': (state, event) => {
    const after = transition(state, event);
    return after.pending === null ? after : { ...after, pending: { ...after.pending, direction: 'raise' } };
  },
  'drift is forgotten with time': (state, event) =>
    transition(event.type === 'time passed' ? { ...state, drift: null, paused: null } : state, event),
  'drift does not pause': (state, event) => {
    const after = transition(state, event);
    return after.drift !== null && state.drift === null ? { ...after, paused: null } : after;
  },
  'a reapply overrides a kill latch': (state, event) =>
    event.type === 'command' && event.command.name === 'resume' && state.drift !== null
      ? transition(
          withDrifts(
            state,
            driftsOf(state).map((drift) => ({ ...drift, kill: null })),
          ),
          event,
        )
      : transition(state, event),
  'a failure of pre-empted work delays a rollback': (state, event) =>
    event.type === 'activity failed' && state.phase === 'rolling back'
      ? { ...state, retry: { atMs: event.atMs + 600_000, reason: event.message } }
      : transition(state, event),
  'a failed watch is waited for without end': (state, event) => {
    const after = transition(state, event);
    return event.type === 'activity failed' && after.retry !== null && after.inEffect !== null
      ? { ...after, retry: { ...after.retry, atMs: event.atMs + 86_400_000 } }
      : after;
  },
  'a closed migration takes another event': (state, event) =>
    state.phase === 'closed' ? { ...state, epoch: state.epoch + 1 } : transition(state, event),
  'a handover closes before all are settled': (state, event) =>
    event.type === 'watched' && state.phase === 'handover'
      ? transition(state, {
          ...event,
          window: { ...event.window, settled: state.roster.map(({ name }) => name) },
        })
      : transition(state, event),
  'a rollback leaves the mirror running': (state, event) => {
    const after = transition(state, event);
    if (after.pending === null || after.pending.rollback === null) return after;
    return {
      ...after,
      pending: { ...after.pending, record: { ...after.pending.record, shadow: state.shadow } },
    };
  },
  'the stage two further on is entered': (state, event) =>
    transition(
      state.promotion === null || state.promotion.toIndex > 2
        ? state
        : { ...state, promotion: { ...state.promotion, toIndex: state.promotion.toIndex + 1 } },
      event,
    ),
  'the evidence of a window is discarded': (state, event) => {
    const after = transition(state, event);
    return event.type === 'watched' && after.inEffect === state.inEffect
      ? { ...after, stage: { ...after.stage, evidence: state.stage.evidence } }
      : after;
  },
  'every window is counted again': (state, event) => {
    const after = transition(state, event);
    return event.type === 'watched'
      ? { ...after, stage: { ...after.stage, cursors: state.stage.cursors } }
      : after;
  },
  'soak goes on under drift': (state, event) => {
    const after = transition(state, event);
    if (event.type !== 'watched' || state.drift === null || after.inEffect !== state.inEffect) return after;
    const observedMs = state.stage.observedMs + event.window.observedMs;
    return { ...after, stage: { ...after.stage, observedMs } };
  },
  'a deadline waits for something else to happen': (state, event) =>
    event.type === 'time passed' ? { ...state, retry: null } : transition(state, event),
  'a deadline moves everything to a dead legacy': (state, event) =>
    transition(state.phase === 'observing' ? { ...state, probes: ANSWERING } : state, event),
  'what has passed is rolled back by its deadline': (state, event) =>
    transition(
      state.phase === 'observing' ? { ...state, stage: { ...state.stage, passedAtMs: null } } : state,
      event,
    ),
  'a latch is forgotten when its gateway is silent': (state, event) =>
    event.type === 'watched' && event.window.drifts?.length === 0
      ? transition(withDrifts(state, []), event)
      : transition(state, event),
  'an epoch that a gateway has seen is taken for free': (state, event) =>
    event.type === 'watched'
      ? transition(state, { ...event, window: { ...event.window, highestEpoch: 0 } })
      : transition(state, event),
  'the state before is changed in place': (state, event) => {
    (state.verdicts as unknown[]).push(event);
    return transition(state, event);
  },
  'something is kept that JSON does not keep': (state, event) => {
    const after = transition(state, event);
    return after.paused === null
      ? after
      : { ...after, paused: { ...after.paused, note: undefined } as never };
  },
};

describe('the laws catch a machine in which', () => {
  it.each(Object.entries(FAULTS))('%s', (_name, faulty) => {
    const result = fc.check(
      fc.property(anyOrder, (order) => {
        runUnderLaws(order, faulty);
      }),
      { numRuns: 2_000, endOnFailure: true, seed: 7 },
    );
    expect(result.failed).toBe(true);
  });
});

it('keeps a migration of 2,000 windows small enough to be carried on', () => {
  // Without the deadline that would end it after 120 of them.
  const stages = PLAN.stages.map((stage) => ({
    ...stage,
    deadline: { ...stage.deadline, rollbackMs: null },
  }));
  const world = new MigrationWorld({ ...PLAN, stages });
  world.reaches('canary');
  for (let window = 0; window < 2_000; window += 1) {
    world.elapse(5 * MINUTE_MS);
    world.watches({ ...countedBy(world.state), verdict: { outcome: 'inconclusive' } });
  }
  expect(world.state).toMatchObject({ phase: 'observing', stage: { windows: 2_000 } });
  expect(JSON.stringify(world.state).length).toBeLessThan(100_000);
});
