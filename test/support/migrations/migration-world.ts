import { noStageEvidence } from '../../../src/core/evidence/stage/stage-evidence';
import type { GateVerdict, ProbeRecord, ProbeStreak } from '../../../src/core/gates/verdict';
import type {
  Checkpoint,
  ClosingCheckpoint,
  IntendedCheckpoint,
} from '../../../src/core/migration/checkpoint';
import { type CommandName, isBadMessage, readCommand } from '../../../src/core/migration/command';
import type {
  ApplyResult,
  Decision,
  MigrationEvent,
  RoutingReading,
  WindowResult,
} from '../../../src/core/migration/events';
import { nextDecision, transition } from '../../../src/core/migration/migration';
import {
  type AssessmentSummary,
  type Drift,
  initialState,
  type MigrationState,
  type RosterEntry,
} from '../../../src/core/migration/migration-state';
import type { Plan } from '../../../src/core/plan/plan';
import { planSchema } from '../../../src/core/plan/plan-schema';

const START_MS = Date.UTC(2026, 0, 5, 9);

const PASSED: ProbeStreak = { probes: 12, failures: 0, passedInARow: 12, failedInARow: 0, meanMs: 40 };
const FAILED: ProbeStreak = { probes: 12, failures: 3, passedInARow: 0, failedInARow: 3, meanMs: 40 };

/** Both providers answer their probes. */
export const ANSWERING: ProbeRecord = { legacy: PASSED, candidate: PASSED };

/** Legacy's last probes failed. */
export const LEGACY_DEAD: ProbeRecord = { legacy: FAILED, candidate: PASSED };

const GATEWAYS = ['gw-a', 'gw-b'] as const;

export function aRoster(names: readonly string[] = GATEWAYS): RosterEntry[] {
  return names.map((name) => ({ name, admin: `http://${name}:8082` }));
}

/** The default plan, but for what is said; without a holdback, which has tests of its own. */
export function aPlan(input: Record<string, unknown> = {}): Plan {
  return planSchema.parse({ route: 'chat', holdback: 0, ...input });
}

export function aReading(said: Partial<RoutingReading> = {}): RoutingReading {
  return { roster: aRoster(), unreachable: [], highestEpoch: 0, forgotten: [], ...said };
}

export function anAssessment(said: Partial<AssessmentSummary> = {}): AssessmentSummary {
  return {
    outcome: 'pass',
    blockers: [],
    warnings: [],
    sentence: 'both providers answer',
    probes: ANSWERING,
    saltBalanced: true,
    ...said,
  };
}

function aVerdict(said: Partial<GateVerdict> = {}): GateVerdict {
  return {
    stage: 'canary',
    epoch: 0,
    outcome: 'pass',
    harm: null,
    pause: null,
    sentence: 'errors within 2 points',
    burnIn: false,
    metrics: [],
    observedShare: 0.1,
    requests: { legacy: 900, candidate: 100 },
    baseline: { errorRate: 0.01, plainP95Ms: 800, firstTokenP95Ms: 300 },
    ...said,
  };
}

export const KILLED: Drift = {
  gateway: 'gw-a',
  kind: 'kill latch',
  detail: 'the kill switch was set by ana: smoke',
  kill: { by: 'ana', reason: 'smoke', at: '2026-01-05T10:00:00.000Z' },
};

export const OVERTAKEN: Drift = {
  gateway: 'gw-a',
  kind: 'newer epoch',
  detail: 'it has seen epoch 40, newer than ours',
  kill: null,
  epoch: 40,
};

type WindowSaid = Partial<Omit<WindowResult, 'verdict'>> & { readonly verdict?: Partial<GateVerdict> };

/** A window of the epoch in effect in which everything went well, but for what is said. */
export function aWindow(state: MigrationState, said: WindowSaid = {}): WindowResult {
  const epoch = said.epoch ?? state.inEffect?.record.epoch ?? 0;
  const observedMs = said.observedMs ?? 0;
  return {
    ended: 'window over',
    observedMs,
    evidence: noStageEvidence(epoch),
    cursors: {},
    probes: ANSWERING,
    lapses: [],
    drift: null,
    drifts: said.drift == null ? [] : [said.drift],
    answered: state.roster.map(({ name }) => name),
    discovered: [],
    left: [],
    settled: [],
    highestEpoch: 0,
    ...said,
    epoch,
    verdict: aVerdict({ epoch, ...said.verdict }),
  };
}

/** What everyone answers who is asked; others are missing. */
export function applied(state: MigrationState, said: Partial<ApplyResult> = {}): ApplyResult {
  const everyone = state.roster.length > 0 ? state.roster.map(({ name }) => name) : [...GATEWAYS];
  const confirmed = said.confirmed ?? everyone;
  const lapsed = said.lapsed ?? [];
  return {
    epoch: state.pending?.record.epoch ?? state.epoch,
    confirmed,
    lapsed,
    missing: everyone.filter((name) => !confirmed.includes(name) && !lapsed.includes(name)),
    drift: null,
    notes: [],
    ...said,
  };
}

type Transition = typeof transition;
type EventSaid = MigrationEvent extends infer Event
  ? Event extends MigrationEvent
    ? Omit<Event, 'atMs'>
    : never
  : never;

