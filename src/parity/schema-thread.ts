import Ajv2020, { type ValidateFunction } from 'ajv/dist/2020';
import draft7 from 'ajv/dist/refs/json-schema-draft-07.json';
import addFormats from 'ajv-formats';

// Schemas of tools come from many hands: unknown keywords are theirs to have.
const ajv = new Ajv2020({ strict: false, logger: false, unicodeRegExp: false });
ajv.addMetaSchema(draft7);
addFormats(ajv);

const compiled = new WeakMap<object, ValidateFunction>();

/** Whether a value keeps to a JSON Schema; throws for a schema that `schemaProblem` finds fault with. */
export function keepsTo(schema: object, value: unknown): boolean {
  return validatorOf(schema)(value) === true;
}

/** Why a JSON Schema cannot be used, in one line; null when it can. */
export function schemaProblem(schema: object): string | null {
  try {
    validatorOf(schema);
    return null;
  } catch (error) {
    return error instanceof Error ? (error.message.split('\n')[0] ?? '').slice(0, 200) : String(error);
  }
}

function validatorOf(schema: object): ValidateFunction {
  let validate = compiled.get(schema);
  if (validate === undefined) {
    // An $id would be remembered, and the same tool stands in many prompts.
    const { $id: _, ...anonymous } = schema as { $id?: unknown };
    validate = ajv.compile(anonymous);
    compiled.set(schema, validate);
  }
  return validate;
}
