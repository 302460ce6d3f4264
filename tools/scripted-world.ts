import { setTimeout as sleep } from 'node:timers/promises';
import { cancellationSignal, heartbeat } from '@temporalio/activity';
import { ApplicationFailure } from '@temporalio/common';
import {
  type ApplyRoutingInput,
  type EffectActivities,
  FAILURES,
  type ReportActivities,
  type RoutingActivities,
  type WatchActivities,
} from '../src/contract';
import type { IdentityFindings } from '../src/core/assessment/identity-findings';
import type { ConfirmAnswer } from '../src/core/effects/effect';
import { noStageEvidence } from '../src/core/evidence/stage/stage-evidence';
import type { GateVerdict, ProbeRecord } from '../src/core/gates/verdict';
import type {
  ApplyResult,
  HealthCheckResult,
  RoutingReading,
  WindowResult,
} from '../src/core/migration/events';
import type { AssessmentSummary, Drift, RosterEntry } from '../src/core/migration/migration-state';

/** What the gateways, providers and targets of one route do: a recording changes it while its migration runs. */
export interface ScriptedWorld {
  gateways: RosterEntry[];
  /** Names of gateways that do not answer. */
  silent: string[];
  /** Names of silent gateways whose every lease has run out. */
  leaseOver: string[];
  /** What contradicts our routing, found by pushes and windows. */
  drifts: Drift[];
  settled: string[];
  verdict: Partial<GateVerdict>;
  /** What one window each says beside the above, the next one first. */
  readonly windows: Partial<WindowResult>[];
  /** What one answer each says, the next one first; else all is well. */
  readonly readings: Partial<RoutingReading>[];
  readonly assessments: Partial<AssessmentSummary>[];
  readonly identities: IdentityFindings[];
  readonly health: (Partial<HealthCheckResult> | 'fails')[];
  readonly confirms: ConfirmAnswer[];
  /** Whether whoever is asked to confirm says to wait. */
  undecided: boolean;
  /** Attempts at effects that fail, by the name of the target. */
  readonly failing: Record<string, ('unavailable' | 'refused')[]>;
}

/** A world of two gateways in which all is well and no gate has passed. */
export function scriptedWorld(): ScriptedWorld {
  return {
    gateways: ['gw-1', 'gw-2'].map(entryOf),
    ...{ silent: [], leaseOver: [], drifts: [], settled: [], verdict: {}, windows: [], readings: [] },
    ...{ assessments: [], identities: [], health: [], confirms: [], undecided: false, failing: {} },
  };
}

/** A gateway of that name. */
export function entryOf(name: string): RosterEntry {
  return { name, admin: `http://${name}.invalid:9090` };
}

const WINDOW_MS = 300;
const ROUND_MS = 150;
const STEP_MS = 20;
const ANSWERING = { probes: 30, failures: 0, passedInARow: 30, failedInARow: 0, meanMs: 5 };
const PROBES: ProbeRecord = { legacy: ANSWERING, candidate: ANSWERING };