/** The event with which a world answers in which everything goes well. */
export function benignAnswer(state: MigrationState, decision: Decision): EventSaid {
  switch (decision.type) {
    case 'read routing':
      return { type: 'routing read', reading: aReading() };
    case 'apply routing':
      return { type: 'routing applied', checkpoint: decision.checkpoint, result: applied(state) };
    case 'assess':
      return { type: 'assessed', assessment: anAssessment(), freshSalt: 'fresh' };
    case 'check health':
      return { type: 'health checked', healthy: true, sentence: 'healthy' };
    case 'watch': {
      const settled = decision.handover ? state.roster.map(({ name }) => name) : [];
      return { type: 'watched', window: aWindow(state, { observedMs: decision.windowMs, settled }) };
    }
    case 'wait':
    case 'close':
      return { type: 'time passed' };
    default:
      return decision satisfies never;
  }
}

/** Drives the state machine as the workflow does, with answers that a test scripts. */
export class MigrationWorld {
  state: MigrationState;
  nowMs = START_MS;
  /** Every state that was passed through, oldest first. */
  readonly trail: MigrationState[] = [];

  constructor(
    plan: Plan = aPlan(),
    private readonly step: Transition = transition,
  ) {
    this.state = initialState(
      {
        migrationId: 'm-1',
        plan,
        by: 'ana',
        reason: 'cheaper',
        stickyKey: 'body',
        newConversationsOnly: false,
        shadow: 0.2,
        salt: 'salt-1',
      },
      START_MS,
    );
  }

  get decision(): Decision {
    return nextDecision(this.state, this.nowMs);
  }

  get checkpoints(): readonly Checkpoint[] {
    return this.state.checkpoints;
  }

  get stage(): string {
    return this.state.plan.stages[this.state.stageIndex]?.name ?? '';
  }

  get share(): number {
    return this.state.inEffect?.record.share ?? 0;
  }

  /** The last checkpoint that was written ahead. */
  get intended(): IntendedCheckpoint {
    const entry = this.checkpoints.findLast(({ kind }) => kind === 'intended');
    if (entry?.kind !== 'intended') throw new Error('expected an intended checkpoint, got none');
    return entry;
  }

  /** The last checkpoint that closed another. */
  get closing(): ClosingCheckpoint {
    const entry = this.checkpoints.findLast((one) => 'closes' in one);
    if (entry === undefined || !('closes' in entry)) throw new Error('expected a closing checkpoint');
    return entry;
  }

  /** What was recorded beside changes of routing, in order. */
  get recorded(): string[] {
    return this.checkpoints.flatMap((entry) => (entry.kind === 'recorded' ? [entry.what] : []));
  }

  get lastRefusal(): string {
    return this.state.refusals.at(-1)?.message ?? '';
  }

  event(said: EventSaid): this {
    this.trail.push(this.state);
    this.state = this.step(this.state, { ...said, atMs: this.nowMs });
    return this;
  }

  elapse(durationMs: number): this {
    this.nowMs += durationMs;
    return this;
  }

  timePasses(durationMs: number): this {
    return this.elapse(durationMs).event({ type: 'time passed' });
  }

  reads(said: Partial<RoutingReading> = {}): this {
    return this.event({ type: 'routing read', reading: aReading(said) });
  }

  assesses(said: Partial<AssessmentSummary> = {}, freshSalt = 'fresh'): this {
    return this.event({ type: 'assessed', assessment: anAssessment(said), freshSalt });
  }

  checksHealth(healthy = true): this {
    const sentence = healthy ? 'healthy' : 'candidate stream: timeout';
    return this.event({ type: 'health checked', healthy, sentence });
  }

  /** An answer to the routing change that is pending, or to an older one by its checkpoint. */
  applies(said: Partial<ApplyResult> = {}, checkpoint = this.state.pending?.checkpoint ?? 0): this {
    return this.event({ type: 'routing applied', checkpoint, result: applied(this.state, said) });
  }

  watches(said: WindowSaid = {}): this {
    return this.event({ type: 'watched', window: aWindow(this.state, said) });
  }

  /** Sends what a person could type. */
  says(name: CommandName, payload: unknown = {}): this {
    const command = readCommand(name, payload);
    if (isBadMessage(command)) throw new Error(command.problem);
    return this.event({ type: 'command', command });
  }

  overrides(): this {
    return this.says('promote', {
      stage: this.stage,
      override: true,
      by: 'ana',
      reason: 'we know better',
      checkpoint: this.state.inEffect?.checkpoint,
    });
  }

  /** Answers what is decided, well, and lets time pass as the decision asks. */
  goesOn(): this {
    const { decision } = this;
    if (decision.type === 'wait' && decision.untilMs !== null) {
      this.nowMs = Math.max(this.nowMs + 1, decision.untilMs);
    }
    if (decision.type === 'watch') this.nowMs += decision.windowMs;
    return this.event(benignAnswer(this.state, decision));
  }

  /** Goes on until the stage's routing is in effect and nothing is under way. */
  reaches(stage: string): this {
    return this.goesOnUntil(
      `the stage ${stage}`,
      () => this.state.phase === 'observing' && this.stage === stage,
    );
  }

  goesOnUntil(what: string, reached: () => boolean, steps = 2_000): this {
    for (let step = 0; step < steps && !reached(); step += 1) this.goesOn();
    if (!reached())
      throw new Error(`expected to reach ${what} within ${steps} steps, got ${this.state.phase}`);
    return this;
  }
}

/** A migration that has been started and has done nothing yet. */
export function givenMigration(plan: Record<string, unknown> = {}): MigrationWorld {
  return new MigrationWorld(aPlan(plan));
}
