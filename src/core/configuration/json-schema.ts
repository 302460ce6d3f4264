import { z } from 'zod';
import { planSchema } from '../plan/plan-schema';
import { configurationSchema } from './configuration-schema';

/** The documents whose JSON Schema is published for editors. */
type DocumentKind = 'plan' | 'configuration';

const SCHEMAS = { plan: planSchema, configuration: configurationSchema };
const TITLES = { plan: 'Cutover plan', configuration: 'Cutover configuration' };

/** The JSON Schema (draft 2020-12) of what a person writes; what only the parser knows is not in it. */
export function jsonSchemaOf(kind: DocumentKind): object {
  const schema = z.toJSONSchema(SCHEMAS[kind], { io: 'input', unrepresentable: 'any' });
  return { title: TITLES[kind], ...schema };
}