/** The activities of all task queues, each in the world of its route. */
export function scriptedActivities(worlds: ReadonlyMap<string, ScriptedWorld>): {
  readonly routing: RoutingActivities;
  readonly watch: WatchActivities;
  readonly effects: EffectActivities & ReportActivities;
} {
  const worldOf = (route: string): ScriptedWorld => {
    const world = worlds.get(route);
    if (world === undefined) throw new Error(`expected a world of the route ${route}`);
    return world;
  };
  return {
    routing: {
      async readRouting({ route }) {
        const { gateways, readings } = worldOf(route);
        return { roster: gateways, unreachable: [], highestEpoch: 0, forgotten: [], ...readings.shift() };
      },
      async applyRouting(input) {
        return pushed(worldOf(input.route), input);
      },
      async verifyRouting(input) {
        await paced(ROUND_MS);
        return pushed(worldOf(input.route), input);
      },
    },
    watch: {
      async analyseUsage() {
        return { digest: null, findings: [] };
      },
      async assess({ route }) {
        const all = {
          outcome: 'pass',
          blockers: [],
          warnings: [],
          sentence: 'both providers answer',
        } as const;
        return { ...all, probes: PROBES, saltBalanced: true, ...worldOf(route).assessments.shift() };
      },
      async checkHealth({ route }) {
        const said = worldOf(route).health.shift();
        if (said === 'fails') throw ApplicationFailure.nonRetryable('no answer');
        return { healthy: true, sentence: 'both providers answer', ...said };
      },
      async checkIdentity({ route }) {
        return worldOf(route).identities.shift() ?? { findings: [], standing: null };
      },
      async checkParity() {
        return { findings: [], report: null };
      },
      async handoverProbe() {
        return { findings: [], directions: [] };
      },
      async watchStage({ route, record, roster, stage, windowMs }) {
        await paced(Math.min(windowMs, WINDOW_MS));
        const { silent, drifts, settled, verdict, windows } = worldOf(route);
        return {
          ...{ epoch: record.epoch, ended: 'window over', observedMs: Math.min(windowMs, WINDOW_MS) },
          ...{ evidence: noStageEvidence(record.epoch), cursors: {}, probes: PROBES, lapses: [] },
          verdict: { ...aVerdict(stage.name, record.epoch), ...verdict },
          ...{ drift: drifts[0] ?? null, drifts, discovered: [], left: [], settled, highestEpoch: 0 },
          answered: roster.map(({ name }) => name).filter((name) => !silent.includes(name)),
          ...windows.shift(),
        };
      },
    },
    effects: {
      async captureEffect() {
        return { captured: { value: 0 } };
      },
      async applyEffect({ effect, context }) {
        return attempted(worldOf(context.route), effect.name);
      },
      async restoreEffect({ effect, context }) {
        return attempted(worldOf(context.route), effect.name);
      },
      async confirm({ context }) {
        while (worldOf(context.route).undecided) await paced(ROUND_MS);
        return { answer: worldOf(context.route).confirms.shift() ?? 'yes', note: 'asked' };
      },
      async writeReport() {
        return { files: [] };
      },
    },
  };
}

function pushed(world: ScriptedWorld, { record, roster }: ApplyRoutingInput): ApplyResult {
  const everyone = (roster.length > 0 ? roster : world.gateways).map(({ name }) => name);
  const confirmed = everyone.filter((name) => !world.silent.includes(name));
  const lapsed = world.leaseOver.filter((name) => everyone.includes(name));
  const missing = everyone.filter((name) => !confirmed.includes(name) && !lapsed.includes(name));
  const [drift = null] = world.drifts;
  return {
    ...{ epoch: record.epoch, confirmed: drift === null ? confirmed : [], lapsed, missing },
    ...{ drift, drifts: world.drifts, answered: confirmed, located: answering(world) },
    notes: world.drifts.map(({ gateway, detail }) => `${gateway}: ${detail}`),
  };
}

function answering({ gateways, silent }: ScriptedWorld): readonly RosterEntry[] {
  return gateways.filter(({ name }) => !silent.includes(name));
}

function attempted({ failing }: ScriptedWorld, name: string): { note: string } {
  const failure = failing[name]?.shift();
  if (failure === undefined) return { note: 'set and seen' };
  const type = failure === 'refused' ? FAILURES.effectRefused : FAILURES.effectUnavailable;
  throw ApplicationFailure.create({ message: `the target was ${failure}`, type, nonRetryable: true });
}

async function paced(durationMs: number): Promise<void> {
  const endMs = Date.now() + durationMs;
  while (Date.now() < endMs) {
    heartbeat();
    await sleep(STEP_MS, undefined, { signal: cancellationSignal() });
  }
}

function aVerdict(stage: string, epoch: number): GateVerdict {
  return {
    ...{ stage, epoch, outcome: 'inconclusive', harm: null, pause: null, sentence: 'too little evidence' },
    ...{ burnIn: false, metrics: [], observedShare: null, requests: { legacy: 90, candidate: 10 } },
    baseline: null,
  };
}
