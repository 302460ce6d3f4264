import { readDocument } from '../config';
import { parseDocument } from '../core/configuration/schema-parts';
import type { Plan } from '../core/plan/plan';
import { planSchema } from '../core/plan/plan-schema';
import { readYaml } from '../yaml-document';

/** A folder's plan: what `init` writes, and what is meant where a command names none. */
export const USUAL_PLAN = 'plan.yaml';

/** The plan in a YAML or JSON file with every default filled in; throws `InvalidDocument`. */
export function loadPlan(path: string): Plan {
  return parseDocument(planSchema, readDocument(path, '`cutover plan init ROUTE` writes one'), path);
}

/** The plan in a text, which is called `name` where something is wrong with it; throws `InvalidDocument`. */
export function planOfText(text: string, name: string): Plan {
  return parseDocument(planSchema, readYaml(text, name), name);
}

/** The plan of a route that says nothing but its route; throws `InvalidDocument` for a name that no route can have. */
export function defaultPlan(route: string): Plan {
  return parseDocument(planSchema, { route }, 'the default plan');
}
