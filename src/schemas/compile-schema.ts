import Ajv2020, { type ValidateFunction } from 'ajv/dist/2020';
import draft7 from 'ajv/dist/refs/json-schema-draft-07.json';
import addFormats from 'ajv-formats';

// Schemas of tools come from many hands: unknown keywords are theirs to have.
const ajv = new Ajv2020({ strict: false, logger: false, unicodeRegExp: false });
ajv.addMetaSchema(draft7);
addFormats(ajv);
// The first schema takes as long as hundreds of later ones, and on a busy machine longer than a question may take: it is
// compiled before a thread says that it is ready.
ajv.removeSchema(
  ajv.compile({ type: 'object', properties: { day: { type: 'string', format: 'date' } } }).schema,
);

/** Compiles a JSON Schema from outside; only in a thread of its own. Throws the validator's error where it cannot. */
export function compileSchema(schema: object): ValidateFunction {
  // An $id would be remembered, and the same tool stands in many requests.
  const { $id: _, ...anonymous } = schema as { $id?: unknown };
  const validate = ajv.compile(anonymous);
  // It keeps what it compiled for good; we keep what we need of it.
  ajv.removeSchema(anonymous);
  return validate;
}
