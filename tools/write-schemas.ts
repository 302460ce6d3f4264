import { mkdirSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { jsonSchemaOf } from '../src/core/json-schema';

/** Writes schemas/*.schema.json, for editors that complete and check plans and configurations. */
const folder = resolve(process.argv[2] ?? 'schemas');
mkdirSync(folder, { recursive: true });
for (const kind of ['plan', 'configuration'] as const) {
  writeFileSync(join(folder, `${kind}.schema.json`), `${JSON.stringify(jsonSchemaOf(kind), null, 2)}\n`);
}
