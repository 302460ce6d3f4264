import fc from 'fast-check';
import type { ConfirmAnswer } from '../../../src/core/effects/effect';
import type { EffectRun } from '../../../src/core/effects/effect-run';
import { dueRuns, runsOf } from '../../../src/core/effects/effect-runs';
import type { MetricVerdict } from '../../../src/core/gates/verdict';
import {
  COMMAND_NAMES,
  type CommandName,
  isBadMessage,
  readCommand,
} from '../../../src/core/migration/command';
import type { EffectEvent, MigrationEvent } from '../../../src/core/migration/events';
import { nextDecision } from '../../../src/core/migration/migration';
import type { Drift, MigrationState } from '../../../src/core/migration/migration-state';
import type { Plan, StagePlan } from '../../../src/core/plan/plan';
import { aMetric } from './migration-sighting';
import {
  ANSWERING,
  anAssessment,
  applied,
  aReading,
  aRoster,
  aWindow,
  benignAnswer,
  KILLED,
  LEGACY_DEAD,
  OVERTAKEN,
} from './migration-world';

/** Something that may happen to any migration at any time, the late results of pre-empted work included. */
export type Step =
  | { readonly kind: 'benign' }
  | { readonly kind: 'watched'; readonly epochOff: number; readonly said: WatchSaid }
  | {
      readonly kind: 'applied';
      readonly stale: number | null;
      readonly confirmed: readonly string[];
      readonly lapsed: readonly string[];
      readonly drift: Drift | null;
      readonly epochUp: number;
    }
  /** A rollback to the checkpoint before, which may be answered by drift. */
  | { readonly kind: 'partial' }
  /** The next effect whose turn it is comes to an end, questions to others with this answer. */
  | { readonly kind: 'due'; readonly answer: ConfirmAnswer }
  | {
      readonly kind: 'read';
      readonly highestEpoch: number;
      readonly unreachable: boolean;
      readonly empty: boolean;
    }
  | {
      readonly kind: 'assessed';
      readonly outcome: 'pass' | 'fail' | 'inconclusive';
      readonly saltBalanced: boolean;
    }
  /** `earlyMs`: outside of rollout hours for so long; in the past where the clock of a worker is behind. */
  | { readonly kind: 'health'; readonly healthy: boolean; readonly earlyMs: number | null }
  | {
      readonly kind: 'effect';
      readonly what: 'captured' | 'ended' | 'failed' | 'refused';
      readonly pick: number;
      readonly answer: ConfirmAnswer;
    }
  | { readonly kind: 'failed'; readonly what: string; readonly current: boolean }
  | { readonly kind: 'cancelled' }
  | { readonly kind: 'time' }
  | { readonly kind: 'command'; readonly name: CommandName; readonly payload: unknown }
  | { readonly kind: 'override' }
  | { readonly kind: 'approve' }
  | { readonly kind: 'amend'; readonly what: AmendedWhat; readonly place: number }
  | { readonly kind: 'reapply' };

const AMENDED = ['soak', 'deadline', 'margin', 'stage', 'notify', 'share'] as const;
type AmendedWhat = (typeof AMENDED)[number];

/** The plan in force with one thing changed, some of it never to be changed. */
function amendedPlan({ plan }: MigrationState, what: AmendedWhat, place: number): Plan {
  const at = place % plan.stages.length;
  const stage = plan.stages[at] as StagePlan;
  const withStage = (changed: StagePlan): Plan => ({
    ...plan,
    stages: plan.stages.map((each) => (each === stage ? changed : each)),
  });
  switch (what) {
    case 'soak':
      return withStage({ ...stage, soakMs: Math.round(stage.soakMs / 2) });
    case 'deadline':
      return withStage({ ...stage, deadline: { ...stage.deadline, holdMs: stage.deadline.holdMs * 2 } });
    case 'margin': {
      const { errors } = stage.gates;
      const promotionExcess = errors.promotionExcess / 2;
      return withStage({ ...stage, gates: { ...stage.gates, errors: { ...errors, promotionExcess } } });
    }
    case 'stage': {
      const next = plan.stages[at + 1] ?? stage;
      const share = (stage.share + next.share) / 2;
      const added = { ...next, name: `${stage.name}-and-half`, share };
      return { ...plan, stages: plan.stages.toSpliced(at + 1, 0, added) };
    }
    case 'notify':
      return { ...plan, notify: [{ name: 'ops' }] };
    case 'share':
      return withStage({ ...stage, share: stage.share * 0.9 });
    default:
      return what satisfies never;
  }
}

