import { readDocument } from '../config';
import type { Plan } from '../core/plan';
import { planSchema } from '../core/plan-schema';
import { parseDocument } from '../core/schema-parts';

/** The plan in a YAML or JSON file with every default filled in; throws `InvalidDocument`. */
export function loadPlan(path: string): Plan {
  return parseDocument(planSchema, readDocument(path), path);
}

/** The plan of a route that says nothing but its route; throws `InvalidDocument` for a name that no route can have. */
export function defaultPlan(route: string): Plan {
  return parseDocument(planSchema, { route }, 'the default plan');
}
