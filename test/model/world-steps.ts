import fc from 'fast-check';
import type { CommandName } from '../../src/core/migration/command';
import { statusOf } from '../../src/core/migration/status';
import { latchedGateways } from '../../src/core/routing/drift';
import type { ModelGateway } from './model-gateway';
import type { Beginning, ModelledWorld } from './modelled-world';

/** Something that happens to one gateway. */
const GATEWAY_STEPS = {
  dies: (gateway) => gateway.die(),
  starts: (gateway, world) => world.startGateway(gateway),
  'is restarted': (gateway, world) => {
    gateway.die();
    world.startGateway(gateway);
  },
  'loses its disk': (gateway, world) => {
    gateway.die();
    gateway.loseDisk();
    world.startGateway(gateway);
  },
  'has a full disk': (gateway) => {
    gateway.disk.isFull = true;
  },
  'has room again': (gateway) => {
    gateway.disk.isFull = false;
  },
  'gets a new address': (gateway, world) => world.moveGateway(gateway),
  'is gone for good': (gateway, world) => {
    // Nobody could be forgotten but the last one.
    if (world.gateways.filter(({ isGone }) => !isGone).length === 1) return;
    gateway.isGone = true;
    gateway.die();
  },
  'hears nothing': (gateway) => {
    gateway.link = 'no requests';
  },
  'is not heard': (gateway) => {
    gateway.link = 'no answers';
  },
  'is reached again': (gateway) => {
    gateway.link = 'well';
    gateway.delayMs = 0;
  },
  'is slow': (gateway) => {
    gateway.delayMs = 400;
  },
  'is too slow': (gateway) => {
    gateway.delayMs = 1_700;
  },
  'is stopped': (gateway) => {
    gateway.isStopped = gateway.process !== null;
  },
  'goes on': (gateway) => gateway.continue(),
  'is settled': (gateway, world) => {
    gateway.settled = 'candidate';
    gateway.die();
    world.startGateway(gateway);
  },
  'is killed': (gateway) => gateway.kill('ana'),
  'is cleared': (gateway) => gateway.clearKill(),
} satisfies Record<string, (gateway: ModelGateway, world: ModelledWorld) => void | Promise<void>>;

/** Something that happens to one worker. */
const WORKER_STEPS = {
  dies: (world, index) => world.workers[index]?.die(),
  'is replaced': (world, index) => world.replaceWorker(index),
  'is stopped': (world, index) => {
    const worker = world.workers[index];
    if (worker !== undefined) worker.isStopped = !worker.isDead;
  },
  'goes on': (world, index) => world.workers[index]?.continue(),
  'is cut off': (world, index) => {
    const worker = world.workers[index];
    if (worker !== undefined) worker.isCut = true;
  },
  'is connected': (world, index) => {
    const worker = world.workers[index];
    if (worker !== undefined) worker.isCut = false;
  },
} satisfies Record<string, (world: ModelledWorld, index: number) => void>;

const WORLD_STEPS = {
  'Temporal goes down': ({ temporal }) => {
    temporal.isUp = false;
  },
  'Temporal comes up': ({ temporal }) => {
    temporal.isUp = true;
  },
  'Temporal answers late': ({ temporal }) => {
    temporal.answersAfterMs = 500;
  },
  'Temporal answers at once': ({ temporal }) => {
    temporal.answersAfterMs = 0;
  },
  'workflow tasks fail': ({ temporal }) => {
    temporal.isPoisoned = true;
  },
  'workflow tasks work': ({ temporal }) => {
    temporal.isPoisoned = false;
  },
  'the next workflow task is lost': ({ temporal }) => {
    temporal.losesNextTask = true;
  },
  'the workflow continues as new': ({ temporal }) => temporal.carryOn(),
  'the candidate fails': ({ providers }) => {
    providers.answering.candidate = false;
  },
  'the candidate answers': ({ providers }) => {
    providers.answering.candidate = true;
  },
  'legacy fails': ({ providers }) => {
    providers.answering.legacy = false;
  },
  'legacy answers': ({ providers }) => {
    providers.answering.legacy = true;
  },
  'probes hang': ({ hanging }) => {
    hanging.probes = true;
  },
  'probes end': ({ hanging }) => {
    hanging.probes = false;
  },
  'requests are sent late': (world) => {
    world.holdsBack = true;
  },
  'requests are sent at once': (world) => {
    world.holdsBack = false;
  },
  'every gateway is killed': async ({ gateways }) => {
    for (const gateway of gateways) await gateway.kill('ben');
  },
  'every gateway is cleared': async ({ gateways }) => {
    for (const gateway of gateways) await gateway.clearKill();
  },
} satisfies Record<string, (world: ModelledWorld) => void | Promise<void>>;

type Names<T> = Extract<keyof T, string>;

/** What an operator says; the two share some command ids, as two terminals with one script might. */
export type Said =
  | { readonly name: 'promote'; readonly override: boolean }
  | { readonly name: 'resume'; readonly accept: boolean }
  | { readonly name: 'rollback'; readonly to: number | 'previous' | null }
  | { readonly name: Exclude<CommandName, 'promote' | 'resume' | 'rollback' | 'approve'> };

