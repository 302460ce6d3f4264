import { ModelledWorld, type PlantedFault } from './modelled-world';
import { bringToItsEnd, happen, heal, type Order } from './world-steps';

/** What a run of an order leaves for counting. */
export interface Run {
  readonly world: ModelledWorld;
  readonly virtualMs: number;
}

/** Runs an order to its end under all laws; throws the first one that is broken. */
export async function runOrder(order: Order, fault: PlantedFault = {}): Promise<Run> {
  const world = new ModelledWorld(fault, order);
  try {
    await world.pass(order.leadMs);
    for (const [step, thenMs] of order.steps) {
      await happen(world, step);
      await world.pass(thenMs);
    }
    await heal(world);
    await bringToItsEnd(world, order.ending);
    const outcomes = mayEndAs(order);
    if (!outcomes.includes(world.state.outcome ?? 'none')) {
      throw new Error(`expected the outcome ${outcomes.join(' or ')}, got ${world.state.outcome}`);
    }
    // After the end, and after one more restart of everything, nothing comes back.
    for (const gateway of world.gateways) {
      gateway.die();
      world.startGateway(gateway);
    }
    await world.pass(AFTERWARDS_MS);
    return { world, virtualMs: world.time.elapsedMs };
  } finally {
    world.stop();
  }
}

const AFTERWARDS_MS = 5_000;

function mayEndAs({ steps, ending }: Order): string[] {
  // Whoever settles a gateway or says finish may have completed it before the end that is wanted.
  const finished = steps.some(([step]) =>
    'said' in step ? step.said.name === 'finish' : step.what === 'is settled',
  );
  if (ending === 'completes') return ['completed', 'rolled back', 'rejected'];
  return ['rolled back', 'rejected', ...(finished ? ['completed'] : [])];
}
