import { mkdirSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { jsonSchemaOf } from '../src/core/configuration/json-schema';
import { schemaReference } from './schema-reference';

/** Writes schemas/*.schema.json, for editors that complete and check, and docs/*-reference.md, for people. */
const root = resolve(process.argv[2] ?? '.');
for (const folder of ['schemas', 'docs']) mkdirSync(join(root, folder), { recursive: true });
for (const kind of ['plan', 'configuration'] as const) {
  const schema = `${JSON.stringify(jsonSchemaOf(kind), null, 2)}\n`;
  writeFileSync(join(root, 'schemas', `${kind}.schema.json`), schema);
  writeFileSync(join(root, 'docs', `${kind}-reference.md`), schemaReference(kind));
}