export type Step =
  | { readonly gateway: number; readonly what: Names<typeof GATEWAY_STEPS> }
  | { readonly worker: number; readonly what: Names<typeof WORKER_STEPS> }
  | { readonly what: Names<typeof WORLD_STEPS> }
  | { readonly by: string; readonly id: string | null; readonly said: Said };

export interface Order extends Beginning {
  /** Undisturbed time before anything strange happens, milliseconds. */
  readonly leadMs: number;
  readonly steps: readonly (readonly [step: Step, thenMs: number])[];
  readonly ending: Ending;
}

/** How operators want it to end once the world is well again. */
export type Ending = 'completes' | 'rolls back' | 'emergency' | 'harm';

const keys = <T extends object>(steps: T) => Object.keys(steps) as Names<T>[];

const said: fc.Arbitrary<Said> = fc.oneof(
  fc.record({ name: fc.constant('promote' as const), override: fc.boolean() }),
  fc.record({ name: fc.constant('resume' as const), accept: fc.boolean() }),
  fc.record({
    name: fc.constant('rollback' as const),
    to: fc.constantFrom<(number | 'previous' | null)[]>('previous', 'previous', 2, 4, null),
  }),
  fc.record({
    name: fc.constantFrom<('pause' | 'reevaluate' | 'finish' | 'emergencyRollback')[]>(
      'pause',
      'pause',
      'reevaluate',
      'finish',
      'emergencyRollback',
    ),
  }),
);

const anyStep: fc.Arbitrary<Step> = fc.oneof(
  { weight: 6, arbitrary: fc.record({ gateway: fc.nat(2), what: fc.constantFrom(...keys(GATEWAY_STEPS)) }) },
  { weight: 3, arbitrary: fc.record({ worker: fc.nat(1), what: fc.constantFrom(...keys(WORKER_STEPS)) }) },
  { weight: 4, arbitrary: fc.record({ what: fc.constantFrom(...keys(WORLD_STEPS)) }) },
  {
    weight: 4,
    arbitrary: fc.record({
      by: fc.constantFrom('ana', 'ben'),
      id: fc.constantFrom(null, null, 'c-1', 'c-2'),
      said,
    }),
  },
);

export const anyOrder: fc.Arbitrary<Order> = fc.record({
  gateways: fc.constantFrom(2, 1, 3),
  workers: fc.constantFrom(2, 1),
  earlier: fc.constantFrom(false, false, true),
  byAddress: fc.boolean(),
  plan: fc.constantFrom('plain' as const, 'plain' as const, 'ramped' as const, 'piloted' as const),
  leadMs: fc.constantFrom(0, 5_000, 15_000, 25_000, 36_000, 50_000),
  steps: fc.array(fc.tuple(anyStep, fc.constantFrom(0, 300, 1_000, 5_000, 5_000, 16_000, 30_000)), {
    maxLength: 14,
    size: 'max',
  }),
  ending: fc.constantFrom<Ending[]>('completes', 'rolls back', 'emergency', 'harm'),
});

/** Does one step; what is not there any more is left alone. */
export async function happen(world: ModelledWorld, step: Step): Promise<void> {
  if ('gateway' in step) {
    const gateway = world.gateways[step.gateway % world.gateways.length];
    if (gateway !== undefined) await GATEWAY_STEPS[step.what](gateway, world);
  } else if ('worker' in step) WORKER_STEPS[step.what](world, step.worker % world.workers.length);
  else if ('said' in step) say(world, step.by, step.id, step.said);
  else await WORLD_STEPS[step.what](world);
}

function say(world: ModelledWorld, by: string, commandId: string | null, command: Said): void {
  const base = { by, reason: 'because', ...(commandId === null ? {} : { commandId }) };
  switch (command.name) {
    case 'promote': {
      const checkpoint = world.state.inEffect?.checkpoint ?? 1;
      const { override } = command;
      world.says('promote', { ...base, stage: world.stage, override, ...(override ? { checkpoint } : {}) });
      return;
    }
    case 'resume':
      world.says('resume', { ...base, ...(command.accept ? { accept: 'reapply' } : {}) });
      return;
    case 'rollback':
      world.says('rollback', { ...base, ...(command.to === null ? {} : { to: command.to }) });
      return;
    default:
      world.says(command.name, base);
  }
}

/** Whatever can be repaired is. */
export async function heal(world: ModelledWorld): Promise<void> {
  world.holdsBack = false;
  world.hanging.probes = false;
  world.temporal.isUp = true;
  world.temporal.answersAfterMs = 0;
  world.temporal.isPoisoned = false;
  world.temporal.losesNextTask = false;
  world.providers.answering.candidate = true;
  world.providers.answering.legacy = true;
  world.workers.forEach((worker, index) => {
    worker.isCut = false;
    worker.continue();
    if (worker.isDead) world.replaceWorker(index);
  });
  for (const gateway of world.gateways) {
    gateway.link = 'well';
    gateway.delayMs = 0;
    gateway.disk.isFull = false;
    gateway.continue();
    world.startGateway(gateway);
  }
  await world.pass(0);
}