interface WatchSaid {
  readonly outcome: 'pass' | 'fail' | 'inconclusive' | 'not evaluated' | 'not applicable';
  readonly harm: string | null;
  readonly pause: string | null;
  readonly burnIn: boolean;
  readonly drift: Drift | null;
  readonly lapses: number;
  readonly observedMs: number;
  readonly discovered: readonly string[];
  readonly left: readonly string[];
  readonly settled: readonly string[];
  readonly foreignEvidence: boolean;
  /** Who answered in the last round. */
  readonly answered: readonly string[];
  readonly legacyDead: boolean;
  readonly highestEpoch: number;
}

const NAMES = ['gw-a', 'gw-b', 'gw-c'];
const some = (names: readonly string[]) => fc.subarray([...names]);
const rarely = <T>(value: fc.Arbitrary<T>) =>
  fc.oneof({ weight: 9, arbitrary: fc.constant(null) }, { weight: 1, arbitrary: value });

const drift: fc.Arbitrary<Drift> = fc.oneof(
  fc.constant(KILLED),
  fc.constant(OVERTAKEN),
  fc.constant({ gateway: 'gw-b', kind: 'other content', detail: 'other share', kill: null } as const),
);

const watched = fc.record({
  kind: fc.constant('watched' as const),
  epochOff: fc.oneof(
    { weight: 6, arbitrary: fc.constant(0) },
    { weight: 1, arbitrary: fc.integer({ min: -2, max: 2 }) },
  ),
  said: fc.record({
    outcome: fc.constantFrom('pass', 'pass', 'fail', 'inconclusive', 'not evaluated', 'not applicable'),
    harm: rarely(fc.constant('errors')),
    pause: rarely(fc.constant('sample ratio')),
    burnIn: fc.boolean(),
    drift: rarely(drift),
    lapses: fc.constantFrom(0, 0, 0, 1, 2),
    observedMs: fc.constantFrom(0, 60_000, 600_000, 3_600_000),
    discovered: fc.oneof({ weight: 5, arbitrary: fc.constant([]) }, { weight: 1, arbitrary: some(['gw-c']) }),
    left: fc.oneof({ weight: 5, arbitrary: fc.constant([]) }, { weight: 1, arbitrary: some(NAMES) }),
    settled: fc.oneof(some(NAMES), fc.constant(NAMES)),
    foreignEvidence: fc.constantFrom(false, false, false, true),
    answered: fc.oneof(fc.constant(NAMES), some(NAMES)),
    legacyDead: fc.constantFrom(false, false, true),
    highestEpoch: fc.constantFrom(0, 0, 0, 60),
  }),
});

const appliedStep = fc.record({
  kind: fc.constant('applied' as const),
  stale: rarely(fc.nat(20)),
  confirmed: some(NAMES),
  lapsed: some(NAMES),
  drift: rarely(drift),
  epochUp: fc.constantFrom(0, 0, 0, 1, 7),
});

const id = fc.constantFrom('c-1', 'c-2', 'c-3', 'c-4', undefined);
const person = {
  by: fc.constantFrom('ana', 'ben'),
  reason: fc.constantFrom('why', 'because'),
  commandId: id,
};
const payload = fc.oneof(
  { weight: 4, arbitrary: fc.record({ ...person }, { requiredKeys: [] }) },
  {
    weight: 2,
    arbitrary: fc.record(
      { to: fc.oneof(fc.integer({ min: 1, max: 30 }), fc.constant('previous')), commandId: id },
      { requiredKeys: ['to'] },
    ),
  },
  {
    weight: 2,
    arbitrary: fc.record({ accept: fc.constant('reapply'), commandId: id }, { requiredKeys: ['accept'] }),
  },
  {
    weight: 2,
    arbitrary: fc.record(
      {
        ...person,
        stage: fc.constantFrom('assess', 'canary', 'rolling', 'complete'),
        override: fc.boolean(),
        checkpoint: fc.integer({ min: 1, max: 30 }),
      },
      { requiredKeys: ['stage'] },
    ),
  },
  { weight: 1, arbitrary: fc.anything() },
  { weight: 1, arbitrary: fc.constant(undefined) },
);

