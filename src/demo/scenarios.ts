import type { CommandName } from '../core/migration/command';
import type { MigrationStatus } from '../core/migration/status';
import { OTHER_MODEL } from './demo-model';
import type { DemoStack } from './stack';

export const DEMO_SCENARIOS = ['default', 'regression', 'drift', 'swap', 'operator', 'fine-tuned'] as const;
export type DemoScenario = (typeof DEMO_SCENARIOS)[number];

/** What a scenario may look at and do while the migration runs. */
export interface Stage {
  readonly stack: DemoStack;
  readonly say: (line: string) => void;
  /** Resolves with the first status that fits; rejects when the migration closes before. */
  readonly until: (fits: (status: MigrationStatus) => boolean) => Promise<MigrationStatus>;
  /** Waits for so many milliseconds; rejects when the demo was interrupted. */
  readonly pause: (ms: number) => Promise<void>;
  /** Told how long a rollback took from command to verified, milliseconds. */
  readonly rolledBackIn: (durationMs: number) => void;
}

/** Plays a scenario's part beside the migration: what the candidate does, what the operator does. */
export async function play(scenario: DemoScenario, stage: Stage): Promise<void> {
  switch (scenario) {
    case 'default':
    case 'fine-tuned':
      return playDefault(stage);
    case 'regression':
      return playRegression(stage);
    case 'drift':
      return playDrift(stage);
    case 'swap':
      return playSwap(stage);
    case 'operator':
      return playOperator(stage);
    default:
      return scenario satisfies never;
  }
}

async function playDefault({ stack, say, until }: Stage): Promise<void> {
  await until((status) => status.phase === 'handover');
  say(
    'handover: the operator changes every gateway’s configuration to `settled: candidate`, one gateway at a time',
  );
  await stack.settle();
}

async function playRegression({ stack, say, until }: Stage): Promise<void> {
  await until(
    (status) => status.stage === 'canary' && status.phase === 'observing' && status.soak.windows >= 1,
  );
  say('the candidate degrades: from now on it fails 60% of its requests and is twice as slow');
  Object.assign(stack.candidate.behaviour, { failureRatio: 0.6, latencyFactor: 2 });
}

async function playDrift({ stack, say, until }: Stage): Promise<void> {
  await until(
    (status) => status.stage === 'canary' && status.phase === 'observing' && status.soak.windows >= 1,
  );
  say(
    'the candidate drifts: it answers 200 in time, and from now on the arguments of 60% of its tool calls do not keep to their schema',
  );
  Object.assign(stack.candidate.behaviour, { brokenCallRatio: 0.6 });
}

async function playSwap(stage: Stage): Promise<void> {
  const { stack, say, until } = stage;
  await until((status) => status.stage === 'rolling' && status.phase === 'observing');
  say(
    'the candidate, a relay, serves another model behind the same name from now on: no status or latency changes',
  );
  Object.assign(stack.candidate.behaviour, { model: OTHER_MODEL });
  const { paused } = await until((status) => status.paused !== null);
  say(`paused by ${paused?.by}: ${paused?.reason}`);
  await operator(stage)('rollback', { reason: 'it is not the model that was sold' });
}

async function playOperator(stage: Stage): Promise<void> {
  const { until, pause } = stage;
  const command = operator(stage);
  await until((status) => status.stage === 'canary' && status.phase === 'observing');
  await pause(2_000);
  await command('pause', { reason: 'let us look at the dashboards' });
  await pause(2_000);
  await command('resume', { reason: 'looks fine' });
  await until((status) => status.stage === 'rolling' && status.phase === 'observing');
  await pause(4_000);
  await command('rollback', { to: 'previous', reason: 'a customer reports odd answers' });
  await pause(3_000);
  await command('emergencyRollback', { reason: 'it is the candidate' });
}

type Commander = (name: CommandName, payload: Record<string, unknown>) => Promise<void>;

/** Somebody who sends commands and waits for what comes of them. */
function operator({ stack, say, rolledBackIn }: Stage): Commander {
  const { client } = stack;
  return async (name: CommandName, payload: Record<string, unknown>): Promise<void> => {
    const startMs = performance.now();
    say(`operator: ${name} ${JSON.stringify(payload)}`);
    const { commandId } = await client.command('chat', name, { by: 'demo operator', ...payload });
    const outcome = await client.follow('chat', commandId);
    const tookMs = performance.now() - startMs;
    if (name === 'rollback' || name === 'emergencyRollback') rolledBackIn(tookMs);
    say(
      `answer after ${Math.round(tookMs)} ms: ${outcome.message}; verified ${outcome.verified}, checkpoint ${outcome.checkpoint ?? '-'}, epoch ${outcome.epoch ?? '-'}, gateways ${outcome.gateways.join(', ') || '-'}`,
    );
  };
}