const LOOKS_MOST = 100;
const PATIENT_LOOKS = 30;
/** A rollback in a world that is well: task timeouts, heartbeats and one lease lie within it. */
const ROLLBACK_LOOKS_MOST = 24;
const LOOK_MS = 5_000;

/** An operator who does what the runbook says until the migration has ended as wanted; throws where it does not end. */
export async function bringToItsEnd(world: ModelledWorld, ending: Ending): Promise<void> {
  let commands = 0;
  const says = (name: CommandName, payload: Record<string, unknown> = {}) => {
    commands += 1;
    world.says(name, { by: 'ana', reason: 'the runbook', commandId: `end-${commands}`, ...payload });
  };
  if (ending === 'rolls back') says('rollback');
  if (ending === 'emergency') says('emergencyRollback');
  const most = ending === 'completes' || ending === 'harm' ? LOOKS_MOST : ROLLBACK_LOOKS_MOST;
  for (let look = 0; look < most && world.state.phase !== 'closed'; look += 1) {
    await world.pass(LOOK_MS);
    const { state } = world;
    if (ending === 'harm' && (state.inEffect?.record.share ?? 0) > 0) {
      world.providers.answering.candidate = false;
    }
    const isSettled = state.phase === 'observing' || state.phase === 'handover';
    if (latchedGateways(state).length > 0 || world.gateways.some(isLatched)) {
      for (const gateway of world.gateways) await gateway.clearKill();
    }
    forgetWhoIsGone(world, says);
    // A start reads every gateway: until then nobody is known who could be forgotten.
    if (state.phase === 'reading') {
      for (const gateway of world.gateways) gateway.isConfigured = !gateway.isGone;
    }
    if (!isSettled) continue;
    // A pause stops advancing, not watching: harm must find its way back all the same.
    const mayStayPaused = ending === 'harm' && state.paused?.cause === 'operator' && state.stageIndex > 0;
    if (state.paused !== null && latchedGateways(state).length === 0 && !mayStayPaused) {
      says('resume', { accept: 'reapply' });
    } else if (look > PATIENT_LOOKS && state.phase === 'observing') {
      // What the gates cannot forget, failures of the time before among it, takes a person's decision.
      const checkpoint = state.inEffect?.checkpoint;
      says('promote', { stage: world.stage, override: true, checkpoint });
    } else if (state.stage.held !== null) says('reevaluate');
    else if (state.phase === 'handover' && ending === 'completes') await settle(world);
  }
  const { phase, refusals } = world.state;
  if (phase === 'closed') return;
  const { doing } = statusOf(world.state, world.time.nowMs);
  throw new Error(
    `it does not end within ${(most * LOOK_MS) / 1_000} s: ${phase} in ${world.stage}, ${doing}; last refusal: ${refusals.at(-1)?.message ?? 'none'}`,
  );
}

type Says = (name: CommandName, payload?: Record<string, unknown>) => void;

/** Attests that a gateway is gone for good, once it was found silent. */
function forgetWhoIsGone({ gateways, state }: ModelledWorld, says: Says): void {
  const isKnown = ({ name, isGone }: ModelGateway) =>
    isGone && state.roster.some((entry) => entry.name === name) && state.unreachable.includes(name);
  for (const { name } of gateways.filter(isKnown)) says('forget', { gateway: name });
}

function isLatched({ process }: ModelGateway): boolean {
  return process?.state.status().kill != null;
}

/** The change of configuration that ends a handover: each gateway is restarted with it, one after the other. */
async function settle(world: ModelledWorld): Promise<void> {
  for (const gateway of world.gateways) {
    if (gateway.settled === 'candidate' || gateway.isGone) continue;
    gateway.settled = 'candidate';
    gateway.die();
    world.startGateway(gateway);
    await world.pass(1_000);
  }
}

const ENDINGS: Readonly<Record<Ending, string>> = {
  completes: 'is to complete',
  'rolls back': 'is rolled back',
  emergency: 'is rolled back as an emergency',
  harm: 'does harm',
};

/** An order in words, a line for each step: what a failing run prints. */
export function orderText(order: Order): string {
  const { gateways, workers, earlier, byAddress, plan = 'plain', leadMs, steps, ending } = order;
  const lines = steps.map(([step, thenMs]) => `${stepText(step)}, then ${thenMs} ms`);
  return [
    `${gateways} gateways${byAddress ? ' found by address' : ''}${earlier ? ' that serve an earlier migration' : ''}, ${workers} workers, a ${plan} plan, ${leadMs} ms undisturbed`,
    ...lines,
    `then everything is repaired, and it ${ENDINGS[ending]}`,
  ].join('\n  ');
}

function stepText(step: Step): string {
  if ('gateway' in step) return `gateway ${step.gateway + 1} ${step.what}`;
  if ('worker' in step) return `worker ${step.worker + 1} ${step.what}`;
  if ('said' in step) return `${step.by} says ${JSON.stringify(step.said)} (${step.id ?? 'no id'})`;
  return step.what;
}