const command = fc.record({
  kind: fc.constant('command' as const),
  name: fc.constantFrom(...COMMAND_NAMES),
  payload,
});

/** Mostly what goes well, so that migrations get far; everything else at any moment. */
export const anyStep: fc.Arbitrary<Step> = fc.oneof(
  { weight: 12, arbitrary: fc.constant({ kind: 'benign' } as const) },
  { weight: 5, arbitrary: watched },
  { weight: 4, arbitrary: appliedStep },
  { weight: 6, arbitrary: command },
  { weight: 1, arbitrary: fc.constant({ kind: 'override' } as const) },
  { weight: 1, arbitrary: fc.constant({ kind: 'partial' } as const) },
  {
    weight: 6,
    arbitrary: fc.record({
      kind: fc.constant('due' as const),
      answer: fc.constantFrom('yes', 'yes', 'yes', 'no', 'no answer'),
    }),
  },
  { weight: 1, arbitrary: fc.constant({ kind: 'reapply' } as const) },
  { weight: 1, arbitrary: fc.constant({ kind: 'cancelled' } as const) },
  { weight: 1, arbitrary: fc.constant({ kind: 'time' } as const) },
  {
    weight: 1,
    arbitrary: fc.record({
      kind: fc.constant('health' as const),
      healthy: fc.boolean(),
      earlyMs: fc.constantFrom(null, null, 600_000, -5_000),
    }),
  },
  {
    weight: 4,
    arbitrary: fc.record({
      kind: fc.constant('effect' as const),
      what: fc.constantFrom('captured', 'ended', 'ended', 'failed', 'refused'),
      pick: fc.nat(6),
      answer: fc.constantFrom('yes', 'yes', 'no', 'no answer'),
    }),
  },
  { weight: 2, arbitrary: fc.constant({ kind: 'approve' } as const) },
  {
    weight: 2,
    arbitrary: fc.record({
      kind: fc.constant('amend' as const),
      what: fc.constantFrom(...AMENDED),
      place: fc.nat(3),
    }),
  },
  {
    weight: 1,
    arbitrary: fc.record({
      kind: fc.constant('read' as const),
      highestEpoch: fc.nat(30),
      unreachable: fc.boolean(),
      empty: fc.constantFrom(false, false, true),
    }),
  },
  {
    weight: 1,
    arbitrary: fc.record({
      kind: fc.constant('assessed' as const),
      outcome: fc.constantFrom('pass', 'pass', 'inconclusive', 'fail'),
      saltBalanced: fc.boolean(),
    }),
  },
  {
    weight: 1,
    arbitrary: fc.record({
      kind: fc.constant('failed' as const),
      what: fc.constantFrom('watch', 'apply routing', 'check health', 'assess', 'read routing'),
      current: fc.boolean(),
    }),
  },
);

