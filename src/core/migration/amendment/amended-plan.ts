import type { Plan } from '../../plan/plan';
import { jsonBytes } from '../../text/json-bytes';
import { isJsonObject } from '../../text/json-object';
import { planProblem } from '../start-problem';

/** Bytes of JSON: a record keeps commands of up to this size whole. */
const PLAN_MOST_BYTES = 28_000;

/** What is wrong with a plan as a message brought it; null: nothing. Margins are looked at as far as gates need them. */
export function amendedPlanProblem(plan: unknown): string | null {
  const problem = planProblem(plan, 'plan');
  if (problem !== null) return problem;
  const bytes = jsonBytes(plan);
  if (bytes > PLAN_MOST_BYTES) {
    return `plan: expected at most ${PLAN_MOST_BYTES / 1_000} KB of JSON, got ${Math.ceil(bytes / 1_000)} KB: a record does not keep longer commands whole`;
  }
  const { stages } = plan as Plan;
  const names = stages.map(({ name }) => name);
  const twice = names.find((name, index) => names.indexOf(name) !== index);
  if (twice !== undefined) return `plan.stages: expected names that differ, got "${twice}" twice`;
  for (const { name, gates } of stages) {
    const wrong = marginProblem(gates as unknown as Fields);
    if (wrong !== null) return `plan.stages.${name}.gates.${wrong}`;
  }
  return null;
}

type Fields = Readonly<Record<string, unknown>>;

const MARGINS: Readonly<Record<string, readonly string[]>> = {
  errors: ['rollbackRatio', 'promotionExcess'],
  latency: ['rollbackIncrease'],
  interToken: ['rollbackIncrease'],
  sampleRatio: ['pausePValue'],
  floor: ['success'],
  probes: ['rollbackStreak', 'promotionStreak'],
};
/** Absent in some plans; whole where they are there. */
const FURTHER_MARGINS: Readonly<Record<string, readonly string[]>> = {
  answers: ['rollbackRatio', 'promotionExcess', 'minimum', 'maxUnchecked'],
  leavers: ['rollbackRatio'],
  shed: ['pausePart'],
};

function marginProblem(gates: Fields): string | null {
  const further = Object.entries(FURTHER_MARGINS).filter(([gate]) => gates[gate] !== undefined);
  for (const [gate, fields] of [...Object.entries(MARGINS), ...further]) {
    const margins = gates[gate];
    if (!isJsonObject(margins)) return `${gate}: expected an object`;
    const wrong = fields.find((field) => !isNumber(margins[field]));
    if (wrong !== undefined) return `${gate}.${wrong}: expected a number of at least 0`;
  }
  const { promotionIncrease } = gates['latency'] as Fields;
  return promotionIncrease === null || isNumber(promotionIncrease)
    ? null
    : 'latency.promotionIncrease: expected null or a number of at least 0';
}

function isNumber(value: unknown): boolean {
  return typeof value === 'number' && Number.isFinite(value) && value >= 0;
}
