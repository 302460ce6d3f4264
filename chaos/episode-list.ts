import type { Ending, Episode, Step, Strike } from './episode';
import { type Drawn, FAULT_KINDS } from './fault-kinds';
import { Random } from './random';

/** Seeds of the list: 1 to this. */
export const LAST_SEED = 400;

/** The list that every run of the tests plays: a worker, a gateway, the kill switch; each is over soon. */
export const SHORT_LIST: readonly number[] = [15, 42, 48];

/** Two kinds at once, drawn from all the others. */
const TWO = 'two faults';

/** Kinds of episodes, in the order in which seeds take turns. */
export const EPISODE_KINDS: readonly string[] = [...Object.keys(FAULT_KINDS), TWO];

const STRIKES: readonly Strike[] = ['canary', 'rolling', 'complete', 'complete', 'handover'];
const ENDINGS: readonly Ending[] = ['rollback', 'rollback', 'emergency-rollback', 'complete'];

/** The episode of a seed from 1 to `LAST_SEED`: the same on every machine. */
export function episodeOf(seed: number): Episode {
  const random = new Random(seed);
  const kind = kindOf(seed);
  const drawn = kind === TWO ? twoAtOnce(random) : draw(kind, random);
  const { strike = random.pick(STRIKES), ending = random.pick(ENDINGS), after = [] } = drawn;
  // Whoever wants to see the end of the plan does not roll back half way.
  const isWanted = (step: Step) =>
    ending !== 'complete' || step.do !== 'operator' || !step.args[0]?.endsWith('rollback');
  const steps = drawn.steps.filter(isWanted);
  return { seed, kind, strike, ending, steps: inOrder(steps), after: inOrder(after) };
}

/** The kind of a seed, so that each kind comes as often as any other. */
export function kindOf(seed: number): string {
  return EPISODE_KINDS[(seed - 1) % EPISODE_KINDS.length] as string;
}

function draw(kind: string, random: Random): Drawn {
  const drawKind = FAULT_KINDS[kind];
  if (drawKind === undefined) throw new Error(`expected a kind of fault, got "${kind}"`);
  return drawKind(random);
}

function twoAtOnce(random: Random): Drawn {
  const names = Object.keys(FAULT_KINDS);
  const first = random.pick(names);
  const second = random.pick(names.filter((name) => name !== first));
  const [one, other] = [draw(first, random), draw(second, random)];
  const lateMs = random.whole(0, 2_000);
  const steps = [...one.steps, ...other.steps.map((step) => ({ ...step, atMs: step.atMs + lateMs }))];
  return { ...one, steps, after: one.after ?? other.after ?? [] };
}

function inOrder(steps: readonly Step[]): readonly Step[] {
  return [...steps].sort((a, b) => a.atMs - b.atMs);
}