/** The event that a step means for a migration in this state; null for a message that is no command. */
export function eventOf(step: Step, state: MigrationState, atMs: number): MigrationEvent | null {
  const at = { atMs };
  switch (step.kind) {
    case 'benign':
      return { ...benignAnswer(state, nextDecision(state, atMs)), ...at };
    case 'watched': {
      const { outcome, harm, pause, burnIn, lapses, foreignEvidence, legacyDead, ...said } = step.said;
      const window = aWindow(state, {
        ...said,
        ...countedBy(state),
        probes: legacyDead ? LEGACY_DEAD : ANSWERING,
        epoch: (state.inEffect?.record.epoch ?? 0) + step.epochOff,
        discovered: aRoster(said.discovered),
        lapses: Array.from({ length: lapses }, () => ({ gateway: 'gw-b', what: 'its lease had lapsed' })),
        verdict: { outcome: harm === null ? outcome : 'fail', harm, pause, burnIn, metrics: metricsOf(harm) },
      });
      const evidence = foreignEvidence ? { ...window.evidence, epoch: 999 } : window.evidence;
      return { type: 'watched', window: { ...window, evidence }, ...at };
    }
    case 'applied': {
      const checkpoint = step.stale ?? state.pending?.checkpoint ?? 1;
      const epoch = (state.pending?.record.epoch ?? 1) + step.epochUp;
      const lapsed = step.lapsed.filter((name) => !step.confirmed.includes(name));
      const said = { confirmed: step.confirmed, lapsed, drift: step.drift, epoch };
      return { type: 'routing applied', checkpoint, result: applied(state, said), ...at };
    }
    case 'read': {
      const { highestEpoch, unreachable, empty } = step;
      const roster = aRoster(empty ? [] : ['gw-a', 'gw-b']);
      const reading = aReading({ highestEpoch, roster, unreachable: unreachable ? ['gw-b'] : [] });
      return { type: 'routing read', reading, ...at };
    }
    case 'assessed':
      return { type: 'assessed', assessment: anAssessment(step), freshSalt: `salt-${atMs}`, ...at };
    case 'health': {
      const { healthy, earlyMs } = step;
      const notBefore = earlyMs === null ? null : { atMs: atMs + earlyMs, why: 'outside the rollout hours' };
      return { type: 'health checked', healthy, sentence: 'seen', notBefore, ...at };
    }
    case 'effect': {
      const run = runsOf(state)[step.pick % Math.max(1, runsOf(state).length)];
      if (run === undefined) return null;
      return { ...effectEvent(run, step.what, step.answer), ...at };
    }
    case 'due': {
      const [run] = dueRuns(state);
      if (run === undefined) return null;
      const what = run.purpose === 'apply' && run.status === 'waiting' ? 'captured' : 'ended';
      return { ...effectEvent(run, what, step.answer), ...at };
    }
    case 'partial':
      return commandEvent('rollback', { to: 'previous', by: 'ana' }, atMs);
    case 'approve':
      return commandEvent('approve', { checkpoint: state.approval?.checkpoint ?? 1, by: 'ana' }, atMs);
    case 'amend': {
      const plan = amendedPlan(state, step.what, step.place);
      return commandEvent('amend', { plan, by: 'ana', reason: 'less traffic' }, atMs);
    }
    case 'failed': {
      const key = step.current ? { key: nextDecision(state, atMs).key } : { key: 'of something else' };
      return { type: 'activity failed', what: step.what, message: 'bug', ...key, ...at };
    }
    case 'cancelled':
      return { type: 'cancelled', ...at };
    case 'time':
      return { type: 'time passed', ...at };
    case 'override': {
      const stage = state.plan.stages[state.stageIndex]?.name;
      const checkpoint = state.inEffect?.checkpoint ?? 1;
      return commandEvent('promote', { stage, override: true, by: 'ana', reason: 'why', checkpoint }, atMs);
    }
    case 'reapply':
      return commandEvent('resume', { accept: 'reapply', by: 'ana' }, atMs);
    case 'command':
      return commandEvent(step.name, step.payload, atMs);
    default:
      return step satisfies never;
  }
}

/** More metrics than a state keeps, the one that harms among them. */
function metricsOf(harm: string | null): MetricVerdict[] {
  const reported = Array.from({ length: 14 }, (_, index) => aMetric({ metric: `model ${index}` }));
  return harm === null ? reported : [...reported, aMetric({ metric: harm, harm: true, outcome: 'fail' })];
}

/** What a window adds to what its stage has: judged windows, a cursor of each gateway, numbers of a metric. */
export function countedBy({ stage, roster, inEffect }: MigrationState) {
  const { evidence, windows } = stage;
  const { judged } = evidence;
  const epoch = inEffect?.record.epoch ?? 0;
  return {
    evidence: { ...evidence, epoch, judged: { ...judged, windows: judged.windows + 1 } },
    cursors: Object.fromEntries(roster.map(({ name }) => [name, `${name}:${epoch}:${windows + 1}`])),
  };
}

/** What became of a run; a confirmation answers, everything else only ends. */
export function effectEvent(
  { id, purpose }: EffectRun,
  what: 'captured' | 'ended' | 'failed' | 'refused',
  answer: ConfirmAnswer = 'yes',
): EffectEvent {
  if (what === 'captured' && purpose === 'apply') return { type: 'effect captured', id, captured: 'before' };
  if (what === 'failed') return { type: 'effect failed', id, message: 'no answer' };
  if (what === 'refused') return { type: 'effect failed', id, message: 'REFUSED', refused: true };
  return { type: 'effect ended', id, note: 'seen', answer: purpose === 'confirm' ? answer : null };
}

function commandEvent(name: CommandName, sent: unknown, atMs: number): MigrationEvent | null {
  const read = readCommand(name, sent);
  return isBadMessage(read) ? null : { type: 'command', command: read, atMs };
}
